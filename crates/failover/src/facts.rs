//! What is known of each node from its probes: answers, failures, signs of life. Facts only; what follows from them is
//! for [`crate::evidence`] and [`crate::guards`].

use std::collections::BTreeMap;
use std::time::Duration;

use howdah_topology::{Freshness, Lsn, NodeId, Time};

use crate::action::ActionId;
use crate::event::{Path, ProbeFailure};
use crate::members::Members;
use crate::sample::Sample;
use crate::spec::ClusterSpec;

/// What is known by one kind of connection to one node.
#[derive(Debug, Clone, Default)]
pub(crate) struct PathFacts {
    /// When the last answered question was sent.
    pub(crate) ok_sent: Option<Time>,
    /// When the last unanswered question was sent, and how it failed.
    pub(crate) failed: Option<(Time, ProbeFailure)>,
    /// Failures since the last answer.
    pub(crate) fails: u32,
    /// When the next probe is due.
    pub(crate) due: Time,
    /// The newest probe under way.
    pub(crate) inflight: Option<ActionId>,
}

impl PathFacts {
    /// The failure of the newest question, if that was sent at or after `since` and no later one was answered.
    pub(crate) fn failing_since(&self, since: Time) -> Option<ProbeFailure> {
        let (sent, failure) = self.failed?;
        let newest = self.ok_sent.is_none_or(|ok| ok < sent);
        (newest && sent >= since).then_some(failure)
    }
}

/// Two answers that are to show that a standby has replied in between lie at least so far apart: a server that was frozen
/// reads old replies when it is thawed, and the end of the connection right after them.
const REPLY_INTERVAL: Duration = Duration::from_millis(100);

/// The replies of one standby, as its sender shows them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reply {
    /// `reply_time`, and when the question that has shown it was sent.
    seen: (i64, Time),
    /// After this moment a reply has arrived.
    pub(crate) as_of: Option<Time>,
}

impl Reply {
    /// Takes what a later answer shows.
    fn take(before: Option<Reply>, sent: Time, reply_time: i64) -> Reply {
        let Some(before) = before.filter(|b| b.seen.0 <= reply_time) else {
            return Reply { seen: (reply_time, sent), as_of: None };
        };
        if before.seen.0 == reply_time {
            return Reply { seen: (reply_time, sent), ..before };
        }
        if sent.since(before.seen.1) < REPLY_INTERVAL {
            return before;
        }
        Reply { seen: (reply_time, sent), as_of: Some(before.seen.1) }
    }
}

/// What is known of one node.
#[derive(Debug, Clone, Default)]
pub(crate) struct NodeFacts {
    /// The newest answer.
    pub(crate) sample: Option<Sample>,
    /// When the question of the newest answer was sent.
    pub(crate) sampled: Time,
    /// When the newest answer came.
    pub(crate) answered: Time,
    /// Its round trip.
    pub(crate) latency: Duration,
    /// By the standing connection.
    pub(crate) standing: PathFacts,
    /// By fresh connections.
    pub(crate) fresh: PathFacts,
    /// Since when it has been starting or stopping, as of the last answers.
    pub(crate) starting: Option<Time>,
    /// The WAL receiver's message time and end position that later answers are compared with.
    baseline: Option<(i64, Lsn)>,
    /// When its WAL receiver was last seen to have heard from the primary since the suspicion began.
    pub(crate) life: Option<Time>,
    /// Since when it has been a standby without a receiver.
    pub(crate) lone: Option<Time>,
    /// Since when the primary has had no stream to it.
    pub(crate) absent: Option<Time>,
    /// What its standbys, by name, have last replied to it.
    pub(crate) replies: BTreeMap<String, Reply>,
    /// The position replayed, newer than the sample where the controller samples in between.
    pub(crate) replayed: Option<Lsn>,
    /// When the question was sent that showed it.
    pub(crate) replayed_asked: Time,
}

impl NodeFacts {
    /// One kind of connection.
    pub(crate) fn path(&mut self, path: Path) -> &mut PathFacts {
        match path {
            Path::Standing => &mut self.standing,
            Path::Fresh => &mut self.fresh,
        }
    }

    /// Whether a question sent at or after `since` was answered, and the newest of no kind of connection failed later.
    pub(crate) fn answers_since(&self, since: Time) -> bool {
        self.sample.is_some() && self.sampled >= since && self.reachable()
    }

    /// Whether the newest question on the standing connection was answered.
    pub(crate) fn standing_answers(&self) -> bool {
        let failed = self.standing.failed.map(|(sent, _)| sent);
        self.standing.ok_sent.is_some() && failed <= self.standing.ok_sent
    }

    /// When the newest answered question was sent, by either kind of connection.
    pub(crate) fn newest_ok(&self) -> Option<Time> {
        self.standing.ok_sent.max(self.fresh.ok_sent)
    }

    /// Whether the newest question of all was not answered. A hung postmaster or a hung backend fails one kind of
    /// connection and goes on answering by the other: that is none.
    pub(crate) fn newest_failed(&self) -> bool {
        let failed = [&self.standing, &self.fresh]
            .iter()
            .filter_map(|p| p.failed)
            .filter(|(_, failure)| *failure != ProbeFailure::Rejected)
            .map(|(sent, _)| sent)
            .max();
        failed.is_some() && failed > self.newest_ok()
    }

