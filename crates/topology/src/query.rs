//! What routers ask of a snapshot: who takes writes, who may answer reads. Read next: [`crate::balance`].

use std::time::Duration;

use crate::{Gate, Lsn, Node, NodeId, NodeState, Role, Time, Topology};

/// What a read asks of a replica beyond being routable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ReplicaLimits {
    /// `max_replica_lag` in bytes; `None`: any.
    pub max_lag_bytes: Option<u64>,
    /// `max_replica_lag` as a time, judged by `fresh_as_of`; `None`: any.
    pub max_lag_time: Option<Duration>,
    /// The session's last write: only replicas that are proven to have replayed it (DESIGN.md §6); `None`: any.
    pub fresh_after: Option<Time>,
    /// Only replicas that have replayed this position of the primary's history ([`Topology::position_after`]);
    /// `None`: any.
    pub replayed: Option<Lsn>,
    /// Only replicas that were asked at or after this moment ([`Node::asked_at`]); `None`: any.
    pub asked_after: Option<Time>,
}

impl Topology {
    /// The node with this id.
    #[must_use]
    pub fn node(&self, id: NodeId) -> Option<&Node> {
        self.nodes.get(usize::from(id.0))
    }

    /// The node with this name.
    #[must_use]
    pub fn node_named(&self, name: &str) -> Option<&Node> {
        self.nodes.iter().find(|n| n.name == name)
    }

    /// The primary, if work may be given to it at `now`: the gate is open and the lease runs. A process that was
    /// frozen sees the lease ended before it hands anything out, hence the clock in the question.
    #[must_use]
    pub fn writable_primary(&self, now: Time) -> Option<&Node> {
        if self.gate != Gate::Open || self.lease_until.is_some_and(|until| now >= until) {
            return None;
        }
        self.primary.and_then(|id| self.node(id))
    }

    /// Why [`Topology::writable_primary`] is `None`, one sentence for the client and for SHOW.
    #[must_use]
    pub fn held_reason(&self, now: Time) -> Option<&str> {
        match &self.gate {
            Gate::Held { reason, .. } => Some(reason),
            Gate::Open if self.writable_primary(now).is_none() => {
                Some("the lease of the primary has run out: no quorum was seen in time")
            }
            Gate::Open => None,
        }
    }

    /// The replicas that may be read from within `limits`, in the order of the node list. Reads go on while the
    /// gate is held: what is already replicated does not become wrong.
    pub fn routable_replicas(&self, now: Time, limits: ReplicaLimits) -> impl Iterator<Item = &Node> + Clone {
        self.nodes
            .iter()
            .filter(move |n| Some(n.id) != self.primary && n.is_routable_replica() && limits.admit(n, now))
    }

    /// The newest `fresh_as_of` of all routable replicas: whether waiting for freshness can help at all.
    #[must_use]
    pub fn freshest(&self, now: Time) -> Option<Time> {
        self.routable_replicas(now, ReplicaLimits::default()).filter_map(|n| n.fresh_as_of).max()
    }
}

impl Node {
    /// Whether reads may go here at all: a standby that answers, takes a share, and whose history is a prefix of
    /// the primary's. A fenced standby is readable: it only receives no more.
    #[must_use]
    pub fn is_routable_replica(&self) -> bool {
        self.role == Role::Replica
            && matches!(self.state, NodeState::Up | NodeState::Fenced)
            && self.prefix
            && self.weight > 0
    }
}

impl ReplicaLimits {
    /// Whether `node` keeps within these limits at `now`. A lag that is not known keeps within no limit.
    #[must_use]
    pub fn admit(&self, node: &Node, now: Time) -> bool {
        let bytes = self.max_lag_bytes.is_none_or(|max| node.lag_bytes.is_some_and(|lag| lag <= max));
        let time =
            self.max_lag_time.is_none_or(|max| node.fresh_as_of.is_some_and(|at| now.since(at) <= max));
        let fresh = self.fresh_after.is_none_or(|write| node.fresh_as_of.is_some_and(|at| at >= write));
        let replayed = self.replayed.is_none_or(|lsn| node.replayed_lsn.is_some_and(|at| at >= lsn));
        let asked = self.asked_after.is_none_or(|since| node.asked_at.is_some_and(|at| at >= since));
        bytes && time && fresh && replayed && asked
    }
}
