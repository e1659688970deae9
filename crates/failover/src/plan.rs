//! What is to be changed on the nodes while nobody is in trouble, one change at a time (FAILOVER_PROTOCOL.md §§1, 2, 10).
//!
//! The order in which a list of names changes is what keeps it safe. A list that **grows** is written on the voters
//! first, then on the primary, then used: nobody can promote by the old list while the primary waits by the new one. A list
//! that **shrinks** is used first; when those that remain have flushed all that was written before, it is written on the
//! primary, then on the voters. Read next: [`crate::job`].

use howdah_topology::{Mode, NodeId};

use crate::action::Action;
use crate::fence::FenceRecord;
use crate::job::{Job, Step};
use crate::machine::Machine;
use crate::members::{Members, SyncNames};
use crate::names::Target;
use crate::quorum;
use crate::sample::Sample;
use crate::votes;

/// A standby without a receiver is pointed at the primary after so long: longer than any retry interval of its own.
const LONE: std::time::Duration = std::time::Duration::from_millis(1_500);

impl Machine {
    /// The next change, if there is one.
    pub(crate) fn plan(&self) -> Option<Job> {
        if self.spec.mode != Mode::Manage || self.leaving.is_some() {
            return self.plan_release();
        }
        if self.maintenance || !self.in_care() {
            return None;
        }
        let Some(primary) = self.upkeep_primary() else { return self.plan_undo_without_reign() };
        let ids = || self.spec.ids();
        ids()
            .find_map(|id| self.plan_marks(id, primary))
            .or_else(|| ids().find_map(|id| self.plan_astray(id, primary)))
            .or_else(|| ids().find_map(|id| self.plan_times(id, primary)))
            .or_else(|| self.plan_list(primary))
            .or_else(|| ids().find_map(|id| self.plan_node(id, primary)))
    }

    /// The published primary and its newest answer, if that is newer than the last change.
    fn upkeep_primary(&self) -> Option<(NodeId, &Sample)> {
        let id = self.reign.as_ref()?.node;
        let sample = self.answer(id)?;
        (!sample.in_recovery).then_some((id, sample))
    }

    /// A node's newest answer, if it is newer than the last change.
    pub(crate) fn answer(&self, id: NodeId) -> Option<&Sample> {
        let node = self.facts.node(id).filter(|n| n.sampled >= self.job_ended)?;
        node.live()
    }

    /// A failover was interrupted, its pooler is gone, and the primary is there: the marked standbys are put back.
    fn plan_undo_without_reign(&self) -> Option<Job> {
        let primary = self.found().filter(|_| self.reign.is_none())?;
        let timeline = self.answer(primary)?.timeline;
        if !self.nobody_was_promoted(primary, timeline) {
            return None;
        }
        let marked = |id: &NodeId| {
            self.answer(*id).is_some_and(|s| (s.in_recovery || *id == primary) && s.fence.is_some())
        };
        let id = self.spec.ids().find(marked)?;
        let sample = self.answer(id)?;
        let record = sample.fence.clone()?;
        let ours = record.timeline >= timeline;
        let why = format!("{} is marked by a failover that was interrupted", self.name(id));
        ours.then(|| put_back(Job::new(why, [id]), id, (record, sample)))
    }

    /// Whether an interrupted failover has promoted nobody: every voter is seen to be a standby of no newer epoch, for so
    /// long that a promotion that was asked for before would be over. A voter that is not seen may be the one.
    fn nobody_was_promoted(&self, primary: NodeId, timeline: u32) -> bool {
        let all = || self.spec.ids().collect();
        let voters: Vec<NodeId> = self.electorate().map_or_else(all, |e| e.voters);
        let stands = |id: &NodeId| {
            *id == primary || self.answer(*id).is_some_and(|s| s.in_recovery && s.timeline <= timeline)
        };
        let waited = self.now.since(self.leaderless) >= self.spec.limits.restart_grace * 2;
        waited && voters.iter().all(stands)
    }

