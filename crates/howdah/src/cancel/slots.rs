//! How many cancel requests may be on their way at one time: to a pool's servers as many as, with the servers, make
//! twice its `pool_size`, to a peer as many as its `pool_size`. The others wait in the order of coming.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::pooler::Pooler;
use crate::pools::PoolKey;

/// Where a cancel request goes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Target {
    /// To a server of this pool.
    Pool(PoolKey),
    /// To the pooler of this number.
    Peer(u32),
}

/// Those of one target.
#[derive(Debug, Default)]
struct Line {
    taken: u32,
    /// The numbers of the clients that wait.
    waiting: VecDeque<u64>,
}

/// All slots.
#[derive(Debug, Default)]
pub(crate) struct Slots {
    lines: Mutex<HashMap<Target, Line>>,
    moved: Notify,
}

/// A slot that is taken; free again when dropped.
#[derive(Debug)]
pub(super) struct Slot<'a> {
    slots: &'a Slots,
    target: &'a Target,
}

/// A place in the line; left when dropped.
struct Place<'a> {
    slots: &'a Slots,
    target: &'a Target,
    id: u64,
}

impl Slots {
    /// A slot, after the wait that it takes, for the client of this number.
    pub(super) async fn enter<'a>(&'a self, pooler: &Arc<Pooler>, target: &'a Target, id: u64) -> Slot<'a> {
        self.lines.lock().entry(target.clone()).or_default().waiting.push_back(id);
        let place = Place { slots: self, target, id };
        loop {
            let moved = self.moved.notified();
            tokio::pin!(moved);
            moved.as_mut().enable();
            if place.is_served(pooler) {
                return Slot { slots: self, target };
            }
            moved.await;
        }
    }

    /// Lets those who wait look again: servers have gone, or the settings are others.
    pub(crate) fn look_again(&self) {
        self.moved.notify_waiters();
    }

    fn change(&self, target: &Target, change: impl FnOnce(&mut Line)) {
        let mut lines = self.lines.lock();
        let Some(line) = lines.get_mut(target) else { return };
        change(line);
        if line.taken == 0 && line.waiting.is_empty() {
            lines.remove(target);
        }
        drop(lines);
        self.moved.notify_waiters();
    }
}

impl Place<'_> {
    /// Takes a slot, if one is free for the first in the line and this is the first.
    fn is_served(&self, pooler: &Arc<Pooler>) -> bool {
        let most = pooler.cancel_room(self.target);
        let mut lines = self.slots.lines.lock();
        let Some(line) = lines.get_mut(self.target) else { return false };
        let is_next = line.waiting.front() == Some(&self.id);
        let served = is_next && most.is_none_or(|most| line.taken < most);
        line.taken += u32::from(served);
        served
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.slots.change(self.target, |line| line.waiting.retain(|id| *id != self.id));
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        self.slots.change(self.target, |line| line.taken -= 1);
    }
}

impl Pooler {
    /// The most cancel requests that may be on their way to it; `None`: no limit.
    fn cancel_room(self: &Arc<Self>, target: &Target) -> Option<u32> {
        match target {
            Target::Pool(key) => self.account(|account, _| account.cancel_room(account.pool_id(key)?)),
            Target::Peer(id) => {
                let config = self.config.load();
                let own = config.peers.get(id).and_then(|peer| peer.pool_size);
                Some(own.unwrap_or(config.settings.default_pool_size)).filter(|size| *size > 0)
            }
        }
    }
}
