//! The order to a supervisor (`howdah rejoin --supervise`) to stop its primary cleanly, as it stands in
//! `howdah.switchover` (FAILOVER_PROTOCOL.md §10: SQL cannot demote a live primary). Read next: [`crate::action`].

use std::fmt;
use std::str::FromStr;

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

/// The text is no order to a supervisor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an order to stop: expected `v1 POOLER ATTEMPT STARTED HOST:PORT…`")]
pub struct StopOrderError;

impl FromStr for StopOrder {
    type Err = StopOrderError;

    fn from_str(text: &str) -> Result<StopOrder, StopOrderError> {
        let mut words = text.split(' ');
        let mut next = || words.next().ok_or(StopOrderError);
        if next()? != FORM {
            return Err(StopOrderError);
        }
        let pooler = next()?.to_owned();
        let attempt = next()?.parse().map_err(|_| StopOrderError)?;
        let started_at = next()?.parse().map_err(|_| StopOrderError)?;
        let others: Option<Vec<(String, u16)>> = words.map(place).collect();
        Ok(StopOrder { pooler, attempt, started_at, others: others.ok_or(StopOrderError)? })
    }
}

/// `HOST:PORT`; the host may have colons of its own.
fn place(word: &str) -> Option<(String, u16)> {
    let (host, port) = word.rsplit_once(':')?;
    Some((host.to_owned(), port.parse().ok()?)).filter(|(host, _)| !host.is_empty())
}
