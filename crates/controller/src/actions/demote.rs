//! What is done to a former primary, and to standbys in Howdah's care.

use howdah_failover::{ActionError, Done};
use tokio::time::Instant;

use crate::actions::settings;
use crate::ask::Ask;
use crate::connect::APPLICATION_NAME;
use crate::sample::{RECEIVER_TIMEOUT, RETRY_INTERVAL};

/// A former primary that came back: new transactions are read-only, and the sessions that may have others end.
pub(crate) async fn set_read_only<A: Ask>(on: &mut A, deadline: Instant) -> Result<Done, ActionError> {
    settings::alter(on, "default_transaction_read_only", "on", deadline).await?;
    let end = end_sessions_sql("true");
    on.ask(&end, deadline).await?;
    Ok(Done::Written)
}

/// Ends the client sessions for which `condition` holds, the control plane's own excepted. A superuser's can only be
/// ended by a superuser; asking for it would refuse the whole statement.
pub(crate) fn end_sessions_sql(condition: &str) -> String {
    format!(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'client backend' \
         AND pid <> pg_backend_pid() AND NOT (application_name = '{APPLICATION_NAME}' AND usename = current_user) \
         AND ((SELECT rolsuper FROM pg_roles WHERE rolname = current_user) \
              OR usesysid NOT IN (SELECT oid FROM pg_roles WHERE rolsuper)) AND ({condition})"
    )
}

/// Lets a standby ask again soon and notice a silent primary soon, or puts both back.
pub(crate) async fn tune<A: Ask>(on: &mut A, tuned: bool, deadline: Instant) -> Result<Done, ActionError> {
    for (name, value) in
        [("wal_retrieve_retry_interval", RETRY_INTERVAL), ("wal_receiver_timeout", RECEIVER_TIMEOUT)]
    {
        if tuned {
            settings::alter(on, name, value, deadline).await?;
        } else {
            settings::reset(on, name, deadline).await?;
        }
    }
    Ok(Done::Written)
}
