//! Everything that a scrape shows, taken at one moment.

use crate::pooler::Pooler;
use crate::rows::{
    ClusterRow, DatabaseRow, FailoverRow, LatencyRow, ListCounts, NodeRow, PoolRow, PoolerState, StatsRow,
    UserRow,
};

/// The rows that metrics are made of.
#[derive(Debug)]
pub(super) struct Snapshot {
    pub(super) version: String,
    pub(super) state: PoolerState,
    pub(super) lists: ListCounts,
    pub(super) databases: Vec<DatabaseRow>,
    pub(super) users: Vec<UserRow>,
    pub(super) pools: Vec<PoolRow>,
    pub(super) stats: Vec<StatsRow>,
    pub(super) clusters: Vec<ClusterRow>,
    pub(super) nodes: Vec<NodeRow>,
    pub(super) failovers: Vec<FailoverRow>,
    pub(super) latencies: Vec<LatencyRow>,
}

impl Snapshot {
    pub(super) fn of(pooler: &dyn Pooler) -> Self {
        Self {
            version: pooler.version(),
            state: pooler.state(),
            lists: pooler.lists(),
            databases: pooler.databases(),
            users: pooler.users(),
            pools: pooler.pools(),
            stats: pooler.stats(),
            clusters: pooler.clusters(),
            nodes: pooler.nodes(),
            failovers: pooler.failovers(),
            latencies: pooler.latencies(),
        }
    }
}
