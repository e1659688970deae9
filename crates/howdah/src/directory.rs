//! From the configuration to entries, users and pools, at start and at RELOAD (PGBOUNCER_BEHAVIOUR.md section 4).

use std::sync::Arc;
use std::sync::atomic::Ordering;

use howdah_config::{Config, Database};
use howdah_pool::{CloseReason, PoolId, PoolSettings};
use howdah_protocol::frame::Limits;
use howdah_session::{
    Acknowledgements, Consistency, LastWrite, PoolMode, ReadPolicy, RouteMode, SessionOptions, WithoutReplica,
};
use howdah_topology::NodeId;

use crate::client::info::Order;
use crate::entry::Entry;
use crate::pooler::Pooler;
use crate::pools::{PoolKey, WaitError};

/// What a client's closing is called when its entry goes.
const REMOVED: &str = "database removed";

/// An entry whose cluster is none of those that run, and that cluster's name.
pub(crate) fn missing_cluster(config: &Config, runs: impl Fn(&str) -> bool) -> Option<(&Database, &str)> {
    let entries = config.databases.values().chain(&config.autodb);
    let mut named = entries.filter_map(|entry| Some((entry, entry.cluster.as_deref()?)));
    named.find(|(_, cluster)| !runs(cluster))
}

/// Whether two definitions lead to the same server sessions.
fn same_servers(a: &Database, b: &Database) -> bool {
    let servers = |d: &Database| {
        (
            (d.dbname.clone(), d.host.clone(), d.port, d.user.clone(), d.password.clone(), d.cluster.clone()),
            (d.client_encoding.clone(), d.datestyle.clone(), d.timezone.clone(), d.application_name.clone()),
            d.connect_query.clone(),
        )
    };
    servers(a) == servers(b)
}

impl Pooler {
    /// Puts a configuration into force; a sentence for everything of it that needs a restart.
    pub(crate) fn apply(self: &Arc<Self>, config: Config) -> Vec<String> {
        let config = Arc::new(config);
        if let Some(tell) = &self.on_settings.0 {
            tell(&config.settings);
        }
        self.config.store(Arc::clone(&config));
        self.secrets.forget();
        self.averages.lock().set_period(config.settings.stats_period);
        let known: Vec<Arc<Entry>> = self.entries.lock().values().cloned().collect();
        for entry in known {
            let definition = match config.databases.get(&*entry.name) {
                Some(definition) => Some(definition),
                None => config.autodb.as_ref().filter(|_| entry.is_auto),
            };
            match definition {
                Some(definition) => self.redefine(&config, &entry, definition),
                None => {
                    let name = &entry.name;
                    tracing::warn!(
                        "dropping database '{name}' as it does not exist anymore or inactive auto-database"
                    );
                    self.remove_entry(&entry);
                }
            }
        }
        for (name, definition) in &config.databases {
            if !self.entries.lock().contains_key(name) {
                self.add_entry(&config, name, definition, false);
            }
        }
        let kept = self.apply_clusters(&config);
        self.apply_users(&config);
        self.dns.retain(|name| {
            let mut entries = config.databases.values().chain(&config.autodb);
            entries.any(|entry| entry.host.iter().any(|host| host == name)) || !config.clusters.is_empty()
        });
        self.start_minimum(&config);
        self.generation.fetch_add(1, Ordering::Release);
        kept
    }

    fn add_entry(
        self: &Arc<Self>,
        config: &Config,
        name: &str,
        definition: &Database,
        is_auto: bool,
    ) -> Arc<Entry> {
        let limit = config.max_db_connections(definition);
        let group = self.account(|account, _| account.add_group(limit));
        let cluster = definition.cluster.as_ref().and_then(|name| self.clusters.get(name)).cloned();
        let entry = Arc::new(Entry::new(name, definition.clone(), cluster, group, is_auto));
        self.entries.lock().insert(name.to_owned(), Arc::clone(&entry));
        entry
    }

    fn redefine(self: &Arc<Self>, config: &Config, entry: &Entry, definition: &Database) {
        let changed = !same_servers(&entry.database(), definition);
        entry.define(definition.clone());
        let limit = config.max_db_connections(definition);
        self.account(|account, now| {
            account.set_group_limit(now, entry.group, limit);
            for pool in account.pools_in(entry.group).to_vec() {
                if let Some(key) = account.key(pool).cloned() {
                    account.set_settings(now, pool, pool_settings(config, definition, &key.user));
                }
                if changed {
                    account.invalidate(now, pool, CloseReason::ConfigChanged);
                }
            }
        });
        if changed {
            self.credentials.lock().retain(|(name, _), _| *name != entry.name);
        }
    }

