//! Who is fenced, who is elected, and why not (FAILOVER_PROTOCOL.md §6). Read next: [`crate::steps`].

use std::collections::BTreeSet;

use howdah_topology::{Lsn, Mode, NodeId};

use crate::action::Done;
use crate::attempt::Behind;
use crate::evidence;
use crate::fault::Fault;
use crate::machine::Machine;
use crate::members::SyncNames;
use crate::rows::State;
use crate::spec::{NodeSpec, OnLastNode};

/// Who is to be promoted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Elected {
    /// Nobody has more than it.
    Furthest(NodeId),
    /// It first streams from another what it lacks.
    Behind(Behind),
}

impl Machine {
    /// A node's settings.
    pub(crate) fn node_spec(&self, id: NodeId) -> Option<&NodeSpec> {
        self.spec.nodes.get(usize::from(id.0))
    }

    /// What to call a node in a sentence.
    pub(crate) fn name(&self, id: NodeId) -> String {
        evidence::name(&self.spec, Some(id))
    }

    /// Whether the standbys are a quorum, together with the primary that is left if its own fence holds
    /// ([`crate::leave`]).
    fn enough_fenced(&self, nodes: &BTreeSet<NodeId>) -> bool {
        let Some(attempt) = &self.attempt else { return false };
        let left = attempt.fenced.iter().filter(|id| self.reigns(**id));
        let counted: BTreeSet<NodeId> = left.chain(nodes).copied().collect();
        nodes.iter().any(|id| !self.reigns(*id)) && self.enough(&counted)
    }

    /// Whether the receivers of a quorum are gone.
    pub(crate) fn fenced_enough(&self) -> bool {
        self.attempt.as_ref().is_some_and(|a| self.enough_fenced(&a.fenced))
    }

    /// Whether a receiver that does not stop may still be helped to.
    pub(crate) fn fence_time_left(&self) -> bool {
        self.now.since(self.entered) < self.spec.limits.fence_timeout
    }

    /// Nodes whose receiver does not stop, with `(node, replay paused, recovery conflict)`.
    pub(crate) fn blocked(&self) -> Vec<(NodeId, bool, bool)> {
        let Some(attempt) = &self.attempt else { return Vec::new() };
        let of = |outcome: &crate::tasks::Outcome| match outcome {
            Ok(Done::Fenced { receiver_gone: false, replay_paused, recovery_conflict }) => {
                (*replay_paused || *recovery_conflict).then_some((*replay_paused, *recovery_conflict))
            }
            _ => None,
        };
        self.tasks
            .results_of("fence")
            .filter(|(id, _)| attempt.votes.contains(id))
            .filter_map(|(id, outcome)| of(outcome).map(|(paused, conflict)| (id, paused, conflict)))
            .collect()
    }

    /// Fenced nodes that have not replayed all that they have, with `(node, replay paused, recovery conflict)`.
    pub(crate) fn replay_unfinished(&self) -> Vec<(NodeId, bool, bool)> {
        let of = |outcome: &crate::tasks::Outcome| match outcome {
            Ok(Done::Position { at_end: false, replay_paused, recovery_conflict, .. }) => {
                Some((*replay_paused, *recovery_conflict))
            }
            _ => None,
        };
        let read = self.tasks.results_of("read position");
        read.filter_map(|(id, outcome)| of(outcome).map(|(paused, conflict)| (id, paused, conflict)))
            .collect()
    }

    /// Who is to be promoted, or why nobody is.
    pub(crate) fn elect(&self) -> Result<Elected, String> {
        let attempt = self.attempt.as_ref().ok_or("no failover is under way")?;
        let read: BTreeSet<NodeId> = attempt.positions.keys().copied().collect();
        if !self.enough_fenced(&read) {
            return Err("the positions of a quorum could not be read with all WAL replayed".to_owned());
        }
        let best = self.best_position().ok_or("no position was read")?;
        let elected = match attempt.wanted {
            Some(wanted) => self.wanted_of(wanted, best)?,
            None => self.preferred_of(best)?,
        };
        self.check_lag(best)?;
        Ok(elected)
    }

    fn best_position(&self) -> Option<(u32, Lsn)> {
        let positions = self.attempt.as_ref()?.positions.values().copied();
        if self.fault == Fault::ElectLeast { positions.min() } else { positions.max() }
    }

