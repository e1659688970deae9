//! What is written on a node before its fence (`howdah.fence`), so that any pooler can finish or undo an
//! interrupted failover (FAILOVER_PROTOCOL.md §5). Read next: [`crate::members`].

use std::fmt;
use std::str::FromStr;

/// The text form's first word; a new form gets a new word.
const FORM: &str = "v1";

/// A failover's mark on one node.
#[derive(Clone, PartialEq, Eq)]
pub struct FenceRecord {
    /// The pooler that fenced.
    pub pooler: String,
    /// The number of the attempt on that pooler: tells two failovers of one pooler apart.
    pub attempt: u64,
    /// The timeline of the primary that was fenced off.
    pub timeline: u32,
    /// `primary_conninfo` before the fence.
    pub old_conninfo: String,
}

/// Without the connection string, which has a password in it.
impl fmt::Debug for FenceRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FenceRecord({} attempt {} timeline {})", self.pooler, self.attempt, self.timeline)
    }
}

/// The value of `howdah.fence`: `v1 POOLER ATTEMPT TIMELINE CONNINFO…`.
impl fmt::Display for FenceRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{FORM} {} {} {} {}", self.pooler, self.attempt, self.timeline, self.old_conninfo)
    }
}

/// The text is no fence record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a fence record: expected `v1 POOLER ATTEMPT TIMELINE CONNINFO`")]
pub struct FenceRecordError;

impl FromStr for FenceRecord {
    type Err = FenceRecordError;

    fn from_str(text: &str) -> Result<FenceRecord, FenceRecordError> {
        let mut parts = text.splitn(5, ' ');
        let mut next = || parts.next().ok_or(FenceRecordError);
        if next()? != FORM {
            return Err(FenceRecordError);
        }
        let pooler = next()?.to_owned();
        let attempt = next()?.parse().map_err(|_| FenceRecordError)?;
        let timeline = next()?.parse().map_err(|_| FenceRecordError)?;
        let old_conninfo = next()?.to_owned();
        Ok(FenceRecord { pooler, attempt, timeline, old_conninfo })
    }
}
