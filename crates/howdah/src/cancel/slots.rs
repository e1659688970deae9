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
    /// The clients that wait, by number, and how the first of them is told to look.
    waiting: VecDeque<(u64, Arc<Notify>)>,
}

impl Line {
    /// Lets the first look: it alone can be served.
    fn wake(&self) {
        if let Some((_, wake)) = self.waiting.front() {
            wake.notify_one();
        }
    }
}

/// All slots.
#[derive(Debug, Default)]
pub(crate) struct Slots {
    lines: Mutex<HashMap<Target, Line>>,
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
        let wake = Arc::new(Notify::new());
        self.lines.lock().entry(target.clone()).or_default().waiting.push_back((id, Arc::clone(&wake)));
        let place = Place { slots: self, target, id };
        while !place.is_served(pooler) {
            wake.notified().await;
        }
        Slot { slots: self, target }
    }

    /// Lets those who wait look again: servers have gone, or the settings are others.
    pub(crate) fn look_again(&self) {
        self.lines.lock().values().for_each(Line::wake);
    }

    fn change(&self, target: &Target, change: impl FnOnce(&mut Line)) {
        let mut lines = self.lines.lock();
        let Some(line) = lines.get_mut(target) else { return };
        change(line);
        line.wake();
        if line.taken == 0 && line.waiting.is_empty() {
            lines.remove(target);
        }
    }
}

impl Place<'_> {
    /// Takes a slot, if one is free for the first in the line and this is the first.
    fn is_served(&self, pooler: &Arc<Pooler>) -> bool {
        let is_next = |line: &Line| line.waiting.front().is_some_and(|(id, _)| *id == self.id);
        if !self.slots.lines.lock().get(self.target).is_some_and(is_next) {
            return false;
        }
        let most = pooler.cancel_room(self.target);
        let mut lines = self.slots.lines.lock();
        let Some(line) = lines.get_mut(self.target) else { return false };
        let served = is_next(line) && most.is_none_or(|most| line.taken < most);
        line.taken += u32::from(served);
        served
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.slots.change(self.target, |line| line.waiting.retain(|(id, _)| *id != self.id));
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
