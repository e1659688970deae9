//! Checkout and give-back: the fast path. Both take constant time unless a place has to be made in a full group. Next: `login.rs`.

use crate::effect::{Abandoned, Checkout, CloseReason, Effect, Lease, Refusal, Return};
use crate::ids::{PoolId, ServerId, Time, WaiterId};
use crate::pools::Pools;
use crate::records::{Group, State, Waiter};
use std::hash::Hash;

/// Which end of the queue.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Back,
    Front,
}

impl<K: Clone + Eq + Hash, C, W, E: Clone> Pools<K, C, W, E> {
    /// A server, a place in the queue, or a refusal. Nobody overtakes: a pool that has waiters has no idle server, except
    /// while it is held, and then nothing is handed out. Where a token is dear, ask [`Pools::try_checkout`] first.
    pub fn checkout(&mut self, now: Time, pool: PoolId, waiter: W) -> Checkout<C, W, E> {
        self.checkout_at(now, pool, waiter, (Place::Back, now))
    }

    /// A checkout for one whose server failed its check: it goes to the front of the queue, with the moment since which it has
    /// been waiting, so that the client does not lose its turn by it.
    pub fn checkout_again(&mut self, now: Time, pool: PoolId, since: Time, waiter: W) -> Checkout<C, W, E> {
        self.checkout_at(now, pool, waiter, (Place::Front, since))
    }

    /// An idle server, if there is one: for an owner that would rather choose another pool than wait.
    pub fn try_checkout(&mut self, now: Time, pool: PoolId) -> Option<Lease<C>> {
        let record = self.pools.get(pool.0)?;
        if record.holds.any() { None } else { self.lease_idle(now, pool) }
    }

    fn checkout_at(&mut self, now: Time, pool: PoolId, waiter: W, place: (Place, Time)) -> Checkout<C, W, E> {
        let Some(record) = self.pools.get(pool.0).filter(|record| !record.removed) else {
            return Checkout::Refused(waiter, Refusal::NoSuchPool);
        };
        if !record.holds.any() {
            if let Some(error) = record.refusing(now) {
                return Checkout::Refused(waiter, Refusal::LoginFailing(error.clone()));
            }
            if let Some(lease) = self.lease_idle(now, pool) {
                return Checkout::Ready(lease);
            }
        }
        let (place, since) = place;
        self.enqueue(now, Waiter::new(pool, waiter, since), place)
    }

    pub(crate) fn enqueue_last(&mut self, now: Time, waiter: Waiter<W>) -> Checkout<C, W, E> {
        self.enqueue(now, waiter, Place::Back)
    }

    fn enqueue(&mut self, now: Time, waiter: Waiter<W>, place: Place) -> Checkout<C, W, E> {
        let (pool, own) = (waiter.pool, waiter.own);
        let id = self.waiters.insert(waiter);
        if let Some(record) = self.pools.get_mut(pool.0) {
            record.own += u32::from(own);
            match place {
                Place::Back => record.waiters.push_back(&mut self.waiters, id),
                Place::Front => record.waiters.push_front(&mut self.waiters, id),
            }
        }
        self.launch_for_waiters(now, pool);
        self.relieve(now);
        Checkout::Waiting(WaiterId(id))
    }

    /// A waiter leaves the queue. With `Settled` the hand-over (or failure) has already happened: see [`Abandoned`].
    pub fn abandon(&mut self, waiter: WaiterId) -> Abandoned<W> {
        self.take_waiter(waiter.0).map_or(Abandoned::Settled, Abandoned::Left)
    }

    /// Takes the waiters out that the owner picks (KILL, a per-user `query_wait_timeout`, …): `pick` sees each token and since when
    /// it has been waiting, the longest wait first.
    pub fn drain_waiters(&mut self, pool: PoolId, mut pick: impl FnMut(&W, Time) -> bool) -> Vec<W> {
        let mut next = self.pools.get(pool.0).and_then(|record| record.waiters.front());
        let mut out = Vec::new();
        while let Some(id) = next {
            next = crate::list::toward_back(&self.waiters, id);
            let picked = self.waiters.get(id).is_some_and(|record| pick(&record.token, record.since));
            match picked.then(|| self.abandon(WaiterId(id))) {
                Some(Abandoned::Left(token)) => out.push(token),
                _ => continue,
            }
        }
        out
    }

