//! The failovers as they went, and the sentence of each decision. Read next: [`crate::view`].

use std::time::Duration;

use howdah_topology::{FailoverOutcome, FailoverRecord, FailoverStep, Mode, NodeId};

use crate::evidence::Evidence;
use crate::history;
use crate::machine::{MAX_RECORDS, Machine};
use crate::rows::{Act, Guard, Row, State};
use crate::sample::Sample;

/// So long a dead primary without a failover stays unwritten: the standbys are asked anew when a suspicion begins, and a
/// vote that cannot be reached yet is no refusal.
const REFUSAL_PATIENCE: Duration = Duration::from_millis(1_000);

impl Machine {
    /// A failover begins: what has led to it is its first step.
    pub(crate) fn open_record(&mut self, manual: bool) {
        let started = self.suspect_since.unwrap_or(self.now);
        let why = match self.evidence() {
            _ if manual => "the operator has ordered it".to_owned(),
            Evidence::Alive(why) | Evidence::Wanting(why) | Evidence::Dead(why) => why,
        };
        let suspect = FailoverStep { name: State::Suspect.name(), took_us: micros(self.now.since(started)) };
        self.records.push(FailoverRecord {
            started,
            why,
            planned: false,
            who: if manual { "operator" } else { "automatic" }.to_owned(),
            from: self.reign.as_ref().map(|r| r.node),
            to: None,
            epoch: None,
            lost_bytes: None,
            lost_slots: Vec::new(),
            steps: vec![suspect],
            outcome: FailoverOutcome::Running,
        });
        self.trim_records();
    }

    /// A switchover begins.
    pub(crate) fn open_switchover(&mut self) {
        self.open_record(true);
        if let Some(record) = self.open() {
            record.planned = true;
            record.why = "the operator has ordered a switchover".to_owned();
            record.steps.clear();
        }
    }

    fn open(&mut self) -> Option<&mut FailoverRecord> {
        self.records.last_mut().filter(|r| r.outcome == FailoverOutcome::Running)
    }

    /// The state is left: its time is written down if it was a step of a failover.
    pub(crate) fn end_step(&mut self) {
        let (name, took_us) = (self.state.name(), micros(self.now.since(self.entered)));
        if self.attempt.is_some()
            && let Some(record) = self.open()
        {
            record.steps.push(FailoverStep { name, took_us });
        }
    }

    /// What the promotion loses: known of the old primary, and not there in the new epoch.
    pub(crate) fn record_loss(&mut self, promoted: &Sample) {
        let lost_bytes = self.lost_bytes(promoted);
        let lost_slots = self.attempt.as_ref().map(|a| a.lost_slots.clone()).unwrap_or_default();
        if let Some(record) = self.open() {
            (record.lost_bytes, record.lost_slots) = (lost_bytes, lost_slots);
        }
    }

    /// Bytes between the last known position of the epoch that is left and the beginning of the new one. To be asked before
    /// the new one is published.
    fn lost_bytes(&self, promoted: &Sample) -> Option<u64> {
        let attempt = self.attempt.as_ref()?;
        // Positions of another timeline than the one that is left do not compare.
        self.epoch.filter(|e| e.timeline == attempt.timeline)?;
        let elected = || attempt.positions.get(&attempt.elected?).map(|(_, position)| *position);
        let began_at = history::epoch_of(promoted).map(|e| e.began_at).or_else(elected)?;
        Some(self.facts.primary_reached.bytes_since(began_at))
    }

    /// The logical slots of the old primary that a node does not have.
    pub(crate) fn slots_missing_on(&self, elected: NodeId) -> Vec<String> {
        let Some(reign) = &self.reign else { return Vec::new() };
        let there = self.facts.sample(elected).map(|s| s.logical_slots.as_slice()).unwrap_or_default();
        reign.sample.logical_slots.iter().filter(|slot| !there.contains(slot)).cloned().collect()
    }

    /// The elected node.
    pub(crate) fn record_elected(&mut self, elected: NodeId) {
        if let Some(record) = self.open() {
            record.to = Some(elected);
        }
    }

    /// The failover has ended.
    pub(crate) fn close_record(&mut self, outcome: FailoverOutcome) {
        let epoch = self.reign.as_ref().map(|r| r.epoch);
        if let Some(record) = self.open() {
            if outcome == FailoverOutcome::Promoted {
                record.epoch = epoch;
            }
            record.outcome = outcome;
        }
    }

    /// A primary that someone else promoted was adopted.
    pub(crate) fn record_adoption(&mut self, id: NodeId) {
        let epoch = self.reign.as_ref().map(|r| r.epoch);
        let why = format!("{} is out of recovery in a newer epoch", self.name(id));
        let record = FailoverRecord {
            started: self.now,
            why,
            planned: false,
            who: "someone else".to_owned(),
            from: None,
            to: Some(id),
            epoch,
            lost_bytes: None,
            lost_slots: Vec::new(),
            steps: Vec::new(),
            outcome: FailoverOutcome::Adopted,
        };
        self.close_record(FailoverOutcome::CalledOff("a newer primary was found".to_owned()));
        self.records.push(record);
        self.trim_records();
    }

