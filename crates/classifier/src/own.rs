//! Statements about Howdah's own parameters that are read to their values, since no server can carry them out. The
//! verdict says that a text may be one ([`crate::Effects::sets_read_after`], [`crate::Effects::shows_howdah`]); here it
//! is read. Next: `settings.rs`, which makes that verdict.

use crate::survey::Survey;
use crate::words::Words;

/// A value as it was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// `DEFAULT`, an empty text, or by `RESET`.
    Default,
    /// A plain string or word, in lower case.
    Text(String),
    /// In a form that this crate does not read (`E'…'`, `$$…$$`, a list, something missing).
    Unreadable,
}

/// A statement about one of Howdah's own parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Own {
    /// `SHOW howdah.causal_token`.
    ShowToken,
    /// `SHOW howdah.read_after`.
    ShowReadAfter,
    /// `SET [SESSION | LOCAL] howdah.read_after = …`.
    SetReadAfter {
        /// `LOCAL`.
        local: bool,
        /// The token.
        value: Value,
    },
    /// `RESET howdah.read_after`.
    ResetReadAfter,
    /// `SHOW client_min_messages`, of which Howdah keeps the client's own value.
    ShowLevel,
}

/// The statement, if `sql` is just one and of this kind.
#[must_use]
pub fn own(sql: &[u8]) -> Option<Own> {
    let mut survey = Survey::new(sql, false);
    let mut found = None;
    while let Some(piece) = survey.next_piece() {
        if piece.first.is_none() {
            continue;
        }
        if found.is_some() {
            return None;
        }
        found = Some(statement(&mut Words::new(sql, survey.lexer_of(&piece), piece.end))?);
    }
    found
}

fn statement(words: &mut Words<'_>) -> Option<Own> {
    if words.eat("show") {
        let name = words.parameter().filter(|_| words.is_done())?;
        return match name.as_str() {
            "howdah.causal_token" => Some(Own::ShowToken),
            "howdah.read_after" => Some(Own::ShowReadAfter),
            "client_min_messages" => Some(Own::ShowLevel),
            _ => None,
        };
    }
    if words.eat("reset") {
        let name = words.parameter().filter(|_| words.is_done())?;
        return (name == "howdah.read_after").then_some(Own::ResetReadAfter);
    }
    if !words.eat("set") {
        return None;
    }
    let local = words.eat("local");
    let _session = !local && words.eat("session");
    let name = words.parameter()?;
    if name != "howdah.read_after" || !(words.eat("to") || words.eat_symbol(b'=')) {
        return None;
    }
    let value = match words.value() {
        Some(text) if text.is_empty() || text == "default" => Value::Default,
        Some(text) => Value::Text(text),
        None => Value::Unreadable,
    };
    Some(Own::SetReadAfter { local, value })
}
