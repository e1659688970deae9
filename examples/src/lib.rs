//! Programs that use Howdah.
//!
//! - `src/bin/example/`: a program with one connection string, as an application would be. It knows nothing of
//!   Howdah and works with any PostgreSQL. `cargo demo` and the compose file run it.
//! - `src/bin/embed.rs`: Howdah as a library inside another program, with no socket between.
//!
//! `tests/` runs both against a real server.
