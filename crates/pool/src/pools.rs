//! [`Pools`]: the one structure, and the pools and groups in it. Next: `checkout.rs` (the fast path), `login.rs`,
//! `hold.rs`, `maintain.rs`, `report.rs`; the bookkeeping that all of them share is `books.rs`.

use crate::arena::Arena;
use crate::effect::{CloseReason, Effect, Failure};
use crate::ids::{GroupId, PoolId, Time};
use crate::records::{Group, Pool, Server, Waiter};
use crate::settings::PoolSettings;
use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

/// All pools of a process.
///
/// `K` names a pool (the owner's choice: entry, user, node), `C` is a connection, `W` a waiter's token, `E` a login error.
/// The owner puts it behind one mutex, calls it with events, and after each call takes the effects out with
/// [`Pools::poll_effect`] until there are none; it performs them after unlocking, in order.
///
/// Bounds: the effects of one call are at most one a server, one a waiter and two a pool; waiters are bounded by the
/// owner's limit of clients (`max_client_conn`), since a client waits in one place at a time.
#[derive(Debug)]
pub struct Pools<K, C, W, E> {
    pub(crate) pools: Arena<Pool<K, E>>,
    pub(crate) servers: Arena<Server<C>>,
    pub(crate) waiters: Arena<Waiter<W>>,
    pub(crate) groups: Arena<Group>,
    by_key: HashMap<K, PoolId>,
    pub(crate) effects: VecDeque<Effect<K, C, W, E>>,
    /// Groups in which a place came free while one of their pools was starved; emptied at the end of each call.
    pub(crate) freed: Vec<GroupId>,
}

impl<K, C, W, E> Default for Pools<K, C, W, E> {
    fn default() -> Self {
        Pools {
            pools: Arena::new(),
            servers: Arena::new(),
            waiters: Arena::new(),
            groups: Arena::new(),
            by_key: HashMap::new(),
            effects: VecDeque::new(),
            freed: Vec::new(),
        }
    }
}

impl<K: Clone + Eq + Hash, C, W, E: Clone> Pools<K, C, W, E> {
    /// No pools, no groups.
    pub fn new() -> Self {
        Self::default()
    }

    /// The next thing to do, if there is any.
    pub fn poll_effect(&mut self) -> Option<Effect<K, C, W, E>> {
        self.effects.pop_front()
    }

    /// A new group with this limit of servers (0 = no limit).
    pub fn add_group(&mut self, limit: u32) -> GroupId {
        GroupId(self.groups.insert(Group { limit, ..Group::default() }))
    }

    /// Changes a group's limit. Idle servers beyond a lower one are closed, the longest idle first; servers in use when they
    /// come back; a higher one starts logins for those who wait.
    pub fn set_group_limit(&mut self, now: Time, group: GroupId, limit: u32) {
        let Some(record) = self.groups.get_mut(group.0) else { return };
        record.limit = limit;
        while self.groups.get(group.0).is_some_and(Group::is_over) {
            let Some(victim) = self.longest_idle(group) else { break };
            self.close_idle(victim, CloseReason::TooMany);
        }
        self.freed.push(group);
        self.relieve(now);
    }

    /// Forgets a group that has no pool and no server left; else does nothing and says `false`.
    pub fn remove_group(&mut self, group: GroupId) -> bool {
        let unused =
            self.groups.get(group.0).is_some_and(|record| record.pools.is_empty() && record.count == 0);
        unused && self.groups.remove(group.0).is_some()
    }

    /// The pool of this key, made if there is none. The two groups must differ. A pool that exists keeps its groups and settings. A new pool holds nothing
    /// back: after a PAUSE of everything the owner pauses it at once.
    pub fn add_pool(&mut self, key: K, database: GroupId, user: GroupId, settings: PoolSettings) -> PoolId {
        if let Some(existing) = self.pool_id(&key) {
            return existing;
        }
        let pool = PoolId(self.pools.insert(Pool::new(key.clone(), [database, user], settings)));
        self.by_key.insert(key, pool);
        for group in [database, user] {
            if let Some(record) = self.groups.get_mut(group.0) {
                record.pools.push(pool);
            }
        }
        pool
    }

    /// The pool of this key.
    pub fn pool_id(&self, key: &K) -> Option<PoolId> {
        self.by_key.get(key).copied()
    }

    /// The key of a pool.
    pub fn key(&self, pool: PoolId) -> Option<&K> {
        self.pools.get(pool.0).map(|record| &record.key)
    }

    /// The settings of a pool.
    pub fn settings(&self, pool: PoolId) -> Option<&PoolSettings> {
        self.pools.get(pool.0).map(|record| &record.settings)
    }

    /// Changes the settings, at once: idle servers beyond a smaller size are closed (servers in use when they come back), a
    /// larger one starts logins for those who wait.
    pub fn set_settings(&mut self, now: Time, pool: PoolId, settings: PoolSettings) {
        let Some(record) = self.pools.get_mut(pool.0) else { return };
        record.settings = settings;
        self.shed(pool);
        self.launch_for_waiters(now, pool);
        self.relieve(now);
    }

    /// Whether `min_size` applies now: a client is connected, or the entry forces its user (PGBOUNCER_BEHAVIOUR.md section 6).
    /// A new pool starts with `true`.
    pub fn set_attended(&mut self, pool: PoolId, attended: bool) {
        if let Some(record) = self.pools.get_mut(pool.0) {
            record.attended = attended;
        }
    }

    /// Removes a pool: its waiters fail, its idle servers are closed, its login is aborted; its leased servers are closed when
    /// they come back, and count in the groups until then. The key is free at once.
    pub fn remove_pool(&mut self, now: Time, pool: PoolId) {
        let Some(record) = self.pools.get_mut(pool.0).filter(|record| !record.removed) else { return };
        record.removed = true;
        let (key, groups) = (record.key.clone(), record.groups);
        self.by_key.remove(&key);
        for group in groups {
            if let Some(record) = self.groups.get_mut(group.0) {
                record.pools.retain(|member| *member != pool);
            }
        }
        self.fail_waiters(pool, &Failure::PoolRemoved);
        self.make_stale(pool, CloseReason::PoolRemoved);
        self.drop_if_gone(pool);
        self.relieve(now);
    }

    /// Frees the record of a removed pool once its last server has gone.
    pub(crate) fn drop_if_gone(&mut self, pool: PoolId) {
        if self.pools.get(pool.0).is_some_and(|record| record.removed && record.total == 0) {
            self.pools.remove(pool.0);
        }
    }

    /// The pools of a group, to pause a database or a user, say.
    pub fn pools_in(&self, group: GroupId) -> &[PoolId] {
        self.groups.get(group.0).map_or(&[], |record| &record.pools)
    }

    /// All pools that are not removed.
    pub fn pools(&self) -> impl Iterator<Item = (PoolId, &K)> {
        self.pools.iter().filter(|(_, record)| !record.removed).map(|(id, record)| (PoolId(id), &record.key))
    }

    pub(crate) fn pool_mut(&mut self, pool: PoolId) -> Option<&mut Pool<K, E>> {
        self.pools.get_mut(pool.0)
    }

    pub(crate) fn pool_at(&self, place: usize) -> Option<PoolId> {
        self.pools.id_at(place).map(PoolId)
    }
}
