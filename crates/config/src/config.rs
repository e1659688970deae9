//! The whole configuration as it runs, and what applies where several places may say something.
//!
//! Precedence is PgBouncer's (PGBOUNCER.md §4): the user's value, then the database's, then the global one. All fields
//! are public, so an embedding program may build one without a file.

use std::collections::BTreeMap;
use std::time::Duration;

use howdah_hba::{IdentMaps, Rules};

use crate::cluster::{Cluster, MaxReplicaLag};
use crate::database::{Database, Peer, User};
use crate::keyword::{
    Balance, Consistency, Failover, PoolMode, ReadRouting, ReadsWithoutReplica, UnsafeCommits,
};
use crate::settings::Settings;
use crate::userlist::UserList;

/// Everything that runs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    /// The `[pgbouncer]` section.
    pub settings: Settings,
    /// The entries by name, without `*`.
    pub databases: BTreeMap<String, Database>,
    /// The entry `*`: any name that has no entry of its own.
    pub autodb: Option<Database>,
    /// What `[users]` says.
    pub users: BTreeMap<String, User>,
    /// The other poolers that cancel requests may have to go to.
    pub peers: BTreeMap<u32, Peer>,
    /// The clusters by name.
    pub clusters: BTreeMap<String, Cluster>,
    /// What `auth_file` says.
    pub auth_users: UserList,
    /// What `auth_hba_file` says.
    pub hba: Rules,
    /// What `auth_ident_file` says.
    pub ident: IdentMaps,
}

/// How one entry's statements are routed: its own word, else its cluster's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Routing {
    /// Whether reads go to replicas.
    pub read_routing: ReadRouting,
    /// How fresh a replica must be.
    pub consistency: Consistency,
    /// How a replica is chosen.
    pub balance: Balance,
    /// How long a read waits for a fresh replica.
    pub causal_wait: Duration,
    /// How far behind a replica may be.
    pub max_replica_lag: MaxReplicaLag,
    /// What becomes of reads when no replica is usable.
    pub reads_without_replica: ReadsWithoutReplica,
}

/// A limit of an entry or a user; one of 0 is as if it were not there, as with PgBouncer.
fn said<T: Default + PartialEq>(limit: Option<T>) -> Option<T> {
    limit.filter(|limit| *limit != T::default())
}

impl Config {
    /// The entry that serves a client asking for `name`: its own, else `*` (whose `dbname` is then `name`).
    #[must_use]
    pub fn database(&self, name: &str) -> Option<&Database> {
        self.databases.get(name).or(self.autodb.as_ref())
    }

    /// The cluster of an entry.
    #[must_use]
    pub fn cluster_of(&self, database: &Database) -> Option<&Cluster> {
        self.clusters.get(database.cluster.as_ref()?)
    }

    /// Servers a pool may have; 0: no limit. `user` is the server's user: the forced one, where the entry has one.
    #[must_use]
    pub fn pool_size(&self, database: &Database, user: &str) -> u32 {
        let own = self.user(user).and_then(|u| u.pool_size);
        own.or(database.pool_size).unwrap_or(self.settings.default_pool_size)
    }

    /// Pooling mode of a client of `user` on this entry.
    #[must_use]
    pub fn pool_mode(&self, database: &Database, user: &str) -> PoolMode {
        let own = self.user(user).and_then(|u| u.pool_mode);
        own.or(database.pool_mode).unwrap_or(self.settings.pool_mode)
    }

    /// Servers that a pool is kept at.
    #[must_use]
    pub fn min_pool_size(&self, database: &Database) -> u32 {
        database.min_pool_size.unwrap_or(self.settings.min_pool_size)
    }

    /// Servers that a pool may have beyond its size.
    #[must_use]
    pub fn reserve_pool_size(&self, database: &Database, user: &str) -> u32 {
        let own = self.user(user).and_then(|u| u.reserve_pool_size);
        own.or(database.reserve_pool_size).unwrap_or(self.settings.reserve_pool_size)
    }

    /// Servers over all pools of the entry; 0: no limit.
    #[must_use]
    pub fn max_db_connections(&self, database: &Database) -> u32 {
        said(database.max_db_connections).unwrap_or(self.settings.max_db_connections)
    }

    /// Clients of the entry; 0: no limit.
    #[must_use]
    pub fn max_db_client_connections(&self, database: &Database) -> u32 {
        said(database.max_db_client_connections).unwrap_or(self.settings.max_db_client_connections)
    }

    /// Servers of the user over all entries; 0: no limit.
    #[must_use]
    pub fn max_user_connections(&self, user: &str) -> u32 {
        let own = said(self.user(user).and_then(|u| u.max_user_connections));
        own.unwrap_or(self.settings.max_user_connections)
    }

    /// Clients of the user over all entries; 0: no limit.
    #[must_use]
    pub fn max_user_client_connections(&self, user: &str) -> u32 {
        let own = said(self.user(user).and_then(|u| u.max_user_client_connections));
        own.unwrap_or(self.settings.max_user_client_connections)
    }

