//! The accounting of server connections: limits, waiters, lifetimes, pause and eviction, generic over what a connection is.

mod arena;
mod books;
mod checkout;
mod effect;
mod hold;
mod ids;
mod list;
mod login;
mod maintain;
mod pools;
mod records;
mod report;
mod settings;

pub use effect::{Abandoned, Checkout, CloseReason, Effect, Failure, FailureKind, Lease, Refusal, Return};
pub use ids::{GroupId, LoginId, PoolId, ServerId, Time, WaiterId};
pub use pools::Pools;
pub use report::{PoolCounts, ServerInfo, ServerState};
pub use settings::PoolSettings;
