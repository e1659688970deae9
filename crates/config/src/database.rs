//! Database entries, users and peers as they run (PGBOUNCER.md §§3–5, and Howdah's keys of an entry).
//!
//! `None` means "not said here": the helpers of [`crate::Config`] know what applies then. How to read a block:
//! `table.rs`.

use std::time::Duration;

use crate::cluster::MaxReplicaLag;
use crate::keyword::{
    Balance, Consistency, LoadBalanceHosts, PoolMode, ReadRouting, ReadsWithoutReplica, Target, UnsafeCommits,
};
use crate::kind::{Count, Hidden, Hosts, Lag, Maybe, Name, OneOf, Port, Seconds, Switch, Text, Time};
use crate::secret::Secret;
use crate::settings::STATE_TRACKING;
use crate::table::LIVE;

keys! {
    /// One line of `[databases]`.
    #[derive(Clone, Debug, PartialEq)]
    pub struct Database {
        /// The name that clients ask for; `*` for the fallback entry.
        name: String,
    }

    ["PgBouncer's"]
    /// Database on the server; unset: the name that the client asked for.
    dbname: Option<String> as Name = None, LIVE;
    /// Names, addresses, `/directory` or `@abstract`, comma separated; unset: the server's Unix socket.
    host: Vec<String> as Hosts = Vec::new(), LIVE;
    /// Port of all hosts.
    port: u16 as Port = 5432, LIVE;
    /// Server user for every client: one pool for all of them.
    user: Option<String> as Name = None, LIVE;
    /// Password for the server.
    password: Option<Secret> as Maybe<Hidden> = None, LIVE;
    /// User that runs `auth_query` here.
    auth_user: Option<String> as Name = None, LIVE;
    /// `auth_query` of this entry.
    auth_query: Option<String> as Name = None, LIVE;
    /// Database that `auth_query` runs in.
    auth_dbname: Option<String> as Name = None, LIVE;
    /// Servers a pool may have; 0: no limit.
    pool_size: Option<u32> as Maybe<Count> = None, LIVE;
    /// Servers that a pool is kept at.
    min_pool_size: Option<u32> as Maybe<Count> = None, LIVE;
    /// Servers that a pool may have beyond its size when clients wait.
    reserve_pool_size: Option<u32> as Maybe<Count> = None, LIVE.alias("reserve_pool");
    /// Query run once on each new server before its first client.
    connect_query: Option<String> as Name = None, LIVE;
    /// Pooling mode, where the user has none of its own.
    pool_mode: Option<PoolMode> as Maybe<OneOf<PoolMode>> = None, LIVE;
    /// Longest wait for a server, where the user has none of its own; 0: for ever.
    query_wait_timeout: Option<Duration> as Maybe<Seconds> = None, LIVE;
    /// How a list of hosts is used; unset behaves as round-robin.
    load_balance_hosts: Option<LoadBalanceHosts> as Maybe<OneOf<LoadBalanceHosts>> = None, LIVE;
    /// Servers over all pools of this entry; 0: the global one.
    max_db_connections: Option<u32> as Maybe<Count> = None, LIVE;
    /// Clients of this entry; 0: the global one.
    max_db_client_connections: Option<u32> as Maybe<Count> = None, LIVE;
    /// Longest life of a server; 0: used once.
    server_lifetime: Option<Duration> as Maybe<Seconds> = None, LIVE;
    /// `client_encoding` asked of the server at login.
    client_encoding: Option<String> as Name = None, LIVE;
    /// `datestyle` asked of the server at login.
    datestyle: Option<String> as Name = None, LIVE;
    /// `timezone` asked of the server at login.
    timezone: Option<String> as Name = None, LIVE;
    /// `application_name` asked of the server at login.
    application_name: Option<String> as Name = None, LIVE;

    ["Howdah's own"]
    /// Cluster that serves this entry, instead of `host`.
    cluster: Option<String> as Name = None, LIVE.own();
    /// Which nodes of the cluster are used.
    target: Target as OneOf<Target> = Target::Auto, LIVE.own();
    /// As the cluster's key, for this entry.
    read_routing: Option<ReadRouting> as Maybe<OneOf<ReadRouting>> = None, LIVE.own();
    /// As the cluster's key, for this entry.
    consistency: Option<Consistency> as Maybe<OneOf<Consistency>> = None, LIVE.own();
    /// As the cluster's key, for this entry.
    balance: Option<Balance> as Maybe<OneOf<Balance>> = None, LIVE.own();
    /// As the cluster's key, for this entry.
    causal_wait: Option<Duration> as Maybe<Time> = None, LIVE.own();
    /// As the cluster's key, for this entry.
    max_replica_lag: Option<MaxReplicaLag> as Maybe<Lag> = None, LIVE.own();
    /// As the cluster's key, for this entry.
    reads_without_replica: Option<ReadsWithoutReplica> as Maybe<OneOf<ReadsWithoutReplica>> = None, LIVE.own();
    /// As the cluster's key, for this entry.
    unsafe_commits: Option<UnsafeCommits> as Maybe<OneOf<UnsafeCommits>> = None, LIVE.own();
    /// Track and replay session state; unset: as the cluster or, without one, the process says.
    state_tracking: Option<bool> as Maybe<Switch> = None, LIVE.own().not_yet(STATE_TRACKING);
}

