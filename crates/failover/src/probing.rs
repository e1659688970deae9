//! When and how each node is probed, and what a probe's answer changes. Read next: [`crate::facts`].

use std::collections::BTreeMap;
use std::time::Duration;

use howdah_topology::{NodeId, Time};

use crate::action::{Action, ActionId, Order};
use crate::event::{Path, ProbeFailure};
use crate::machine::Machine;
use crate::rows::State;
use crate::sample::Sample;

/// A fresh connection starts a process on the server: while the primary is suspect they are not opened more often than this.
const FRESH_INTERVAL: Duration = Duration::from_millis(100);

/// What the data path reports causes a probe at once, but not more often than this.
const REPORT_INTERVAL: Duration = Duration::from_millis(5);

/// A probe without an answer.
#[derive(Debug, Clone, Copy)]
struct Probe {
    node: NodeId,
    path: Path,
    sent: Time,
}

/// The probes under way. Bounded: one a node and path, and the few before a suspicion.
#[derive(Debug, Clone, Default)]
pub(crate) struct Probing {
    pending: BTreeMap<ActionId, Probe>,
}

impl Machine {
    /// Takes a sample that answers a probe.
    pub(crate) fn probe_answered(&mut self, id: ActionId, sent: Time, sample: Sample) {
        let Some(probe) = self.probing.pending.remove(&id) else { return };
        if let Some(node) = self.facts.node_mut(probe.node) {
            let path = node.path(probe.path);
            path.ok_sent = path.ok_sent.max(Some(sent));
            path.fails = 0;
            if path.inflight == Some(id) {
                path.inflight = None;
            }
        }
        self.take_sample(probe.node, sent, sample);
    }

    /// Takes a probe that failed.
    pub(crate) fn probe_failed(&mut self, id: ActionId, sent: Time, failure: ProbeFailure) {
        let Some(probe) = self.probing.pending.remove(&id) else { return };
        let now = self.now;
        let Some(node) = self.facts.node_mut(probe.node) else { return };
        if failure == ProbeFailure::StartingOrStopping && node.starting.is_none() {
            node.starting = Some(now);
        }
        let path = node.path(probe.path);
        if path.failed.is_none_or(|(at, _)| at <= sent) {
            path.failed = Some((sent, failure));
        }
        path.fails += 1;
        if path.inflight == Some(id) {
            path.inflight = None;
        }
    }

    /// The data path could not use a node: it is probed at once, on both paths.
    pub(crate) fn reported(&mut self, id: NodeId) {
        let now = self.now;
        let (probing, facts) = (&self.probing, &mut self.facts);
        let Some(node) = facts.node_mut(id) else { return };
        for path in [Path::Standing, Path::Fresh] {
            let inflight = node.path(path).inflight.and_then(|id| probing.pending.get(&id));
            let asked = inflight.map(|p| p.sent).max(node.path(path).ok_sent);
            let facts = node.path(path);
            match asked.map(|at| at + REPORT_INTERVAL).filter(|soon| *soon > now) {
                Some(soon) => facts.due = facts.due.min(soon),
                None => (facts.due, facts.inflight) = (now, None),
            }
        }
    }

    /// Takes what one node said, by a probe or with another answer.
    pub(crate) fn take_sample(&mut self, id: NodeId, sent: Time, sample: Sample) {
        let foreign = self.epoch.is_some_and(|e| e.system_id != sample.system_id);
        if !foreign {
            self.facts.take_members(sample.members.as_ref());
        }
        if let Some(reign) = &mut self.reign
            && reign.node == id
            && !sample.in_recovery
            && !foreign
            && sample.timeline == reign.epoch.timeline
        {
            reign.sample = sample.clone();
            self.note_primary(sent, &sample);
        }
        self.learn_name(id, &sample);
        let (now, since) = (self.now, self.suspect_since);
        if let Some(node) = self.facts.node_mut(id) {
            node.take(now, sent, sample, since);
        }
    }

