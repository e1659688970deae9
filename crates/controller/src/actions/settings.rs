//! Writing a server's setting: `ALTER SYSTEM`, reload, and read back. Only what was read back is done.

use tokio::time::Instant;

use crate::ask::{Ask, AskError, pause, poll_true};

/// Lets the server read its files anew.
const RELOAD: &str = "SELECT pg_reload_conf()";

/// Writes `name = value` and waits until this session sees it.
pub(crate) async fn alter<A: Ask>(
    on: &mut A,
    name: &str,
    value: &str,
    deadline: Instant,
) -> Result<(), AskError> {
    let value = literal(value)?;
    let seen = format!("SELECT current_setting('{name}') = {value}");
    change_and_see(on, &[&format!("ALTER SYSTEM SET {name} = {value}")], &seen, deadline).await
}

/// Changes the file, has it read, and looks until this session sees the change: all in one flight, since the server
/// is often done by the time of the look. When a change is refused the server reads its files all the same.
async fn change_and_see<A: Ask>(
    on: &mut A,
    changes: &[&str],
    seen: &str,
    deadline: Instant,
) -> Result<(), AskError> {
    let answers = on.flight(&[changes, &[RELOAD, seen]].concat(), deadline).await?;
    let row = answers.last().and_then(|sets| sets.first()).and_then(|rows| rows.first());
    if row.and_then(|row| row.get(0)) == Some("t") {
        return Ok(());
    }
    pause(deadline).await?;
    poll_true(on, seen, deadline).await
}

/// Puts `name` back to what `postgresql.conf` says.
pub(crate) async fn reset<A: Ask>(on: &mut A, name: &str, deadline: Instant) -> Result<(), AskError> {
    let gone = format!(
        "SELECT NOT EXISTS (SELECT FROM pg_settings WHERE name = '{name}' AND sourcefile LIKE '%postgresql.auto.conf')"
    );
    change_and_see(on, &[&format!("ALTER SYSTEM RESET {name}")], &gone, deadline).await
}

/// Writes one of Howdah's own settings and waits until this session sees it. `ALTER SYSTEM` knows such a name only
/// after it was `SET` in the session; the `RESET` then lets the session see the file's value, so that reading it back
/// means something.
pub(crate) async fn alter_custom<A: Ask>(
    on: &mut A,
    name: &str,
    value: &str,
    deadline: Instant,
) -> Result<(), AskError> {
    let value = literal(value)?;
    let [set, alter, reset, seen] = [
        format!("SET {name} = {value}"),
        format!("ALTER SYSTEM SET {name} = {value}"),
        format!("RESET {name}"),
        format!("SELECT coalesce(current_setting('{name}', true), '') = {value}"),
    ];
    change_and_see(on, &[&set, &alter, &reset], &seen, deadline).await
}

/// A quoted literal. A line break cannot be written into `postgresql.auto.conf`.
pub(crate) fn literal(value: &str) -> Result<String, AskError> {
    if value.contains(['\n', '\r', '\0']) {
        return Err(AskError::Refused("a setting's value cannot have a line break in it".to_owned()));
    }
    // Not `E''`: standard_conforming_strings is on in every session of ours, so a backslash is one.
    Ok(format!("'{}'", value.replace('\'', "''")))
}
