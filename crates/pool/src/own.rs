//! Connections of one's own: a client that takes no server that is there and leaves none behind (replication,
//! PGBOUNCER_BEHAVIOUR.md section 15). It waits in the same queue and counts under the same limits; when its turn has come it
//! connects itself, and for its sake an idle server of its own pool is evicted. Next: `login.rs`.

use crate::effect::{Checkout, CloseReason, Effect, Refusal};
use crate::ids::{Id, LoginId, PoolId, ServerId, Time};
use crate::list::toward_back;
use crate::login::Room;
use crate::pools::Pools;
use crate::records::{Pool, State, Waiter};
use std::hash::Hash;

impl<K: Clone + Eq + Hash, C, W, E: Clone> Pools<K, C, W, E> {
    /// A place in the queue for one who wants a connection of its own; [`Effect::ConnectOwn`] or [`Effect::Fail`] ends the
    /// wait, or [`Pools::abandon`]. Never `Ready`.
    pub fn checkout_own(&mut self, now: Time, pool: PoolId, since: Time, waiter: W) -> Checkout<C, W, E> {
        let Some(record) = self.pools.get(pool.0).filter(|record| !record.removed) else {
            return Checkout::Refused(waiter, Refusal::NoSuchPool);
        };
        if let Some(error) = record.refusing(now).filter(|_| !record.holds.any()) {
            return Checkout::Refused(waiter, Refusal::LoginFailing(error.clone()));
        }
        self.enqueue_last(now, Waiter::of_its_own(pool, waiter, since))
    }

    /// The login of [`Effect::ConnectOwn`] has succeeded: the owner has the server until [`Pools::forget`]. `Err`: it is to
    /// be closed at once and is not counted any more.
    ///
    /// # Errors
    /// Why it may not be kept.
    pub fn own_login_succeeded(&mut self, now: Time, login: LoginId) -> Result<ServerId, CloseReason> {
        let server = login.server();
        let Some(pool) = self.end_login(login) else { return Err(CloseReason::NotLeased) };
        if let Some(record) = self.servers.get_mut(server.0) {
            (record.state, record.since) = (State::Leased, now);
        }
        if let Some(record) = self.pools.get_mut(pool.0) {
            (record.failing, record.retry_at) = (None, None);
        }
        let kept = match self.must_close(pool, server) {
            Some(reason) => {
                self.retire(server);
                Err(reason)
            }
            None => Ok(server),
        };
        self.launch_for_waiters(now, pool);
        self.relieve(now);
        kept
    }

    /// Gives those their turn who want connections of their own, and then what is idle to those who wait behind them. Says
    /// whether a full group keeps one of them waiting.
    pub(crate) fn serve_own(&mut self, now: Time, pool: PoolId) -> bool {
        if self.pools.get(pool.0).is_none_or(|record| record.own == 0) {
            return false;
        }
        let starved = loop {
            match self.launch_own(now, pool) {
                Some(true) => {}
                Some(false) => break true,
                None => break false,
            }
        };
        self.hand_out_idle(now, pool);
        starved
    }

    /// Idle servers to those who wait for one.
    pub(crate) fn hand_out_idle(&mut self, now: Time, pool: PoolId) {
        let wanted = |record: &Pool<K, E>| !record.holds.any() && record.waiters.len() > record.own;
        while self.pools.get(pool.0).is_some_and(wanted) {
            let Some(lease) = self.lease_idle(now, pool) else { return };
            if let Some(waiter) = self.next_sharer(pool) {
                self.effects.push_back(Effect::HandOver { waiter, lease });
            }
        }
    }

    /// Starts the login of the first of them, if everything allows it; evicts for it if need be. `Some(false)`: a full group
    /// does not allow it; `None`: nobody wants one, or something else is in the way.
    fn launch_own(&mut self, now: Time, pool: PoolId) -> Option<bool> {
        let id = self.first_waiter(pool, true)?;
        let since = self.waiters.get(id)?.since;
        if !self.pools.get(pool.0)?.may_log_in_anybody(now) {
            return None;
        }
        let mut room = self.room_since(now, pool, since);
        if room == Room::Full {
            let idle = self.pools.get(pool.0)?.idle.back()?;
            self.close_idle(ServerId(idle), CloseReason::Evicted);
            room = self.room_since(now, pool, since);
        }
        if room == Room::Full {
            return None;
        }
        if !self.make_room(pool) {
            return Some(false);
        }
        let waiter = self.take_waiter(id)?;
        let login = self.enter_login(now, pool)?;
        self.effects.push_back(Effect::ConnectOwn { waiter, login, reserve: room == Room::Reserve });
        Some(true)
    }

    /// Whether the longest wait is that of one who wants a connection of its own.
    pub(crate) fn own_is_first(&self, pool: PoolId) -> bool {
        let front = self.pools.get(pool.0).and_then(|record| record.waiters.front());
        front.and_then(|id| self.waiters.get(id)).is_some_and(|waiter| waiter.own)
    }

    /// The first in the queue who wants a connection of its own, or who does not.
    pub(crate) fn first_waiter(&self, pool: PoolId, own: bool) -> Option<Id> {
        let record = self.pools.get(pool.0)?;
        if own && record.own == 0 {
            return None;
        }
        let mut next = record.waiters.front();
        while let Some(id) = next {
            if self.waiters.get(id)?.own == own {
                return Some(id);
            }
            next = toward_back(&self.waiters, id);
        }
        None
    }
}
