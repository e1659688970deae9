//! The synchronous names and the record of who is in them (FAILOVER_PROTOCOL.md §2).

use howdah_failover::{ActionError, Done, Members, SyncNames};
use tokio::time::Instant;

use crate::actions::settings;
use crate::ask::{self, Ask};
use crate::sample::end_of_records;

/// Writes `synchronous_standby_names`; the position is read after the list was in force.
pub(crate) async fn write_names<A: Ask>(
    on: &mut A,
    names: &SyncNames,
    deadline: Instant,
) -> Result<Done, ActionError> {
    settings::alter(on, "synchronous_standby_names", &names.to_string(), deadline).await?;
    let sql = "SELECT CASE WHEN NOT pg_is_in_recovery() THEN pg_current_wal_insert_lsn() END";
    let inserted = ask::value(on, sql, deadline).await?.and_then(|lsn| lsn.parse().ok());
    Ok(Done::Names { inserted: inserted.map(|lsn| end_of_records(lsn, None)) })
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
