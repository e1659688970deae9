//! What each guard of the decision table asks. Facts in, yes or no out; nothing is changed here. Read next:
//! [`crate::steps`].

use std::collections::BTreeSet;
use std::time::Duration;

use howdah_topology::{Mode, NodeId, Time};

use crate::action::{ActionError, Done};
use crate::attempt::Promotion;
use crate::elect::Elected;
use crate::event::Command;
use crate::evidence::{self, Evidence};
use crate::facts::NodeFacts;
use crate::fault::Fault;
use crate::history;
use crate::machine::Machine;
use crate::rows::{Guard, State};
use crate::votes::{self, Electorate};

/// The hour of `max_failovers_per_hour`.
pub(crate) const HOUR: Duration = Duration::from_secs(3600);

impl Machine {
    /// Whether a guard holds.
    pub(crate) fn holds(&self, guard: Guard) -> bool {
        match guard {
            Guard::Diverged => self.diverged(),
            Guard::PrimaryTrusted => self.trusted().is_some(),
            Guard::PrimaryMissing => self.primary_missing(),
            Guard::NewerPrimary => self.newer_primary(),
            Guard::PrimaryFails => self.primary_fails(),
            Guard::PrimaryAnswers => self.primary_answers(),
            Guard::PrimaryFound => self.reign.is_none() && self.found().is_some(),
            Guard::OperatorAsks => matches!(self.command, Some(Command::Failover { .. })),
            Guard::OperatorSwitches => matches!(self.command, Some(Command::Switchover { .. })),
            Guard::OperatorResumes => self.command == Some(Command::Resume),
            Guard::Dead => self.automatic() && self.dead() && self.refusal(None).is_none(),
            Guard::UpkeepDue => self.upkeep_due(),
            Guard::JobNext => self.job_next(),
            Guard::JobOver => self.reign.is_some() && self.job_over(),
            Guard::JobOverInStart => self.reign.is_none() && self.job_over(),
            Guard::Idle => self.tasks.idle(),
            Guard::BackoffOver => self.now >= self.backoff_until,
            _ => self.attempt_holds(guard),
        }
    }

    /// The guards that ask about the failover under way.
    fn attempt_holds(&self, guard: Guard) -> bool {
        let Some(attempt) = &self.attempt else { return false };
        let idle = self.tasks.idle();
        let elected = attempt.elected;
        let result = |action| elected.and_then(|id| self.tasks.result(id, action));
        match guard {
            Guard::VoteMissed => attempt.missed.is_some(),
            Guard::VoteNext => idle && self.next_voter().is_some(),
            Guard::VotesHeld => idle && self.enough(&attempt.votes),
            Guard::VotesShort => idle && self.next_voter().is_none() && !self.enough(&attempt.votes),
            Guard::VotesLost => self.votes_lost(),
            Guard::FenceBlocked => idle && self.fence_time_left() && !self.blocked().is_empty(),
            Guard::FenceProven => idle && self.fenced_enough(),
            Guard::FenceFailed => idle,
            Guard::ReplayUnfinished => {
                !self.in_state_for(self.spec.limits.promote_timeout) && !self.replay_unfinished().is_empty()
            }
            Guard::ElectedBehind => idle && matches!(self.elect(), Ok(Elected::Behind(_))),
            Guard::Elected => idle && matches!(self.elect(), Ok(Elected::Furthest(_))),
            Guard::CaughtUp => idle && self.preferred_has_all(),
            Guard::CatchUpLate => self.catch_up_late(),
            Guard::ElectFailed => idle && self.elect().is_err(),
            Guard::RepointDone => {
                idle && !matches!(result("write names"), Some(Err(_))) && self.leases_are_out()
            }
            Guard::NamesFailed => idle && matches!(result("write names"), Some(Err(_))),
            Guard::VotesConfirmed => idle && self.votes_confirmed(),
            Guard::OutOfRecovery => {
                matches!(result("await promoted"), Some(Ok(Done::Promoted { sample })) if !sample.in_recovery)
            }
            Guard::NotPromoted => attempt.promotion.asked_once() && self.promotion_refused(),
            Guard::PromotionUnanswered => {
                let lost = matches!(result("promote"), Some(Err(ActionError::Unanswered)));
                lost && attempt.promotion.times() <= self.spec.limits.action_retries
            }
            Guard::PromotionInDoubt => {
                attempt.promotion != Promotion::NotAsked && (self.votes_gone() || self.newer_primary())
            }
            Guard::Prepared => idle && self.prepared(),
            Guard::Drained => self.drained() && self.supervised() && self.left_is_marked(),
            Guard::DrainedAlone => self.drained() && self.forced() && !self.supervised(),
            Guard::DrainLate => self.in_state_for(self.spec.limits.drain_timeout),
            Guard::PrimaryStopped => self.primary_stopped(),
            Guard::StopRefused => self.stop_refused(),
            Guard::StopLate => self.in_state_for(self.spec.limits.stop_timeout),
            Guard::ElectedRestarted => self.elected_restarted(),
            Guard::PromotionLate => self.in_state_for(self.spec.limits.promote_timeout),
            _ => false,
        }
    }

