//! The synchronous names and the record of who is in them (FAILOVER_PROTOCOL.md §2).

use howdah_failover::{ActionError, Done, Members, SyncNames};
use tokio::time::Instant;

use crate::actions::settings;
use crate::ask::Ask;
use crate::sample::{Fields, end_of_records};

/// NULLs on a standby.
const POSITION_SQL: &str = "\
SELECT CASE WHEN NOT r THEN pg_current_wal_insert_lsn() END AS inserted,
       CASE WHEN NOT r THEN pg_current_wal_flush_lsn() END AS flushed
FROM (SELECT pg_is_in_recovery() AS r) node";

/// Writes `synchronous_standby_names`; the position is read after the list was in force.
pub(crate) async fn write_names<A: Ask>(
    on: &mut A,
    names: &SyncNames,
    deadline: Instant,
) -> Result<Done, ActionError> {
    settings::alter(on, "synchronous_standby_names", &names.to_string(), deadline).await?;
    let sets = on.ask(POSITION_SQL, deadline).await?;
    let fields = sets.first().and_then(|rows| rows.first()).map(Fields::of);
    let flushed = fields.as_ref().and_then(|f| f.lsn("flushed"));
    let inserted = fields.as_ref().and_then(|f| f.lsn("inserted"));
    Ok(Done::Names { inserted: inserted.map(|lsn| end_of_records(lsn, flushed)) })
}

/// Writes `howdah.members`.
pub(crate) async fn write_members<A: Ask>(
    on: &mut A,
    members: &Members,
    deadline: Instant,
) -> Result<Done, ActionError> {
    settings::alter_custom(on, "howdah.members", &members.to_string(), deadline).await?;
    Ok(Done::Written)
}
