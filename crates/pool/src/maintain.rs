//! The periodic round: timeouts, age, sizes, `min_size`, the reserve and login retries. The owner calls it about three times
//! a second (PGBOUNCER_BEHAVIOUR.md section 6).

use crate::effect::{CloseReason, Effect, Failure};
use crate::ids::{PoolId, ServerId, Time};
use crate::list::toward_front;
use crate::pools::Pools;
use crate::records::{Group, State};
use std::hash::Hash;
use std::time::Duration;

impl<K: Clone + Eq + Hash, C, W, E: Clone> Pools<K, C, W, E> {
    /// One round over all pools; looks at each idle server once. Not to be called while everything is suspended: it closes and connects.
    pub fn maintain(&mut self, now: Time) {
        for place in 0..self.pools.places() {
            if let Some(pool) = self.pool_at(place) {
                self.maintain_pool(now, pool);
            }
        }
        self.relieve(now);
    }

    fn maintain_pool(&mut self, now: Time, pool: PoolId) {
        self.expire_waiters(now, pool);
        self.close_aged(now, pool);
        self.launch_for_waiters(now, pool);
        self.keep_minimum(now, pool);
        if let Some(record) = self.pool_mut(pool) {
            let unused = record.total == 0 && record.waiters.is_empty();
            record.unused_since = if unused { record.unused_since.or(Some(now)) } else { None };
        }
    }

    /// `query_wait_timeout`, also behind a hold. The queue is in the order of waiting, so this ends at the first that may stay.
    fn expire_waiters(&mut self, now: Time, pool: PoolId) {
        let Some(limit) = self.settings(pool).map(|settings| settings.query_wait_timeout) else { return };
        while limit > Duration::ZERO && self.longest_wait(pool).is_some_and(|since| now.since(since) > limit)
        {
            let Some(waiter) = self.next_waiter(pool) else { return };
            self.effects.push_back(Effect::Fail { waiter, failure: Failure::WaitTimeout });
        }
    }

    /// Idle servers that are idle for too long or too old, the longest idle first.
    fn close_aged(&mut self, now: Time, pool: PoolId) {
        let mut next = self.pools.get(pool.0).and_then(|record| record.idle.back());
        while let Some(id) = next {
            next = toward_front(&self.servers, id);
            if let Some(reason) = self.aged(now, pool, ServerId(id)) {
                self.close_idle(ServerId(id), reason);
            }
        }
    }

    fn aged(&mut self, now: Time, pool: PoolId, server: ServerId) -> Option<CloseReason> {
        let server = self.servers.get(server.0).filter(|server| matches!(server.state, State::Idle(_)))?;
        let record = self.pools.get_mut(pool.0)?;
        let timeout = record.settings.server_idle_timeout;
        let above_minimum = record.settings.min_size == 0 || record.connected() > record.settings.min_size;
        if timeout > Duration::ZERO && now.since(server.since) > timeout && above_minimum {
            return Some(CloseReason::IdleTimeout);
        }
        if record.lifetime_over(now, server.born, server.served) {
            record.last_lifetime_close = Some(now);
            return Some(CloseReason::LifetimeOver);
        }
        None
    }

    /// `min_size`: one new server a round, never beyond a limit, never by evicting.
    fn keep_minimum(&mut self, now: Time, pool: PoolId) {
        let Some(record) = self.pools.get(pool.0) else { return };
        let settings = &record.settings;
        let wanted = record.attended
            && record.total < settings.min_size
            && (settings.size == 0 || record.total < settings.size);
        let allowed =
            !record.holds.any() && !record.removed && record.logins.is_empty() && !record.in_login_retry(now);
        let room = record.groups.iter().all(|group| self.groups.get(group.0).is_none_or(Group::has_room));
        if wanted && allowed && room {
            self.launch(now, pool, false);
        }
    }
}
