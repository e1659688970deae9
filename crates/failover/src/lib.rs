//! The failover decision machine: events in, actions out, without a clock or a socket.
//!
//! It decides for one cluster when its primary is dead, who becomes the next one and in which order that is done,
//! by the rules of FAILOVER_PROTOCOL.md. It does nothing itself: the controller carries the orders out in SQL, the
//! simulator in a model of PostgreSQL, and both report back.
//!
//! Reading order: [`machine`] (the contract in four kinds of calls), [`event`] and [`action`] (what goes in and
//! out, exactly), then the rows of the decision table and what they ask.

pub mod action;
pub mod event;
pub mod fence;
pub mod machine;
pub mod members;
pub mod sample;
pub mod spec;

pub use action::{Action, ActionError, ActionId, Done, Order, VOTE_KEY};
pub use event::{Command, Event, Path, ProbeFailure, Report};
pub use fence::FenceRecord;
pub use machine::Machine;
pub use members::{Members, Method, SyncNames};
pub use sample::{Attached, Receiver, Sample, StreamState, TimelineStart};
pub use spec::{ClusterSpec, Limits, NodeSpec, OnLastNode};
