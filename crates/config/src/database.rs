//! Database entries, users and peers as they run. `None` means "not said here": the helpers of [`crate::Config`] know
//! what applies then.

use std::time::Duration;

use crate::cluster::MaxReplicaLag;
use crate::keyword::{
    Balance, Consistency, LoadBalanceHosts, PoolMode, ReadRouting, ReadsWithoutReplica, Target,
};
use crate::secret::Secret;

/// One line of `[databases]` (PGBOUNCER.md §3, and Howdah's keys at the end).
#[derive(Clone, Debug, PartialEq)]
pub struct Database {
    /// The name that clients ask for; `*` for the fallback entry.
    pub name: String,
    /// Database on the server; `None`: the name that the client asked for.
    pub dbname: Option<String>,
    /// Hosts in order: names, addresses, `/dir` or `@abstract`. Empty: the server's Unix socket, unless `cluster` is set.
    pub host: Vec<String>,
    /// Port of all hosts.
    pub port: u16,
    /// Server user for every client: one pool for all of them.
    pub user: Option<String>,
    /// Password for the server.
    pub password: Option<Secret>,
    /// User that runs `auth_query` here.
    pub auth_user: Option<String>,
    /// `auth_query` of this entry.
    pub auth_query: Option<String>,
    /// Database that `auth_query` runs in.
    pub auth_dbname: Option<String>,
    /// Servers a pool may have. 0: no limit.
    pub pool_size: Option<u32>,
    /// Servers that a pool is kept at.
    pub min_pool_size: Option<u32>,
    /// Servers beyond the size.
    pub reserve_pool_size: Option<u32>,
    /// Query run once on each new server before its first client.
    pub connect_query: Option<String>,
    /// Pooling mode.
    pub pool_mode: Option<PoolMode>,
    /// Longest wait for a server.
    pub query_wait_timeout: Option<Duration>,
    /// How the list of hosts is used; `None` behaves as round-robin and is shown as NULL.
    pub load_balance_hosts: Option<LoadBalanceHosts>,
    /// Servers over all pools of this entry. 0: no limit.
    pub max_db_connections: Option<u32>,
    /// Clients of this entry. 0: no limit.
    pub max_db_client_connections: Option<u32>,
    /// Longest life of a server. Zero: used once.
    pub server_lifetime: Option<Duration>,
    /// `client_encoding` asked of the server at login.
    pub client_encoding: Option<String>,
    /// `datestyle` asked of the server at login.
    pub datestyle: Option<String>,
    /// `timezone` asked of the server at login.
    pub timezone: Option<String>,
    /// `application_name` asked of the server at login.
    pub application_name: Option<String>,
    /// Cluster that serves this entry, instead of `host`.
    pub cluster: Option<String>,
    /// Which nodes of the cluster are used.
    pub target: Target,
    /// What this entry says differently from its cluster.
    pub routing: RoutingOverrides,
}

/// Routing keys that an entry may set for itself; `None`: as the cluster says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RoutingOverrides {
    /// `read_routing`
    pub read_routing: Option<ReadRouting>,
    /// `consistency`
    pub consistency: Option<Consistency>,
    /// `balance`
    pub balance: Option<Balance>,
    /// `causal_wait`
    pub causal_wait: Option<Duration>,
    /// `max_replica_lag`
    pub max_replica_lag: Option<MaxReplicaLag>,
    /// `reads_without_replica`
    pub reads_without_replica: Option<ReadsWithoutReplica>,
    /// `state_tracking`
    pub state_tracking: Option<bool>,
}

impl Database {
    /// The entry `name = ` with nothing behind it.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            dbname: None,
            host: Vec::new(),
            port: 5432,
            user: None,
            password: None,
            auth_user: None,
            auth_query: None,
            auth_dbname: None,
            pool_size: None,
            min_pool_size: None,
            reserve_pool_size: None,
            connect_query: None,
            pool_mode: None,
            query_wait_timeout: None,
            load_balance_hosts: None,
            max_db_connections: None,
            max_db_client_connections: None,
            server_lifetime: None,
            client_encoding: None,
            datestyle: None,
            timezone: None,
            application_name: None,
            cluster: None,
            target: Target::Auto,
            routing: RoutingOverrides::default(),
        }
    }
}

/// One line of `[users]` (PGBOUNCER.md §4).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct User {
    /// The client's user name.
    pub name: String,
    /// Pooling mode; wins over the database's.
    pub pool_mode: Option<PoolMode>,
    /// Servers a pool of this user may have; wins over the database's. 0: no limit.
    pub pool_size: Option<u32>,
    /// Servers beyond the size.
    pub reserve_pool_size: Option<u32>,
    /// Servers over all databases. 0: no limit.
    pub max_user_connections: Option<u32>,
    /// Clients over all databases. 0: no limit.
    pub max_user_client_connections: Option<u32>,
    /// Longest query.
    pub query_timeout: Option<Duration>,
    /// Longest wait for a server.
    pub query_wait_timeout: Option<Duration>,
    /// Longest idle time inside a transaction.
    pub idle_transaction_timeout: Option<Duration>,
    /// Longest transaction.
    pub transaction_timeout: Option<Duration>,
    /// Longest idle time outside a transaction.
    pub client_idle_timeout: Option<Duration>,
}

impl User {
    /// The user `name` with nothing said about it.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }
}

/// One line of `[peers]` (PGBOUNCER.md §5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The number of the peer.
    pub id: u32,
    /// Host name, address, or directory of a Unix socket.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Connections for forwarded cancel requests; `None`: `default_pool_size`.
    pub pool_size: Option<u32>,
}
