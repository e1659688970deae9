//! The planned change of the primary: what is particular to it until the fence, from where it goes on as a failover does
//! (FAILOVER_PROTOCOL.md §10). Read next: [`crate::stop`].

use std::collections::BTreeSet;
use std::time::Duration;

use howdah_topology::NodeId;

use crate::action::{Action, ActionError};
use crate::attempt::{Attempt, Planned};
use crate::event::{Command, ProbeFailure};
use crate::evidence::Evidence;
use crate::machine::Machine;
use crate::rows::State;
use crate::sample::{Attached, StreamState};
use crate::stop::StopOrder;

impl Machine {
    /// Why no switchover can be begun now; `None`: it can.
    pub(crate) fn switchover_refusal(&self, to: Option<NodeId>, force: bool) -> Option<String> {
        if let Some(reign) = self.reign.as_ref().filter(|r| to == Some(r.node)) {
            return Some(format!("{} is the primary already", self.name(reign.node)));
        }
        if let Some(why) = self.refusal(to) {
            return Some(why);
        }
        let Some(reign) = self.reign.as_ref().filter(|_| self.state != State::Suspect) else {
            return Some("the primary does not answer: use FAILOVER".to_owned());
        };
        let primary = self.name(reign.node);
        if let Some(to) = to.filter(|to| self.row_of(*to).is_none()) {
            return Some(format!("{} does not stream from the primary", self.name(to)));
        }
        let alone = !force && !reign.sample.supervised;
        alone.then(|| {
            format!(
                "no supervisor (howdah rejoin --supervise) answers on {primary}, so it could not be stopped cleanly; \
                 FORCE leaves it behind, to be rejoined by hand"
            )
        })
    }

    /// The primary's row of a standby that streams.
    fn row_of(&self, standby: NodeId) -> Option<&Attached> {
        let name = &self.node_spec(standby)?.application_name;
        let rows = &self.reign.as_ref()?.sample.replication;
        rows.iter().find(|r| r.application_name == *name && r.state == StreamState::Streaming)
    }

    pub(crate) fn begin_switchover(&mut self) {
        let Some(Command::Switchover { to, force }) = self.command.take() else { return };
        let Some((primary, timeline)) = self.reign.as_ref().map(|r| (r.node, r.epoch.timeline)) else {
            return;
        };
        self.attempts += 1;
        self.tasks.clear();
        let mut attempt = Attempt::new(self.attempts, timeline);
        attempt.manual = true;
        attempt.wanted = to;
        attempt.planned = Some(Planned { primary, force, ordered: false, stopped: false });
        self.open_switchover();
        self.attempt = Some(attempt);
        self.order(primary, Action::Checkpoint);
    }

    fn planned(&self) -> Option<Planned> {
        self.attempt.as_ref()?.planned
    }

    fn note_planned(&mut self, change: impl FnOnce(&mut Planned)) {
        if let Some(planned) = self.attempt.as_mut().and_then(|a| a.planned.as_mut()) {
            change(planned);
        }
    }

    /// Whether the machine is in this state for so long.
    pub(crate) fn in_state_for(&self, limit: Duration) -> bool {
        self.now.since(self.entered) >= limit
    }

    pub(crate) fn prepared(&self) -> bool {
        let (Some(planned), Some(attempt)) = (self.planned(), &self.attempt) else { return false };
        self.next_voter().is_none() && attempt.votes.contains(&planned.primary) && self.enough(&attempt.votes)
    }

    pub(crate) fn forced(&self) -> bool {
        self.planned().is_some_and(|p| p.force)
    }

    pub(crate) fn supervised(&self) -> bool {
        self.planned().and_then(|p| self.facts.sample(p.primary)).is_some_and(|s| s.supervised)
    }

