//! What nobody uses any more is forgotten: pools (`pool_idle_timeout`) and automatic databases
//! (`autodb_idle_timeout`), PGBOUNCER_BEHAVIOUR.md section 7.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use howdah_pool::PoolId;
use howdah_topology::Time;

use crate::entry::Entry;
use crate::pooler::{Login, Pooler};
use crate::pools::PoolKey;

/// Since when each is without a client and a server.
#[derive(Debug, Default)]
pub(crate) struct Unused {
    pools: HashMap<PoolKey, Time>,
    entries: HashMap<Arc<str>, Time>,
}

/// Keeps in `since` those of `unused` alone, each with the moment it was first seen so; says which of them are so for
/// longer than `limit`.
pub(crate) fn overdue<K: Clone + Eq + std::hash::Hash>(
    since: &mut HashMap<K, Time>,
    unused: &[K],
    now: Time,
    limit: std::time::Duration,
) -> Vec<K> {
    let still: HashSet<&K> = unused.iter().collect();
    since.retain(|key, _| still.contains(key));
    let is_over = |key: &&K| now.since(*since.entry((*key).clone()).or_insert(now)) > limit;
    unused.iter().filter(is_over).cloned().collect()
}

impl Pooler {
    /// One round of `maintain.rs`.
    pub(crate) fn forget_unused(self: &Arc<Self>) {
        self.forget_pools();
        self.forget_entries();
    }

    fn forget_pools(self: &Arc<Self>) {
        let limit = self.config.load().settings.pool_idle_timeout;
        if limit.is_zero() {
            return self.unused.lock().pools.clear();
        }
        let with_clients: HashSet<Login> =
            self.clients.all().iter().map(|client| self.login_of(client)).collect();
        let unused: Vec<(PoolId, PoolKey)> = self.account(|account, _| {
            let is_unused = |pool: PoolId| {
                let keeps = account.settings(pool).is_some_and(|settings| settings.min_size > 0);
                account.unused_since(pool).is_some() && !keeps
            };
            let unused = account.pools().filter(|(pool, _)| is_unused(*pool));
            unused.map(|(pool, key)| (pool, key.clone())).collect()
        });
        let unused: Vec<(PoolId, PoolKey)> = unused
            .into_iter()
            .filter(|(_, key)| !with_clients.contains(&(Arc::clone(&key.entry), Arc::clone(&key.user))))
            .collect();
        let keys: Vec<PoolKey> = unused.iter().map(|(_, key)| key.clone()).collect();
        let now = self.clock.now();
        let over: HashSet<PoolKey> =
            overdue(&mut self.unused.lock().pools, &keys, now, limit).into_iter().collect();
        for (pool, key) in unused.into_iter().filter(|(_, key)| over.contains(key)) {
            tracing::info!(
                "cleaning up idle pool for user {} on db {} because: pool idle timeout",
                key.user,
                key.entry
            );
            self.account(|account, now| account.remove_pool(now, pool));
            if let Some(entry) = self.entry(&key.entry) {
                entry.forget_welcome(&key.user);
            }
        }
    }

    fn forget_entries(self: &Arc<Self>) {
        let limit = self.config.load().settings.autodb_idle_timeout;
        let automatic: Vec<Arc<Entry>> =
            self.entries.lock().values().filter(|entry| entry.is_auto).cloned().collect();
        if limit.is_zero() || automatic.is_empty() {
            return;
        }
        let named: HashSet<Arc<str>> =
            self.clients.all().iter().map(|client| Arc::clone(&client.who.lock().0)).collect();
        let is_unused = |entry: &&Arc<Entry>| {
            entry.clients.load(Ordering::Relaxed) == 0
                && !entry.paused.load(Ordering::Relaxed)
                && !entry.disabled.load(Ordering::Relaxed)
                && !named.contains(&entry.name)
                && self.account(|account, _| account.group_servers(entry.group)) == 0
        };
        let unused: Vec<Arc<str>> =
            automatic.iter().filter(is_unused).map(|entry| Arc::clone(&entry.name)).collect();
        let now = self.clock.now();
        let over = overdue(&mut self.unused.lock().entries, &unused, now, limit);
        for entry in automatic.iter().filter(|entry| over.contains(&entry.name)) {
            tracing::info!("closing idle auto-database: db={}", entry.name);
            self.remove_entry(entry);
        }
    }
}
