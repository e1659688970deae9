//! One connection to a PostgreSQL server: connect, log in, run a query of our own, cancel.
//!
//! Everything before and after the relay; the relay itself (crate `howdah`) moves bytes over [`Stream`] without
//! this crate. Read `connect.rs` (the order of things), then `login.rs`, `command.rs`, `cancel.rs`.

mod cancel;
mod command;
mod connect;
mod error;
mod frames;
mod login;
mod stream;
mod tls;

pub use cancel::CancelConnection;
pub use command::{Values, ask, ask_about, run};
pub use connect::{Address, ConnectSpec, Parameter, Server, TcpOptions, connect};
pub use error::{ConnectError, RunError, ServerReport};
pub use stream::Stream;
pub use tls::{ServerTls, TlsStream};
