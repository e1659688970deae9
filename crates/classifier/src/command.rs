//! Commands that are neither queries nor session state, by their first word. What is not listed is not
//! known, and counts for the worst. Next: `judge.rs`.

use crate::Reason;
use crate::outcome::Outcome;
use crate::survey::Piece;
use crate::verdict::Effect;
use crate::words::Words;

/// Commands that change the database or the server and run no function of the user's in this session's name
/// that could leave session state behind.
const UTILITY: &[&str] = &[
    "alter",
    "analyse",
    "analyze",
    "checkpoint",
    "cluster",
    "comment",
    "create",
    "drop",
    "grant",
    "import",
    "reassign",
    "refresh",
    "reindex",
    "revoke",
    "security",
    "truncate",
    "vacuum",
];

/// The outcome of a command that begins with `first`.
pub(crate) fn command(first: &str, piece: &Piece) -> Outcome {
    match first {
        "insert" | "update" | "delete" | "merge" => Outcome::write(Reason::Writes),
        "create" if piece.temporary => Outcome::write(Reason::TemporaryObject).with(Effect::MarksSession),
        "lock" => Outcome::primary(Reason::TableLock),
        "listen" | "unlisten" => Outcome::primary(Reason::Notification).with(Effect::Listens),
        "notify" => Outcome::write(Reason::Notification),
        "declare" | "fetch" | "move" | "close" => Outcome::write(Reason::Cursor).with(Effect::Cursor),
        "prepare" => Outcome::primary(Reason::Prepared).with(Effect::Prepares),
        "execute" => Outcome::write(Reason::Prepared).with(Effect::Executes),
        "do" | "call" => Outcome::write(Reason::Procedure).with(Effect::MarksSession),
        // A library may change anything in the server process that it is loaded into.
        "load" => Outcome::write(Reason::SessionState).with(Effect::MarksSession),
        _ if UTILITY.contains(&first) => Outcome::write(Reason::Utility),
        _ => Outcome::write(Reason::UnknownStatement).with(Effect::MarksSession),
    }
}

/// Whether functions that the statement names run when it runs: `CREATE TABLE … AS SELECT f()` does,
/// `CREATE VIEW … AS SELECT f()` does not. `words` stands behind the first word.
pub(crate) fn runs_functions(first: &str, piece: &Piece, words: &mut Words<'_>) -> bool {
    match first {
        "create" => {
            while words.eat_any(&["local", "global", "temp", "temporary", "unlogged"]) {}
            piece.has_query && words.eat_any(&["table", "materialized"])
        }
        _ => !UTILITY.contains(&first) && !matches!(first, "lock" | "listen" | "unlisten" | "notify"),
    }
}
