//! What another manager of the cluster (Patroni) says of its nodes, where there is one: a hint.
//!
//! Who is primary is decided by what the servers themselves say; advice that differs from it causes a probe and is shown,
//! and nothing else. What only the manager knows, the tags that its operator gave a node, is taken from it: a node that
//! is not to be read from is not read from. Read next: [`crate::event::Event::Advised`].

use howdah_topology::{Node, NodeId, NodeState, Role};

use crate::machine::Machine;

/// What the manager says of one node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Advice {
    /// Whether it is the leader; `None`: the manager does not answer now.
    pub leader: Option<bool>,
    /// Whether its server runs; `None` likewise.
    pub running: Option<bool>,
    /// It is not to be promoted.
    pub nofailover: bool,
    /// It is not to be read from.
    pub noloadbalance: bool,
    /// How far it is behind, in bytes of WAL. Older than what the servers say, so only for a node of which they say nothing.
    pub lag_bytes: Option<u64>,
}

impl Advice {
    /// What stays true while the manager does not answer: what its operator wants of the node.
    #[must_use]
    pub fn tags(self) -> Advice {
        Advice { leader: None, running: None, lag_bytes: None, ..self }
    }
}

impl Machine {
    /// Takes what the manager says of each node, by its place; `None`: it does not know the node.
    pub(crate) fn advised(&mut self, advice: Vec<Option<Advice>>) {
        let before = std::mem::replace(&mut self.advice, advice);
        let changed = |id: NodeId| {
            let at = usize::from(id.0);
            let seen = |all: &[Option<Advice>]| {
                let of = all.get(at).copied().flatten();
                of.map(|a| (a.leader, a.running))
            };
            seen(&before) != seen(&self.advice)
        };
        let asked: Vec<NodeId> = self.spec.ids().filter(|id| changed(*id) || self.disputed(*id)).collect();
        for id in asked {
            self.reported(id);
        }
    }

    /// What the manager says of a node.
    fn advice(&self, id: NodeId) -> Option<Advice> {
        self.advice.get(usize::from(id.0)).copied().flatten()
    }

    /// Whether the manager calls it the leader and it is not the published primary, or the other way round.
    fn disputed(&self, id: NodeId) -> bool {
        let reigns = self.reign.as_ref().is_some_and(|r| r.node == id);
        self.advice(id).and_then(|a| a.leader).is_some_and(|leads| leads != reigns)
    }

    /// Puts what the manager says into a node of the snapshot.
    pub(crate) fn apply_advice(&self, node: &mut Node) {
        let Some(advice) = self.advice(node.id) else { return };
        node.nofailover |= advice.nofailover;
        if advice.noloadbalance {
            node.weight = 0;
        }
        node.lag_bytes = node.lag_bytes.or(advice.lag_bytes.filter(|_| node.role == Role::Replica));
        if node.note.is_empty() {
            node.note = self.say_advice(node, advice).unwrap_or_default().to_owned();
        }
    }

    /// What an operator should know of it, one sentence.
    fn say_advice(&self, node: &Node, advice: Advice) -> Option<&'static str> {
        let up = node.state == NodeState::Up;
        match node.role {
            Role::Replica if up && advice.leader == Some(true) => {
                Some("its manager calls it the leader, and it is in recovery")
            }
            Role::Primary if up && advice.leader == Some(false) => {
                Some("it is out of recovery, and its manager does not call it the leader")
            }
            Role::Replica if advice.noloadbalance => Some("its manager says noloadbalance: no reads"),
            _ => None,
        }
    }
}
