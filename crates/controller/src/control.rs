//! A node's control session: the one that holds the vote, that standing probes go through, and in which alone
//! anything is changed on the node.
//!
//! It is a lease that the server keeps: `idle_session_timeout` ends it when nothing was asked for so long, so a
//! pooler that was frozen wakes up without its votes and cannot act. The machine's standing probes are the
//! heartbeat. When it has ended, orders are answered with `SessionLost`; only a probe opens it anew.

use std::sync::Arc;
use std::time::Duration;

use howdah_failover::{Action, ActionError, ActionId, Done, Event, Path, ProbeFailure, Sample};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::actions;
use crate::ask::{self, Ask as _, AskError, Line};
use crate::checks;
use crate::clock::Clock;
use crate::link::{NodeLink, Timed};

/// The lease: the server ends a control session that was idle for so long (14 and later).
const VOTE_LEASE: Duration = Duration::from_secs(3);

/// A node's control session and its orders, carried out one after the other.
pub(crate) struct Control {
    link: Arc<NodeLink>,
    all: Arc<[Arc<NodeLink>]>,
    clock: Clock,
    events: mpsc::Sender<Event>,
    line: Option<Line>,
    /// Whether the vote was taken in this session and not given back.
    votes: bool,
}

impl Control {
    pub(crate) fn new(
        link: Arc<NodeLink>,
        all: Arc<[Arc<NodeLink>]>,
        clock: Clock,
        events: mpsc::Sender<Event>,
    ) -> Self {
        Self { link, all, clock, events, line: None, votes: false }
    }

    /// Carries out orders until there is nobody left to give any.
    pub(crate) async fn run(mut self, mut orders: mpsc::Receiver<Timed>) {
        while let Some(timed) = orders.recv().await {
            let id = timed.order.id;
            match timed.order.action {
                Action::Probe { path: Path::Standing } => self.probe(id).await,
                Action::Fence { record } => self.fence(id, &record, timed.deadline).await,
                action => {
                    let result = self.carry_out(&action, timed.deadline).await;
                    self.answer(id, result).await;
                }
            }
        }
    }

    async fn answer(&mut self, id: ActionId, result: Result<Done, ActionError>) {
        // The receiver is gone only when the controller is.
        let _ = self.events.send(Event::ActionDone { id, result }).await;
    }

    async fn probe(&mut self, id: ActionId) {
        let sent = self.clock.now();
        let event = match self.sample().await {
            Ok(sample) => Event::ProbeAnswered { id, sent, sample: Box::new(sample) },
            Err(failure) => Event::ProbeFailed { id, sent, failure },
        };
        let _ = self.events.send(event).await;
    }

    async fn sample(&mut self) -> Result<Sample, ProbeFailure> {
        let deadline = Instant::now() + self.link.target.limit();
        if let Some(failure) = self.line.as_ref().and_then(Line::failure) {
            // Told once; the next probe opens a new session.
            self.hang_up();
            return Err(failure);
        }
        if self.line.is_none() {
            self.open(deadline).await?;
        }
        let Some(line) = &mut self.line else { return Err(ProbeFailure::Eof) };
        let error = match ask::sample(line, &self.link, None, deadline).await {
            Ok((_, mut sample)) => {
                if self.link.is_managed() && !self.votes {
                    // No answer is no obstacle: it is asked again with the next probe.
                    drop(checks::refresh(line, &self.link, &self.all, deadline).await);
                    sample.checks = self.link.memory().checks.as_ref().map(|(checks, _)| checks.clone());
                }
                return Ok(sample);
            }
            Err(error) => error,
        };
        match &error {
            AskError::Lost(_) => self.hang_up(),
            // A hung backend: a new session may answer. But a vote is not thrown away for a slow answer.
            AskError::Unanswered if !self.votes => self.hang_up(),
            AskError::Unanswered => {}
            AskError::Refused(why) => tracing::warn!(node = %self.link.config.name, why, "probe refused"),
        }
        Err(error.into())
    }

    fn hang_up(&mut self) {
        self.line = None;
        self.votes = false;
    }