    /// Whether the settings and the node itself allow it.
    pub(crate) fn may_be_promoted(&self, id: NodeId) -> bool {
        let wanted = self.attempt.as_ref().and_then(|a| a.wanted) == Some(id);
        let barred = self.node_spec(id).is_none_or(|n| n.cascade || n.nofailover && !wanted);
        !barred && self.facts.sample(id).is_some_and(|s| !s.delayed && s.in_recovery)
    }

    /// Asynchronous clusters: what the primary was seen to have and the candidate lacks is lost, and that is bounded.
    fn check_lag(&self, best: (u32, Lsn)) -> Result<(), String> {
        let asynchronous = self.electorate().is_none_or(|e| e.asynchronous);
        let lag = self.facts.primary_reached.bytes_since(best.1);
        if asynchronous && self.epoch.is_some_and(|e| best.0 < e.timeline) {
            // Its promotion would begin the present timeline a second time.
            return Err(
                "replication is asynchronous and no candidate has received anything of the present epoch"
                    .to_owned(),
            );
        }
        let most = self.spec.limits.max_failover_lag;
        if asynchronous && lag > most {
            return Err(format!(
                "replication is asynchronous and {lag} bytes that the primary was seen to have would be lost: more than \
                 max_lost_bytes ({most})"
            ));
        }
        Ok(())
    }

    /// The synchronous names of the elected node: those of the list in force that were fenced with it, so that their
    /// history is known.
    pub(crate) fn names_after(&self, elected: NodeId) -> SyncNames {
        let on_record = self.facts.members.as_ref().map(|m| m.sync.clone());
        let in_force = on_record.or_else(|| self.list_in_use()).unwrap_or_else(SyncNames::none);
        if in_force.is_async() {
            return SyncNames::none();
        }
        let fenced = self.attempt.as_ref().map(|a| &a.fenced);
        let known = |name: &String| {
            let node = self.spec.nodes.iter().position(|n| n.application_name == *name);
            let id = node.and_then(|at| u16::try_from(at).ok()).map(NodeId);
            id.is_some_and(|id| id != elected && fenced.is_some_and(|f| f.contains(&id)))
        };
        let names: Vec<String> = in_force.names.iter().filter(|n| known(n)).cloned().collect();
        self.or_last(SyncNames { method: in_force.method, k: in_force.k.min(names.len()), names })
    }

    /// An empty list by the rule for the last node.
    pub(crate) fn or_last(&self, names: SyncNames) -> SyncNames {
        match self.spec.on_last_node {
            OnLastNode::Block if names.is_async() => SyncNames::nobody(),
            _ => names,
        }
    }

    /// Why no failover can be begun now; `None`: it can.
    pub(crate) fn refusal(&self, to: Option<NodeId>) -> Option<String> {
        if self.spec.mode != Mode::Manage {
            return Some(format!("failover is {} here", self.spec.mode));
        }
        if !self.in_care() {
            let why = self.unmet();
            return why.or_else(|| Some("the nodes were not all looked at yet".to_owned()));
        }
        if !matches!(self.state, State::Follow | State::Upkeep | State::Suspect) {
            return Some(format!("this cluster is in {}", self.state.name()));
        }
        if let Some(to) = to.filter(|to| self.node_spec(*to).is_some_and(|n| n.cascade)) {
            let name = self.name(to);
            return Some(format!("{name} is a cascading standby: it has no vote and is never promoted"));
        }
        let Some(electorate) = self.electorate() else {
            return Some(self.why_no_electorate());
        };
        let reach = electorate.voters.iter().filter(|v| self.can_vote(**v)).count();
        if electorate.total == 0 {
            return Some("no standby is in the list of synchronous names yet".to_owned());
        }
        if reach < electorate.quorum {
            let (need, total) = (electorate.quorum, electorate.total);
            return Some(format!("{need} of {total} votes are needed and {reach} can be reached"));
        }
        let candidate = |id: NodeId| {
            let spec = self.node_spec(id).is_some_and(|n| !n.cascade && (!n.nofailover || to == Some(id)));
            spec && self.facts.node(id).and_then(|f| f.live()).is_some_and(|s| s.in_recovery && !s.delayed)
        };
        let wanted = electorate.voters.iter().any(|v| to.is_none_or(|to| to == *v) && candidate(*v));
        (!wanted).then(|| "no node that can be promoted has a vote".to_owned())
    }
}