keys! {
    /// One line of `[users]`.
    #[derive(Clone, Debug, PartialEq)]
    pub struct User {
        /// The client's user name.
        name: String,
    }

    ["PgBouncer's"]
    /// Pooling mode; wins over the database's.
    pool_mode: Option<PoolMode> as Maybe<OneOf<PoolMode>> = None, LIVE;
    /// Servers a pool of this user may have; wins over the database's; 0: no limit.
    pool_size: Option<u32> as Maybe<Count> = None, LIVE;
    /// Servers that a pool may have beyond its size when clients wait.
    reserve_pool_size: Option<u32> as Maybe<Count> = None, LIVE;
    /// Servers over all databases; 0: the global one.
    max_user_connections: Option<u32> as Maybe<Count> = None, LIVE;
    /// Clients over all databases; 0: the global one.
    max_user_client_connections: Option<u32> as Maybe<Count> = None, LIVE;
    /// Longest query; 0: the global one.
    query_timeout: Option<Duration> as Maybe<Seconds> = None, LIVE;
    /// Longest wait for a server; 0: for ever.
    query_wait_timeout: Option<Duration> as Maybe<Seconds> = None, LIVE;
    /// Longest idle time inside a transaction; 0: the global one.
    idle_transaction_timeout: Option<Duration> as Maybe<Seconds> = None, LIVE;
    /// Longest transaction; 0: the global one.
    transaction_timeout: Option<Duration> as Maybe<Seconds> = None, LIVE;
    /// Longest idle time outside a transaction; 0: the global one.
    client_idle_timeout: Option<Duration> as Maybe<Seconds> = None, LIVE;
}

keys! {
    /// One line of `[peers]`: another pooler that takes clients behind the same address. The pooler's own line does
    /// nothing, so that all may have the same section.
    #[derive(Clone, Debug, PartialEq)]
    pub struct Peer {
        /// The number of the peer.
        id: u32,
    }

    ["PgBouncer's"]
    /// Host name, address, or directory of a Unix socket.
    host: String as Text = String::new(), LIVE;
    /// Port.
    port: u16 as Port = 6432, LIVE;
    /// Most cancel requests on their way to it at one time; unset: `default_pool_size`.
    pool_size: Option<u32> as Maybe<Count> = None, LIVE;
}

impl Database {
    /// The entry `name` with nothing said about it.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }
}

impl User {
    /// The user `name` with nothing said about it.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }
}