    async fn open(&mut self, deadline: Instant) -> Result<(), ProbeFailure> {
        let mut line = Line::new(self.link.target.open().await?);
        // Before 14 there is no such setting; there the server's keepalives must find a cut-off pooler.
        let lease = format!(
            "SELECT set_config('idle_session_timeout', '{}', false) \
             WHERE current_setting('server_version_num')::int >= 140000",
            VOTE_LEASE.as_millis()
        );
        line.ask(&lease, deadline).await?;
        match line.prepare(deadline).await {
            // It is asked in full then, and what is wrong with it is said by the answer.
            Err(AskError::Refused(why)) => {
                tracing::warn!(node = %self.link.config.name, why, "the questions cannot be prepared");
            }
            prepared => prepared?,
        }
        self.line = Some(line);
        let link = Arc::clone(&self.link);
        tokio::spawn(async move { link.warm().await });
        Ok(())
    }

    /// The line, if it stands.
    fn standing(&mut self) -> Result<&mut Line, ActionError> {
        if self.line.as_ref().is_none_or(|line| line.failure().is_some()) {
            self.votes = false;
            return Err(ActionError::SessionLost);
        }
        self.line.as_mut().ok_or(ActionError::SessionLost)
    }

    /// The line, if the vote was granted in it: a session that a probe has opened since holds nothing that kept
    /// others away in between, so nothing is changed through it.
    fn voting(&mut self) -> Result<&mut Line, ActionError> {
        let votes = self.votes;
        self.standing().and_then(|line| if votes { Ok(line) } else { Err(ActionError::SessionLost) })
    }

    /// The first half of a fence is ours; the second only looks, and must not keep the session busy.
    async fn fence(&mut self, id: ActionId, record: &howdah_failover::FenceRecord, deadline: Instant) {
        let written = match self.voting() {
            Ok(line) => actions::fence::write(line, record, deadline).await,
            Err(e) => Err(e),
        };
        if let Err(e) = written {
            return self.answer(id, Err(e)).await;
        }
        let (link, events) = (Arc::clone(&self.link), self.events.clone());
        tokio::spawn(async move {
            let result = actions::fence::watch(&link, deadline).await;
            let _ = events.send(Event::ActionDone { id, result }).await;
        });
    }

    async fn carry_out(&mut self, action: &Action, deadline: Instant) -> Result<Done, ActionError> {
        let link = Arc::clone(&self.link);
        let all = Arc::clone(&self.all);
        let line = match action {
            Action::Lock | Action::Unlock => self.standing()?,
            _ => self.voting()?,
        };
        match action {
            Action::Lock => {
                let (granted, foreign, sample) = actions::vote::take(line, &link, deadline).await?;
                self.votes = granted;
                Ok(Done::Locked { granted, foreign, sample: Box::new(sample) })
            }
            Action::CheckVote => {
                let held = actions::vote::holds(line, deadline).await?;
                self.votes = held;
                Ok(Done::Vote(held))
            }
            Action::Unlock => {
                actions::vote::give_back(line, deadline).await?;
                self.votes = false;
                Ok(Done::Written)
            }
            Action::ResumeReplay => actions::promote::resume_replay(line, deadline).await,
            Action::Promote => actions::promote::promote(line, deadline).await,
            Action::WriteNames { names } => actions::names::write_names(line, names, deadline).await,
            Action::WriteMembers { members } => actions::names::write_members(line, members, deadline).await,
            Action::Repoint { to } => actions::repoint::repoint(line, &link, &all, *to, deadline).await,
            Action::Undo { record } => actions::fence::undo(line, record, deadline).await,
            Action::ClearFence => actions::fence::clear(line, deadline).await,
            Action::SetReadOnly { on } => actions::demote::set_read_only(line, *on, deadline).await,
            Action::Stop { order } => actions::stop::order(line, &order.to_string(), deadline).await,
            Action::Recall => actions::stop::order(line, "", deadline).await,
            Action::Tune { on } => actions::demote::tune(line, *on, deadline).await,
            // Carried out by `execute`, beside the control session.
            Action::Probe { .. }
            | Action::Fence { .. }
            | Action::Checkpoint
            | Action::EndConflictingReads
            | Action::ReadPosition
            | Action::AwaitPromoted => {
                Err(ActionError::Refused("not an action of the control session".to_owned()))
            }
        }
    }
}
