//! Tests of howdah-pool through its public face. `world` is the owner that all of them use: it keeps a naive model beside
//! the pools and compares the two after each call.

// The whole crate is a test: a broken expectation is a failed test. (clippy.toml's allowance sees `#[test]` functions only.)
#![allow(clippy::expect_used, clippy::unwrap_used)]

mod age;
mod grid;
mod hold;
mod limits;
mod login;
mod model;
mod own;
mod queue;
mod world;
