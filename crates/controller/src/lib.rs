//! Watches clusters, carries out failovers and is the only writer of the topology.
//!
//! The decisions are those of `howdah-failover`'s machine; here is everything that touches a socket or a clock:
//! probes, the control sessions that hold the votes, the actions in SQL, freshness. One [`Controller`] a cluster:
//!
//! ```text
//! probes, actions, samples ──events──▶ Machine ──orders──▶ Executor ──▶ control sessions, second sessions
//!                                        └──snapshots──▶ Topology (arc-swap) ──▶ routers, gate, console
//! ```
//!
//! Reading order: [`ControllerConfig`], [`ControllerHandle`], `run.rs` (the loop), `execute.rs` and `control.rs`
//! (who carries out what), `actions.rs` (the SQL), `patroni.rs` (what another manager says, in `follow`).

mod actions;
mod ask;
mod checks;
mod clock;
mod config;
mod connect;
mod conninfo;
mod control;
mod doctor;
mod execute;
mod freshness;
mod handle;
mod hba;
mod horizon;
mod journal;
mod link;
mod names;
mod patroni;
mod questions;
mod reload;
mod run;
mod sample;
mod setup_sql;
mod tls;

#[cfg(test)]
mod actions_tests;
#[cfg(test)]
mod checks_tests;
#[cfg(test)]
mod conninfo_tests;
#[cfg(test)]
mod control_tests;
#[cfg(test)]
mod hba_tests;
#[cfg(test)]
mod patroni_tests;
#[cfg(test)]
mod sample_tests;
#[cfg(test)]
mod setup_sql_tests;

pub use checks::{Finding, Verdict};
pub use clock::Clock;
pub use config::{ControllerConfig, NodeConfig, RestAddress};
pub use doctor::{Diagnosis, examine};
pub use handle::{CommandError, ControllerHandle};
pub use horizon::Horizon;
pub use howdah_failover::{Command, Report};
pub use run::Controller;
pub use setup_sql::setup_sql;
pub use tls::{ControlTls, Secure};