    /// Whether this machine promotes by itself now.
    fn automatic(&self) -> bool {
        self.spec.mode == Mode::Manage && !self.maintenance && !self.too_many() && self.in_care()
    }

    /// Whether `max_failovers_per_hour` is reached: whoever gives an order has looked, and is not held back by it.
    pub(crate) fn too_many(&self) -> bool {
        let recent = self.promotions.iter().filter(|at| self.now.since(**at) < HOUR).count();
        is_reached(recent, self.spec.limits.max_failovers_per_hour)
    }

    /// What the evidence says now.
    pub(crate) fn evidence(&self) -> Evidence {
        let since = self.suspect_since.unwrap_or(self.now);
        let primary = self.reign.as_ref().map(|r| r.node);
        evidence::judge(&self.facts, &self.spec, primary, since, self.now)
    }

    fn dead(&self) -> bool {
        match self.evidence() {
            Evidence::Dead(_) => true,
            Evidence::Alive(_) | Evidence::Wanting(_) => {
                self.fault == Fault::IgnoreLife && self.ignored_life()
            }
        }
    }

    /// The planted fault: one failed probe is enough.
    fn ignored_life(&self) -> bool {
        let primary = self.reign.as_ref().and_then(|r| self.facts.node(r.node));
        primary.is_some_and(|f| f.standing.fails + f.fresh.fails > 0)
    }

    /// Nodes that answer and are out of recovery, of this system and no older epoch than known, newest timeline first.
    /// What is known is what we have published, and, so that a pooler without memory knows it as well, what any node
    /// that answers has seen: the quorum of [`votes::followed_as_of`] says that nobody *can* have promoted another, and
    /// a node in a newer timeline that somebody *has*.
    fn primaries(&self) -> Vec<(NodeId, &NodeFacts)> {
        let mut all: Vec<(NodeId, &NodeFacts)> = self
            .facts
            .iter()
            .filter(|(_, f)| {
                f.live().is_some_and(|s| {
                    let known =
                        self.epoch.is_none_or(|e| e.system_id == s.system_id && e.timeline <= s.timeline);
                    !s.in_recovery && known && !self.is_outdated(s)
                })
            })
            .collect();
        all.sort_by_key(|(id, f)| (std::cmp::Reverse(f.sample.as_ref().map(|s| s.timeline)), *id));
        all
    }

    /// Whether some node that answers is in a newer timeline of the same system.
    pub(crate) fn is_outdated(&self, sample: &crate::sample::Sample) -> bool {
        let newer =
            |s: &crate::sample::Sample| s.system_id == sample.system_id && s.timeline > sample.timeline;
        self.spec.mode != Mode::Off && self.facts.iter().any(|(_, f)| f.live().is_some_and(newer))
    }

    /// A node out of recovery that is not taken for the primary because a newer timeline is known.
    pub(crate) fn outdated(&self) -> Option<NodeId> {
        let stale = |f: &NodeFacts| f.live().is_some_and(|s| !s.in_recovery && self.is_outdated(s));
        self.facts.iter().find(|(_, f)| stale(f)).map(|(id, _)| id)
    }

    /// The node to be taken for the primary, if none is published.
    pub(crate) fn found(&self) -> Option<NodeId> {
        self.primaries().first().map(|(id, _)| *id)
    }