    /// Whether it answers by at least one kind of connection as of the newest probes.
    pub(crate) fn reachable(&self) -> bool {
        let ok = |p: &PathFacts| match (p.ok_sent, p.failed) {
            (Some(ok), Some((failed, _))) => ok > failed,
            (Some(_), None) => true,
            (None, _) => false,
        };
        ok(&self.standing) || ok(&self.fresh)
    }

    /// The answer, while the node is reachable.
    pub(crate) fn live(&self) -> Option<&Sample> {
        self.sample.as_ref().filter(|_| self.reachable())
    }

    /// Takes an answer to a question sent at `sent`; an older one than known is dropped.
    pub(crate) fn take(&mut self, now: Time, sent: Time, sample: Sample, suspect_since: Option<Time>) {
        if self.sample.is_some() && sent < self.sampled {
            return;
        }
        self.starting = None;
        self.see_replies(sent, &sample);
        self.see_life(sent, &sample, suspect_since);
        let lone = sample.in_recovery && sample.receiver.is_none();
        self.lone = lone.then(|| self.lone.unwrap_or(now));
        let replayed = if sample.in_recovery { sample.replayed } else { None };
        if replayed.is_none() || sent >= self.replayed_asked {
            (self.replayed, self.replayed_asked) = (replayed, sent);
        }
        self.sampled = sent;
        self.answered = now;
        self.latency = now.since(sent);
        self.sample = Some(sample);
    }

    /// Takes a position read between two probes. The newest question's answer counts and not the greatest position:
    /// a standby that has restarted is behind where it was, and an answer from before the restart may come late.
    pub(crate) fn take_replayed(&mut self, sent: Time, replayed: Lsn) {
        if sent >= self.sampled && sent >= self.replayed_asked {
            (self.replayed, self.replayed_asked) = (Some(replayed), sent);
        }
    }

    /// Compares the replies of its standbys with what they were; a row that is gone is forgotten.
    fn see_replies(&mut self, sent: Time, sample: &Sample) {
        let before = std::mem::take(&mut self.replies);
        let restarted = self.sample.as_ref().is_some_and(|s| s.started_at != sample.started_at);
        for row in &sample.replication {
            let known = before.get(&row.application_name).copied().filter(|_| !restarted);
            let reply = Reply::take(known, sent, row.reply_time);
            self.replies.insert(row.application_name.clone(), reply);
        }
    }

    /// Compares the receiver with what it was: an advance that is seen during the suspicion is a sign of life.
    fn see_life(&mut self, sent: Time, sample: &Sample, suspect_since: Option<Time>) {
        let Some(receiver) = &sample.receiver else {
            self.baseline = None;
            return;
        };
        let seen = (receiver.last_message, receiver.latest_end);
        if let Some(base) = self.baseline
            && (seen.0 > base.0 || seen.1 > base.1)
            && suspect_since.is_some_and(|since| sent >= since)
        {
            self.life = Some(sent);
        }
        self.baseline = Some(seen);
    }

    /// A suspicion begins. Signs of life of an earlier one are none; the question whose failure began it counts among
    /// the failures, and the receiver is compared with what it was before: at worst that delays a failover.
    pub(crate) fn suspect(&mut self, now: Time) {
        self.life = None;
        self.standing.due = now;
        self.fresh.due = now;
    }
}

/// What is known of the cluster.
#[derive(Debug, Clone)]
pub(crate) struct Facts {
    /// By [`NodeId`].
    pub(crate) nodes: Vec<NodeFacts>,
    /// The newest version of the list of names seen on any node.
    pub(crate) members: Option<Members>,
    /// The primary was seen to be set up asynchronous, and no list was ever written.
    pub(crate) seen_async: bool,
    /// How far the primary was seen to be (flush), in its epoch.
    pub(crate) primary_reached: Lsn,
    /// Positions against time.
    pub(crate) freshness: Freshness,
}

impl Facts {
    /// Nothing known of any node.
    pub(crate) fn new(spec: &ClusterSpec) -> Facts {
        Facts {
            nodes: vec![NodeFacts::default(); spec.nodes.len()],
            members: None,
            seen_async: false,
            primary_reached: Lsn::INVALID,
            freshness: Freshness::default(),
        }
    }

    /// One node.
    pub(crate) fn node(&self, id: NodeId) -> Option<&NodeFacts> {
        self.nodes.get(usize::from(id.0))
    }

    /// One node, to be changed.
    pub(crate) fn node_mut(&mut self, id: NodeId) -> Option<&mut NodeFacts> {
        self.nodes.get_mut(usize::from(id.0))
    }

    /// The newest answer of a node.
    pub(crate) fn sample(&self, id: NodeId) -> Option<&Sample> {
        self.node(id)?.sample.as_ref()
    }

    /// Every node with its id.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (NodeId, &NodeFacts)> {
        (0u16..).map(NodeId).zip(&self.nodes)
    }

    /// Remembers a list if it is newer than the one known.
    pub(crate) fn take_members(&mut self, seen: Option<&Members>) {
        let newer = |m: &&Members| self.members.as_ref().is_none_or(|known| m.version > known.version);
        if let Some(m) = seen.filter(newer) {
            self.members = Some(m.clone());
        }
    }
}
