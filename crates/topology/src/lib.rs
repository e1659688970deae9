//! What is known of a cluster: nodes, roles, epochs, positions and freshness, as an immutable snapshot.
//!
//! One writer (the controller, from the decisions of the failover machine) builds a whole [`Topology`] and
//! swaps it in; routers only read. Nothing here knows a clock, a socket or a runtime: times are numbers on
//! Howdah's own monotonic clock ([`Time`]) and every question that depends on "now" takes it as an argument.
//!
//! Reading order: [`snapshot`] (the whole), [`node`] (a part), [`query`] (what a router asks), [`epoch`] and
//! [`lsn`] (how histories are compared), [`freshness`] and [`token`] (reading your own writes, and others'), [`rows`] (SHOW NODES).

pub mod balance;
pub mod epoch;
pub mod freshness;
pub mod ids;
pub mod lsn;
pub mod node;
pub mod query;
pub mod record;
pub mod rows;
pub mod snapshot;
pub mod token;

#[cfg(test)]
mod balance_tests;
#[cfg(test)]
mod epoch_tests;
#[cfg(test)]
mod freshness_tests;
#[cfg(test)]
mod lsn_tests;
#[cfg(test)]
mod query_tests;
#[cfg(test)]
mod rows_tests;
#[cfg(test)]
mod token_tests;

pub use balance::Balance;
pub use epoch::{Epoch, TimelineStart};
pub use freshness::Freshness;
pub use ids::{NodeId, Time};
pub use lsn::{Lsn, LsnError};
pub use node::{Node, NodeState, Role, SyncState};
pub use query::ReplicaLimits;
pub use record::{FailoverOutcome, FailoverRecord, FailoverStep};
pub use rows::{FailoverRow, NodeRow};
pub use snapshot::{Gate, Mode, Topology};
pub use token::{Token, TokenError, TokenFault};
