//! `howdah.read_after`: the token that the session's reads have to be behind, and what is said of one that cannot be had.
//! Next: `setting.rs` (how long a value lives), `own.rs`, where it is set while there is a server, and `sets.rs`, where
//! there is none.

use howdah_classifier::Value;
use howdah_topology::{Token, TokenFault};

/// An SQLSTATE and a sentence for the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: &'static str,
    pub(crate) message: String,
}

impl Refusal {
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

/// The token that a value is.
pub(crate) fn read(value: &Value) -> Result<Option<Token>, Refusal> {
    let unreadable =
        |why: String| Refusal::new("22023", format!("invalid value for howdah.read_after: {why}"));
    match value {
        Value::Default => Ok(None),
        Value::Text(text) => {
            text.parse().map(Some).map_err(|error: howdah_topology::TokenError| unreadable(error.to_string()))
        }
        Value::Unreadable => Err(unreadable("it is to be a plain string in single quotes".to_owned())),
    }
}

/// What is said of a token that nobody here can be shown to be behind.
///
/// A position beyond the fork is refused and not read on the primary: what was written there is lost, or was never
/// acknowledged and so is owed to nobody, and a position cannot tell which. A read without it would be wrong in the
/// first case, and where acknowledged commits are synchronous only tokens of a primary's last moments are refused.
pub(crate) fn fault(token: &Token, fault: TokenFault) -> Refusal {
    let timeline = token.timeline;
    match fault {
        TokenFault::Ahead => Refusal::new(
            "57P03",
            format!(
                "howdah.read_after is of timeline {timeline}, and no primary that has it is known here yet"
            ),
        ),
        TokenFault::Foreign { here } => Refusal::new(
            "22023",
            format!(
                "howdah.read_after is of another cluster: its system identifier is {}, here it is {here}",
                token.system_id
            ),
        ),
        TokenFault::Lost { left_at } => Refusal::new(
            "55000",
            format!(
                "howdah.read_after is at {} of timeline {timeline}, which the present primary left at {left_at}: what \
                 was written in between is lost or was never acknowledged; RESET howdah.read_after to read what is there",
                token.lsn
            ),
        ),
        TokenFault::Elsewhere => Refusal::new(
            "55000",
            format!(
                "howdah.read_after is of timeline {timeline}, which is no part of the present primary's history; RESET \
                 howdah.read_after to read what is there"
            ),
        ),
    }
}