    /// The same while a primary is published, as of a moment after the lock of a marked node was taken: enough nodes follow
    /// the primary, or every voter is a standby for so long that a promotion that was asked for before would be over.
    pub(crate) fn nobody_promoted_since_locked(&self) -> bool {
        let (Some(reign), Some(at)) = (&self.reign, self.job.as_ref().and_then(|j| j.locked)) else {
            return false;
        };
        if votes::followed_as_of(&self.facts, &self.spec, reign.node).is_some_and(|seen| seen >= at) {
            return true;
        }
        let stands = |id: &NodeId| {
            let seen = self.facts.node(*id).filter(|f| f.sampled >= at).and_then(|f| f.live());
            *id == reign.node || seen.is_some_and(|s| s.in_recovery && s.timeline <= reign.epoch.timeline)
        };
        let waited = self.now.since(at) >= self.spec.limits.restart_grace * 2;
        waited && self.electorate().is_some_and(|e| e.voters.iter().all(stands))
    }

    /// Marks of an earlier failover, and former primaries that came back.
    fn plan_marks(&self, id: NodeId, primary: (NodeId, &Sample)) -> Option<Job> {
        let sample = self.answer(id)?;
        let name = self.name(id);
        if sample.stop_ordered {
            // Or a supervisor that comes later might find it.
            let why = format!("{name} has an order to stop of a switchover that has ended");
            return Some(Job::new(why, [id]).then(id, Action::Recall));
        }
        if let Some(record) = &sample.fence {
            return self.plan_mark(id, (record, sample), primary);
        }
        let returning = id != primary.0 && !sample.in_recovery && !sample.read_only;
        let same_system = sample.system_id == primary.1.system_id;
        let why = format!("{name} is a former primary that came back");
        (returning && same_system).then(|| Job::new(why, [id]).then(id, Action::SetReadOnly { on: true }))
    }

    /// A marked node: what an ended failover has left is finished, what an interrupted one has left is undone.
    fn plan_mark(
        &self,
        id: NodeId,
        marked: (&FenceRecord, &Sample),
        primary: (NodeId, &Sample),
    ) -> Option<Job> {
        let (record, sample) = marked;
        let why = format!("{} is marked by a failover that has ended or was interrupted", self.name(id));
        let job = Job::new(why, [id]);
        if !sample.in_recovery && id != primary.0 {
            // It was left while it lived, and would count for itself without its mark: that stays until it is rejoined.
            let ours = sample.system_id == primary.1.system_id;
            return (ours && !sample.read_only).then(|| job.then(id, Action::SetReadOnly { on: true }));
        }
        if sample.timeline >= primary.1.timeline && record.timeline < sample.timeline {
            return Some(job.then(id, Action::ClearFence));
        }
        if record.timeline >= primary.1.timeline {
            let mut job = job;
            job.steps.push_back(Step::NobodyPromoted);
            return Some(put_back(job, id, (record.clone(), sample)));
        }
        // Its mark stays until it is on the new timeline.
        (!self.points_at(sample, primary.0)).then(|| job.then(id, Action::Repoint { to: primary.0 }))
    }

    /// A standby that points elsewhere and is not on the present timeline yet: it may stream from a former primary. Or one
    /// whose name is in the list, so that commits may wait for it, while it streams from another standby: a candidate
    /// streams from the primary itself.
    fn plan_astray(&self, id: NodeId, primary: (NodeId, &Sample)) -> Option<Job> {
        let sample = self.answer(id).filter(|s| s.in_recovery && id != primary.0)?;
        if self.node_spec(id)?.cascade {
            return self.plan_cascade(id, sample, primary.0);
        }
        let older = sample.timeline < primary.1.timeline && !self.follows(id);
        let name = &self.node_spec(id)?.application_name;
        let named = self.facts.members.as_ref().is_some_and(|m| m.sync.contains(name));
        let absent = self.facts.node(id)?.absent.is_some_and(|at| self.now.since(at) >= LONE);
        let cascades = named && absent && sample.receiver.is_some() && !self.points_at(sample, primary.0);
        let why = format!("{} points at another node than the primary", self.name(id));
        let astray = (older || cascades) && self.is_prefix(id);
        astray.then(|| Job::new(why, [id]).then(id, Action::Repoint { to: primary.0 }))
    }

