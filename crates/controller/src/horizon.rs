//! Which transactions of the old primary can be on the new one (FAILOVER_PROTOCOL.md §6, FAILOVER.md §3.5).
//!
//! A transaction number of the old primary may be given out again by the new one; what that says of it is then about
//! somebody else's. The border is what the elected standby had seen when it had replayed its whole log, fenced: that is
//! asked with its position. It holds for the epoch that began at just that position, and for no other.

use std::sync::PoisonError;

use howdah_topology::{Epoch, Lsn, NodeId, Topology};

use crate::handle::ControllerHandle;

/// What a fenced standby had seen at the end of its log.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EndOfLog {
    pub(crate) replayed: Lsn,
    pub(crate) next_xid: u64,
}

/// The border between two epochs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Horizon {
    /// The epoch that has ended.
    pub before: Epoch,
    /// The present one.
    pub epoch: Epoch,
    /// Transactions of the epoch before with this number or a greater one are not in the present one. What the present
    /// primary says of the others is about them.
    pub next_xid: u64,
}

impl ControllerHandle {
    /// The border behind which the present epoch began; `None` where this process has not made its primary.
    #[must_use]
    pub fn horizon(&self) -> Option<Horizon> {
        let topology = self.topology();
        let (epoch, primary) = (topology.epoch?, topology.primary?);
        let ends = self.shared.ends.lock().unwrap_or_else(PoisonError::into_inner);
        let end = ends.get(&primary).filter(|end| end.replayed == epoch.began_at)?;
        Some(Horizon { before: parent(&topology, epoch)?, epoch, next_xid: end.next_xid })
    }

    pub(crate) fn note_end(shared: &crate::handle::Shared, node: NodeId, end: EndOfLog) {
        shared.ends.lock().unwrap_or_else(PoisonError::into_inner).insert(node, end);
    }
}

/// The epoch that the present one branched off from.
fn parent(topology: &Topology, epoch: Epoch) -> Option<Epoch> {
    let [before @ .., last] = topology.history.as_slice() else { return None };
    if last.timeline != epoch.timeline || last.began_at != epoch.began_at {
        return None;
    }
    let (timeline, began_at) = before.last().map_or((1, Lsn(0)), |start| (start.timeline, start.began_at));
    Some(Epoch { timeline, began_at, ..epoch })
}
