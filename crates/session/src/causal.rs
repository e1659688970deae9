//! What a read must have seen before a replica may answer it: the levels of `consistency` (DESIGN.md section 6).
//!
//! Everything here is a moment on Howdah's clock, never a position: a replica's `fresh_as_of` belongs to the present
//! epoch, so a moment of before a failover asks for what the new primary had, and no position of an older timeline is
//! ever compared (FAILOVER_PROTOCOL.md section 8). Positions are in tokens only (`read_after.rs`). Next: `route.rs`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use howdah_topology::{NodeId, Time};

/// `consistency =`: what a read on a replica must have seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consistency {
    /// Nothing.
    Eventual,
    /// What this session wrote, and read on the primary.
    Session,
    /// The same, and what it read on a replica: the session stays on one as long as that serves.
    Monotonic,
    /// What this session did, and what every session of the database wrote through here.
    Database,
    /// Everything: reads go to the primary.
    Strong,
}

/// When the last write of any session of one database was acknowledged. Nothing is kept until a session of
/// `consistency = database` asks for it, so the others pay one look at a flag a write.
#[derive(Debug, Default)]
pub struct LastWrite {
    watched: AtomicBool,
    /// Microseconds ([`Time`]).
    at: AtomicU64,
}

impl LastWrite {
    /// From now on writes are kept. What was written before counts as written at the moment that `now` gives, which is
    /// asked after the watch has begun: whoever did not see it begin was acknowledged earlier.
    pub fn watch(&self, now: impl FnOnce() -> Time) {
        if !self.watched.swap(true, Ordering::SeqCst) {
            self.at.fetch_max(now().0, Ordering::SeqCst);
        }
    }

    /// A write was acknowledged at `now`.
    fn note(&self, now: Time) {
        if self.watched.load(Ordering::SeqCst) {
            self.at.fetch_max(now.0, Ordering::SeqCst);
        }
    }

    fn at(&self) -> Time {
        Time(self.at.load(Ordering::SeqCst))
    }
}

/// What a session remembers of what it has seen.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// When the last acknowledgement of something that ran on the primary was received.
    last_write: Option<Time>,
    /// When a replica was last heard of; kept for `monotonic` only.
    last_read: Option<Time>,
    /// The replica that the session stays on; for `monotonic` only.
    stay: Option<NodeId>,
    /// A connection of this age could not be shown to belong to what its replica had said.
    young: Option<Time>,
    /// The writes of all sessions of the database.
    database: Option<Arc<LastWrite>>,
}

impl Seen {
    /// The writes of all sessions of the database are these.
    pub(crate) fn set_database(&mut self, database: Arc<LastWrite>) {
        self.database = Some(database);
    }

    /// Something ran on the primary and was acknowledged at `now`; `wrote` unless it is proven to have only read.
    pub(crate) fn primary(&mut self, now: Time, wrote: bool) {
        self.last_write = Some(now);
        if let Some(database) = self.database.as_ref().filter(|_| wrote) {
            database.note(now);
        }
    }

    /// A replica's answer was received at `now`, or a part of it: what it shows had been replayed before, so the
    /// primary had it before.
    pub(crate) fn replica(&mut self, now: Time) {
        self.last_read = Some(now);
    }

    /// The session's next reads stay on this replica.
    pub(crate) fn settle(&mut self, node: NodeId) {
        self.stay = Some(node);
    }

    /// The replica that the session stayed on cannot be shown to be the same any more.
    pub(crate) fn unsettle(&mut self) {
        self.stay = None;
    }

    /// Replicas have to be asked once more, at or after this moment.
    pub(crate) fn ask_after(&mut self, since: Time) {
        self.young = self.young.max(Some(since));
    }

    /// Since when a replica must have been asked for its answer to count.
    pub(crate) fn asked_after(&self) -> Option<Time> {
        self.young
    }

    /// A replica fresh as of this moment has everything that a read has to see; `None`: any has.
    pub(crate) fn needs(&self, level: Consistency) -> Option<Time> {
        match level {
            Consistency::Eventual => None,
            Consistency::Session | Consistency::Strong => self.last_write,
            Consistency::Monotonic => self.last_write.max(self.last_read),
            Consistency::Database => {
                self.last_write.max(self.database.as_ref().map(|database| database.at()))
            }
        }
    }

    /// The replica that has shown the session all that it read, what it needs beside that, and the moment since which
    /// it must not have restarted: replay begins anew from an earlier position then (PostgreSQL keeps a standby's
    /// replay position only as far as its pages were written).
    pub(crate) fn stays(&self, level: Consistency) -> Option<Stay> {
        let (node, since) = (self.stay?, self.last_read?);
        (level == Consistency::Monotonic).then_some(Stay { node, fresh_after: self.last_write, since })
    }
}

/// Where a `monotonic` session may go on reading although the replica's freshness proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stay {
    pub(crate) node: NodeId,
    pub(crate) fresh_after: Option<Time>,
    pub(crate) since: Time,
}