    /// A cascading standby is pointed elsewhere only when the node that it streams from is gone: dead for `member_timeout`, out
    /// of recovery without being the primary, or of another history.
    fn plan_cascade(&self, id: NodeId, sample: &Sample, primary: NodeId) -> Option<Job> {
        let upstream = self.spec.ids().find(|up| self.points_at(sample, *up));
        let strays = |up: NodeId| {
            let live = self.facts.node(up).and_then(|f| f.live());
            up != primary && live.is_some_and(|s| !s.in_recovery || !self.is_prefix(up))
        };
        let limit = self.spec.limits.member_timeout;
        let lone = self.facts.node(id)?.lone.is_some_and(|at| self.now.since(at) >= limit);
        let gone = lone && upstream != Some(primary) || upstream.is_some_and(strays);
        let name = upstream.map_or_else(|| "it".to_owned(), |up| self.name(up));
        let why = format!("{} cascades, and {name} is gone", self.name(id));
        (gone && self.is_prefix(id)).then(|| Job::new(why, [id]).then(id, Action::Repoint { to: primary }))
    }

    /// The times of a standby's receiver, before everything that only a failover needs: without them silence is no evidence.
    fn plan_times(&self, id: NodeId, primary: (NodeId, &Sample)) -> Option<Job> {
        let sample = self.answer(id).filter(|s| s.system_id == primary.1.system_id && s.in_recovery)?;
        let due = id != primary.0 && !sample.tuned && self.is_prefix(id);
        let why = format!("{} has other times for its receiver", self.name(id));
        due.then(|| Job::new(why, [id]).then(id, Action::Tune { on: true }))
    }

    /// What a single node lacks: the list, its own names for the day it is promoted, a primary to stream from.
    fn plan_node(&self, id: NodeId, primary: (NodeId, &Sample)) -> Option<Job> {
        let sample = self.answer(id).filter(|s| s.system_id == primary.1.system_id)?;
        let name = self.name(id);
        let is_primary = id == primary.0;
        if !is_primary && (!sample.in_recovery || !self.is_prefix(id)) {
            return None;
        }
        let job = |why: &str| Job::new(format!("{name} {why}"), [id]);
        if let Some(members) = &self.facts.members {
            if sample.members.as_ref().is_none_or(|m| m.version < members.version) {
                let members = members.clone();
                return Some(job("has an old list of names").then(id, Action::WriteMembers { members }));
            }
            let names = self.or_last(members.sync.without(&self.node_spec(id)?.application_name));
            if !is_primary && sample.sync_names != names {
                return Some(
                    job("has other names for the day it is promoted").then(id, Action::WriteNames { names }),
                );
            }
        }
        let lone = self.facts.node(id).and_then(|n| n.lone).is_some_and(|at| self.now.since(at) >= LONE);
        let cascade = self.node_spec(id).is_some_and(|n| n.cascade);
        let alone = !is_primary && !cascade && lone && !self.points_at(sample, primary.0);
        alone.then(|| job("streams from nobody").then(id, Action::Repoint { to: primary.0 }))
    }

    /// Whether a standby's `primary_conninfo` names this node's address already: then it is not for Howdah to repeat it.
    fn points_at(&self, sample: &Sample, to: NodeId) -> bool {
        self.node_spec(to).is_some_and(|n| {
            sample.conninfo_word("host").is_some_and(|h| h == n.host)
                && sample.conninfo_word("port").is_none_or(|p| p == n.port.to_string())
        })
    }

