//! The failover decision machine: events in, actions out, without a clock or a socket.
//!
//! It decides for one cluster when its primary is dead, who becomes the next one and in which order that is done,
//! by the rules of FAILOVER_PROTOCOL.md. It does nothing itself: the controller carries the orders out in SQL, the
//! simulator in a model of PostgreSQL, and both report back.
//!
//! Reading order: [`machine`] (the contract in four kinds of calls), [`event`] and [`action`] (what goes in and
//! out, exactly), then the rows of the decision table and what they ask.

pub mod action;
pub mod advice;
mod attempt;
pub mod demands;
mod elect;
pub mod event;
mod evidence;
mod facts;
pub mod fault;
pub mod fence;
pub mod graph;
mod guards;
pub mod history;
mod intake;
mod job;
mod leave;
pub mod machine;
pub mod members;
mod names;
mod plan;
mod prefer;
mod probing;
pub mod quorum;
mod reconfigure;
mod records;
mod release;
mod rng;
pub mod rows;
pub mod sample;
pub mod spec;
mod steps;
pub mod stop;
mod switch;
mod tasks;
mod unnamed;
mod view;
mod votes;

#[cfg(test)]
mod facts_tests;
#[cfg(test)]
mod guards_tests;
#[cfg(test)]
mod quorum_tests;
#[cfg(test)]
mod reconfigure_tests;
#[cfg(test)]
mod stop_tests;

pub use action::{Action, ActionError, ActionId, Done, Order, VOTE_KEY};
pub use advice::Advice;
pub use demands::{Checks, UNNAMED, misnamed};
pub use event::{Command, Event, Path, ProbeFailure, Report};
pub use fault::Fault;
pub use fence::FenceRecord;
pub use machine::Machine;
pub use members::{Members, Method, SyncNames};
pub use rows::{ROWS, Row, State};
pub use sample::{Attached, Receiver, Sample, StreamState, TimelineStart};
pub use spec::{ClusterSpec, Limits, NodeSpec, OnLastNode};
pub use stop::StopOrder;