    /// Whether the primary is at rest and a node that may take its place has all that it has written.
    pub(crate) fn drained(&self) -> bool {
        let limits = &self.spec.limits;
        let late = self.forced() && self.in_state_for(limits.drain_timeout);
        let Some(primary) = self.planned().and_then(|p| self.facts.node(p.primary)) else { return false };
        let Some(sample) = primary.live() else { return late };
        // A session that has looked before the gate was closed may still be on its way to the server.
        let settled = primary.sampled >= self.entered + limits.drain_quiet;
        late || (settled && sample.busy == 0 && self.has_successor())
    }

    fn has_successor(&self) -> bool {
        let Some(attempt) = &self.attempt else { return false };
        let written = self.reign.as_ref().and_then(|r| r.sample.inserted).unwrap_or_default();
        let ready = |id: &NodeId| {
            let wanted = attempt.wanted.is_none_or(|to| to == *id);
            let row = self.row_of(*id).filter(|_| wanted && self.may_be_promoted(*id));
            row.is_some_and(|r| r.flushed >= written && r.replayed >= written)
        };
        attempt.votes.iter().any(ready)
    }

    /// Orders the stop. From now on the primary is expected to go, and everyone is asked often.
    pub(crate) fn stop_primary(&mut self) {
        self.tasks.clear();
        self.suspect();
        let (Some(planned), Some(attempt)) = (self.planned(), &self.attempt) else { return };
        let ids = self.spec.by_id();
        let order = StopOrder {
            pooler: self.spec.pooler.clone(),
            attempt: attempt.number,
            started_at: self.facts.sample(planned.primary).map_or(0, |s| s.started_at),
            others: ids
                .filter(|(id, _)| *id != planned.primary)
                .map(|(_, n)| (n.host.clone(), n.port))
                .collect(),
        };
        self.note_planned(|p| p.ordered = true);
        self.order(planned.primary, Action::Stop { order });
    }

    /// Whether the primary takes no connections any more, as of a question asked after the order. That the standbys are
    /// fenced all the same is what makes it safe; this is only when to go on.
    pub(crate) fn primary_stopped(&self) -> bool {
        let Some(primary) = self.planned().and_then(|p| self.facts.node(p.primary)) else { return false };
        let refused = primary.fresh.failing_since(self.entered) == Some(ProbeFailure::Refused);
        refused || matches!(self.evidence(), Evidence::Dead(_))
    }

    /// A supervisor may be faster than the answer: a session that ended is a refusal only while the primary goes on.
    pub(crate) fn stop_refused(&self) -> bool {
        let Some(primary) = self.planned().map(|p| p.primary) else { return false };
        let lives = self.facts.node(primary).is_some_and(|f| f.answers_since(self.entered));
        match self.tasks.result(primary, "stop") {
            Some(Err(ActionError::Refused(_))) => true,
            Some(Err(ActionError::SessionLost)) => {
                lives && self.in_state_for(self.spec.limits.action_timeout)
            }
            _ => false,
        }
    }

    pub(crate) fn fence_stopped(&mut self) {
        self.note_planned(|p| p.stopped = true);
        self.note_left_stopped();
        self.fence_all();
    }

    /// The primary that was stopped, when it has to be left out of what is asked.
    pub(crate) fn stopped(&self) -> Option<NodeId> {
        self.planned().filter(|p| p.stopped).map(|p| p.primary)
    }

    /// A stopped primary has a vote in an asynchronous cluster and cannot give it. With the votes of all others nobody else
    /// finds a majority, so it counts then.
    pub(crate) fn count_stopped(&self, votes: &mut BTreeSet<NodeId>) {
        let (Some(stopped), Some(electorate)) = (self.stopped(), self.electorate()) else { return };
        if electorate.voters.iter().all(|v| *v == stopped || votes.contains(v)) {
            votes.insert(stopped);
        }
    }

    /// Withdraws the order to stop, where one was given.
    pub(crate) fn recall(&mut self) {
        if let Some(planned) = self.planned().filter(|p| p.ordered) {
            self.order(planned.primary, Action::Recall);
        }
    }
}
