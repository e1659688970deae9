//! What each act of the decision table does: the orders it gives. Read next: [`crate::job`] (changes of settings) and
//! [`crate::records`] (SHOW FAILOVERS).

use std::time::Duration;

use howdah_topology::{FailoverOutcome, NodeId};

use crate::action::{Action, Done};
use crate::attempt::{Attempt, Promotion};
use crate::elect::Elected;
use crate::event::Command;
use crate::fence::FenceRecord;
use crate::guards::HOUR;
use crate::history;
use crate::machine::{Machine, Reign};
use crate::rows::{Act, Row};
use crate::sample::Sample;
use crate::tasks::Limit;

impl Machine {
    /// Does what a row says.
    pub(crate) fn perform(&mut self, row: &'static Row) {
        match row.act {
            Act::Nothing => {}
            Act::Adopt => self.adopt(),
            Act::Suspect => self.suspect(),
            Act::LookAnew => self.look_anew(),
            Act::Release => self.release(),
            Act::BeginAttempt => self.begin_attempt(),
            Act::BeginSwitchover => self.begin_switchover(),
            Act::MarkPrimary => self.mark_left(),
            Act::StopPrimary => self.stop_primary(),
            Act::FenceStopped => self.fence_stopped(),
            Act::LockNext => self.lock_next(),
            Act::FenceAll => self.fence_all(),
            Act::Remedy => self.remedy(),
            Act::ReadPositions => self.read_positions(),
            Act::HelpReplay => self.help_replay(),
            Act::StreamFromFurthest => self.stream_from_furthest(),
            Act::FenceAgain => self.fence_again(),
            Act::RepointOthers => self.repoint_others(),
            Act::CheckVotes => self.check_votes(),
            Act::Promote => self.promote(),
            Act::Publish => self.publish(),
            Act::EndAttempt => self.end_attempt(row),
            Act::Undo => self.undo(row),
            Act::BackOff => self.back_off(),
            Act::BeginJob => self.begin_job(),
            Act::JobStep => self.job_step(),
            Act::EndJob => self.end_job(),
            Act::AbandonJob => self.abandon_job(row),
            Act::Halt => self.close_record(FailoverOutcome::Halted(self.sentence.clone())),
        }
    }

    /// Orders an action with the time and the retries that are right for it.
    pub(crate) fn order(&mut self, node: NodeId, action: Action) {
        let limits = &self.spec.limits;
        let retries = limits.action_retries;
        let polls = limits.promote_timeout.as_micros() / limits.action_timeout.as_micros().max(1);
        let limit = match action {
            Action::Checkpoint => Limit { within: limits.promote_timeout, retries: 0 },
            Action::Fence { .. } => Limit { within: limits.fence_timeout, retries: 1 },
            // Asked for again only after the votes were checked again.
            Action::Promote => Limit { within: limits.action_timeout, retries: 0 },
            // Questions: each is asked again as soon as an answer may be lost.
            Action::ReadPosition | Action::AwaitPromoted => {
                Limit { within: limits.action_timeout, retries: u32::try_from(polls).unwrap_or(u32::MAX) }
            }
            _ => Limit { within: limits.action_timeout, retries },
        };
        self.tasks.order(self.now, node, action, limit);
    }

    fn adopt(&mut self) {
        let Some(id) = self.trusted() else { return };
        let Some(sample) = self.facts.sample(id).cloned() else { return };
        let another = self.reign_epoch_differs(&sample);
        self.enthrone(id, &sample);
        if another {
            self.record_adoption(id);
        }
    }

    /// Whether the sample is of a later epoch than one that was published before.
    fn reign_epoch_differs(&self, sample: &Sample) -> bool {
        self.epoch.is_some_and(|e| e.timeline != sample.timeline)
    }

    /// Makes a node the published primary.
    fn enthrone(&mut self, id: NodeId, sample: &Sample) {
        let unread = howdah_topology::Epoch {
            system_id: sample.system_id,
            timeline: sample.timeline,
            began_at: self
                .epoch
                .filter(|e| e.timeline == sample.timeline)
                .map_or_else(Default::default, |e| e.began_at),
        };
        let epoch = history::epoch_of(sample).unwrap_or(unread);
        self.reign = Some(Reign { node: id, epoch, sample: sample.clone(), elected_at: None });
        self.epoch = Some(epoch);
        self.enthroned = self.now;
        self.release();
        self.command = None;
        self.facts.freshness.enter(Some(epoch));
        self.facts.primary_reached = sample.position();
        for node in &mut self.facts.nodes {
            node.absent = None;
        }
        let sent = self.facts.node(id).map_or(self.now, |n| n.sampled);
        self.note_primary(sent, sample);
    }

