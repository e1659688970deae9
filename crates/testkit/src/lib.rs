//! Real PostgreSQL clusters for tests and the demo: made in a temporary directory, broken on purpose, removed.
//!
//! Start with [`Postgres::single`] (one server) or [`Cluster::builder`] (a primary and its streaming standbys);
//! both give [`Node`]s, which can be stopped, killed, frozen and asked. Everything listens on loopback only and
//! lives under one directory, which goes with its owner: on drop, on a panic, and, through a watchdog process,
//! when the test process itself is killed. Read `cluster.rs` next, then `node.rs`.

mod account;
mod binaries;
mod cluster;
mod command;
mod error;
mod node;
mod patroni;
mod ports;
mod postgres;
mod process;
mod settings;
mod supervisor;
mod wait;
mod workdir;

pub use account::Account;
pub use binaries::{Binaries, find_binaries};
pub use cluster::{Cluster, ClusterBuilder, Prepared};
pub use error::Error;
pub use node::Node;
pub use patroni::PatroniCluster;
pub use ports::PortLease;
pub use postgres::{Options, Postgres};
pub use supervisor::Supervisor;
pub use wait::{DEFAULT_DEADLINE, wait_until, wait_until_some};
pub use workdir::WorkDir;
