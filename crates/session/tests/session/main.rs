//! Tests of howdah-session through its public face: a client and servers that keep to the protocol, with the
//! session between them and the bytes in pieces of any size.
//!
//! `wire.rs` writes and reads messages, `backend.rs` is the server, `world.rs` moves the bytes as the driver in
//! crates/howdah does. The other files are one topic each.

// The whole crate is a test: a broken expectation is a failed test. (clippy.toml's allowance sees `#[test]` functions only.)
#![allow(clippy::expect_used, clippy::unwrap_used)]

mod backend;
mod choose;
mod copy;
mod doubt;
mod guards;
mod hostile;
mod lost;
mod modes;
mod names;
mod parameters;
mod pipelines;
mod property;
mod routing;
mod safety;
mod tokens;
mod wire;
mod world;
