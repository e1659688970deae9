//! Which texts assign `client_min_messages` and `synchronous_commit`, to what, and where the value stands.

use crate::guarded::{Guarded, assignments};
use crate::own::Value;

/// Each assignment as `name[ local]=value@text`, and `?` for one that cannot be told.
fn found(sql: &str) -> String {
    let found = assignments(sql.as_bytes());
    let known = found.known.iter().map(|assignment| {
        let name = match assignment.parameter {
            Guarded::ClientMinMessages => "level",
            Guarded::SynchronousCommit => "commit",
        };
        let local = if assignment.local { " local" } else { "" };
        let value = match &assignment.value {
            Value::Default => "default",
            Value::Text(text) => text,
            Value::Unreadable => "unreadable",
        };
        format!("{name}{local}={value}@{}", &sql[assignment.at.clone()])
    });
    known.chain(found.unknown.then(|| "?".to_owned())).collect::<Vec<_>>().join(" ")
}

#[test]
fn assignments_with_their_values() {
    for (sql, expected) in [
        ("SET client_min_messages = error", "level=error@error"),
        ("set session Client_Min_Messages to 'ERROR' ;", "level=error@'ERROR'"),
        ("SET LOCAL \"client_min_messages\" TO \"error\"", "level local=error@\"error\""),
        ("SET client_min_messages TO DEFAULT", "level=default@DEFAULT"),
        ("RESET client_min_messages", "level=default@"),
        ("SET synchronous_commit = off", "commit=off@off"),
        ("set local synchronous_commit=0", "commit local=0@0"),
        (
            "SET client_min_messages=error; DROP TABLE t; SET client_min_messages=notice",
            "level=error@error level=notice@notice",
        ),
        ("SET client_min_messages = E'err\\x6fr'", "level=unreadable@E'err\\x6fr' ?"),
        ("SELECT set_config('client_min_messages', 'error', false)", "level=error@'error'"),
        (
            "select pg_catalog.set_config('synchronous_commit', 'off', true) as a, set_config('work_mem', $1, false)",
            "commit local=off@'off'",
        ),
        ("SELECT set_config('search_path', '', false)", ""),
        ("SELECT set_config('app.user', $1, true)", ""),
        ("SELECT set_config($1, 'error', false)", "?"),
        ("SELECT set_config('client_min_messages', $1, false)", "?"),
        ("SELECT set_config('client_min_messages', 'error', false) FROM t", "?"),
        ("SELECT set_config('app.user', 'x', false) FROM t", ""),
        ("SELECT set_config('client_' || 'min_messages', 'error', false)", "?"),
        ("WITH a AS (SELECT set_config('client_min_messages', 'error', false)) SELECT 1", "?"),
        ("SET work_mem = 1", ""),
        ("SELECT 'SET client_min_messages = error'", ""),
        ("SHOW client_min_messages", ""),
    ] {
        assert_eq!(found(sql), expected, "{sql}");
    }
}
