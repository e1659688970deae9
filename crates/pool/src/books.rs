//! The bookkeeping under every operation: each change of a server's state goes through here, so that the counts of pool and
//! groups agree with the records at any moment. The rules of *when* are in the callers.

use crate::effect::{CloseReason, Effect, Failure, Lease};
use crate::ids::{GroupId, Id, LoginId, PoolId, ServerId, Time};
use crate::pools::Pools;
use crate::records::{Server, State};
use std::hash::Hash;

impl<K: Clone + Eq + Hash, C, W, E: Clone> Pools<K, C, W, E> {
    /// Starts a login. The caller has seen that there is room.
    pub(crate) fn launch(&mut self, now: Time, pool: PoolId, reserve: bool) {
        let Some(login) = self.enter_login(now, pool) else { return };
        let Some(key) = self.pools.get(pool.0).map(|record| record.key.clone()) else { return };
        self.effects.push_back(Effect::Connect { pool, key, login, reserve });
    }

    /// Writes a login into the books: from here on it is counted as a server.
    pub(crate) fn enter_login(&mut self, now: Time, pool: PoolId) -> Option<LoginId> {
        let record = self.pools.get_mut(pool.0)?;
        let server = self.servers.insert(Server::login(pool, now, record.epoch));
        let login = LoginId(ServerId(server));
        record.total += 1;
        record.logins.push(login);
        let groups = record.groups;
        for group in groups {
            if let Some(group) = self.groups.get_mut(group.0) {
                group.count += 1;
            }
        }
        Some(login)
    }

    /// Strikes a server out, whatever it was doing.
    pub(crate) fn retire(&mut self, server: ServerId) -> Option<Server<C>> {
        if matches!(self.servers.get(server.0)?.state, State::Idle(_)) {
            self.unlink_idle(server);
        }
        let gone = self.servers.remove(server.0)?;
        let pool = self.pools.get_mut(gone.pool.0)?;
        pool.total -= 1;
        pool.tested -= u32::from(matches!(gone.state, State::Tested));
        pool.stale -= u32::from(gone.epoch != pool.epoch);
        pool.logins.retain(|login| *login != LoginId(server));
        let groups = pool.groups;
        for group in groups {
            if let Some(record) = self.groups.get_mut(group.0) {
                record.count -= 1;
            }
        }
        self.note_freed(groups);
        self.drop_if_gone(gone.pool);
        Some(gone)
    }

    /// Closes an idle server.
    pub(crate) fn close_idle(&mut self, server: ServerId, reason: CloseReason) {
        if let Some(Server { pool, state: State::Idle(conn), .. }) = self.retire(server) {
            self.effects.push_back(Effect::Close { server, pool, conn, reason });
        }
    }

    /// Puts a connection that the owner had into the pool's idle list, as the one given back last.
    pub(crate) fn lay_idle(&mut self, now: Time, server: ServerId, conn: C) {
        let Some(record) = self.servers.get_mut(server.0) else { return };
        let was_tested = matches!(record.state, State::Tested);
        record.state = State::Idle(conn);
        record.since = now;
        let Some(pool) = self.pools.get_mut(record.pool.0) else { return };
        pool.tested -= u32::from(was_tested);
        pool.idle.push_front(&mut self.servers, server.0);
        let groups = pool.groups;
        for group in groups {
            if let Some(group) = self.groups.get_mut(group.0) {
                group.idle += 1;
            }
        }
        self.note_freed(groups);
    }

    /// Takes a server out of the idle list; its record still says idle.
    fn unlink_idle(&mut self, server: ServerId) {
        let Some(pool) = self.servers.get(server.0).and_then(|record| self.pools.get_mut(record.pool.0))
        else {
            return;
        };
        pool.idle.remove(&mut self.servers, server.0);
        let groups = pool.groups;
        for group in groups {
            if let Some(group) = self.groups.get_mut(group.0) {
                group.idle -= 1;
            }
        }
    }

    /// Leases the idle server whose turn it is. Holds are the caller's business.
    pub(crate) fn lease_idle(&mut self, now: Time, pool: PoolId) -> Option<Lease<C>> {
        let record = self.pools.get(pool.0)?;
        let check_delay = record.settings.server_check_delay;
        let id = if record.settings.round_robin { record.idle.back() } else { record.idle.front() }?;
        self.unlink_idle(ServerId(id));
        let server = self.servers.get_mut(id)?;
        let check_due = check_delay.is_some_and(|delay| now.since(server.since) >= delay);
        server.since = now;
        match std::mem::replace(&mut server.state, State::Leased) {
            State::Idle(conn) => Some(Lease { server: ServerId(id), pool, conn, check_due }),
            _ => None,
        }
    }