    /// Longest life of a server of the entry; zero: used once.
    #[must_use]
    pub fn server_lifetime(&self, database: &Database) -> Duration {
        database.server_lifetime.unwrap_or(self.settings.server_lifetime)
    }

    /// Longest query of the user; zero: no limit.
    #[must_use]
    pub fn query_timeout(&self, user: &str) -> Duration {
        said(self.user(user).and_then(|u| u.query_timeout)).unwrap_or(self.settings.query_timeout)
    }

    /// Longest wait for a server; zero: for ever.
    #[must_use]
    pub fn query_wait_timeout(&self, database: &Database, user: &str) -> Duration {
        let own = self.user(user).and_then(|u| u.query_wait_timeout);
        own.or(database.query_wait_timeout).unwrap_or(self.settings.query_wait_timeout)
    }

    /// Longest wait for a server of the entry that any of its clients may have; zero: for ever.
    #[must_use]
    pub fn longest_wait(&self, database: &Database) -> Duration {
        let common = database.query_wait_timeout.unwrap_or(self.settings.query_wait_timeout);
        let own = self.users.values().filter_map(|user| user.query_wait_timeout);
        let all = own.chain([common]);
        if all.clone().any(|wait| wait.is_zero()) { Duration::ZERO } else { all.max().unwrap_or(common) }
    }

    /// Longest idle time of the user inside a transaction; zero: no limit.
    #[must_use]
    pub fn idle_transaction_timeout(&self, user: &str) -> Duration {
        let own = said(self.user(user).and_then(|u| u.idle_transaction_timeout));
        own.unwrap_or(self.settings.idle_transaction_timeout)
    }

    /// Longest transaction of the user; zero: no limit.
    #[must_use]
    pub fn transaction_timeout(&self, user: &str) -> Duration {
        said(self.user(user).and_then(|u| u.transaction_timeout)).unwrap_or(self.settings.transaction_timeout)
    }

    /// Longest idle time of the user outside a transaction; zero: no limit.
    #[must_use]
    pub fn client_idle_timeout(&self, user: &str) -> Duration {
        said(self.user(user).and_then(|u| u.client_idle_timeout)).unwrap_or(self.settings.client_idle_timeout)
    }

    /// Whether session state is tracked and replayed for the entry: its own word, its cluster's, the global one.
    #[must_use]
    pub fn state_tracking(&self, database: &Database) -> bool {
        let cluster = self.cluster_of(database).map(|c| c.state_tracking);
        database.state_tracking.or(cluster).unwrap_or(self.settings.state_tracking)
    }

    /// How the entry is routed; `None` without a cluster: everything goes to its host.
    #[must_use]
    pub fn routing(&self, database: &Database) -> Option<Routing> {
        let cluster = self.cluster_of(database)?;
        let own = database;
        Some(Routing {
            read_routing: own.read_routing.unwrap_or(cluster.read_routing),
            consistency: own.consistency.unwrap_or(cluster.consistency),
            balance: own.balance.unwrap_or(cluster.balance),
            causal_wait: own.causal_wait.unwrap_or(cluster.causal_wait),
            max_replica_lag: own.max_replica_lag.unwrap_or(cluster.max_replica_lag),
            reads_without_replica: own.reads_without_replica.unwrap_or(cluster.reads_without_replica),
        })
    }

    /// The cluster of an entry, if Howdah promotes there.
    #[must_use]
    pub fn managed(&self, database: &Database) -> Option<&Cluster> {
        self.cluster_of(database).filter(|cluster| cluster.failover == Failover::Manage)
    }

    /// Whether sessions of the entry may have commits that wait for no standby: its own word, else its cluster's.
    #[must_use]
    pub fn unsafe_commits(&self, database: &Database) -> UnsafeCommits {
        let cluster = self.managed(database).map_or(UnsafeCommits::Allow, |cluster| cluster.unsafe_commits);
        database.unsafe_commits.unwrap_or(cluster)
    }

    /// Who runs `auth_query` for clients of this entry who are not in `auth_file`; `None`: nobody.
    #[must_use]
    pub fn auth_user<'a>(&'a self, database: Option<&'a Database>) -> Option<&'a str> {
        let own = database.and_then(|database| database.auth_user.as_deref());
        own.or(self.settings.auth_user.as_deref()).filter(|user| !user.is_empty())
    }

    /// The query that looks up such a client.
    #[must_use]
    pub fn auth_query<'a>(&'a self, database: Option<&'a Database>) -> &'a str {
        let own = database.and_then(|database| database.auth_query.as_deref());
        own.unwrap_or(&self.settings.auth_query)
    }

    /// The entry that it runs in; `None`: the client's own.
    #[must_use]
    pub fn auth_dbname<'a>(&'a self, database: Option<&'a Database>) -> Option<&'a str> {
        let own = database.and_then(|database| database.auth_dbname.as_deref());
        own.or(self.settings.auth_dbname.as_deref()).filter(|name| !name.is_empty())
    }

    fn user(&self, name: &str) -> Option<&User> {
        self.users.get(name)
    }
}