    /// A leased server comes back. A reusable one goes straight to the waiter that has waited longest, else to the idle ones; it is
    /// closed instead when it is stale, too old or one too many, or the pool is paused or removed.
    ///
    /// A connection that is not leased (the owner's mistake) comes out as [`Effect::Close`] with [`CloseReason::NotLeased`].
    pub fn give_back(&mut self, now: Time, server: ServerId, conn: C, how: Return) {
        let Some(pool) = self.leased_pool(server) else {
            // No record says to which pool it belonged: the name's own serial serves, as it names nothing.
            let pool = PoolId(server.0);
            self.effects.push_back(Effect::Close { server, pool, conn, reason: CloseReason::NotLeased });
            return;
        };
        let reason = match how {
            Return::Discard(reason) => Some(reason),
            Return::Unused => self.must_close(pool, server),
            Return::Reusable => {
                if let Some(record) = self.servers.get_mut(server.0) {
                    record.served = true;
                }
                self.must_close(pool, server).or_else(|| self.too_old(now, pool, server))
            }
        };
        self.settle(now, (pool, server), conn, reason);
        self.relieve(now);
    }

    /// A leased server is gone with its connection: the owner has already dropped it.
    pub fn forget(&mut self, now: Time, server: ServerId) {
        let Some(pool) = self.leased_pool(server) else { return };
        self.retire(server);
        self.launch_for_waiters(now, pool);
        self.relieve(now);
    }

    /// Takes an idle connection out for good: its socket was seen to close, say. `None` when it is not idle.
    pub fn withdraw(&mut self, now: Time, server: ServerId) -> Option<C> {
        let record = self.servers.get(server.0)?;
        let pool = record.pool;
        if !matches!(record.state, State::Idle(_)) {
            return None;
        }
        let State::Idle(conn) = self.retire(server)?.state else { return None };
        self.launch_for_waiters(now, pool);
        self.relieve(now);
        Some(conn)
    }

    /// A leased server is being reset or checked: it counts as tested until it comes back or [`Pools::end_test`].
    pub fn begin_test(&mut self, server: ServerId) {
        self.mark_tested(server, true);
    }

    /// The check is done and the server serves its client: it counts as active again.
    pub fn end_test(&mut self, server: ServerId) {
        self.mark_tested(server, false);
    }

    fn mark_tested(&mut self, server: ServerId, tested: bool) {
        let Some(record) = self.servers.get_mut(server.0) else { return };
        let Some(pool) = self.pools.get_mut(record.pool.0) else { return };
        match (&record.state, tested) {
            (State::Leased, true) => {
                record.state = State::Tested;
                pool.tested += 1;
            }
            (State::Tested, false) => {
                record.state = State::Leased;
                pool.tested -= 1;
            }
            _ => {}
        }
    }

    /// The pool of a server that the owner has.
    fn leased_pool(&self, server: ServerId) -> Option<PoolId> {
        let record = self.servers.get(server.0)?;
        matches!(record.state, State::Leased | State::Tested).then_some(record.pool)
    }

    /// A connection is free: closes it for the reason given, or hands it to a waiter, or lays it with the idle ones.
    pub(crate) fn settle(&mut self, now: Time, at: (PoolId, ServerId), conn: C, reason: Option<CloseReason>) {
        let (pool, server) = at;
        if let Some(reason) = reason {
            self.retire(server);
            self.effects.push_back(Effect::Close { server, pool, conn, reason });
            self.launch_for_waiters(now, pool);
            return;
        }
        let held = self.pools.get(pool.0).is_none_or(|record| record.holds.any());
        let waiter = if held || self.own_is_first(pool) { None } else { self.next_sharer(pool) };
        match waiter {
            Some(waiter) => self.lease_directly(now, server, conn, waiter),
            None => {
                self.lay_idle(now, server, conn);
                let starved = self.serve_own(now, pool);
                if starved {
                    self.set_starved(pool, true);
                }
            }
        }
    }

    /// Why a free connection of this pool may not be kept, age aside.
    pub(crate) fn must_close(&self, pool: PoolId, server: ServerId) -> Option<CloseReason> {
        let (pool, server) = (self.pools.get(pool.0)?, self.servers.get(server.0)?);
        if server.epoch != pool.epoch {
            return Some(pool.stale_reason);
        }
        if pool.holds.paused {
            return Some(CloseReason::Paused);
        }
        let over = pool.is_over()
            || pool.groups.iter().any(|group| self.groups.get(group.0).is_some_and(Group::is_over));
        over.then_some(CloseReason::TooMany)
    }

    /// The age rule, and the record of when it last closed a server.
    fn too_old(&mut self, now: Time, pool: PoolId, server: ServerId) -> Option<CloseReason> {
        let (born, served) = self.servers.get(server.0).map(|server| (server.born, server.served))?;
        let record = self.pools.get_mut(pool.0)?;
        if !record.lifetime_over(now, born, served) {
            return None;
        }
        record.last_lifetime_close = Some(now);
        Some(CloseReason::LifetimeOver)
    }
}