    /// The same, if enough nodes follow it or know of no newer epoch.
    pub(crate) fn trusted(&self) -> Option<NodeId> {
        let found = self.found()?;
        if self.spec.mode == Mode::Follow && self.epoch.is_none() && !self.all_asked() {
            // The first to answer may be a former primary: what the others know is heard before.
            return None;
        }
        let free = self.spec.mode != Mode::Manage || self.spec.nodes.len() == 1 || self.spec.bootstrap;
        (free || self.followed(found)).then_some(found)
    }

    /// Whether enough nodes follow it, as of a moment within the lease.
    fn followed(&self, node: NodeId) -> bool {
        let as_of = votes::followed_as_of(&self.facts, &self.spec, node);
        as_of.is_some_and(|at| self.now.since(at) < self.spec.limits.primary_lease)
    }

    fn diverged(&self) -> bool {
        if self.spec.mode == Mode::Off {
            return false;
        }
        let primaries = self.primaries();
        let timeline = |f: &NodeFacts| f.sample.as_ref().map(|s| s.timeline);
        let mut newest =
            primaries.iter().filter(|(_, f)| Some(timeline(f)) == primaries.first().map(|p| timeline(p.1)));
        let (first, second) = (newest.next(), newest.next());
        let usurped = self.reign.as_ref().is_some_and(|reign| {
            first.is_some_and(|(id, f)| *id != reign.node && timeline(f) == Some(reign.epoch.timeline))
        });
        second.is_some() || usurped
    }

    /// Whether somebody else is the primary by now: a node is out of recovery in a newer epoch, or, while something is to be
    /// done about the present primary, a standby is already in one. The new primary itself may not be in view yet, and to
    /// promote another beside it would end its work for nothing.
    pub(crate) fn newer_primary(&self) -> bool {
        let Some(reign) = self.reign.as_ref().filter(|_| self.spec.mode != Mode::Off) else { return false };
        let standby = self.suspect_since.is_some() && self.is_outdated(&reign.sample);
        standby || self.newest_primary().is_some()
    }

    /// The node that is out of recovery in the newest epoch, where that is newer than the published one.
    pub(crate) fn newest_primary(&self) -> Option<NodeId> {
        let reign = self.reign.as_ref()?;
        let primaries = self.primaries();
        let (id, facts) = primaries.first()?;
        facts.sample.as_ref().filter(|s| s.timeline > reign.epoch.timeline).map(|_| *id)
    }

    fn primary_missing(&self) -> bool {
        self.spec.mode == Mode::Manage && self.all_asked() && self.found().is_none()
    }

    /// Whether each node has answered or failed to.
    fn all_asked(&self) -> bool {
        let asked = |f: &NodeFacts| f.sample.is_some() || f.standing.fails > 0 || f.fresh.fails > 0;
        self.facts.nodes.iter().all(asked)
    }

    fn primary_fails(&self) -> bool {
        let Some(reign) = self.reign.as_ref().filter(|_| self.spec.mode != Mode::Off) else { return false };
        let standby = |f: &NodeFacts| f.live().is_some_and(|s| s.in_recovery);
        self.facts.node(reign.node).is_some_and(|f| f.newest_failed() || standby(f))
    }

    pub(crate) fn primary_answers(&self) -> bool {
        let irrevocable =
            self.attempt.as_ref().is_some_and(|a| a.manual || a.promotion != Promotion::NotAsked);
        let (Some(reign), Some(since)) = (&self.reign, self.suspect_since) else { return false };
        let Some(node) = self.facts.node(reign.node).filter(|_| !irrevocable) else { return false };
        // Where someone else promotes he may have done so meanwhile, and only a standby of the new primary be in view.
        let outdated = |s: &crate::sample::Sample| self.spec.mode == Mode::Follow && self.is_outdated(s);
        let lives = |s: &crate::sample::Sample| {
            !s.in_recovery
                && !outdated(s)
                && s.timeline == reign.epoch.timeline
                && s.system_id == reign.epoch.system_id
        };
        node.answers_since(since) && node.sample.as_ref().is_some_and(lives)
    }

    /// Who votes, with the planted fault.
    pub(crate) fn electorate(&self) -> Option<Electorate> {
        let on_record = votes::electorate(&self.facts, &self.spec);
        let mut electorate = on_record.or_else(|| self.electorate_in_use())?;
        if let Fault::FewerVotes(fewer) = self.fault {
            electorate.quorum = electorate.quorum.saturating_sub(fewer).max(1);
        }
        Some(electorate)
    }

