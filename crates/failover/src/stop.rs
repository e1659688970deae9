//! The order to a supervisor (`howdah rejoin --supervise`) to stop its primary cleanly, as it stands in
//! `howdah.switchover` (FAILOVER_PROTOCOL.md §10: SQL cannot demote a live primary). Read next: [`crate::action`].

use std::fmt;

/// `application_name` of the session that a supervisor keeps on its server: whoever has one is told so to be there.
pub const SUPERVISOR: &str = "howdah_supervisor";

/// The text form's first word; a new form gets a new word.
const FORM: &str = "v1";

/// What a supervisor is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StopOrder {
    /// The pooler that orders it.
    pub pooler: String,
    /// The number of the attempt on that pooler.
    pub attempt: u64,
    /// [`crate::Sample::started_at`] of the server that is meant: the setting outlives a restart, the order does not.
    pub started_at: i64,
    /// Host and port of the other nodes: one of them will be the primary to follow.
    pub others: Vec<(String, u16)>,
}

/// The value of `howdah.switchover`: `v1 POOLER ATTEMPT STARTED HOST:PORT…`.
impl fmt::Display for StopOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{FORM} {} {} {}", self.pooler, self.attempt, self.started_at)?;
        self.others.iter().try_for_each(|(host, port)| write!(f, " {host}:{port}"))
    }
}
