//! What this crate asks of the pooler: snapshots for every `SHOW` and the operator's actions. The facade
//! implements it. Next: [`crate::rows`] for what the snapshots hold, [`crate::console`] for who calls.

use futures_util::future::BoxFuture;

use crate::rows::{
    ClientRow, ClusterRow, ConfigRow, DatabaseRow, DnsHostRow, DnsZoneRow, FailoverRow, FdRow, LatencyRow,
    ListCounts, MemRow, NodeRow, PeerPoolRow, PeerRow, PoolRow, PoolerState, RouteRow, ServerRow, StatsRow,
    UserRow,
};
use crate::time::UnixMicros;

/// What an action comes to.
pub type Outcome<'a, T = ()> = BoxFuture<'a, Result<T, ActionError>>;

/// The pooler as an operator sees and moves it.
///
/// Snapshots are synchronous: each must be exact at the moment of the call (PGBOUNCER_BEHAVIOUR.md section 16,
/// rules 1 and 6), must not wait for anything beyond short locks, and must hold no lock when it returns.
/// Actions have taken effect on all threads when their future is ready. Dropping a future that waits (PAUSE,
/// WAIT_CLOSE) ends the wait and leaves what was set in effect, as when PgBouncer's console client goes away.
pub trait Pooler: Send + Sync {
    /// The first line of `--version`, for `SHOW VERSION`: `PgBouncer 1.25.2`-like.
    fn version(&self) -> String;
    /// The wall clock.
    fn now(&self) -> UnixMicros;
    /// What the pooler as a whole is doing.
    fn state(&self) -> PoolerState;
    /// Clients, those that log in included ([`crate::rows::ClientState::Login`]), the consoles' too.
    fn clients(&self) -> Vec<ClientRow>;
    /// Servers in all states; never the control plane's own connections.
    fn servers(&self) -> Vec<ServerRow>;
    /// Database entries, the console's own included.
    fn databases(&self) -> Vec<DatabaseRow>;
    /// Known users.
    fn users(&self) -> Vec<UserRow>;
    /// Pools, the console's own included.
    fn pools(&self) -> Vec<PoolRow>;
    /// Counters and averages by database, the console's own included.
    fn stats(&self) -> Vec<StatsRow>;
    /// The figures of `SHOW LISTS`.
    fn lists(&self) -> ListCounts;
    /// The settings of `[pgbouncer]`, in PgBouncer's order.
    fn settings(&self) -> Vec<ConfigRow>;
    /// Kinds of structures and their memory.
    fn memory(&self) -> Vec<MemRow>;
    /// The DNS cache, by name.
    fn dns_hosts(&self) -> Vec<DnsHostRow>;
    /// The DNS cache, by zone.
    fn dns_zones(&self) -> Vec<DnsZoneRow>;
    /// Entries of `[peers]`.
    fn peers(&self) -> Vec<PeerRow>;
    /// Pools to peers.
    fn peer_pools(&self) -> Vec<PeerPoolRow>;
    /// The rows of `SHOW FDS`; everything is suspended while they are made. The sockets themselves go beside them, which
    /// is the facade's business.
    fn fds(&self) -> Outcome<'_, Vec<FdRow>>;

    /// Clusters; empty without `[clusters]`.
    fn clusters(&self) -> Vec<ClusterRow>;
    /// Nodes of all clusters, in the order of the settings.
    fn nodes(&self) -> Vec<NodeRow>;
    /// Changes of the primary, newest first. Bounded by whoever keeps them.
    fn failovers(&self) -> Vec<FailoverRow>;
    /// Histograms for `/metrics`; empty if none are kept.
    fn latencies(&self) -> Vec<LatencyRow>;

    /// `PAUSE [db]`: ready when the servers are released.
    fn pause<'a>(&'a self, database: Option<&'a str>) -> Outcome<'a>;
    /// `RESUME [db]`: ends PAUSE or SUSPEND.
    fn resume<'a>(&'a self, database: Option<&'a str>) -> Outcome<'a>;
    /// `SUSPEND`: ready when all sockets are at a message boundary.
    fn suspend(&self) -> Outcome<'_>;
    /// `DISABLE db`: no new logins.
    fn disable<'a>(&'a self, database: &'a str) -> Outcome<'a>;
    /// `ENABLE db`.
    fn enable<'a>(&'a self, database: &'a str) -> Outcome<'a>;
    /// `RECONNECT [db]`: every server is replaced when it is released.
    fn reconnect<'a>(&'a self, database: Option<&'a str>) -> Outcome<'a>;
    /// `KILL [db]`: closes clients and servers, and pauses. Consoles are spared.
    fn kill<'a>(&'a self, database: Option<&'a str>) -> Outcome<'a>;
    /// `KILL_CLIENT id`: the client gets `admin forced disconnect`. Never called with the caller's own id.
    fn kill_client(&self, id: u64) -> Outcome<'_>;
    /// `WAIT_CLOSE [db]`: ready when the servers marked by RECONNECT are gone.
    fn wait_close<'a>(&'a self, database: Option<&'a str>) -> Outcome<'a>;
    /// `SHUTDOWN …`: ready when the shutdown has begun.
    fn shutdown(&self, how: Shutdown) -> Outcome<'_>;
    /// `RELOAD`: ready when the new settings are in effect; a sentence for everything of them that needs a restart.
    fn reload(&self) -> Outcome<'_, Vec<String>>;
    /// `SET key = value`.
    fn set<'a>(&'a self, key: &'a str, value: &'a str) -> Outcome<'a, SetEffect>;

    /// `EXPLAIN ROUTE sql`: where it would go and why.
    ///
    /// # Errors
    /// [`ActionError::Refused`] with a sentence.
    fn explain_route(&self, sql: &str) -> Result<RouteRow, ActionError>;
    /// `FAILOVER` and `SWITCHOVER`: ready when it is done, called off or refused.
    fn change_primary<'a>(&'a self, change: PrimaryChange<'a>) -> Outcome<'a>;
    /// `MAINTENANCE cluster ON|OFF`: failover by itself is suspended while it is on.
    fn maintenance<'a>(&'a self, cluster: &'a str, on: bool) -> Outcome<'a>;
}

