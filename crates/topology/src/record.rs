//! One failover as it went: for SHOW FAILOVERS, the dashboard and the log. Read next: [`crate::rows`].

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::{Epoch, NodeId, Time};

/// How a failover ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", content = "reason", rename_all = "snake_case")]
pub enum FailoverOutcome {
    /// It has not ended.
    Running,
    /// A new primary was published.
    Promoted,
    /// A new primary that someone else promoted was found and published.
    Adopted,
    /// It was called off and everything was put back; why.
    CalledOff(String),
    /// It stopped and a person must look; why.
    Halted(String),
    /// The primary was found dead and no failover was begun; why.
    Refused(String),
}

impl fmt::Display for FailoverOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FailoverOutcome::Running => f.write_str("running"),
            FailoverOutcome::Promoted => f.write_str("promoted"),
            FailoverOutcome::Adopted => f.write_str("adopted"),
            FailoverOutcome::CalledOff(why) => write!(f, "called off: {why}"),
            FailoverOutcome::Halted(why) => write!(f, "halted: {why}"),
            FailoverOutcome::Refused(why) => write!(f, "refused: {why}"),
        }
    }
}

/// One step of a failover and how long it took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FailoverStep {
    /// Its name: `suspect`, `vote`, `fence`, `elect`, `repoint`, `promote`, `publish`.
    pub name: &'static str,
    /// How long it took, microseconds.
    pub took_us: u64,
}

/// One failover, from the suspicion to its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FailoverRecord {
    /// When the suspicion began.
    pub started: Time,
    /// What was seen, one sentence.
    pub why: String,
    /// Who started it: `automatic` or the operator's command.
    pub who: String,
    /// A switchover: planned, with the primary alive.
    pub planned: bool,
    /// The old primary.
    pub from: Option<NodeId>,
    /// The new primary, once elected.
    pub to: Option<NodeId>,
    /// The new epoch, once published.
    pub epoch: Option<Epoch>,
    /// WAL that the old primary was seen to have flushed and the new epoch does not have, bytes. A lower bound of what was
    /// lost: what it wrote after its last answer is not known. Where commits wait for a standby nothing of it was
    /// acknowledged. `None`: nobody was promoted here, or this Howdah did not see the old primary alive.
    pub lost_bytes: Option<u64>,
    /// Logical replication slots of the old primary, as of its last answer, that the new one does not have.
    pub lost_slots: Vec<String>,
    /// The steps in order, the running one included.
    pub steps: Vec<FailoverStep>,
    /// How it ended.
    pub outcome: FailoverOutcome,
}

impl FailoverRecord {
    /// The time of all steps together.
    #[must_use]
    pub fn took(&self) -> Duration {
        Duration::from_micros(self.steps.iter().map(|s| s.took_us).sum())
    }
}
