//! The fence: a standby stops receiving WAL, after what is overwritten was put on record on the node itself
//! (FAILOVER_PROTOCOL.md §5).

use howdah_failover::{ActionError, Done, FenceRecord};
use tokio::time::Instant;

use crate::actions::settings;
use crate::ask::{self, Ask, AskError, last_look, pause};
use crate::link::NodeLink;
use crate::questions::Question;
use crate::sample::Fields;

/// The setting with the record.
pub(crate) const FENCE: &str = "howdah.fence";

/// Looks that must find no receiver, one after the other. The startup process may be starting one with the old
/// address in the very moment in which the setting changes; it has seen the change by the second look.
const EMPTY_LOOKS: u32 = 2;

/// The receiver as a row and as a process: while it still connects it is a process without a row.
pub(crate) const WATCH_SQL: &str = "\
SELECT EXISTS (SELECT FROM pg_stat_wal_receiver)
       OR EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'walreceiver') AS receives,
       CASE WHEN pg_is_in_recovery() THEN pg_is_wal_replay_paused() END AS paused,
       EXISTS (SELECT FROM pg_stat_activity
               WHERE backend_type = 'startup' AND wait_event LIKE 'RecoveryConflict%') AS conflict";

/// Writes the record, then empties `primary_conninfo`.
pub(crate) async fn write<A: Ask>(
    on: &mut A,
    record: &FenceRecord,
    deadline: Instant,
) -> Result<(), ActionError> {
    // In force and read back before the line is emptied: a node without a visible record is one that nothing was
    // done to, which is what an undo goes by.
    settings::alter_custom(on, FENCE, &record.to_string(), deadline).await?;
    settings::alter(on, "primary_conninfo", "", deadline).await?;
    Ok(())
}

/// Waits until the receiver is gone, or until it is seen why it does not go.
pub(crate) async fn watch(link: &NodeLink, deadline: Instant) -> Result<Done, ActionError> {
    let mut second = link.second().await?;
    let mut empty = 0;
    loop {
        let sets = second.question(Question::Watch, deadline).await?;
        let row = sets.first().and_then(|rows| rows.first()).ok_or(ActionError::Unanswered)?;
        let fields = Fields::of(row);
        let (receives, replay_paused, recovery_conflict) =
            (fields.flag("receives"), fields.flag("paused"), fields.flag("conflict"));
        empty = if receives { 0 } else { empty + 1 };
        let fenced = Done::Fenced { receiver_gone: empty >= EMPTY_LOOKS, replay_paused, recovery_conflict };
        let hindered = receives && (replay_paused || recovery_conflict);
        if empty >= EMPTY_LOOKS || hindered || pause(last_look(deadline)).await.is_err() {
            return Ok(fenced);
        }
    }
}

/// Puts `primary_conninfo` back as the record says; without a record on the node there is nothing to undo.
pub(crate) async fn undo<A: Ask>(
    on: &mut A,
    known: &FenceRecord,
    deadline: Instant,
) -> Result<Done, ActionError> {
    let text = on_node(on, deadline).await?;
    if text.is_empty() {
        return Ok(Done::Written);
    }
    let record = text.parse::<FenceRecord>().unwrap_or_else(|_| known.clone());
    settings::alter(on, "primary_conninfo", &record.old_conninfo, deadline).await?;
    clear(on, deadline).await
}

/// Removes the record. Set to nothing rather than RESET: a session that has the name already would go on showing
/// the old value.
pub(crate) async fn clear<A: Ask>(on: &mut A, deadline: Instant) -> Result<Done, ActionError> {
    if !on_node(on, deadline).await?.is_empty() {
        settings::alter_custom(on, FENCE, "", deadline).await?;
    }
    Ok(Done::Written)
}

/// The record as it stands on the node.
pub(crate) async fn on_node<A: Ask>(on: &mut A, deadline: Instant) -> Result<String, AskError> {
    let text = ask::value(on, &format!("SELECT current_setting('{FENCE}', true)"), deadline).await?;
    Ok(text.unwrap_or_default())
}
