//! A change of settings while work goes on: orders one after the other, under the locks of the nodes they change. A
//! change may be given up after any of its orders: every prefix of it is safe. Read next: [`crate::plan`].

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use howdah_topology::{Lsn, NodeId, Time};

use crate::action::{Action, Done};
use crate::machine::Machine;
use crate::members::SyncNames;
use crate::quorum;
use crate::rows::Row;
use crate::tasks::Outcome;

/// After a change that failed the next one waits so long.
const RETRY: Duration = Duration::from_millis(500);

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// Carry this out and see it done.
    Order(NodeId, Action),
    /// Wait until enough of these names have flushed all that the primary had written when its list was changed, so
    /// that every quorum of theirs has it.
    CaughtUp(SyncNames),
    /// Wait until it is seen that nobody was promoted before the locks were held: another pooler's failover may just have
    /// ended, and this one not have heard of it.
    NobodyPromoted,
}

/// A change under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Job {
    /// Why, one sentence.
    pub(crate) why: String,
    /// What is left to do.
    pub(crate) steps: VecDeque<Step>,
    /// Nodes whose lock was asked for.
    pub(crate) locks: BTreeSet<NodeId>,
    /// The version of the list of names by which it was planned; 0: none was known. The newest version on the locked nodes
    /// governs (FAILOVER_PROTOCOL.md §2): if that is newer, another pooler has changed the list before the lock was held.
    pub(crate) version: u64,
    /// When the last lock was seen to be held.
    pub(crate) locked: Option<Time>,
    /// The primary's position after its list was changed, and when that was known.
    pub(crate) reached: Option<(Time, Lsn)>,
    /// Why it is given up.
    pub(crate) failed: Option<String>,
}

impl Job {
    /// A change that locks these nodes first.
    pub(crate) fn new(why: String, locks: impl IntoIterator<Item = NodeId>) -> Job {
        let locks: BTreeSet<NodeId> = locks.into_iter().collect();
        let steps = locks.iter().map(|id| Step::Order(*id, Action::Lock)).collect();
        Job { why, steps, locks, version: 0, locked: None, reached: None, failed: None }
    }

    /// Adds an order.
    pub(crate) fn then(mut self, node: NodeId, action: Action) -> Job {
        self.steps.push_back(Step::Order(node, action));
        self
    }
}

impl Machine {
    pub(crate) fn upkeep_due(&self) -> bool {
        self.now >= self.next_job && self.plan().is_some()
    }

    pub(crate) fn job_next(&self) -> bool {
        let ready = |step: &Step| match step {
            Step::Order(..) => true,
            Step::CaughtUp(names) => self.caught_up(names),
            Step::NobodyPromoted => self.nobody_promoted_since_locked(),
        };
        self.tasks.idle() && self.job.as_ref().and_then(|j| j.steps.front()).is_some_and(ready)
    }

    pub(crate) fn job_over(&self) -> bool {
        self.tasks.idle()
            && self
                .job
                .as_ref()
                .is_none_or(|j| j.failed.is_some() || j.steps.is_empty() || self.waits_too_long(j))
    }

    fn waits_too_long(&self, job: &Job) -> bool {
        if job.steps.front() == Some(&Step::NobodyPromoted) {
            return job.locked.is_none_or(|at| self.now.since(at) >= self.spec.limits.restart_grace * 3);
        }
        let waits = matches!(job.steps.front(), Some(Step::CaughtUp(_)));
        waits && job.reached.is_none_or(|(at, _)| self.now.since(at) >= self.spec.limits.member_timeout)
    }

    /// Whether enough of the names have flushed what the primary had when its list was changed.
    fn caught_up(&self, names: &SyncNames) -> bool {
        if self.fault == crate::fault::Fault::ShrinkAtOnce {
            return true;
        }
        if names.is_nobody() {
            // Nobody can be promoted by such a list.
            return true;
        }
        let (Some(reign), Some((_, reached))) = (&self.reign, self.job.as_ref().and_then(|j| j.reached))
        else {
            return false;
        };
        let Some(need) = quorum::of_names(names).map(|q| quorum::meeting(names.names.len(), q)) else {
            return true;
        };
        let rows = &reign.sample.replication;
        let has = |name: &&String| rows.iter().any(|r| r.application_name == **name && r.flushed >= reached);
        names.names.iter().filter(has).count() >= need
    }

    pub(crate) fn begin_job(&mut self) {
        self.tasks.clear();
        let version = self.facts.members.as_ref().map_or(0, |m| m.version);
        self.job = self.plan().map(|job| Job { version, ..job });
    }

    pub(crate) fn job_step(&mut self) {
        let step = self.job.as_mut().and_then(|j| j.steps.pop_front());
        if let Some(Step::Order(node, action)) = step {
            self.note_release(node, &action);
            self.order(node, action);
        }
    }

    /// Looks at a result: anything but done ends the change.
    pub(crate) fn note_job_result(&mut self, action: &Action, outcome: &Outcome) {
        let now = self.now;
        let Some(job) = &mut self.job else { return };
        match outcome {
            Ok(Done::Locked { granted: false, foreign, .. }) => {
                let holder = foreign.as_deref().unwrap_or("someone else");
                job.failed = Some(format!("a lock is held by {holder}"));
            }
            Ok(Done::Locked { granted: true, sample, .. }) => {
                job.locked = Some(now);
                if sample.members.as_ref().is_some_and(|m| m.version > job.version) {
                    job.failed = Some("the list of names has been changed meanwhile".to_owned());
                }
            }
            Ok(Done::Names { inserted: Some(lsn) }) => job.reached = Some((now, *lsn)),
            Ok(_) => {}
            Err(error) => job.failed = Some(format!("{}: {error}", action.name())),
        }
    }

    pub(crate) fn end_job(&mut self) {
        let Some(job) = self.job.take() else { return };
        self.tasks.clear();
        let unfinished = job.failed.is_some() || !job.steps.is_empty();
        if let Some(why) = &job.failed {
            self.sentence = format!("a change was given up ({}): {why}", job.why);
        }
        self.next_job = if unfinished { self.now + RETRY } else { self.now };
        self.job_ended = self.now;
        let mut touched = job.locks.clone();
        touched.extend(self.reign.as_ref().map(|r| r.node));
        for id in touched {
            self.reported(id);
        }
        for id in job.locks {
            self.order(id, Action::Unlock);
        }
    }

    pub(crate) fn abandon_job(&mut self, row: &Row) {
        if let Some(job) = &mut self.job {
            job.failed = Some(row.sentence.to_owned());
        }
        self.end_job();
        match row.to {
            crate::rows::State::Suspect => self.suspect(),
            _ => self.look_anew(),
        }
    }
}