    /// Takes what the primary of the present epoch said about itself and its standbys.
    pub(crate) fn note_primary(&mut self, sent: Time, sample: &Sample) {
        let Some(epoch) = self.reign.as_ref().map(|r| r.epoch) else { return };
        self.facts.seen_async = sample.sync_names.is_async() && self.facts.members.is_none();
        self.facts.primary_reached = self.facts.primary_reached.max(sample.position());
        if let Some(position) = sample.inserted {
            self.facts.freshness.primary_at(epoch, sent, position);
        }
        let now = self.now;
        for (node, spec) in self.facts.nodes.iter_mut().zip(&self.spec.nodes) {
            let attached = sample.replication.iter().any(|r| r.application_name == spec.application_name);
            node.absent = if attached { None } else { node.absent.or(Some(now)) };
        }
    }

    /// Probes that got no answer in time have failed by silence. The controller reports that itself; this is for an
    /// answer that was lost on the way.
    pub(crate) fn expire_probes(&mut self) {
        let limit = self.probe_patience();
        let now = self.now;
        let lost: Vec<(ActionId, Time)> = self
            .probing
            .pending
            .iter()
            .filter(|(_, p)| p.sent + limit <= now)
            .map(|(id, p)| (*id, p.sent))
            .collect();
        for (id, sent) in lost {
            self.probe_failed(id, sent, ProbeFailure::Silent);
        }
    }

    /// Orders every probe that is due.
    pub(crate) fn order_probes(&mut self) {
        let now = self.now;
        for at in 0..self.facts.nodes.len() {
            let Ok(at) = u16::try_from(at) else { return };
            for path in [Path::Standing, Path::Fresh] {
                self.order_probe(NodeId(at), path, now);
            }
        }
    }

    fn order_probe(&mut self, id: NodeId, path: Path, now: Time) {
        let Some(interval) = self.interval(id, path) else { return };
        let within = self.spec.limits.probe_timeout;
        let Some(facts) = self.facts.node_mut(id).map(|n| n.path(path)) else { return };
        if facts.inflight.is_some() || facts.due > now {
            return;
        }
        let order_id = self.tasks.new_id();
        facts.inflight = Some(order_id);
        facts.due = now + interval;
        self.probing.pending.insert(order_id, Probe { node: id, path, sent: now });
        self.tasks.out.push_back(Order { id: order_id, node: id, action: Action::Probe { path }, within });
    }

    /// How often a node is probed on a path now; `None`: not at all. The primary is probed on both, and so is a node that
    /// does not answer on the standing one.
    fn interval(&self, id: NodeId, path: Path) -> Option<Duration> {
        let limits = &self.spec.limits;
        let node = self.facts.node(id)?;
        let primary = self.reign.as_ref().is_some_and(|r| r.node == id);
        let asks = primary || self.reign.is_none() || !node.standing_answers();
        match path {
            Path::Fresh if !asks => None,
            Path::Fresh if self.hurried() => Some(FRESH_INTERVAL.max(limits.suspect_interval)),
            Path::Standing if self.hurried() => Some(limits.suspect_interval),
            Path::Standing | Path::Fresh => Some(limits.probe_interval),
        }
    }

    /// Whether answers are wanted soon.
    fn hurried(&self) -> bool {
        matches!(self.state, State::Drain | State::CatchUp)
            || !matches!(self.state, State::Follow | State::Upkeep | State::Halted)
                && self.suspect_since.is_some()
    }

    /// After so long a probe without an answer is lost.
    fn probe_patience(&self) -> Duration {
        self.spec.limits.probe_timeout.saturating_mul(3) / 2
    }

    /// When the next probe is due or lost.
    pub(crate) fn probe_timer(&self) -> Option<Time> {
        let limit = self.probe_patience();
        let lost = self.probing.pending.values().map(|p| p.sent + limit);
        let due = self.facts.iter().flat_map(|(id, n)| {
            let standing = (n.standing.inflight.is_none()).then_some(n.standing.due);
            let fresh = (n.fresh.inflight.is_none() && self.interval(id, Path::Fresh).is_some())
                .then_some(n.fresh.due);
            [standing, fresh].into_iter().flatten()
        });
        lost.chain(due).min()
    }
}