    /// Everyone is asked at once, and only what is said from now on is evidence.
    pub(crate) fn suspect(&mut self) {
        self.suspect_since = Some(self.now);
        for node in &mut self.facts.nodes {
            node.suspect(self.now);
        }
    }

    /// The suspicion is over.
    fn release(&mut self) {
        self.suspect_since = None;
        self.refusal_told = false;
    }

    /// Forgets who was published; the epoch is kept.
    pub(crate) fn look_anew(&mut self) {
        if self.reign.take().is_some() {
            self.leaderless = self.now;
        }
        self.suspect_since = None;
    }

    fn begin_attempt(&mut self) {
        self.attempts += 1;
        self.tasks.clear();
        let timeline = self.reign.as_ref().map(|r| r.epoch.timeline);
        let newest = self.facts.iter().filter_map(|(_, f)| f.live()).map(|s| s.timeline).max();
        let mut attempt = Attempt::new(self.attempts, timeline.or(newest).unwrap_or(1));
        if let Some(Command::Failover { to }) = self.command.take() {
            attempt.manual = true;
            attempt.wanted = to;
        }
        self.open_record(attempt.manual);
        self.attempt = Some(attempt);
    }

    fn lock_next(&mut self) {
        let Some(next) = self.next_voter() else { return };
        if let Some(attempt) = &mut self.attempt {
            attempt.asked.insert(next);
        }
        self.order(next, Action::Lock);
    }

    pub(crate) fn fence_all(&mut self) {
        self.tasks.clear();
        let votes: Vec<NodeId> = self.attempt.iter().flat_map(|a| a.votes.iter().copied()).collect();
        for id in votes {
            if self.facts.sample(id).is_some_and(|s| s.in_recovery) {
                self.order_fence(id);
            }
        }
        self.fence_left();
    }

    /// First the remedies; when they are carried out, the fence again.
    fn remedy(&mut self) {
        for (id, paused, conflict) in self.blocked() {
            let helped = self.tasks.take_results(id, &["resume replay", "end conflicting reads"]);
            let record = self.attempt.as_ref().and_then(|a| a.records.get(&id)).cloned();
            if let Some(record) = record.filter(|_| helped) {
                self.order(id, Action::Fence { record });
                continue;
            }
            if paused {
                self.order(id, Action::ResumeReplay);
            }
            if conflict {
                self.order(id, Action::EndConflictingReads);
            }
        }
    }

    fn read_positions(&mut self) {
        self.tasks.clear();
        if let Some(attempt) = &mut self.attempt {
            // A candidate that had to stream first was attached to nobody whose lease could be renewed by it.
            attempt.fenced_at.get_or_insert(self.now);
        }
        let fenced = self.attempt.iter().flat_map(|a| a.fenced.iter().copied());
        for id in fenced.filter(|id| !self.reigns(*id)).collect::<Vec<_>>() {
            self.order(id, Action::ReadPosition);
        }
    }

    /// A read that was begun after the fence may stand in the way of what is left to replay; else it only takes its time, and
    /// is asked again.
    fn help_replay(&mut self) {
        for (id, paused, conflict) in self.replay_unfinished() {
            if paused {
                self.order(id, Action::ResumeReplay);
            }
            if conflict {
                self.order(id, Action::EndConflictingReads);
            }
            self.order(id, Action::ReadPosition);
        }
    }

    fn repoint_others(&mut self) {
        let Ok(Elected::Furthest(elected)) = self.elect() else { return };
        self.tasks.clear();
        let lost_slots = self.slots_missing_on(elected);
        let Some(attempt) = &mut self.attempt else { return };
        attempt.elected = Some(elected);
        attempt.lost_slots = lost_slots;
        let others = self.attempt.iter().flat_map(|a| a.fenced.iter().copied());
        let others: Vec<NodeId> = others.filter(|id| *id != elected && !self.reigns(*id)).collect();
        self.record_elected(elected);
        let names = self.names_after(elected);
        if self.facts.sample(elected).is_none_or(|s| s.sync_names != names) {
            self.order(elected, Action::WriteNames { names });
        }
        for id in others {
            self.order(id, Action::Repoint { to: elected });
        }
    }

    fn check_votes(&mut self) {
        self.tasks.clear();
        let votes: Vec<NodeId> = self.attempt.iter().flat_map(|a| a.votes.iter().copied()).collect();
        let stopped = self.stopped();
        for id in votes.into_iter().filter(|id| Some(*id) != stopped) {
            self.order(id, Action::CheckVote);
        }
    }

