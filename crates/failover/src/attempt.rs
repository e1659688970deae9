//! One failover under way: what it has gathered so far. Read next: [`crate::steps`], which fills it.

use std::collections::{BTreeMap, BTreeSet};

use howdah_topology::{Lsn, NodeId, Time};

use crate::fence::FenceRecord;

/// What is known of the one step that cannot be undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Promotion {
    /// It was not asked for: everything can be put back.
    NotAsked,
    /// It was asked for at this moment, on a node that had been started at the given one: it may have happened.
    Asked {
        /// The node's `started_at` when it was asked.
        started_at: i64,
        /// How often it was asked for.
        times: u32,
    },
}

impl Promotion {
    /// How often it was asked for.
    pub(crate) fn times(self) -> u32 {
        match self {
            Promotion::NotAsked => 0,
            Promotion::Asked { times, .. } => times,
        }
    }

    /// Whether the last order is the only one, so that its refusal means that nothing has happened.
    pub(crate) fn asked_once(self) -> bool {
        self.times() == 1
    }
}

/// What is particular to a switchover.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Planned {
    /// The primary that is left.
    pub(crate) primary: NodeId,
    /// Goes on without a supervisor and with transactions open.
    pub(crate) force: bool,
    /// The primary was ordered to stop.
    pub(crate) ordered: bool,
    /// It was seen to have stopped after that.
    pub(crate) stopped: bool,
}

/// A candidate that is to be promoted and lacks what another node has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Behind {
    /// The candidate.
    pub(crate) node: NodeId,
    /// The furthest, from which it streams first.
    pub(crate) from: NodeId,
    /// What it is to have: the timeline and position of the furthest.
    pub(crate) upto: (u32, Lsn),
}

/// One failover under way.
#[derive(Debug, Clone)]
pub(crate) struct Attempt {
    /// Its number on this pooler.
    pub(crate) number: u64,
    /// A switchover.
    pub(crate) planned: Option<Planned>,
    /// Since when its fence is proven.
    pub(crate) fenced_at: Option<Time>,
    /// By the operator's command: goes on though the primary answers.
    pub(crate) manual: bool,
    /// The node to promote by the operator's command.
    pub(crate) wanted: Option<NodeId>,
    /// The timeline of the primary that is left.
    pub(crate) timeline: u32,
    /// Nodes whose lock was asked for.
    pub(crate) asked: BTreeSet<NodeId>,
    /// Nodes whose vote this pooler holds, as far as it knows.
    pub(crate) votes: BTreeSet<NodeId>,
    /// A vote is someone else's.
    pub(crate) missed: Option<NodeId>,
    /// Who has it, where that is no Howdah.
    pub(crate) foreign: Option<String>,
    /// What was written on the nodes that are, or may be, fenced.
    pub(crate) records: BTreeMap<NodeId, FenceRecord>,
    /// Nodes whose receiver was seen gone after the fence, and the primary that is left when its own fence holds.
    pub(crate) fenced: BTreeSet<NodeId>,
    /// The primary that is left carries the mark.
    pub(crate) marked: bool,
    /// It was ordered to take no writes.
    pub(crate) silenced: bool,
    /// Fenced nodes' timeline and position, all WAL replayed.
    pub(crate) positions: BTreeMap<NodeId, (u32, Lsn)>,
    /// The preferred candidate that streams, or has streamed, from a node that has more.
    pub(crate) behind: Option<Behind>,
    /// Candidates that did not receive in time what another has.
    pub(crate) late: BTreeSet<NodeId>,
    /// The node to promote.
    pub(crate) elected: Option<NodeId>,
    /// Logical slots of the old primary that the elected one does not have.
    pub(crate) lost_slots: Vec<String>,
    /// How far the promotion is.
    pub(crate) promotion: Promotion,
    /// Why it was called off, once it is.
    pub(crate) called_off: Option<String>,
}

impl Attempt {
    /// One that has gathered nothing.
    pub(crate) fn new(number: u64, timeline: u32) -> Attempt {
        Attempt {
            number,
            planned: None,
            fenced_at: None,
            manual: false,
            wanted: None,
            timeline,
            asked: BTreeSet::new(),
            votes: BTreeSet::new(),
            missed: None,
            foreign: None,
            records: BTreeMap::new(),
            fenced: BTreeSet::new(),
            marked: false,
            silenced: false,
            positions: BTreeMap::new(),
            behind: None,
            late: BTreeSet::new(),
            elected: None,
            lost_slots: Vec::new(),
            promotion: Promotion::NotAsked,
            called_off: None,
        }
    }

    /// A node's control session ended: its vote is gone, and what rests on it.
    pub(crate) fn lose(&mut self, node: NodeId) {
        self.votes.remove(&node);
        self.fenced.remove(&node);
        self.positions.remove(&node);
    }
}
