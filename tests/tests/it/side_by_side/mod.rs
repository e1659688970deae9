//! The same scenario against Debian's pgbouncer 1.18 and against Howdah, with the same file and the same client.
//!
//! A scenario writes facts (`facts.rs`): a name and what was seen. Facts that differ between the two have to be in
//! `known.rs`, with what each of them says and the version of PgBouncer that changed it: the contract is 1.25.2. A
//! difference that is not listed fails the test, and so does a listed one that is not there. The table for people is
//! docs/pgbouncer-1.18-differences.md.

mod client;
mod command_line;
mod commands;
mod facts;
mod known;
mod login;
mod running;
mod shows;
mod timeouts;
mod workload;

use std::future::Future;

use howdah_testkit::Postgres;

use crate::support::postgres;
use facts::Facts;
use running::{Kind, Running};

/// Plays a scenario against both, one after the other, and compares.
async fn compare<F, Fut>(group: &str, settings: &str, scenario: F)
where
    F: Fn(Running) -> Fut,
    Fut: Future<Output = Facts>,
{
    let pg: Postgres = postgres().await;
    let debian = scenario(Running::start(Kind::Debian, &pg, settings).await).await;
    let howdah = scenario(Running::start(Kind::Howdah, &pg, settings).await).await;
    facts::check(group, &debian, &howdah);
}