    fn promote(&mut self) {
        self.tasks.clear();
        let Some(elected) = self.attempt.as_ref().and_then(|a| a.elected) else { return };
        let started_at = self.facts.sample(elected).map_or(0, |s| s.started_at);
        if let Some(attempt) = &mut self.attempt {
            attempt.promotion = match attempt.promotion {
                Promotion::NotAsked => Promotion::Asked { started_at, times: 1 },
                Promotion::Asked { started_at, times } => Promotion::Asked { started_at, times: times + 1 },
            };
        }
        self.order(elected, Action::Promote);
        self.order(elected, Action::AwaitPromoted);
    }

    fn publish(&mut self) {
        let Some(attempt) = self.attempt.clone() else { return };
        let Some(elected) = attempt.elected else { return };
        let Some(Ok(Done::Promoted { sample })) = self.tasks.result(elected, "await promoted") else {
            return;
        };
        let sample = (**sample).clone();
        self.tasks.clear();
        self.record_loss(&sample);
        self.enthrone(elected, &sample);
        if !attempt.manual {
            self.promotions.push_back(self.now);
        }
        while self.promotions.front().is_some_and(|at| self.now.since(*at) > HOUR) {
            self.promotions.pop_front();
        }
        if let Some(reign) = &mut self.reign {
            reign.elected_at = Some(self.now);
        }
        // The others keep their marks until they are on the new timeline: until then nothing else on them says that there is
        // a newer epoch, and the old primary may come back to a pooler without memory.
        self.order(elected, Action::ClearFence);
        self.close_record(FailoverOutcome::Promoted);
    }

    fn end_attempt(&mut self, row: &Row) {
        self.unlock_votes();
        self.attempt = None;
        self.command = None;
        if row.to == crate::rows::State::Start {
            self.look_anew();
        }
    }

    fn unlock_votes(&mut self) {
        self.tasks.clear();
        let asked: Vec<NodeId> = self.attempt.iter().flat_map(|a| a.asked.iter().copied()).collect();
        for id in asked {
            self.order(id, Action::Unlock);
        }
    }

    /// Puts back what was changed, through the sessions whose votes are still held; what cannot be reached keeps its
    /// record and is found later.
    fn undo(&mut self, row: &Row) {
        self.tasks.clear();
        let why = self.why_called_off(row);
        self.recall();
        let Some(attempt) = &mut self.attempt else { return };
        attempt.called_off = Some(why);
        let records: Vec<(NodeId, FenceRecord)> = attempt
            .records
            .iter()
            .filter(|(id, _)| attempt.votes.contains(id))
            .map(|(id, r)| (*id, r.clone()))
            .collect();
        let timeline = attempt.timeline;
        if let Some(newer) = self.newest_primary() {
            return records.into_iter().for_each(|(id, _)| self.give_way(id, newer));
        }
        // A newer epoch whose primary is not in view: the marks stay, and whoever finds it finishes ([`crate::plan`]).
        let superseded = self.reign.as_ref().is_some_and(|reign| self.is_outdated(&reign.sample));
        for (id, record) in records.into_iter().filter(|_| !superseded) {
            match self.reign.as_ref().filter(|_| record.timeline < timeline).map(|reign| reign.node) {
                // What an earlier failover remembered is not what this one has changed.
                Some(primary) => self.order(id, Action::Repoint { to: primary }),
                None => {
                    self.unsilence(id);
                    self.order(id, Action::Undo { record });
                }
            }
        }
    }

    /// A marked node, where another was promoted meanwhile: what it streamed from is a former primary, which must not find
    /// anybody again who acknowledges. One that was left stays marked and read-only until it is rejoined.
    fn give_way(&mut self, id: NodeId, newer: NodeId) {
        let standby = self.facts.sample(id).is_some_and(|s| s.in_recovery);
        if id == newer {
            self.order(id, Action::ClearFence);
        } else if standby && !self.reigns(id) {
            self.order(id, Action::Repoint { to: newer });
        }
    }

    fn back_off(&mut self) {
        if self.suspect_since.is_none() {
            // Of an order that was called off: that the primary answers is to be seen before work goes on.
            self.suspect();
        }
        self.unlock_votes();
        let why = self.attempt.take().and_then(|a| a.called_off).unwrap_or_default();
        self.close_record(FailoverOutcome::CalledOff(why));
        let half = self.spec.limits.vote_backoff / 2;
        let span = u64::try_from(half.as_micros()).unwrap_or(u64::MAX);
        self.backoff_until = self.now + half + Duration::from_micros(self.rng.below(span));
    }
}
