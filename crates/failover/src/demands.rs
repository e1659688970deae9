//! What `manage` demands of a cluster before it takes it into its care (FAILOVER_PROTOCOL.md §1). Until every node that
//! answers has it, nobody is promoted and nothing is changed, as in `follow`; the sentence says what is lacking. Read
//! next: `guards.rs`.

use howdah_topology::{Mode, NodeId};

use crate::event::ProbeFailure;
use crate::facts::NodeFacts;
use crate::machine::Machine;
use crate::sample::Sample;

/// The name that a WAL receiver has when nobody gave it one: every standby that `pg_basebackup -R` has made has it.
pub const UNNAMED: &str = "walreceiver";

/// What was found wrong on one node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Checks {
    /// What `manage` cannot do without; a sentence each, without the node's name.
    pub lacks: Vec<String>,
    /// What an operator should know; a sentence each.
    pub warnings: Vec<String>,
}

/// What is wrong with the name under which a standby streams, in a sentence; `None`: nothing.
#[must_use]
pub fn misnamed(streams_as: &str, expected: &str) -> Option<String> {
    if streams_as == UNNAMED {
        return Some(format!(
            "it streams under the application_name {UNNAMED}, which every standby has that was given none; write one of \
             its own into primary_conninfo"
        ));
    }
    (streams_as != expected).then(|| {
        format!(
            "it streams under the application_name {streams_as} and not {expected}; names must be distinct and those of \
             the settings"
        )
    })
}

impl Machine {
    /// Why `manage` is refused; `None`: it is not. Checked until the cluster is taken into care: what goes missing later is
    /// shown, and a failover that can be made is not refused for it.
    pub(crate) fn unmet(&self) -> Option<String> {
        if self.accepted || self.spec.mode != Mode::Manage {
            return None;
        }
        let (id, lack) = self.facts.iter().find_map(|(id, f)| Some((id, self.lack_of(id, f)?)))?;
        Some(format!("failover = manage is refused: {}: {lack}", self.name(id)))
    }

    /// The first thing that a node lacks.
    pub(crate) fn lack_of(&self, id: NodeId, facts: &NodeFacts) -> Option<String> {
        let Some(sample) = &facts.sample else { return self.shut(id, facts) };
        let found = sample.checks.as_ref().and_then(|c| c.lacks.first()).cloned();
        found.or_else(|| self.misnamed(id, sample))
    }

    /// A standby that streams and takes no connections.
    fn shut(&self, id: NodeId, facts: &NodeFacts) -> Option<String> {
        let limit = self.spec.limits.restart_grace * 2;
        let since = facts.starting.filter(|at| self.now.since(*at) >= limit)?;
        let says = |p: &crate::facts::PathFacts| {
            p.failing_since(since).is_some_and(|f| f == ProbeFailure::StartingOrStopping)
        };
        let name = &self.node_spec(id)?.application_name;
        let rows = &self.reign.as_ref()?.sample.replication;
        let streams = rows.iter().any(|r| r.application_name == *name);
        (streams && says(&facts.fresh))
            .then(|| "it streams and takes no connections: is hot_standby off?".to_owned())
    }

    /// A standby that streams under another name than its own is in nobody's list.
    fn misnamed(&self, id: NodeId, sample: &Sample) -> Option<String> {
        let streams_as = sample.streams_as.as_ref().filter(|_| sample.in_recovery)?;
        misnamed(streams_as, &self.node_spec(id)?.application_name)
    }

    /// A node that could not be asked at the start, and whose settings do not say under which name it streams, is known by
    /// the one that it shows first, if nobody else has it.
    pub(crate) fn learn_name(&mut self, id: NodeId, sample: &Sample) {
        let Some(name) = sample.streams_as.clone().filter(|name| name != UNNAMED) else { return };
        let taken = self.spec.nodes.iter().any(|n| n.application_name == name);
        let node = self.spec.nodes.get_mut(usize::from(id.0));
        if let Some(node) = node.filter(|n| !n.named) {
            node.named = !taken || node.application_name == name;
            if !taken {
                node.application_name = name;
            }
        }
    }

    /// Whether anything may be changed here: every node was asked, and nobody lacks anything.
    pub(crate) fn in_care(&self) -> bool {
        let asked = |f: &NodeFacts| match &f.sample {
            // One that went before it could be looked at is not waited for.
            Some(sample) => sample.checks.is_some() || !f.reachable(),
            None => f.standing.fails > 0 && f.fresh.fails > 0,
        };
        self.accepted || (self.facts.nodes.iter().all(asked) && self.unmet().is_none())
    }

    /// From the first primary that is known while nobody lacks anything the cluster stays in care.
    pub(crate) fn note_accepted(&mut self) {
        if self.spec.mode == Mode::Manage && self.reign.is_some() {
            self.accepted = self.in_care();
        }
    }
}
