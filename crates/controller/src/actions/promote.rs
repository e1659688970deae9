//! The one step that cannot be undone, and what comes before and after it (FAILOVER_PROTOCOL.md §6).

use howdah_failover::{ActionError, Done};
use tokio::time::Instant;

use crate::ask::{self, Ask, poll_true};
use crate::link::NodeLink;

/// Lets a paused replay go on. On a node out of recovery there is nothing to resume.
pub(crate) async fn resume_replay<A: Ask>(on: &mut A, deadline: Instant) -> Result<Done, ActionError> {
    on.ask("SELECT CASE WHEN pg_is_in_recovery() THEN pg_wal_replay_resume() END", deadline).await?;
    Ok(Done::Written)
}

/// Begins the promotion; `wait => true` would poll only each 100 ms.
pub(crate) async fn promote<A: Ask>(on: &mut A, deadline: Instant) -> Result<Done, ActionError> {
    let sql = "SELECT CASE WHEN pg_is_in_recovery() THEN pg_promote(wait => false) ELSE true END";
    match ask::value(on, sql, deadline).await?.as_deref() {
        Some("t") => Ok(Done::Written),
        _ => Err(ActionError::Refused("pg_promote() returned false".to_owned())),
    }
}

/// Waits until the node is out of recovery, and reads it then.
pub(crate) async fn await_promoted(link: &NodeLink, deadline: Instant) -> Result<Done, ActionError> {
    let mut second = link.second().await?;
    poll_true(&mut second, "SELECT NOT pg_is_in_recovery()", deadline).await?;
    let (_, sample) = ask::sample(&mut second, link, None, deadline).await?;
    Ok(Done::Promoted { sample: Box::new(sample) })
}
