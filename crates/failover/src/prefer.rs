//! A candidate that is preferred and not the furthest: it streams from the furthest until it has all, and is then promoted
//! (FAILOVER_PROTOCOL.md §6).
//!
//! Preferred is the node of the operator's order, else the one of the greatest priority. What may be promoted at all is for
//! [`crate::elect`]. The candidate counts as fenced while it streams from a fenced node: it is attached to no primary. When
//! it has all, or will not have it, it is fenced again and every position is read anew: the furthest may have lost its vote
//! meanwhile, and another pooler have let it go on.

use std::cmp::Reverse;

use howdah_topology::{Lsn, NodeId};

use crate::action::Action;
use crate::attempt::Behind;
use crate::elect::Elected;
use crate::fault::Fault;
use crate::machine::Machine;

impl Machine {
    /// The node of the operator's order, if it has all or may receive it.
    pub(crate) fn wanted_of(&self, wanted: NodeId, best: (u32, Lsn)) -> Result<Elected, String> {
        if !self.may_be_promoted(wanted) {
            return Err(format!("{} may not be promoted", self.name(wanted)));
        }
        self.candidate(wanted, best)
    }

    /// The node of the greatest priority that has all or may receive it; of those of the same priority the furthest.
    pub(crate) fn preferred_of(&self, best: (u32, Lsn)) -> Result<Elected, String> {
        let positions = self.attempt.iter().flat_map(|a| &a.positions);
        let mut all: Vec<(NodeId, (u32, Lsn))> = positions.map(|(id, at)| (*id, *at)).collect();
        all.retain(|(id, at)| self.may_be_promoted(*id) && (self.fault != Fault::ElectLeast || *at == best));
        all.sort_by_key(|(id, at)| (Reverse(self.node_spec(*id).map(|n| n.priority)), Reverse(*at), *id));
        let mut why = "no node that may be promoted has an answer".to_owned();
        for (id, _) in all {
            match self.candidate(id, best) {
                Ok(elected) => return Ok(elected),
                Err(lacks) => why = lacks,
            }
        }
        Err(format!("the furthest node may not be promoted: {why}"))
    }

    /// Whether a node has all, or may receive it.
    fn candidate(&self, id: NodeId, best: (u32, Lsn)) -> Result<Elected, String> {
        let attempt = self.attempt.as_ref().ok_or("no failover is under way")?;
        let name = self.name(id);
        let own = attempt.positions.get(&id).ok_or_else(|| format!("the position of {name} is not known"))?;
        if *own >= best {
            return Ok(Elected::Furthest(id));
        }
        let mut furthest = attempt.positions.iter().filter(|(_, at)| **at == best);
        let (from, _) = furthest.next().ok_or("no position was read")?;
        let has = self.name(*from);
        if own.0 != best.0 {
            return Err(format!("{name} is on an older timeline than {has}"));
        }
        if attempt.late.contains(&id) {
            return Err(format!("{name} has not received in time what {has} has"));
        }
        Ok(Elected::Behind(Behind { node: id, from: *from, upto: best }))
    }

    /// Who is elected, for a sentence.
    pub(crate) fn say_elected(&self, elected: Elected) -> String {
        match elected {
            Elected::Furthest(id) => self.name(id),
            Elected::Behind(b) => format!("{} streams from {}", self.name(b.node), self.name(b.from)),
        }
    }

    pub(crate) fn stream_from_furthest(&mut self) {
        let Ok(Elected::Behind(behind)) = self.elect() else { return };
        self.tasks.clear();
        if let Some(attempt) = &mut self.attempt {
            attempt.behind = Some(behind);
        }
        self.order(behind.node, Action::Repoint { to: behind.from });
    }

    fn behind(&self) -> Option<Behind> {
        self.attempt.as_ref()?.behind
    }

    /// Whether the candidate was seen to have what the furthest had when its position was read.
    pub(crate) fn preferred_has_all(&self) -> bool {
        let Some(behind) = self.behind() else { return false };
        let seen = self.facts.node(behind.node).filter(|f| f.sampled >= self.entered).and_then(|f| f.live());
        seen.is_some_and(|s| s.in_recovery && (s.timeline, s.position()) >= behind.upto)
    }

    /// Whether the candidate cannot receive any more what it lacks, or had time enough.
    pub(crate) fn catch_up_late(&self) -> bool {
        let (Some(behind), Some(attempt)) = (self.behind(), &self.attempt) else { return true };
        let held = |id: NodeId| attempt.votes.contains(&id);
        let refused = matches!(self.tasks.result(behind.node, "repoint"), Some(Err(_)));
        let another = |(id, at): (&NodeId, &(u32, Lsn))| *at >= behind.upto && self.may_be_promoted(*id);
        let limits = &self.spec.limits;
        let limit = match attempt.wanted {
            None if attempt.positions.iter().any(another) => limits.preference_timeout,
            _ => limits.catch_up_timeout,
        };
        refused || !held(behind.node) || !held(behind.from) || self.in_state_for(limit)
    }

    /// The candidate's receiver is stopped again, and everyone's position read anew after that.
    pub(crate) fn fence_again(&mut self) {
        let late = !self.preferred_has_all();
        self.tasks.clear();
        let Some(attempt) = &mut self.attempt else { return };
        let Some(Behind { node, .. }) = attempt.behind.take() else { return };
        if late {
            attempt.late.insert(node);
        }
        attempt.fenced.remove(&node);
        attempt.positions.remove(&node);
        let record = attempt.records.get(&node).filter(|_| attempt.votes.contains(&node)).cloned();
        if let Some(record) = record {
            self.order(node, Action::Fence { record });
        }
    }
}
