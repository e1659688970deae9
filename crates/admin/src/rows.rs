//! What every `SHOW` returns: plain structs with PgBouncer's columns, order, wire types and NULL rules.
//!
//! PGBOUNCER.md section 7 is the table; PGBOUNCER_BEHAVIOUR.md section 3 says what the figures mean. The same
//! structs serialise to the JSON of [`crate::http`], so the console and the dashboard cannot disagree.

mod cluster;
mod connection;
mod database;
mod peer;
mod pool;
mod process;
mod stats;

pub use cluster::{ClusterRow, FailoverRow, Mode, NodeRow, NodeState, Role, Step, SyncState};
pub use connection::{
    Buffers, ClientRow, ClientState, ConnectionRow, ConnectionState, Replication, ServerRow, ServerState,
    SocketRow,
};
pub use database::{DatabaseRow, UserRow};
pub use peer::{DnsHostRow, DnsZoneRow, PeerPoolRow, PeerRow};
pub use pool::{LatencyRow, LoadBalanceHosts, Phase, PoolMode, PoolRow};
pub use process::{
    ConfigRow, FdRow, ListCounts, ListRow, MemRow, PauseState, PoolerState, RouteRow, StateRow,
};
pub use stats::{Averages, AveragesRow, StatsRow, TotalRow, Totals, TotalsRow, totals};
