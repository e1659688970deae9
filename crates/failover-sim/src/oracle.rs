//! The judges. They see the whole truth and only what the outside sees of the machine: what it publishes, what clients were
//! told. Each invariant of DESIGN.md §8 is one check; the first violation ends the run. Read next: `crate::run`.

use std::collections::{BTreeMap, BTreeSet};

use howdah_topology::{Epoch, Gate, NodeId, ReplicaLimits, Time, Topology};

use crate::history::History;
use crate::pg::Pg;
use crate::wal::Wal;

/// What was seen so far.
#[derive(Debug, Clone, Default)]
pub struct Oracle {
    /// The first violation.
    pub violation: Option<String>,
    /// Acknowledged writes that were waited for.
    protected: BTreeSet<u64>,
    /// Acknowledgements in all.
    pub acknowledged: u64,
    /// When the last write was acknowledged, by pooler.
    pub last_acknowledged: BTreeMap<usize, u64>,
    /// Promotions in all.
    pub promotions: u32,
    /// Of them by a switchover.
    pub switchovers: u32,
    /// No promotion is allowed at all: only probes are disturbed.
    pub forbid_promotion: bool,
    /// Writes may be lost: replication is asynchronous.
    pub asynchronous: bool,
    /// Writes may be lost: someone promotes by hand beside Howdah, without a fence.
    pub may_lose: bool,
    /// What each pooler last published as open; a pooler's restart does not end that.
    epochs: BTreeMap<usize, Epoch>,
    /// The newest timeline that a promotion has begun, and when.
    newest: Option<(u32, u64)>,
    /// By timeline: when an acknowledgement was received, and the greatest length of the log acknowledged until then.
    acknowledgements: BTreeMap<u32, Vec<(u64, usize)>>,
    primaries: BTreeMap<(u32, u64), NodeId>,
}

impl Oracle {
    fn violate(&mut self, now: u64, what: String) {
        if self.violation.is_none() {
            self.violation = Some(format!("at {}.{:06}: {what}", now / 1_000_000, now % 1_000_000));
        }
    }

    /// A snapshot was published: epochs only grow, and one node is the writable primary of one epoch.
    pub fn published(&mut self, now: u64, pooler: usize, topology: &Topology, logs: &[&Wal]) {
        let (Some(epoch), Some(primary)) = (topology.epoch, topology.primary) else { return };
        if topology.gate != Gate::Open {
            return;
        }
        let old = self.epochs.get(&pooler).copied();
        if old.is_some_and(|e| e != epoch && !epoch.is_newer_than(&e)) {
            self.violate(now, format!("pooler {pooler}: the epoch goes back or aside: {old:?} to {epoch:?}"));
        }
        let key = (epoch.timeline, epoch.began_at.0);
        let holder = *self.primaries.entry(key).or_insert(primary);
        if holder != primary {
            self.violate(now, format!("two primaries of epoch {epoch}: {holder} and {primary}"));
        }
        let newest = self.epochs.values().all(|e| e.timeline <= epoch.timeline);
        if newest && old != Some(epoch) {
            let log = logs.get(usize::from(primary.0)).copied();
            self.nothing_lost(now, log, "when it was published");
        }
        self.epochs.insert(pooler, epoch);
    }

    /// A node was promoted.
    pub fn promoted(&mut self, now: u64, timeline: u32) {
        self.promotions += 1;
        if self.newest.is_none_or(|(newest, _)| newest < timeline) {
            self.newest = Some((timeline, now));
        }
    }

    /// A pooler routes a write by an epoch. Where nothing else keeps the old primary from acknowledging, no pooler may hand
    /// it out once another was promoted: the leases were waited out.
    pub fn routed(&mut self, now: u64, pooler: usize, timeline: u32) {
        if let Some((newest, at)) = self.newest.filter(|(t, _)| *t > timeline && self.asynchronous) {
            let since = (now - at) / 1000;
            self.violate(
                now,
                format!(
                    "pooler {pooler} hands out the primary of timeline {timeline}, {since} ms after {newest} began"
                ),
            );
        }
    }

