//! Runs the failover machine against a model of PostgreSQL under a seed, and checks the invariants.
//!
//! The machine is the production one ([`howdah_failover::Machine`]); time, network, servers, clients and faults are
//! models, and every random choice comes from the printed seed, so that a run can be repeated to the last event. After a
//! while the faults end, and the cluster must converge or halt with a reason. The judges stand apart ([`oracle`]): they see
//! the whole truth, which the machine does not.
//!
//! Reading order: `run` (one seed), [`world`] (what there is), [`pg`] and [`stream`] (PostgreSQL as far as a failover
//! meets it), [`serve`] (each action as the server carries it out), [`pooler`] (the machine and its sessions), [`client`] and
//! [`history`], [`faults`], [`oracle`]. `docs/failover-sim.md` says what it has found.

pub mod catch;
pub mod client;
pub mod faults;
pub mod history;
pub mod message;
pub mod mutation;
pub mod net;
pub mod oracle;
pub mod pg;
pub mod pooler;
pub mod run;
pub mod scenario;
pub mod serve;
pub mod setup;
pub mod stream;
pub mod supervisor;
pub mod trouble;
pub mod wal;
pub mod world;

pub use run::{Options, Report, Verdict, run};