    /// Gives a server that the owner has (or a login has just brought) to a waiter.
    pub(crate) fn lease_directly(&mut self, now: Time, server: ServerId, conn: C, waiter: W) {
        let Some(record) = self.servers.get_mut(server.0) else { return };
        let was_tested = matches!(record.state, State::Tested);
        record.state = State::Leased;
        record.since = now;
        let pool = record.pool;
        if let Some(pool) = self.pools.get_mut(pool.0) {
            pool.tested -= u32::from(was_tested);
        }
        self.effects
            .push_back(Effect::HandOver { waiter, lease: Lease { server, pool, conn, check_due: false } });
    }

    /// Takes the waiter out that has waited longest.
    pub(crate) fn next_waiter(&mut self, pool: PoolId) -> Option<W> {
        let front = self.pools.get(pool.0)?.waiters.front()?;
        self.take_waiter(front)
    }

    /// The same among those who take a server that is there.
    pub(crate) fn next_sharer(&mut self, pool: PoolId) -> Option<W> {
        let first = self.first_waiter(pool, false)?;
        self.take_waiter(first)
    }

    /// Takes a waiter out of its queue.
    pub(crate) fn take_waiter(&mut self, id: Id) -> Option<W> {
        let (pool, own) = self.waiters.get(id).map(|waiter| (waiter.pool, waiter.own))?;
        if let Some(record) = self.pools.get_mut(pool.0) {
            record.waiters.remove(&mut self.waiters, id);
            record.own -= u32::from(own);
            if record.waiters.is_empty() {
                self.set_starved(pool, false);
            }
        }
        self.waiters.remove(id).map(|waiter| waiter.token)
    }

    /// Fails all waiters of a pool.
    pub(crate) fn fail_waiters(&mut self, pool: PoolId, failure: &Failure<E>) {
        while let Some(waiter) = self.next_waiter(pool) {
            self.effects.push_back(Effect::Fail { waiter, failure: failure.clone() });
        }
    }

    /// Closes idle servers beyond the pool's ceiling, the longest idle first.
    pub(crate) fn shed(&mut self, pool: PoolId) {
        while let Some(id) =
            self.pools.get(pool.0).filter(|record| record.is_over()).and_then(|record| record.idle.back())
        {
            self.close_idle(ServerId(id), CloseReason::TooMany);
        }
    }

    /// Closes all idle servers of a pool.
    pub(crate) fn close_all_idle(&mut self, pool: PoolId, reason: CloseReason) {
        while let Some(id) = self.pools.get(pool.0).and_then(|record| record.idle.back()) {
            self.close_idle(ServerId(id), reason);
        }
    }

    /// Starts a new epoch: idle servers are closed now, the others when they come back; a login is aborted,
    /// and what was remembered of failed ones is forgotten.
    pub(crate) fn make_stale(&mut self, pool: PoolId, reason: CloseReason) {
        self.close_all_idle(pool, reason);
        let Some(record) = self.pools.get_mut(pool.0) else { return };
        record.epoch += 1;
        record.stale = record.total;
        record.stale_reason = reason;
        record.failing = None;
        record.retry_at = None;
        for login in record.logins.iter().copied() {
            self.effects.push_back(Effect::AbortLogin { login });
        }
    }

    /// Keeps the mark of a pool whose waiters only a full group denies a server, and the groups' counts of it.
    pub(crate) fn set_starved(&mut self, pool: PoolId, starved: bool) {
        let Some(record) = self.pools.get_mut(pool.0).filter(|record| record.starved != starved) else {
            return;
        };
        record.starved = starved;
        let groups = record.groups;
        for group in groups {
            if let Some(group) = self.groups.get_mut(group.0) {
                group.starved = if starved { group.starved + 1 } else { group.starved - 1 };
            }
        }
    }

    /// A place in these groups came free, or could be made free: who waits for one is served at the end of the call.
    fn note_freed(&mut self, groups: [GroupId; 2]) {
        for group in groups {
            if self.groups.get(group.0).is_some_and(|record| record.starved > 0) {
                self.freed.push(group);
            }
        }
    }
}
