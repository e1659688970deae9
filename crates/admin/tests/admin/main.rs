//! Tests of howdah-admin against a pooler that is not there ([`fake`]).
//!
//! - [`wire`]: reads what the console wrote, without our own readers.
//! - [`show`]: every SHOW, column by column, row by row.
//! - [`actions`]: everything that is not SHOW, its texts, privileges and effects.
//! - [`parse`]: the grammar, as tables and with arbitrary bytes.
//! - [`averages`]: averages over a period.
//! - [`http`]: every endpoint over a loopback socket.

// A helper that cannot go on is a failed test; clippy's own exception covers test functions only.
#![allow(clippy::unwrap_used)]

mod actions;
mod averages;
mod fake;
mod http;
mod parse;
mod show;
mod wire;
