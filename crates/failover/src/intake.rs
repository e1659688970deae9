//! What each event and each result changes in the facts. Read next: [`crate::guards`].

use howdah_topology::{Lsn, NodeId, Time};

use crate::action::{Action, ActionError, Done};
use crate::event::{Command, Event, Report};
use crate::fault::Fault;
use crate::machine::Machine;
use crate::tasks::Outcome;

impl Machine {
    /// Takes one event into the facts.
    pub(crate) fn take(&mut self, event: Event) {
        match event {
            Event::ProbeAnswered { id, sent, sample } => self.probe_answered(id, sent, *sample),
            Event::ProbeFailed { id, sent, failure } => self.probe_failed(id, sent, failure),
            Event::Moved { node, sent, timeline, inserted, flushed, replayed } => {
                self.moved(node, sent, Moved { timeline, inserted, flushed, replayed });
            }
            Event::NodeReported { node, report } => match report {
                Report::Refused | Report::Eof | Report::Silent | Report::ReadOnly => self.reported(node),
            },
            Event::Advised { advice } => self.advised(advice),
            Event::ActionDone { id, result } => self.action_done(id, result),
            Event::Operator(command) => self.commanded(command),
            Event::Reconfigured { spec } => self.reconfiguration = Some(spec),
            Event::LettingGo => self.let_go(),
            Event::Tick => {}
        }
    }

    fn action_done(&mut self, id: crate::action::ActionId, result: Outcome) {
        self.tasks.assume_done = self.fault == Fault::AssumeDone;
        let seen = match &result {
            Ok(Done::Locked { sample, .. } | Done::Promoted { sample }) => Some((**sample).clone()),
            _ => None,
        };
        let Some((node, _, sent)) = self.tasks.done(self.now, id, result) else { return };
        if let Some(sample) = seen {
            self.take_sample(node, sent, sample);
        }
    }

    /// Positions between two probes, for freshness and for what would be lost.
    fn moved(&mut self, id: NodeId, sent: Time, moved: Moved) {
        let Some(reign) = &self.reign else { return };
        if moved.timeline != reign.epoch.timeline {
            return;
        }
        if reign.node == id {
            if let Some(position) = moved.inserted {
                self.facts.freshness.primary_at(reign.epoch, sent, position);
            }
            self.facts.primary_reached = self.facts.primary_reached.max(moved.flushed.unwrap_or_default());
        } else if let Some((node, replayed)) = self.facts.node_mut(id).zip(moved.replayed) {
            node.take_replayed(sent, replayed);
        }
    }

    fn commanded(&mut self, command: Command) {
        self.refused = None;
        match command {
            Command::Maintenance(on) => self.maintenance = on,
            Command::Resume => self.command = Some(command),
            Command::Switchover { to, force } => self.take_order(command, self.switchover_refusal(to, force)),
            Command::Failover { to } => self.take_order(command, self.refusal(to)),
        }
    }

    fn take_order(&mut self, command: Command, refusal: Option<String>) {
        let planned = matches!(command, Command::Switchover { .. });
        let (verb, what) = if planned { ("SWITCHOVER", "switchover") } else { ("FAILOVER", "failover") };
        match refusal {
            Some(why) => {
                self.sentence = format!("{verb} is refused: {why}");
                self.refused = Some(self.sentence.clone());
            }
            None => {
                // It may have to wait for a change that is under way, and is no refusal meanwhile.
                self.sentence = format!("the operator has ordered a {what}");
                self.command = Some(command);
            }
        }
    }

    /// Looks at the results that have come in since the last time.
    pub(crate) fn note_results(&mut self) {
        while let Some((node, action, outcome)) = self.tasks.settled.pop_front() {
            self.note_job_result(&action, &outcome);
            self.note_attempt_result(node, &action, &outcome);
        }
    }

    fn note_attempt_result(&mut self, node: NodeId, action: &Action, outcome: &Outcome) {
        let trust = self.fault == Fault::TrustSetting;
        let left = self.reigns(node);
        let Some(attempt) = &mut self.attempt else { return };
        match outcome {
            // The primary that is being stopped ends its sessions.
            Err(ActionError::SessionLost) if matches!(action, Action::Stop { .. }) => {}
            Err(ActionError::SessionLost) | Ok(Done::Vote(false)) => attempt.lose(node),
            Ok(Done::Locked { granted: true, .. }) => {
                attempt.votes.insert(node);
            }
            Ok(Done::Locked { granted: false, foreign, .. }) => {
                (attempt.missed, attempt.foreign) = (Some(node), foreign.clone());
            }
            Ok(Done::Fenced { receiver_gone, .. }) if !left && (*receiver_gone || trust) => {
                attempt.fenced.insert(node);
            }
            // At the end of its log it has replayed all that will survive a promotion: what may be behind that is part of a
            // record.
            Ok(Done::Position { timeline, replayed, at_end: true, .. }) => {
                attempt.positions.insert(node, (*timeline, *replayed));
            }
            _ => {}
        }
        match (action, outcome) {
            (Action::Fence { .. }, Ok(_)) => self.note_conninfo(node, String::new()),
            (Action::Repoint { to }, Ok(_)) => {
                let target = self.node_spec(*to).map(|n| format!("host={} port={}", n.host, n.port));
                self.note_conninfo(node, target.unwrap_or_default());
            }
            _ => {}
        }
        if left {
            self.note_left(node);
        }
        let Some(attempt) = &mut self.attempt else { return };
        if matches!(action, Action::Undo { .. }) && outcome.is_ok() {
            attempt.records.remove(&node);
        }
    }
}

impl Machine {
    /// What was written is known before the next probe reads it: reads need not wait for that.
    fn note_conninfo(&mut self, node: NodeId, conninfo: String) {
        if let Some(sample) = self.facts.node_mut(node).and_then(|n| n.sample.as_mut()) {
            sample.primary_conninfo = conninfo;
        }
    }
}

/// Positions read between two probes.
struct Moved {
    timeline: u32,
    inserted: Option<Lsn>,
    flushed: Option<Lsn>,
    replayed: Option<Lsn>,
}
