//! The fence of a primary that lives: an order (FAILOVER, SWITCHOVER) leaves it while it has a vote of its own, as every
//! node has where replication is asynchronous.
//!
//! A quorum of fences makes a promotion safe because nobody can gather, without one of the fenced nodes, what it takes to
//! hand the old primary out (FAILOVER_PROTOCOL.md §7: a majority of the nodes, itself included). A primary cannot be
//! fenced by its receiver. If it counted for the promotion by its vote alone, it would count twice: for its successor, and
//! for itself with every Howdah that did not hear of the order, or that has no memory. So it counts only when it carries
//! the same mark as a fenced standby (`howdah.fence`, §5), and whoever reads the mark does not count the primary for itself
//! ([`crate::votes`]). The mark stays until the node is rejoined, or, where the failover was called off or interrupted,
//! until nobody can have been promoted ([`crate::plan`]).
//!
//! Nothing but its standbys' silence keeps a synchronous primary from acknowledging; an asynchronous one goes on. So one
//! that is left running is also set read-only and its sessions are ended *before* the promotion (§10: where it can be
//! reached, and its vote says that it can): what was acknowledged after the positions were read would be lost. One that
//! its supervisor stops is marked before it is stopped: it may be started as it was. Read next: [`crate::switch`].

use howdah_topology::NodeId;

use crate::action::{Action, Done};
use crate::fault::Fault;
use crate::fence::FenceRecord;
use crate::machine::Machine;

impl Machine {
    /// The published primary, while it is left alive and its vote is needed and held.
    fn left(&self) -> Option<NodeId> {
        let left = self.reign.as_ref()?.node;
        let held = self.attempt.as_ref()?.votes.contains(&left);
        let votes = self.electorate()?.voters.contains(&left);
        let out = self.facts.sample(left).is_some_and(|s| !s.in_recovery);
        (held && votes && out).then_some(left)
    }

    /// Whether a node is the published primary: it is no standby to be read, elected or pointed elsewhere.
    pub(crate) fn reigns(&self, id: NodeId) -> bool {
        self.reign.as_ref().is_some_and(|r| r.node == id)
    }

    /// Marks the primary while it is drained, before its supervisor stops it.
    pub(crate) fn mark_left(&mut self) {
        self.tasks.clear();
        let Some(left) = self.left() else { return };
        if !self.left_unmarked(left) {
            self.order_fence(left);
        }
    }

    /// Whether the primary that is to be stopped is marked, or need not be.
    pub(crate) fn left_is_marked(&self) -> bool {
        self.left().is_none() || self.attempt.as_ref().is_some_and(|a| a.marked)
    }

    /// Marks the primary that is left running, and ends its work.
    pub(crate) fn fence_left(&mut self) {
        let Some(left) = self.left().filter(|left| self.stopped() != Some(*left)) else { return };
        if self.left_unmarked(left) {
            return;
        }
        self.order_fence(left);
        if let Some(attempt) = &mut self.attempt {
            attempt.silenced = true;
        }
        self.order(left, Action::SetReadOnly { on: true });
    }

    /// The planted fault: its vote is taken for its fence.
    fn left_unmarked(&mut self, left: NodeId) -> bool {
        let Some(attempt) = self.attempt.as_mut().filter(|_| self.fault == Fault::LeaveUnmarked) else {
            return false;
        };
        attempt.marked = true;
        attempt.fenced.insert(left);
        true
    }

    /// Takes what came of the orders to the primary: it counts as fenced when it is marked and takes no writes.
    pub(crate) fn note_left(&mut self, id: NodeId) {
        let marked = matches!(self.tasks.result(id, "fence"), Some(Ok(Done::Fenced { .. })));
        let silent = self.tasks.result(id, "set read only") == Some(&Ok(Done::Written));
        let Some(attempt) = &mut self.attempt else { return };
        attempt.marked |= marked;
        if marked && silent && attempt.silenced {
            attempt.fenced.insert(id);
        }
    }

    /// A marked primary that has stopped counts as fenced.
    pub(crate) fn note_left_stopped(&mut self) {
        let stopped = self.stopped();
        if let Some((attempt, id)) = self.attempt.as_mut().filter(|a| a.marked).zip(stopped) {
            attempt.fenced.insert(id);
        }
    }

    /// Puts a primary's disposition back, before its mark.
    pub(crate) fn unsilence(&mut self, id: NodeId) {
        if self.reigns(id) && self.attempt.as_ref().is_some_and(|a| a.silenced) {
            self.order(id, Action::SetReadOnly { on: false });
        }
    }

    /// Orders the fence of a node, with the record of what it was before.
    pub(crate) fn order_fence(&mut self, id: NodeId) {
        let Some(sample) = self.facts.sample(id) else { return };
        let Some(attempt) = &self.attempt else { return };
        // An interrupted failover's record is the only memory of the setting: it is taken over, as is our own. One of an
        // earlier epoch remembers a former primary: that counts only where there is nothing else, and is then marked as such.
        let memory = |f: &&FenceRecord| f.timeline >= attempt.timeline || sample.primary_conninfo.is_empty();
        let kept = attempt.records.get(&id).or(sample.fence.as_ref().filter(memory));
        let (timeline, old_conninfo) = kept.map_or((attempt.timeline, &sample.primary_conninfo), |f| {
            (f.timeline.min(attempt.timeline), &f.old_conninfo)
        });
        let record = FenceRecord {
            pooler: self.spec.pooler.clone(),
            attempt: attempt.number,
            timeline,
            old_conninfo: old_conninfo.clone(),
        };
        let Some(attempt) = &mut self.attempt else { return };
        attempt.records.insert(id, record.clone());
        self.order(id, Action::Fence { record });
    }
}
