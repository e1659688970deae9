//! The vote: one advisory lock a node (FAILOVER_PROTOCOL.md §4). Taking it is `sample::lock_sql`.

use tokio::time::Instant;

use crate::ask::{Ask, AskError};
use crate::sample::vote_sql;

/// Whether this session holds it.
pub(crate) async fn holds<A: Ask>(on: &mut A, deadline: Instant) -> Result<bool, AskError> {
    let sets = on.ask(&vote_sql(), deadline).await?;
    Ok(sets.first().is_some_and(|rows| !rows.is_empty()))
}

/// Gives it back.
pub(crate) async fn give_back<A: Ask>(on: &mut A, deadline: Instant) -> Result<(), AskError> {
    on.ask("SELECT pg_advisory_unlock_all()", deadline).await.map(drop)
}
