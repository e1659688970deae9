//! The PostgreSQL wire protocol as bytes: frames, startup packets, readers, writers and authentication,
//! without sockets, clock or randomness of its own.
//!
//! Read [`frame`] first: it alone decides what bytes from a socket may be looked at. [`read`] looks into the
//! bodies of the few messages that matter to a pooler, [`write`](mod@write) makes messages, [`startup`] takes what comes before
//! the first frame.

pub mod auth;
pub mod frame;
pub mod read;
pub mod startup;
mod startup_codes;
pub mod write;

/// SQLSTATE of everything that breaks the protocol, and of what a pooler itself refuses.
pub const PROTOCOL_VIOLATION: &str = "08P01";