    /// Whether these nodes are a quorum of the voters.
    pub(crate) fn enough(&self, nodes: &BTreeSet<NodeId>) -> bool {
        self.electorate().is_some_and(|e| e.voters.iter().filter(|v| nodes.contains(v)).count() >= e.quorum)
    }

    /// Whether a voter can be asked: it has answered since the suspicion began.
    pub(crate) fn can_vote(&self, id: NodeId) -> bool {
        let since = self.suspect_since.unwrap_or(Time::ZERO);
        self.facts.node(id).is_some_and(|f| f.answers_since(since))
    }

    /// The next voter to ask, in the order of the node list.
    pub(crate) fn next_voter(&self) -> Option<NodeId> {
        let attempt = self.attempt.as_ref()?;
        // A switchover changes settings of the primary too: its vote is the first.
        let primary = attempt.planned.map(|p| p.primary);
        let voters = primary.into_iter().chain(self.electorate()?.voters);
        voters.into_iter().find(|v| !attempt.asked.contains(v) && self.can_vote(*v))
    }

    /// Votes, or the fences that rest on them, are no quorum any more, or the elected one's is gone.
    fn votes_gone(&self) -> bool {
        let Some(attempt) = &self.attempt else { return true };
        let elected_lost = attempt.elected.is_some_and(|e| !attempt.votes.contains(&e));
        let unfenced = attempt.elected.is_some() && !self.fenced_enough();
        let unconfirmed = self.state == State::Recheck && self.tasks.idle() && !self.votes_confirmed();
        !self.enough(&attempt.votes) || elected_lost || unfenced || unconfirmed
    }

    fn votes_lost(&self) -> bool {
        let asked = self.attempt.as_ref().is_some_and(|a| a.promotion != Promotion::NotAsked);
        !asked && self.votes_gone()
    }

    fn votes_confirmed(&self) -> bool {
        let held = |o: &crate::tasks::Outcome| *o == Ok(Done::Vote(true));
        let mut confirmed: BTreeSet<NodeId> =
            self.tasks.results_of("check vote").filter(|(_, o)| held(o)).map(|(id, _)| id).collect();
        self.count_stopped(&mut confirmed);
        let elected = self.attempt.as_ref().and_then(|a| a.elected);
        self.enough(&confirmed) && elected.is_some_and(|e| confirmed.contains(&e))
    }

    /// Asynchronous clusters wait the leases of other poolers out (FAILOVER_PROTOCOL.md §7).
    fn leases_are_out(&self) -> bool {
        let asynchronous = self.electorate().is_none_or(|e| e.asynchronous);
        // Until the fence was proven a standby could renew another pooler's lease.
        let fenced = self.attempt.as_ref().and_then(|a| a.fenced_at).unwrap_or(self.now);
        !asynchronous || self.now.since(fenced) >= self.spec.limits.primary_lease
    }

    fn promotion_refused(&self) -> bool {
        let elected = self.attempt.as_ref().and_then(|a| a.elected);
        let result = elected.and_then(|id| self.tasks.result(id, "promote"));
        matches!(result, Some(Err(ActionError::SessionLost | ActionError::Refused(_))))
    }

    fn elected_restarted(&self) -> bool {
        let Some(attempt) = &self.attempt else { return false };
        let Promotion::Asked { started_at, .. } = attempt.promotion else { return false };
        let node = attempt.elected.and_then(|id| self.facts.node(id)).and_then(NodeFacts::live);
        node.is_some_and(|s| s.in_recovery && s.started_at != started_at)
    }

    /// Whether the standby's history is shown to be a prefix of the published primary's.
    pub(crate) fn is_prefix(&self, id: NodeId) -> bool {
        let Some(reign) = &self.reign else { return false };
        self.facts.sample(id).is_some_and(|s| history::is_prefix(s, &reign.sample))
    }
}

/// Whether so many are as many as the limit allows; 0 is no limit.
pub(crate) fn is_reached(count: usize, limit: u32) -> bool {
    limit != 0 && count >= usize::try_from(limit).unwrap_or(usize::MAX)
}