    pub(crate) fn remove_entry(self: &Arc<Self>, entry: &Entry) {
        self.entries.lock().remove(&*entry.name);
        self.found.forget_entry(&entry.name);
        self.close_clients(Some(&entry.name), REMOVED);
        self.account(|account, now| {
            for pool in account.pools_in(entry.group).to_vec() {
                account.remove_pool(now, pool);
            }
            account.remove_group(entry.group);
        });
    }

    fn apply_users(self: &Arc<Self>, config: &Config) {
        let groups: Vec<_> =
            self.user_groups.lock().iter().map(|(user, group)| (Arc::clone(user), *group)).collect();
        self.account(|account, now| {
            for (user, group) in groups {
                account.set_group_limit(now, group, config.max_user_connections(&user));
            }
        });
    }

    /// Entries with a forced user and `min_pool_size` are kept filled even without a client.
    fn start_minimum(self: &Arc<Self>, config: &Config) {
        let entries: Vec<_> = self.entries.lock().values().cloned().collect();
        for entry in entries {
            let database = entry.database();
            if let Some(user) = &database.user
                && config.min_pool_size(&database) > 0
                && entry.cluster.is_none()
            {
                self.pool(&entry, &Arc::from(user.as_str()), None);
            }
        }
    }

    /// The entry of this name, made from the fallback entry if there is one.
    pub(crate) fn find_entry(self: &Arc<Self>, name: &str) -> Option<Arc<Entry>> {
        if let Some(entry) = self.entry(name) {
            return Some(entry);
        }
        let config = self.config.load_full();
        let fallback = config.autodb.as_ref()?;
        tracing::info!("registered new auto-database: db={name}");
        Some(self.add_entry(&config, name, fallback, true))
    }

    pub(crate) fn entry(&self, name: &str) -> Option<Arc<Entry>> {
        self.entries.lock().get(name).cloned()
    }

    /// The pool of this entry, server user and node, made when there is none.
    pub(crate) fn pool(self: &Arc<Self>, entry: &Entry, user: &Arc<str>, node: Option<NodeId>) -> PoolId {
        let key = PoolKey { entry: Arc::clone(&entry.name), user: Arc::clone(user), node };
        let config = self.config.load();
        let mut groups = self.user_groups.lock();
        self.account(|account, now| {
            if let Some(pool) = account.pool_id(&key) {
                return pool;
            }
            let limit = config.max_user_connections(user);
            let group = *groups.entry(Arc::clone(user)).or_insert_with(|| account.add_group(limit));
            let database = entry.database();
            let pool = account.add_pool(key, entry.group, group, pool_settings(&config, &database, user));
            if entry.paused.load(Ordering::Relaxed) || self.paused.load(Ordering::Relaxed) {
                account.pause(now, pool);
            }
            if self.is_suspended() {
                account.hold(pool);
            }
            pool
        })
    }

    /// The writes of all sessions of an entry's database, whichever entries they use; watched from now on if reads of
    /// this policy must have seen them.
    pub(crate) fn last_write(&self, name: &str, database: &Database, policy: &ReadPolicy) -> Arc<LastWrite> {
        let cluster = database.cluster.clone().unwrap_or_default();
        let dbname = database.dbname.clone().unwrap_or_else(|| name.to_owned());
        let last_write = Arc::clone(self.last_writes.lock().entry((cluster, dbname)).or_default());
        if policy.consistency == Consistency::Database {
            last_write.watch(|| self.clock.now());
        }
        last_write
    }

    /// Closes the clients of an entry, or all of them; consoles are spared.
    pub(crate) fn close_clients(&self, entry: Option<&str>, reason: &'static str) {
        for client in self.clients.all() {
            let of_entry = entry.is_none_or(|name| *client.who.lock().0 == *name);
            if of_entry && !client.console.load(Ordering::Relaxed) {
                client.give(Order::Close(reason));
            }
        }
    }

    /// Closes every server; nobody gets one any more.
    pub(crate) fn close_servers(self: &Arc<Self>) {
        self.account(|account, now| {
            let pools: Vec<PoolId> = account.pools().map(|(pool, _)| pool).collect();
            for pool in pools {
                account.remove_pool(now, pool);
            }
        });
    }

    /// Those who wait in these pools wait no longer, for this reason.
    pub(crate) fn turn_away(self: &Arc<Self>, of: impl Fn(&PoolKey) -> bool, why: &WaitError) {
        let waiters = self.account(|account, _| {
            let pools: Vec<PoolId> =
                account.pools().filter(|(_, key)| of(key)).map(|(pool, _)| pool).collect();
            let mut waiters = Vec::new();
            for pool in pools {
                waiters.extend(account.drain_waiters(pool, |_, _| true));
            }
            waiters
        });
        for waiter in waiters {
            waiter.fail(why.clone());
        }
    }
}