/// How far SHUTDOWN waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shutdown {
    /// Not at all.
    Immediate,
    /// Until transactions are finished.
    WaitForServers,
    /// Until the last client has left.
    WaitForClients,
}

/// What a SET changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetEffect {
    /// It is in effect.
    Applied,
    /// The value was taken, but the TLS settings could not be applied: the old ones stay in use.
    TlsKept,
}

/// An operator's order to change the primary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PrimaryChange<'a> {
    /// The cluster.
    pub cluster: &'a str,
    /// The node that is to be the primary; `None` for the best.
    pub to: Option<&'a str>,
    /// Planned (drain, zero lag, then promote) or now.
    pub planned: bool,
    /// Go on where a planned one would be refused.
    pub force: bool,
}

/// The action that was tried on the console's own database, which cannot be moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnAdmin {
    /// `PAUSE pgbouncer`.
    Pause,
    /// `KILL pgbouncer`.
    Kill,
    /// `RECONNECT pgbouncer`.
    Reconnect,
    /// `DISABLE pgbouncer`.
    Disable,
    /// `ENABLE pgbouncer`.
    Enable,
    /// `WAIT_CLOSE pgbouncer`.
    Wait,
}

impl OnAdmin {
    /// The words between `cannot` and the name.
    const fn words(self) -> &'static str {
        match self {
            Self::Pause => "pause admin db",
            Self::Kill => "kill admin db",
            Self::Reconnect => "reconnect admin db",
            Self::Disable => "disable admin db",
            Self::Enable => "enable admin db",
            Self::Wait => "wait in admin db",
        }
    }
}

/// Why an action did not happen. `Display` is the text that the client reads, PgBouncer's to the letter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ActionError {
    /// The caller is not in `admin_users`.
    #[error("admin access needed")]
    AccessNeeded,
    /// PAUSE, SUSPEND or KILL while one is in effect.
    #[error("already suspended/paused")]
    AlreadyPaused,
    /// RESUME without one.
    #[error("pooler is not paused/suspended")]
    NotPaused,
    /// `RESUME db` of one that is not.
    #[error("database {0} is not paused")]
    DatabaseNotPaused(String),
    /// SUSPEND while a database is paused.
    #[error("cannot suspend with paused databases")]
    PausedDatabases,
    /// RESUME after SHUTDOWN.
    #[error("pooler is shutting down")]
    ShuttingDown,
    /// The entry does not exist and no `*` makes it.
    #[error("no such database: {0}")]
    NoSuchDatabase(String),
    /// The console's own database was meant.
    #[error("cannot {}: {name}", action.words())]
    AdminDatabase {
        /// What was tried.
        action: OnAdmin,
        /// The database's name as given.
        name: String,
    },
    /// DISABLE or ENABLE without one.
    #[error("a database is required")]
    DatabaseRequired,
    /// KILL_CLIENT of an id that is no client's.
    #[error("client not found")]
    ClientNotFound,
    /// KILL_CLIENT of what is no number.
    #[error("invalid client pointer supplied")]
    InvalidClient,
    /// SET of a bad value or an unknown key.
    #[error("SET failed")]
    SetFailed,
    /// RELOAD of a file with mistakes; the log has them.
    #[error("RELOAD failed, see logs for additional details")]
    ReloadFailed,
    /// No cluster of that name.
    #[error("no such cluster: {0}")]
    NoSuchCluster(String),
    /// No node of that name in the cluster.
    #[error("no such node: {0}")]
    NoSuchNode(String),
    /// Refused for the reason given, a sentence.
    #[error("{0}")]
    Refused(String),
}

impl ActionError {
    /// The SQLSTATE: `F0000` for RELOAD, else PgBouncer's `08P01`.
    #[must_use]
    pub const fn sqlstate(&self) -> &'static str {
        match self {
            Self::ReloadFailed => "F0000",
            _ => "08P01",
        }
    }
}
