//! Logins: when one starts, what its outcome means, and how a full group makes room. As many are in flight
//! as [`PoolSettings::logins`](crate::PoolSettings::logins) allows.

use crate::effect::{CloseReason, Effect, Failure, FailureKind};
use crate::ids::{GroupId, LoginId, PoolId, ServerId, Time};
use crate::pools::Pools;
use crate::records::{Group, Server, State};
use std::hash::Hash;
use std::time::Duration;

/// Whether the pool's own size allows one more server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Room {
    Free,
    /// Only from the reserve.
    Reserve,
    Full,
}

impl<K: Clone + Eq + Hash, C, W, E: Clone> Pools<K, C, W, E> {
    /// A login has brought a connection. It goes where a reusable one goes; a stale one is closed.
    ///
    /// A login that is not in flight (the owner's mistake) makes the connection come out as [`Effect::Close`].
    pub fn login_succeeded(&mut self, now: Time, login: LoginId, conn: C) {
        let server = login.server();
        let Some(pool) = self.end_login(login) else {
            let pool = PoolId(server.0);
            self.effects.push_back(Effect::Close { server, pool, conn, reason: CloseReason::NotLeased });
            return;
        };
        if let Some(record) = self.servers.get_mut(server.0) {
            record.state = State::Leased;
        }
        if let Some(record) = self.pools.get_mut(pool.0) {
            // (Invalidation has forgotten them already when this login is stale.)
            record.failing = None;
            record.retry_at = None;
        }
        let reason = self.must_close(pool, server);
        self.settle(now, (pool, server), conn, reason);
        self.launch_for_waiters(now, pool);
        self.relieve(now);
    }

    /// A connection that another process has logged in and handed over (`-R`): it is leased to the owner from now on, and
    /// counted, whatever the limits say. `None` when there is no such pool.
    pub fn adopt(&mut self, now: Time, pool: PoolId) -> Option<ServerId> {
        let record = self.pools.get_mut(pool.0).filter(|record| !record.removed)?;
        let mut server = Server::login(pool, now, record.epoch);
        server.state = State::Leased;
        record.total += 1;
        for group in record.groups {
            if let Some(group) = self.groups.get_mut(group.0) {
                group.count += 1;
            }
        }
        Some(ServerId(self.servers.insert(server)))
    }

    /// A login has failed. What that means for those who wait is the kind's: see [`FailureKind`]. The outcome of a login of an
    /// older epoch counts as `Aborted`.
    pub fn login_failed(&mut self, now: Time, login: LoginId, error: E, kind: FailureKind) {
        let Some(pool) = self.end_login(login) else { return };
        let Some(server) = self.retire(login.server()) else { return };
        if let Some(record) = self.pools.get_mut(pool.0) {
            let kind = if server.epoch == record.epoch { kind } else { FailureKind::Aborted };
            if kind != FailureKind::Aborted {
                record.retry_at = Some(now.after(record.settings.login_retry));
                record.failing = (kind == FailureKind::Refused).then(|| error.clone());
            }
            // Those who wait behind a hold were promised to wait.
            if kind == FailureKind::Refused && record.total == 0 && !record.holds.any() {
                self.fail_waiters(pool, &Failure::Login(error));
            }
        }
        self.launch_for_waiters(now, pool);
        self.relieve(now);
    }

    /// Takes the login off the pool's books; `None` when it is not in flight.
    pub(crate) fn end_login(&mut self, login: LoginId) -> Option<PoolId> {
        let pool = self.servers.get(login.server().0)?.pool;
        let record = self.pools.get_mut(pool.0)?;
        let at = record.logins.iter().position(|in_flight| *in_flight == login)?;
        record.logins.swap_remove(at);
        Some(pool)
    }

    /// Starts logins when someone waits and everything allows it, evicting if need be.
    pub(crate) fn launch_for_waiters(&mut self, now: Time, pool: PoolId) {
        let starved = self.serve_own(now, pool);
        loop {
            let room = self.room_for_waiters(now, pool);
            if room == Room::Full {
                return self.set_starved(pool, starved);
            }
            let made = self.make_room(pool);
            self.set_starved(pool, starved || !made);
            if !made {
                return;
            }
            self.launch(now, pool, room == Room::Reserve);
        }
    }

    /// `Full` as well when nobody waits, or enough logins are in flight, or none may start.
    fn room_for_waiters(&self, now: Time, pool: PoolId) -> Room {
        let Some(record) = self.pools.get(pool.0) else { return Room::Full };
        let Some(longest) = self.first_waiter(pool, false).and_then(|id| self.waiters.get(id)) else {
            return Room::Full;
        };
        if !record.may_log_in_anybody(now) || !record.may_log_in() {
            return Room::Full;
        }
        self.room_since(now, pool, longest.since)
    }

    /// Whether the pool's own size has room for one who waits since then.
    pub(crate) fn room_since(&self, now: Time, pool: PoolId, since: Time) -> Room {
        let Some(record) = self.pools.get(pool.0) else { return Room::Full };
        let settings = &record.settings;
        if settings.size == 0 || record.total < settings.size {
            return Room::Free;
        }
        let reserve_due =
            settings.reserve_timeout > Duration::ZERO && now.since(since) >= settings.reserve_timeout;
        if reserve_due && settings.ceiling().is_none_or(|ceiling| record.total < ceiling) {
            Room::Reserve
        } else {
            Room::Full
        }
    }

    /// Evicts the longest idle servers of other pools until the pool's groups have room for one more. Evicts nothing when that
    /// would not be enough. (A pool that wants a server for a waiter has no idle one itself.)
    pub(crate) fn make_room(&mut self, pool: PoolId) -> bool {
        let Some(groups) = self.pools.get(pool.0).map(|record| record.groups) else { return false };
        if !groups.iter().all(|group| self.groups.get(group.0).is_none_or(Group::could_make_room)) {
            return false;
        }
        for group in groups {
            while self.groups.get(group.0).is_some_and(|record| !record.has_room()) {
                let Some(victim) = self.longest_idle(group) else { return false };
                self.close_idle(victim, CloseReason::Evicted);
            }
        }
        true
    }

    /// The server of a group that has been idle longest: one look at each of its pools.
    pub(crate) fn longest_idle(&self, group: GroupId) -> Option<ServerId> {
        let pools = &self.groups.get(group.0)?.pools;
        let ends = pools.iter().filter_map(|pool| self.pools.get(pool.0)?.idle.back());
        ends.min_by_key(|id| self.servers.get(*id).map(|server| server.since)).map(ServerId)
    }

    /// Serves the starved pools of groups in which a place came free in this call, the longest wait first. Every public call that
    /// may free one ends with this.
    pub(crate) fn relieve(&mut self, now: Time) {
        while let Some(group) = self.freed.pop() {
            let Some(record) = self.groups.get(group.0).filter(|record| record.starved > 0) else { continue };
            let mut starved: Vec<(Time, PoolId)> =
                record.pools.iter().filter_map(|pool| Some((self.starved_since(*pool)?, *pool))).collect();
            starved.sort_unstable();
            for (_, pool) in starved {
                self.launch_for_waiters(now, pool);
            }
        }
    }

    fn starved_since(&self, pool: PoolId) -> Option<Time> {
        let record = self.pools.get(pool.0).filter(|record| record.starved)?;
        self.waiters.get(record.waiters.front()?).map(|waiter| waiter.since)
    }
}
