//! What the controller's log says of a cluster: each new decision, each step of a failover with its duration.

use howdah_topology::{FailoverOutcome, FailoverRecord, Topology};

/// Remembers what was logged, so that everything is said once.
pub(crate) struct Journal {
    cluster: String,
    decision: String,
    /// Steps of the newest failover that were logged; the last one may still run, so it is not among them.
    steps: usize,
    /// Failovers whose end was logged.
    ended: usize,
    begun: usize,
}

impl Journal {
    pub(crate) fn new(cluster: &str) -> Self {
        Self { cluster: cluster.to_owned(), decision: String::new(), steps: 0, ended: 0, begun: 0 }
    }

    /// Logs the decision of a snapshot, if it is a new one.
    pub(crate) fn decided(&mut self, topology: &Topology) {
        if topology.decision != self.decision {
            self.decision.clone_from(&topology.decision);
            tracing::info!(cluster = %self.cluster, decision = %self.decision);
        }
    }

    /// Logs what is new in the list of failovers. The machine keeps the last hundred: a list that got shorter at the
    /// front only makes this one say less.
    pub(crate) fn failovers(&mut self, records: &[FailoverRecord]) {
        let Some(last) = records.last() else { return };
        if self.begun != records.len() {
            self.begun = records.len();
            self.steps = 0;
            tracing::warn!(cluster = %self.cluster, why = %last.why, who = %last.who, "failover begins");
        }
        let running = last.outcome == FailoverOutcome::Running;
        let complete = if running { last.steps.len().saturating_sub(1) } else { last.steps.len() };
        for step in last.steps.iter().take(complete).skip(self.steps) {
            tracing::info!(cluster = %self.cluster, step = step.name, took_us = step.took_us, "failover step");
        }
        self.steps = self.steps.max(complete);
        if !running && self.ended != records.len() {
            self.ended = records.len();
            let took_us = u64::try_from(last.took().as_micros()).unwrap_or(u64::MAX);
            tracing::warn!(
                cluster = %self.cluster,
                outcome = %last.outcome,
                took_us,
                to = ?last.to,
                lost_bytes = ?last.lost_bytes,
                lost_slots = ?last.lost_slots,
                "failover ended"
            );
        }
    }
}
