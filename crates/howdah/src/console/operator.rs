//! What SHOW shows and what the console's commands do, for `howdah_admin`: each method with the module that does
//! the work. Snapshots: `connections.rs`, `directory.rs`, `stats.rs`, `nodes.rs`; commands: `actions.rs`,
//! `commands.rs`.

use std::sync::Arc;
use std::time::SystemTime;

use howdah_admin::pooler::{PrimaryChange, SetEffect, Shutdown};
use howdah_admin::rows::{
    ClientRow, ClusterRow, ConfigRow, DatabaseRow, DnsHostRow, DnsZoneRow, FailoverRow, FdRow, LatencyRow,
    ListCounts, MemRow, NodeRow, PeerPoolRow, PeerRow, PoolRow, PoolerState, RouteRow, ServerRow, StatsRow,
    UserRow,
};
use howdah_admin::{ActionError, Outcome, UnixMicros};

use super::{actions, commands, connections, directory, nodes, process, stats};
use crate::pooler::Pooler;

/// A pooler as its operator sees it.
#[derive(Debug)]
pub(super) struct Operator {
    pooler: Arc<Pooler>,
}

impl Operator {
    pub(super) fn new(pooler: &Arc<Pooler>) -> Self {
        Self { pooler: Arc::clone(pooler) }
    }
}

impl howdah_admin::Pooler for Operator {
    fn version(&self) -> String {
        format!("PgBouncer {}", super::VERSION)
    }

    fn now(&self) -> UnixMicros {
        SystemTime::now().into()
    }

    fn state(&self) -> PoolerState {
        process::state(&self.pooler)
    }

    fn clients(&self) -> Vec<ClientRow> {
        connections::clients(&self.pooler)
    }

    fn servers(&self) -> Vec<ServerRow> {
        connections::servers(&self.pooler)
    }

    fn databases(&self) -> Vec<DatabaseRow> {
        directory::databases(&self.pooler)
    }

    fn users(&self) -> Vec<UserRow> {
        directory::users(&self.pooler)
    }

    fn pools(&self) -> Vec<PoolRow> {
        super::pools::pools(&self.pooler)
    }

    fn stats(&self) -> Vec<StatsRow> {
        stats::rows(&self.pooler)
    }

    fn lists(&self) -> ListCounts {
        process::lists(&self.pooler)
    }

    fn settings(&self) -> Vec<ConfigRow> {
        process::settings(&self.pooler)
    }

    fn memory(&self) -> Vec<MemRow> {
        process::memory(&self.pooler)
    }

    fn dns_hosts(&self) -> Vec<DnsHostRow> {
        process::dns_hosts(&self.pooler)
    }

    /// The system's resolver tells nothing of zones.
    fn dns_zones(&self) -> Vec<DnsZoneRow> {
        Vec::new()
    }

    fn peers(&self) -> Vec<PeerRow> {
        directory::peers(&self.pooler)
    }

    fn peer_pools(&self) -> Vec<PeerPoolRow> {
        super::pools::peer_pools(&self.pooler)
    }

    fn fds(&self) -> Outcome<'_, Vec<FdRow>> {
        Box::pin(crate::takeover::give::rows(&self.pooler))
    }

    fn clusters(&self) -> Vec<ClusterRow> {
        nodes::clusters(&self.pooler)
    }

    fn nodes(&self) -> Vec<NodeRow> {
        nodes::nodes(&self.pooler)
    }

    fn failovers(&self) -> Vec<FailoverRow> {
        nodes::failovers(&self.pooler)
    }

    /// No histograms are kept.
    fn latencies(&self) -> Vec<LatencyRow> {
        Vec::new()
    }

    fn pause<'a>(&'a self, database: Option<&'a str>) -> Outcome<'a> {
        Box::pin(actions::pause(&self.pooler, database))
    }

    fn resume<'a>(&'a self, database: Option<&'a str>) -> Outcome<'a> {
        Box::pin(std::future::ready(actions::resume(&self.pooler, database)))
    }

    fn suspend(&self) -> Outcome<'_> {
        Box::pin(super::suspend::suspend(&self.pooler))
    }

    fn disable<'a>(&'a self, database: &'a str) -> Outcome<'a> {
        Box::pin(std::future::ready(commands::disable(&self.pooler, database)))
    }

    fn enable<'a>(&'a self, database: &'a str) -> Outcome<'a> {
        Box::pin(std::future::ready(commands::enable(&self.pooler, database)))
    }

    fn reconnect<'a>(&'a self, database: Option<&'a str>) -> Outcome<'a> {
        Box::pin(std::future::ready(commands::reconnect(&self.pooler, database)))
    }

    fn kill<'a>(&'a self, database: Option<&'a str>) -> Outcome<'a> {
        Box::pin(std::future::ready(commands::kill(&self.pooler, database)))
    }

    fn kill_client(&self, id: u64) -> Outcome<'_> {
        Box::pin(std::future::ready(commands::kill_client(&self.pooler, id)))
    }

    fn wait_close<'a>(&'a self, database: Option<&'a str>) -> Outcome<'a> {
        Box::pin(commands::wait_close(&self.pooler, database))
    }

    fn shutdown(&self, how: Shutdown) -> Outcome<'_> {
        Box::pin(commands::shutdown(&self.pooler, how))
    }

    fn reload(&self) -> Outcome<'_, Vec<String>> {
        Box::pin(std::future::ready(commands::reload(&self.pooler)))
    }

    fn set<'a>(&'a self, key: &'a str, value: &'a str) -> Outcome<'a, SetEffect> {
        Box::pin(std::future::ready(commands::set(&self.pooler, key, value)))
    }

    fn explain_route(&self, sql: &str) -> Result<RouteRow, ActionError> {
        Ok(process::explain_route(sql))
    }

    fn change_primary<'a>(&'a self, change: PrimaryChange<'a>) -> Outcome<'a> {
        Box::pin(commands::change_primary(&self.pooler, change))
    }

    fn maintenance<'a>(&'a self, cluster: &'a str, on: bool) -> Outcome<'a> {
        Box::pin(commands::maintenance(&self.pooler, cluster, on))
    }
}