/// Logins in flight to one node of a cluster, where the whole load comes at once after a failover. A plain entry logs in as
/// PgBouncer does, once at a time.
const CLUSTER_LOGINS: u32 = 4;

/// The settings of a pool, with PgBouncer's precedence.
fn pool_settings(config: &Config, database: &Database, user: &str) -> PoolSettings {
    let settings = &config.settings;
    PoolSettings {
        size: config.pool_size(database, user),
        min_size: config.min_pool_size(database),
        reserve_size: config.reserve_pool_size(database, user),
        reserve_timeout: settings.reserve_pool_timeout,
        server_lifetime: config.server_lifetime(database),
        server_idle_timeout: settings.server_idle_timeout,
        server_check_delay: settings.server_check_query.as_ref().map(|_| settings.server_check_delay),
        logins: if database.cluster.is_some() { CLUSTER_LOGINS } else { 1 },
        login_retry: settings.server_login_retry,
        // A client whose own limit is shorter is ended by `maintain.rs`.
        query_wait_timeout: config.longest_wait(database),
        round_robin: settings.server_round_robin,
    }
}

/// What the configuration says about a client's session.
pub(crate) fn session_options(config: &Config, database: &Database, user: &str) -> SessionOptions {
    SessionOptions {
        pool_mode: match config.pool_mode(database, user) {
            howdah_config::PoolMode::Session => PoolMode::Session,
            howdah_config::PoolMode::Transaction => PoolMode::Transaction,
            howdah_config::PoolMode::Statement => PoolMode::Statement,
        },
        // A session-pooled client keeps its server, and with it its statements; on a cluster it may have to move.
        max_prepared_statements: match config.pool_mode(database, user) {
            howdah_config::PoolMode::Session if database.cluster.is_none() => 0,
            _ => config.settings.max_prepared_statements as usize,
        },
        limits: Limits { max_frame: config.settings.max_packet_size as usize },
        disable_simple_query: config.settings.disable_pqexec,
        acknowledgements: config.managed(database).map_or_else(Acknowledgements::default, |cluster| {
            Acknowledgements {
                refuse_unsafe: config.unsafe_commits(database) == howdah_config::UnsafeCommits::Refuse,
                resolve: cluster.commit_resolution,
            }
        }),
    }
}

/// How an entry of a cluster is routed.
pub(crate) fn routing(config: &Config, database: &Database, user: &str) -> Option<(RouteMode, ReadPolicy)> {
    use howdah_config::{MaxReplicaLag, ReadRouting, ReadsWithoutReplica, Target};
    let routing = config.routing(database)?;
    let reads_split = match routing.read_routing {
        ReadRouting::Off => false,
        ReadRouting::On => config.pool_mode(database, user) != howdah_config::PoolMode::Session,
        ReadRouting::Session => true,
    };
    let mode = match database.target {
        Target::Replica => RouteMode::Replica,
        Target::PreferReplica => RouteMode::PreferReplica,
        Target::Auto if reads_split => RouteMode::Auto,
        Target::Auto | Target::Primary => RouteMode::Primary,
    };
    let policy = ReadPolicy {
        consistency: match routing.consistency {
            howdah_config::Consistency::Eventual => Consistency::Eventual,
            howdah_config::Consistency::Strong => Consistency::Strong,
            howdah_config::Consistency::Session => Consistency::Session,
            howdah_config::Consistency::Monotonic => Consistency::Monotonic,
            howdah_config::Consistency::Database => Consistency::Database,
        },
        balance: match routing.balance {
            howdah_config::Balance::LeastLoaded => howdah_topology::Balance::LeastLoaded,
            howdah_config::Balance::RoundRobin => howdah_topology::Balance::RoundRobin,
            howdah_config::Balance::Random => howdah_topology::Balance::Random,
        },
        max_lag_bytes: match routing.max_replica_lag {
            MaxReplicaLag::Bytes(bytes) => Some(bytes),
            _ => None,
        },
        max_lag_time: match routing.max_replica_lag {
            MaxReplicaLag::Time(time) => Some(time),
            _ => None,
        },
        causal_wait: routing.causal_wait,
        without_replica: match routing.reads_without_replica {
            _ if database.target == Target::PreferReplica => WithoutReplica::Primary,
            ReadsWithoutReplica::Primary => WithoutReplica::Primary,
            ReadsWithoutReplica::Fail => WithoutReplica::Fail,
        },
    };
    Some((mode, policy))
}
