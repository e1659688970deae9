//! Where a fenced standby stands, once it has replayed all that it has, and what may keep it from replaying.

use std::time::Duration;

use howdah_failover::{ActionError, Done};
use howdah_topology::Lsn;
use tokio::time::Instant;

use crate::actions::demote::end_sessions_sql;
use crate::ask::{Ask as _, last_look, pause};
use crate::link::NodeLink;
use crate::sample::Fields;

/// Both positions, the timeline, and whether the startup process waits for WAL that is not there yet.
const POSITION_SQL: &str = "\
SELECT pg_last_wal_receive_lsn() AS received, pg_last_wal_replay_lsn() AS replayed,
       greatest((SELECT timeline_id FROM pg_control_checkpoint()),
                (SELECT min_recovery_end_timeline FROM pg_control_recovery())) AS timeline,
       CASE WHEN pg_is_in_recovery() THEN pg_is_wal_replay_paused() END AS paused,
       EXISTS (SELECT FROM pg_stat_activity
               WHERE backend_type = 'startup' AND wait_event LIKE 'RecoveryConflict%') AS conflict,
       EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'walreceiver') AS receives,
       (SELECT setting FROM pg_settings WHERE name = 'wal_retrieve_retry_interval') AS retry_ms,
       EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'startup'
               AND wait_event IN ('RecoveryWalStream', 'RecoveryRetrieveRetryInterval')) AS waits";

/// Replay that is seen blocked for so long is told, so that it can be helped: what was ordered just before may still be
/// under way.
const BLOCKED: Duration = Duration::from_millis(20);

/// What was received may end within a record, for in a bulk load the primary flushes whole pages: that is never replayed. It
/// is known when nothing was replayed for two of the startup process's rounds through all places where WAL may be, and so
/// much more.
const ROUNDS: u32 = 2;
const ROUNDS_MARGIN: Duration = Duration::from_millis(50);

/// Waits until all local WAL is replayed and reads the positions; says so when it is not by the deadline.
pub(crate) async fn read(link: &NodeLink, deadline: Instant) -> Result<Done, ActionError> {
    let mut second = link.second().await?;
    let mut before: Option<Lsn> = None;
    let begun = Instant::now();
    loop {
        let sets = second.ask(POSITION_SQL, deadline).await?;
        let row = sets.first().and_then(|rows| rows.first()).ok_or(ActionError::Unanswered)?;
        let fields = Fields::of(row);
        let received = fields.lsn("received");
        let replayed = fields.lsn("replayed").ok_or(ActionError::Unanswered)?;
        // Remembered, for a question is given less time than this may take.
        let stood = link.memory().stood_at((received, replayed));
        let at_end = match received {
            Some(received) if replayed >= received => true,
            Some(_) => fields.flag("waits") && !fields.flag("receives") && stood >= rounds(&fields),
            // NULL after a restart of the standby: the end is where replay waits and stands still.
            None => fields.flag("waits") && before == Some(replayed),
        };
        before = Some(replayed);
        let control = fields.number("timeline").unwrap_or(0);
        let timeline = link.memory().timeline_at_least(control);
        let (replay_paused, recovery_conflict) = (fields.flag("paused"), fields.flag("conflict"));
        let position =
            Done::Position { timeline, received, replayed, at_end, replay_paused, recovery_conflict };
        let blocked = (replay_paused || recovery_conflict) && begun.elapsed() >= BLOCKED;
        if at_end || blocked || pause(last_look(deadline)).await.is_err() {
            return Ok(position);
        }
    }
}

/// The startup process looks everywhere once in each `wal_retrieve_retry_interval`.
fn rounds(fields: &Fields<'_>) -> Duration {
    // Without an answer as long as by default.
    let interval = Duration::from_millis(fields.number("retry_ms").unwrap_or(5_000));
    interval * ROUNDS + ROUNDS_MARGIN
}

/// The next transaction number of a standby that has replayed all its log up to `replayed`, and replays no more. `None`:
/// it has gone on meanwhile.
pub(crate) async fn next_xid(
    link: &NodeLink,
    replayed: Lsn,
    deadline: Instant,
) -> Result<Option<u64>, ActionError> {
    let mut second = link.second().await?;
    // The snapshot is older than the position in the same row, so it is of the end if that is still the same.
    let sql =
        "SELECT pg_snapshot_xmax(pg_current_snapshot()) AS next_xid, pg_last_wal_replay_lsn() AS replayed";
    let sets = second.ask(sql, deadline).await?;
    let row = sets.first().and_then(|rows| rows.first()).ok_or(ActionError::Unanswered)?;
    let still = Fields::of(row).lsn("replayed") == Some(replayed);
    Ok(row.get("next_xid").filter(|_| still).and_then(|xid| xid.parse().ok()))
}

/// Ends the reads that replay waits for, until it waits for none.
pub(crate) async fn end_conflicting_reads(link: &NodeLink, deadline: Instant) -> Result<Done, ActionError> {
    let mut second = link.second().await?;
    let waits = "SELECT EXISTS (SELECT FROM pg_stat_activity \
                 WHERE backend_type = 'startup' AND wait_event LIKE 'RecoveryConflict%') AS conflict";
    // Whoever has a snapshot or a transaction may be the one; idle sessions hold nothing that replay waits for.
    let end = end_sessions_sql("backend_xmin IS NOT NULL OR xact_start IS NOT NULL");
    loop {
        let sets = second.ask(waits, deadline).await?;
        let row = sets.first().and_then(|rows| rows.first()).ok_or(ActionError::Unanswered)?;
        if !Fields::of(row).flag("conflict") {
            return Ok(Done::Written);
        }
        second.ask(&end, deadline).await?;
        pause(deadline).await?;
    }
}
