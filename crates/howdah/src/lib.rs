//! A PostgreSQL pooler as a library: it speaks the wire protocol on both sides, shares server connections between
//! clients, sends safe reads to replicas, and keeps sessions through a failover.
//!
//! ```no_run
//! # async fn run(config: howdah_config::Config) -> Result<(), Box<dyn std::error::Error>> {
//! let howdah = howdah::Howdah::builder().config(config).start().await?;
//! let pipe = howdah.connect("app", "user").await?;
//! // tokio_postgres::Config::new().user("user").dbname("app").connect_raw(pipe, NoTls)
//! # drop(pipe);
//! howdah.shutdown().await;
//! # Ok(()) }
//! ```
//!
//! The facade: `builder.rs` puts the parts together, `handle.rs` is what a program holds. Then `pooler.rs` (what is
//! shared) and `client.rs` (the life of a client) are the way in.

mod builder;
mod cancel;
mod client;
mod cluster;
mod connect;
mod console;
mod directory;
mod dns;
mod entry;
mod error;
mod found;
mod handle;
mod intern;
mod listener;
mod maintain;
mod pam;
mod pooler;
mod pools;
mod registry;
mod roll;
mod secrets;
mod server;
mod stats;
mod takeover;
mod tls;
mod unix;
mod unused;

#[cfg(test)]
mod dns_tests;
#[cfg(test)]
mod unused_tests;

pub use builder::{Builder, Howdah};
pub use cluster::{examine, setup_sql};
pub use error::StartError;
pub use handle::{Handle, Pipe, PipeError};
pub use listener::Inherited;
pub use takeover::take::{Takeover, TakeoverError};
pub use tls::check_tls;

pub use howdah_config as config;
pub use howdah_controller::{Diagnosis, Finding, Verdict};
// What the program beside a node (`howdah rejoin --supervise`) reads of the machine's writing.
pub use howdah_failover::stop::SUPERVISOR;
pub use howdah_failover::{FenceRecord, StopOrder};