    fn trim_records(&mut self) {
        if self.records.len() > MAX_RECORDS {
            self.records.remove(0);
        }
    }

    /// A primary that is dead, and no failover: that and the reason are in the records as well.
    pub(crate) fn note_refusal(&mut self) {
        let Some((dead, why)) = self.refused_failover() else {
            self.refusing = None;
            return;
        };
        let since = *self.refusing.get_or_insert(self.now);
        if self.refusal_told || self.now.since(since) < REFUSAL_PATIENCE {
            return;
        }
        self.refusal_told = true;
        let started = self.suspect_since.unwrap_or(since);
        let took_us = micros(self.now.since(started));
        self.records.push(FailoverRecord {
            started,
            why: dead,
            planned: false,
            who: "automatic".to_owned(),
            from: self.reign.as_ref().map(|r| r.node),
            to: None,
            epoch: None,
            lost_bytes: None,
            lost_slots: Vec::new(),
            steps: vec![FailoverStep { name: State::Suspect.name(), took_us }],
            outcome: FailoverOutcome::Refused(why),
        });
        self.trim_records();
    }

    /// What the evidence for a dead primary is, and why nobody is promoted all the same.
    fn refused_failover(&self) -> Option<(String, String)> {
        if self.spec.mode != Mode::Manage || self.state != State::Suspect {
            return None;
        }
        let Evidence::Dead(dead) = self.evidence() else { return None };
        Some((dead, self.no_failover()?))
    }

    /// Why no failover begins by itself now.
    fn no_failover(&self) -> Option<String> {
        let suspended = self.maintenance.then(|| "maintenance mode is on".to_owned());
        let limit =
            || self.too_many().then(|| "max_failovers_per_hour is reached: a person must look".to_owned());
        suspended.or_else(limit).or_else(|| self.refusal(None))
    }

    /// The sentence of a row that is being taken, with what it rests on.
    pub(crate) fn say(&self, row: &Row) -> String {
        let more = match (row.guard, row.act) {
            (Guard::Dead, _) => match self.evidence() {
                Evidence::Dead(why) | Evidence::Alive(why) | Evidence::Wanting(why) => Some(why),
            },
            (Guard::PrimaryTrusted, _) => self.trusted().map(|id| self.name(id)),
            (Guard::UpkeepDue, _) => self.plan().map(|job| job.why),
            (Guard::Elected | Guard::ElectedBehind, _) => {
                self.elect().ok().map(|elected| self.say_elected(elected))
            }
            (_, Act::Undo) => return format!("called off: {}", self.why_called_off(row)),
            _ => None,
        };
        more.map_or_else(|| row.sentence.to_owned(), |more| format!("{}: {more}", row.sentence))
    }

    /// Why a failover is called off.
    pub(crate) fn why_called_off(&self, row: &Row) -> String {
        match row.guard {
            Guard::ElectFailed => self.elect().err().unwrap_or_else(|| row.sentence.to_owned()),
            Guard::VoteMissed => {
                let missed = self.attempt.as_ref().and_then(|a| a.missed);
                let node = missed.map_or_else(String::new, |id| format!(" ({})", self.name(id)));
                let foreign = self.attempt.as_ref().and_then(|a| a.foreign.as_deref());
                let holder = foreign.map_or_else(String::new, |holder| format!(": {holder}"));
                format!("{}{node}{holder}", row.sentence)
            }
            _ => row.sentence.to_owned(),
        }
    }

    /// Why work for the primary waits; `None` when it does not.
    pub(crate) fn held_because(&self) -> Option<String> {
        match self.state {
            State::Follow | State::Settle | State::Prepare => None,
            State::Upkeep if self.reign.is_some() => None,
            State::Suspect => Some(self.why_not_yet()),
            State::Start | State::Upkeep => Some(self.why_untrusted()),
            _ => Some(self.sentence.clone()),
        }
    }

    fn why_not_yet(&self) -> String {
        if let Some(why) = self.say_outdated().filter(|_| self.spec.mode == Mode::Follow) {
            return why;
        }
        let evidence = match self.evidence() {
            Evidence::Alive(why) | Evidence::Wanting(why) => return why,
            Evidence::Dead(why) => why,
        };
        match self.no_failover() {
            Some(why) => format!("{evidence}; no failover: {why}"),
            None => evidence,
        }
    }

    fn say_outdated(&self) -> Option<String> {
        let name = self.name(self.outdated()?);
        Some(format!("{name} is out of recovery, and another node knows a newer timeline"))
    }

    fn why_untrusted(&self) -> String {
        match self.found() {
            None => self.say_outdated().unwrap_or_else(|| "no primary was found yet".to_owned()),
            Some(_) if self.spec.mode == Mode::Follow => "not every node was asked yet".to_owned(),
            Some(id) => {
                let name = self.name(id);
                format!(
                    "{name} is out of recovery, and too few nodes are known to follow it or to know of no newer epoch"
                )
            }
        }
    }
}

fn micros(d: Duration) -> u64 {
    u64::try_from(d.as_micros()).unwrap_or(u64::MAX)
}
