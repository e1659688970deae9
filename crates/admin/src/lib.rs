//! What an operator sees: the console's commands, HTTP health, metrics and the dashboard.
//!
//! This crate knows neither sockets nor pools: the facade implements [`Pooler`] and moves the bytes.
//! Read [`pooler`] first (what the crate asks for), then [`rows`] (what every `SHOW` returns), [`console`]
//! (PgBouncer's database `pgbouncer`) and [`http`] (metrics, health, topology, dashboard).

pub mod averages;
pub mod console;
pub mod http;
pub mod pooler;
pub mod rows;
pub mod table;
pub mod time;

pub use averages::Averager;
pub use console::{Access, Console, ConsoleOutcome};
pub use pooler::{ActionError, Outcome, Pooler};
pub use time::UnixMicros;
