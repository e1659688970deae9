//! An epoch: the reign of one primary. Read next: [`crate::snapshot`].

use std::cmp::Ordering;
use std::fmt;

use serde::Serialize;

use crate::Lsn;

/// The reign of one primary: which database system, which timeline, and where that timeline began. The timeline
/// alone is none: two standbys promoted independently both get the same number (FAILOVER_PROTOCOL.md, Terms).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub struct Epoch {
    /// `system_identifier` of `pg_control_system()`: made by initdb, the same on every physical copy.
    pub system_id: u64,
    /// The timeline, from 1.
    pub timeline: u32,
    /// The position at which the timeline branched off; 0/0 for timeline 1.
    pub began_at: Lsn,
}

/// Where a timeline of a node's history began: a line of its newest `.history` file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct TimelineStart {
    /// The timeline, 2 or more.
    pub timeline: u32,
    /// The position at which it left its parent.
    pub began_at: Lsn,
}

impl Epoch {
    /// Whether the two are the same timeline with another beginning or of another system: a divergence, which no
    /// program may resolve by choosing one.
    #[must_use]
    pub fn diverges_from(&self, other: &Epoch) -> bool {
        self.partial_cmp(other).is_none()
    }

    /// Whether this epoch is later than `other` in the same history.
    #[must_use]
    pub fn is_newer_than(&self, other: &Epoch) -> bool {
        self.partial_cmp(other) == Some(Ordering::Greater)
    }
}

/// Ordered within one system by the timeline. Two systems do not compare, and neither do two epochs of one
/// timeline with different beginnings.
impl PartialOrd for Epoch {
    fn partial_cmp(&self, other: &Epoch) -> Option<Ordering> {
        if self.system_id != other.system_id {
            return None;
        }
        match self.timeline.cmp(&other.timeline) {
            Ordering::Equal if self.began_at != other.began_at => None,
            order => Some(order),
        }
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{} of system {}", self.timeline, self.began_at, self.system_id)
    }
}
