//! One client's protocol life, without sockets: what each frame means, which of them may go on as they are,
//! what has to be said in between, and when the server may go back to its pool.
//!
//! ```text
//!   client bytes ─▶ plan (which node?) ─▶ upstream ─▶ server bytes
//!   client bytes ◀──────────────────── downstream ◀─ server bytes
//! ```
//!
//! [`Session`] is what a client owns for as long as it is connected, [`ServerSide`] what travels with a server
//! connection through the pool. Both see whole runs of frames; nothing here waits, and `now` is an argument.
//! DESIGN.md sections 4 to 8 are the rules. Read `session.rs` first, then `request.rs` (what is outstanding),
//! `upstream.rs` and `statements.rs`, `downstream.rs`; `plan.rs`, `texts.rs`, `route.rs` and `causal.rs` (which node), `read_after.rs`
//! and `own.rs` (tokens), `setting.rs` and `guard.rs` (parameters that say what an acknowledgement is worth), `retry.rs`
//! (what runs again elsewhere), `local.rs` and `doubt.rs` (when the server is gone), `known.rs` and `sets.rs` (what needs
//! no server).

mod carry;
mod causal;
mod doubt;
mod downstream;
mod error;
mod guard;
mod known;
mod local;
mod own;
mod plan;
mod prepared;
mod read_after;
mod request;
mod retry;
mod route;
mod server;
mod session;
mod sets;
mod setting;
mod statements;
mod texts;
mod upstream;
mod vars;

#[cfg(test)]
mod causal_tests;
#[cfg(test)]
mod prepared_tests;
#[cfg(test)]
mod read_after_tests;
#[cfg(test)]
mod setting_tests;
#[cfg(test)]
mod vars_tests;

pub use carry::{Bytes, CarriedServer, CarriedSession, CarriedStatement, Statements};
pub use causal::{Consistency, LastWrite};
pub use doubt::Fate;
pub use downstream::{ServerTurn, Signal};
pub use error::{Fatal, ServerFault};
pub use guard::{Commit, Guards, Level};
pub use howdah_protocol::read::TransactionStatus;
pub use local::Lost;
pub use plan::Plan;
pub use prepared::{Registry, Statement};
pub use request::REQUEST_SIZE;
pub use route::{Chosen, Moment, NoNode, ReadPolicy, RouteMode, Routing, WithoutReplica, choose, context};
pub use server::{ServerSide, Spelled};
pub use session::{Acknowledgements, Look, Outputs, PoolMode, Session, SessionOptions, Shared, Tally};
pub use upstream::{ClientTurn, STREAM_FRAMES_ABOVE};
pub use vars::{Tracked, Vars};