    /// A client was told that its write is done, and where in which timeline's log it is.
    pub fn acknowledged(&mut self, now: u64, pooler: usize, write: (u64, bool), place: (u32, usize)) {
        self.acknowledged += 1;
        self.last_acknowledged.insert(pooler, now);
        if write.1 {
            self.protected.insert(write.0);
        }
        let known = self.acknowledgements.entry(place.0).or_default();
        let longest = known.last().map_or(0, |(_, len)| *len).max(place.1);
        known.push((now, longest));
    }

    /// How much of a timeline's log was acknowledged before a moment.
    #[must_use]
    pub fn acknowledged_before(&self, timeline: u32, moment: u64) -> usize {
        let Some(known) = self.acknowledgements.get(&timeline) else { return 0 };
        let before = known.partition_point(|(at, _)| *at < moment);
        before.checked_sub(1).and_then(|at| known.get(at)).map_or(0, |(_, len)| *len)
    }

    /// A replica served a read that was sent there because it is fresh enough.
    pub fn looked(&mut self, now: u64, node: usize, replayed: usize, promised: (usize, u64)) {
        let (need, fresh) = promised;
        if replayed < need {
            let at = fresh / 1000;
            self.violate(
                now,
                format!(
                    "node {node} is said to be fresh as of {at} ms and lacks {} entries",
                    need - replayed
                ),
            );
        }
    }

    /// What clients have seen can be put into one order.
    pub fn linearizable(&mut self, now: u64, history: &History, stale: u64) {
        if self.asynchronous || self.may_lose {
            return;
        }
        if let Some(why) = history.violation(stale) {
            self.violate(now, format!("what clients saw is not linearizable: {why}"));
        }
    }

    /// A server took a write: it must be the primary of the epoch by which it was routed, never one that returned.
    pub fn accepted(&mut self, now: u64, node: usize, timelines: (u32, u32)) {
        let (server, routed) = timelines;
        if server != routed {
            self.violate(now, format!("node {node} took a write of epoch {routed} in timeline {server}"));
        }
    }

    /// Where reads would go now: only to nodes whose history is the primary's.
    pub fn reads(&mut self, now: u64, topology: &Topology, nodes: &[Pg]) {
        let Some(epoch) = topology.epoch.filter(|_| topology.primary.is_some()) else { return };
        // A promotion that is not published yet counts as well: its standbys are already on its timeline.
        let primaries: Vec<&Pg> = nodes
            .iter()
            .enumerate()
            .filter(|(i, n)| {
                let published = topology.primary.is_some_and(|p| usize::from(p.0) == *i);
                (published && n.timeline == epoch.timeline) || (!n.in_recovery && n.timeline > epoch.timeline)
            })
            .map(|(_, n)| n)
            .collect();
        if primaries.is_empty() {
            return;
        }
        for node in topology.routable_replicas(Time(now), ReplicaLimits::default()) {
            let Some(pg) = nodes.get(usize::from(node.id.0)).filter(|p| p.in_recovery && p.lives()) else {
                continue;
            };
            if !primaries.iter().any(|p| pg.wal.is_prefix_of(&p.wal)) {
                self.violate(now, format!("reads go to {}, whose history is not the primary's", node.name));
            }
        }
    }

    /// No acknowledged synchronous write is missing from the primary's log.
    pub fn nothing_lost(&mut self, now: u64, log: Option<&Wal>, when: &str) {
        if self.asynchronous || self.may_lose {
            return;
        }
        let there: BTreeSet<u64> = log.map(|l| l.writes().collect()).unwrap_or_default();
        let lost: Vec<u64> = self.protected.difference(&there).copied().take(5).collect();
        if !lost.is_empty() {
            self.violate(now, format!("acknowledged writes are missing from the primary {when}: {lost:?}…"));
        }
    }

    /// Where only probes are disturbed, nobody is promoted.
    pub fn no_needless_promotion(&mut self, now: u64) {
        if self.forbid_promotion && self.promotions > 0 {
            let n = self.promotions;
            self.violate(now, format!("{n} promotions though only probes were disturbed"));
        }
    }
}
