//! Writing a server's setting: `ALTER SYSTEM`, reload, and read back. Only what was read back is done.

use tokio::time::Instant;

use crate::ask::{Ask, AskError, poll_true};

/// Writes `name = value` and waits until this session sees it.
pub(crate) async fn alter<A: Ask>(
    on: &mut A,
    name: &str,
    value: &str,
    deadline: Instant,
) -> Result<(), AskError> {
    let value = literal(value)?;
    on.ask(&format!("ALTER SYSTEM SET {name} = {value}"), deadline).await?;
    reload(on, deadline).await?;
    poll_true(on, &format!("SELECT current_setting('{name}') = {value}"), deadline).await
}

/// Puts `name` back to what `postgresql.conf` says.
pub(crate) async fn reset<A: Ask>(on: &mut A, name: &str, deadline: Instant) -> Result<(), AskError> {
    on.ask(&format!("ALTER SYSTEM RESET {name}"), deadline).await?;
    reload(on, deadline).await?;
    let gone = format!(
        "SELECT NOT EXISTS (SELECT FROM pg_settings WHERE name = '{name}' AND sourcefile LIKE '%postgresql.auto.conf')"
    );
    poll_true(on, &gone, deadline).await
}

/// Writes one of Howdah's own settings. `ALTER SYSTEM` knows such a name only after it was `SET` in the session;
/// the `RESET` then lets the session see the file's value, so that reading it back means something.
pub(crate) async fn alter_custom<A: Ask>(
    on: &mut A,
    name: &str,
    value: &str,
    deadline: Instant,
) -> Result<(), AskError> {
    let value = literal(value)?;
    on.ask(&format!("SET {name} = {value}"), deadline).await?;
    let altered = on.ask(&format!("ALTER SYSTEM SET {name} = {value}"), deadline).await;
    on.ask(&format!("RESET {name}"), deadline).await?;
    altered?;
    reload(on, deadline).await?;
    poll_true(on, &format!("SELECT coalesce(current_setting('{name}', true), '') = {value}"), deadline).await
}

/// Lets the server read its files anew.
pub(crate) async fn reload<A: Ask>(on: &mut A, deadline: Instant) -> Result<(), AskError> {
    on.ask("SELECT pg_reload_conf()", deadline).await.map(drop)
}

/// A quoted literal. A line break cannot be written into `postgresql.auto.conf`.
pub(crate) fn literal(value: &str) -> Result<String, AskError> {
    if value.contains(['\n', '\r', '\0']) {
        return Err(AskError::Refused("a setting's value cannot have a line break in it".to_owned()));
    }
    // Not `E''`: standard_conforming_strings is on in every session of ours, so a backslash is one.
    Ok(format!("'{}'", value.replace('\'', "''")))
}
