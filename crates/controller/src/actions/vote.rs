//! The vote: one advisory lock a node (FAILOVER_PROTOCOL.md §4).
//!
//! Another Howdah that holds it is waited for. Whoever else holds it is foreign: the key is Howdah's and documented, so that
//! such a session is a mistake (a script that uses the same numbers), and it would keep every Howdah from promoting for as
//! long as it lasts. It is reported and ended. Howdah's are the sessions with the `application_name` of its control plane,
//! under whatever role: two Howdahs of one cluster need not log in as the same one.

use howdah_failover::Sample;
use tokio::time::Instant;

use crate::ask::{self, Ask, AskError, last_look, pause};
use crate::connect::APPLICATION_NAME;
use crate::link::NodeLink;
use crate::sample::{Fields, holders_sql, lock_sql, vote_sql};

/// Takes it and reads the node: whether it is this session's now, and who that is no Howdah keeps it.
pub(crate) async fn take<A: Ask>(
    on: &mut A,
    link: &NodeLink,
    deadline: Instant,
) -> Result<(bool, Option<String>, Sample), AskError> {
    let lock = lock_sql();
    let (granted, sample) = ask::sample(on, link, Some(&lock), deadline).await?;
    if granted {
        return Ok((true, None, sample));
    }
    let foreign = foreign_holders(on, deadline).await?;
    if foreign.is_empty() {
        return Ok((false, None, sample));
    }
    let mut kept = None;
    for holder in foreign {
        kept = end(on, link, &holder, deadline).await?.or(kept);
    }
    // A session that was told to end is gone in a moment.
    loop {
        let (granted, sample) = ask::sample(on, link, Some(&lock), deadline).await?;
        let over = kept.is_some() || pause(last_look(deadline)).await.is_err();
        if granted || over {
            return Ok((granted, kept.filter(|_| !granted), sample));
        }
    }
}

/// A holder that is no Howdah.
struct Holder {
    /// Its process; `None`: a prepared transaction.
    pid: Option<i32>,
    /// What to call it.
    said: String,
}

async fn foreign_holders<A: Ask>(on: &mut A, deadline: Instant) -> Result<Vec<Holder>, AskError> {
    let sets = on.ask(&holders_sql(APPLICATION_NAME), deadline).await?;
    let rows = sets.first().map(Vec::as_slice).unwrap_or_default();
    let holder = |fields: Fields<'_>| {
        let pid = fields.number("pid");
        let text = |name| fields.text(name).unwrap_or("unknown").to_owned();
        let said = match pid {
            Some(pid) => {
                format!(
                    "process {pid} ({}, role {}, from {})",
                    text("application"),
                    text("role"),
                    text("client")
                )
            }
            None => "a prepared transaction".to_owned(),
        };
        Holder { pid, said }
    };
    Ok(rows.iter().map(|row| holder(Fields::of(row))).collect())
}

/// Ends a holder's session; what to say if that cannot be done.
async fn end<A: Ask>(
    on: &mut A,
    link: &NodeLink,
    holder: &Holder,
    deadline: Instant,
) -> Result<Option<String>, AskError> {
    let (node, said) = (&link.config.name, &holder.said);
    let why = match holder.pid {
        None => "it must be ended by hand".to_owned(),
        Some(pid) => match ask::value(on, &format!("SELECT pg_terminate_backend({pid})"), deadline).await {
            Ok(_) => {
                tracing::warn!(%node, holder = said, "the vote's lock was held by no Howdah: its session is ended");
                return Ok(None);
            }
            Err(AskError::Refused(why)) => why,
            Err(error) => return Err(error),
        },
    };
    tracing::warn!(%node, holder = said, why, "the vote's lock is held by no Howdah, and cannot be freed");
    Ok(Some(format!("{said}, which is no Howdah, and cannot be ended: {why}")))
}

/// Whether this session holds it.
pub(crate) async fn holds<A: Ask>(on: &mut A, deadline: Instant) -> Result<bool, AskError> {
    let sets = on.ask(&vote_sql(), deadline).await?;
    Ok(sets.first().is_some_and(|rows| !rows.is_empty()))
}

/// Gives it back.
pub(crate) async fn give_back<A: Ask>(on: &mut A, deadline: Instant) -> Result<(), AskError> {
    on.ask("SELECT pg_advisory_unlock_all()", deadline).await.map(drop)
}
