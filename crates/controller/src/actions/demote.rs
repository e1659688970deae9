//! What is done to a former primary, and to standbys in Howdah's care.

use howdah_failover::{ActionError, Done};
use tokio::time::Instant;

use crate::actions::settings;
use crate::ask::{self, Ask};
use crate::connect::APPLICATION_NAME;
use crate::sample::{RECEIVER_TIMEOUT, RETRY_INTERVAL};

/// A former primary that came back, or one that is being left: new transactions are read-only, and the sessions that may
/// have others end. Or that is put back.
pub(crate) async fn set_read_only<A: Ask>(
    on: &mut A,
    read_only: bool,
    deadline: Instant,
) -> Result<Done, ActionError> {
    if !read_only {
        settings::reset(on, "default_transaction_read_only", deadline).await?;
        return Ok(Done::Written);
    }
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

/// The setting that keeps what the two were: `v1 RETRY TIMEOUT`, `-` for what `ALTER SYSTEM` had not set.
const TUNED: &str = "howdah.tuned";

/// The form's first word; a new form gets a new word.
const FORM: &str = "v1";

/// What is set, in the order of the record.
const TIMES: [(&str, &str); 2] =
    [("wal_retrieve_retry_interval", RETRY_INTERVAL), ("wal_receiver_timeout", RECEIVER_TIMEOUT)];

/// Lets a standby ask again soon and notice a silent primary soon, or puts both back.
pub(crate) async fn tune<A: Ask>(on: &mut A, tuned: bool, deadline: Instant) -> Result<Done, ActionError> {
    let kept = format!("SELECT current_setting('{TUNED}', true)");
    let record = ask::value(on, &kept, deadline).await?.unwrap_or_default();
    if !tuned {
        return put_back(on, &record, deadline).await;
    }
    if record.is_empty() {
        let mut words = vec![FORM.to_owned()];
        for (name, _) in TIMES {
            let before = format!(
                "SELECT current_setting(name) FROM pg_settings \
                 WHERE name = '{name}' AND sourcefile LIKE '%postgresql.auto.conf'"
            );
            words.push(ask::value(on, &before, deadline).await?.unwrap_or_else(|| "-".to_owned()));
        }
        settings::alter_custom(on, TUNED, &words.join(" "), deadline).await?;
    }
    for (name, value) in TIMES {
        settings::alter(on, name, value, deadline).await?;
    }
    Ok(Done::Written)
}

/// As the record says; without one there is nothing of Howdah's to put back.
async fn put_back<A: Ask>(on: &mut A, record: &str, deadline: Instant) -> Result<Done, ActionError> {
    if record.is_empty() {
        return Ok(Done::Written);
    }
    let mut words = record.split(' ').skip(1);
    for (name, _) in TIMES {
        match words.next() {
            None | Some("-") => settings::reset(on, name, deadline).await?,
            Some(before) => settings::alter(on, name, before, deadline).await?,
        }
    }
    settings::alter_custom(on, TUNED, "", deadline).await?;
    Ok(Done::Written)
}