    /// Whether a standby whose history is a prefix now will stay one: it is on the primary's timeline, streams from nobody, or
    /// from the primary.
    pub(crate) fn follows(&self, id: NodeId) -> bool {
        let (Some(reign), Some(sample)) = (&self.reign, self.facts.sample(id)) else { return false };
        let here = sample.timeline == reign.epoch.timeline || sample.primary_conninfo.is_empty();
        here || self.points_at(sample, reign.node)
    }

    /// The list of synchronous names: kept, shortened, lengthened.
    fn plan_list(&self, primary: (NodeId, &Sample)) -> Option<Job> {
        let (id, sample) = primary;
        let Some(members) = &self.facts.members else {
            let names = self.first_list(primary)?;
            return self.shrink(
                id,
                None,
                (names, "the list of names is to be written for the first time".to_owned()),
            );
        };
        let own = self.node_spec(id).is_some_and(|n| members.sync.contains(&n.application_name));
        if sample.sync_names != members.sync && !own {
            let why = "the primary does not use the list of names".to_owned();
            let names = members.sync.clone();
            return Some(Job::new(why, [id]).then(id, Action::WriteNames { names }));
        }
        match self.target(primary, &members.sync)? {
            Target::Shorter(names, why) => self.shrink(id, Some(members), (names, why)),
            Target::Longer(names, why) => self.grow(id, members, (names, why)),
        }
    }

    /// Nodes of these names that answer now.
    fn nodes_named(&self, names: &SyncNames) -> Vec<NodeId> {
        self.spec
            .by_id()
            .filter(|(id, n)| names.contains(&n.application_name) && self.answer(*id).is_some())
            .map(|(id, _)| id)
            .collect()
    }

    /// Used first; when those that remain have caught up, written on the primary and then on the voters.
    fn shrink(&self, primary: NodeId, old: Option<&Members>, new: (SyncNames, String)) -> Option<Job> {
        let (names, why) = new;
        let version = old.map_or(0, |m| m.version) + 1;
        let members = Members { version, sync: names.clone() };
        let voters = self.nodes_named(&names);
        let mut job = Job::new(why, voters.iter().copied().chain([primary]));
        job = job.then(primary, Action::WriteNames { names: names.clone() });
        job.steps.push_back(Step::CaughtUp(names));
        job = job.then(primary, Action::WriteMembers { members: members.clone() });
        for id in voters {
            job = job.then(id, Action::WriteMembers { members: members.clone() });
        }
        Some(job)
    }

    /// Written on the voters, then on the primary, then used.
    fn grow(&self, primary: NodeId, old: &Members, new: (SyncNames, String)) -> Option<Job> {
        let (names, why) = new;
        let members = Members { version: old.version + 1, sync: names.clone() };
        let voters = self.nodes_named(&names);
        let told = voters
            .iter()
            .filter(|id| self.node_spec(**id).is_some_and(|n| old.sync.contains(&n.application_name)));
        let quorum = quorum::of_names(&old.sync).filter(|_| !old.sync.is_nobody());
        // Enough of the old voters learn of it that nobody can promote by the old list.
        let enough = quorum.is_none_or(|q| told.count() >= quorum::meeting(old.sync.names.len(), q));
        if !enough {
            return None;
        }
        let mut job = Job::new(why, voters.iter().copied().chain([primary]));
        for id in voters {
            job = job.then(id, Action::WriteMembers { members: members.clone() });
        }
        job = job.then(primary, Action::WriteMembers { members });
        Some(job.then(primary, Action::WriteNames { names }))
    }
}

/// What a failover that is undone has changed on a node: of a primary that was to be left, the mark goes last, so that an
/// undoing that is interrupted is found again.
fn put_back(job: Job, id: NodeId, marked: (FenceRecord, &Sample)) -> Job {
    let (record, sample) = marked;
    let job = match !sample.in_recovery && sample.read_only {
        true => job.then(id, Action::SetReadOnly { on: false }),
        false => job,
    };
    job.then(id, Action::Undo { record })
}
