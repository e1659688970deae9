//! The crate from outside: `pgwire_*` have another implementation read our messages and the other way round,
//! `hostile` is the corpus of frames that other decoders fall over, `properties` throws random bytes.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod hostile;
mod pgwire_client;
mod pgwire_peer;
mod pgwire_server;
mod properties;
