//! Holding back: PAUSE, plain holds, invalidation by epoch (RECONNECT, RELOAD), and the fence of a failover.

use crate::effect::CloseReason;
use crate::ids::{PoolId, ServerId, Time};
use crate::pools::Pools;
use std::hash::Hash;

impl<K: Clone + Eq + Hash, C, W, E: Clone> Pools<K, C, W, E> {
    /// PAUSE: nothing is handed out, waiters wait, idle servers are closed, and leased ones when they come back.
    /// Answer the operator when [`Pools::is_drained`]. `false` when it was paused already.
    pub fn pause(&mut self, now: Time, pool: PoolId) -> bool {
        let Some(record) = self.pools.get_mut(pool.0).filter(|record| !record.holds.paused) else {
            return false;
        };
        record.holds.paused = true;
        self.set_starved(pool, false);
        self.close_all_idle(pool, CloseReason::Paused);
        self.relieve(now);
        true
    }

    /// RESUME. `false` when it was not paused.
    pub fn resume(&mut self, now: Time, pool: PoolId) -> bool {
        let Some(record) = self.pools.get_mut(pool.0).filter(|record| record.holds.paused) else {
            return false;
        };
        record.holds.paused = false;
        self.serve(now, pool);
        true
    }

    /// The pool is paused.
    pub fn is_paused(&self, pool: PoolId) -> bool {
        self.pools.get(pool.0).is_some_and(|record| record.holds.paused)
    }

    /// A plain hold (SUSPEND; a primary under suspicion): nothing is handed out and no login starts, but idle servers stay.
    pub fn hold(&mut self, pool: PoolId) {
        if let Some(record) = self.pools.get_mut(pool.0) {
            record.holds.held = true;
            self.set_starved(pool, false);
        }
    }

    /// Ends a plain hold.
    pub fn release(&mut self, now: Time, pool: PoolId) {
        if let Some(record) = self.pools.get_mut(pool.0) {
            record.holds.held = false;
            self.serve(now, pool);
        }
    }

    /// No server in use, being tested or logging in: what PAUSE waits for.
    pub fn is_drained(&self, pool: PoolId) -> bool {
        self.pools.get(pool.0).is_none_or(|record| record.total == record.idle.len())
    }

    /// RECONNECT, RELOAD with a changed connection string: idle servers are closed at once, leased ones when they come back, a
    /// login in flight is aborted; what was remembered of failed logins is forgotten. New servers serve those who wait.
    pub fn invalidate(&mut self, now: Time, pool: PoolId, reason: CloseReason) {
        self.make_stale(pool, reason);
        self.launch_for_waiters(now, pool);
        self.relieve(now);
    }

    /// Servers of before the last invalidation are still there: what WAIT_CLOSE waits to be over.
    pub fn has_stale(&self, pool: PoolId) -> bool {
        self.pools.get(pool.0).is_some_and(|record| record.stale > 0)
    }

    /// A server of before the last invalidation: it will be closed when it comes back (`close_needed`).
    pub fn is_stale(&self, server: ServerId) -> bool {
        let Some(record) = self.servers.get(server.0) else { return false };
        self.pools.get(record.pool.0).is_some_and(|pool| pool.epoch != record.epoch)
    }

    /// Failover: invalidates, and hands nothing out until [`Pools::unfence`] with this epoch or a later one. A later fence
    /// raises the epoch, an earlier one does not lower it.
    pub fn fence(&mut self, now: Time, pool: PoolId, until_epoch: u64) {
        let Some(record) = self.pools.get_mut(pool.0) else { return };
        record.holds.fenced = record.holds.fenced.max(Some(until_epoch));
        self.set_starved(pool, false);
        self.invalidate(now, pool, CloseReason::Fenced);
    }

    /// Opens a fenced pool if this epoch is the one that it waits for, or later. Says whether the pool is not fenced any more.
    pub fn unfence(&mut self, now: Time, pool: PoolId, epoch: u64) -> bool {
        let Some(record) = self.pools.get_mut(pool.0) else { return false };
        match record.holds.fenced {
            Some(until) if epoch < until => false,
            Some(_) => {
                record.holds.fenced = None;
                self.serve(now, pool);
                true
            }
            None => true,
        }
    }

    /// The pool is fenced.
    pub fn is_fenced(&self, pool: PoolId) -> bool {
        self.pools.get(pool.0).is_some_and(|record| record.holds.fenced.is_some())
    }

    /// KILL: pauses, marks every server for closing, and takes the waiters out. The owner ends the leased sessions itself.
    pub fn kill(&mut self, now: Time, pool: PoolId, reason: CloseReason) -> Vec<W> {
        let waiters = self.drain_waiters(pool, |_, _| true);
        self.make_stale(pool, reason);
        self.pause(now, pool);
        self.relieve(now);
        waiters
    }

    /// After a hold: idle servers to waiters, and a login for the rest.
    fn serve(&mut self, now: Time, pool: PoolId) {
        self.hand_out_idle(now, pool);
        self.launch_for_waiters(now, pool);
        self.relieve(now);
    }
}
