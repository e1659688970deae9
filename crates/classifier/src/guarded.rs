//! Assignments of the two parameters that say what an acknowledgement is worth (FAILOVER_PROTOCOL.md section 9), read to
//! their values and to where these stand in the text. The verdict says that a text may hold one
//! ([`crate::Effects::sets_guarded`]). Next: `own.rs`, for parameters that are Howdah's own.

use std::ops::Range;

use crate::own::Value;
use crate::survey::Survey;
use crate::words::Words;

/// A parameter that says what an acknowledgement is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guarded {
    /// `client_min_messages`: at `error` the server does not say that a commit is on no standby.
    ClientMinMessages,
    /// `synchronous_commit`: at `off` and `local` no commit waits for a standby.
    SynchronousCommit,
}

impl Guarded {
    pub(crate) fn named(name: &str) -> Option<Self> {
        match name {
            "client_min_messages" => Some(Self::ClientMinMessages),
            "synchronous_commit" => Some(Self::SynchronousCommit),
            _ => None,
        }
    }
}

/// One assignment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// What is set.
    pub parameter: Guarded,
    /// `LOCAL`.
    pub local: bool,
    /// To what.
    pub value: Value,
    /// Where the value stands in the text, quotes included; empty where there is none (`RESET`).
    pub at: Range<usize>,
}

/// What a text assigns.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Assignments {
    /// In the order of the text.
    pub known: Vec<Assignment>,
    /// There is one whose parameter, value or effect cannot be told from the text.
    pub unknown: bool,
}

/// The assignments of a text.
#[must_use]
pub fn assignments(sql: &[u8]) -> Assignments {
    let mut survey = Survey::new(sql, false);
    let mut found = Assignments::default();
    while let Some(piece) = survey.next_piece() {
        if piece.first.is_none() {
            continue;
        }
        let words = || Words::new(sql, survey.lexer_of(&piece), piece.end);
        if piece.sets {
            match calls(&mut words()) {
                Some(known) => found.known.extend(known),
                None => found.unknown |= names_guarded(&mut words()),
            }
        } else if let Some(assignment) = statement(&mut words()) {
            found.unknown |= assignment.value == Value::Unreadable;
            found.known.push(assignment);
        }
    }
    found
}

/// `SET [SESSION | LOCAL] name = value`, `RESET name`.
fn statement(words: &mut Words<'_>) -> Option<Assignment> {
    if words.eat("reset") {
        let parameter = Guarded::named(&words.parameter()?)?;
        return Some(Assignment { parameter, local: false, value: Value::Default, at: 0..0 });
    }
    if !words.eat("set") {
        return None;
    }
    let local = words.eat("local");
    let _session = !local && words.eat("session");
    let parameter = Guarded::named(&words.parameter()?)?;
    if !(words.eat("to") || words.eat_symbol(b'=')) {
        return None;
    }
    let at = words.ahead();
    let value = match words.value() {
        Some(text) if text == "default" => Value::Default,
        Some(text) => Value::Text(text),
        None => Value::Unreadable,
    };
    Some(Assignment { parameter, local, value, at })
}

/// `SELECT set_config('name', 'value', false) [AS name] [, …]` and nothing else, so that each call is made just once.
fn calls(words: &mut Words<'_>) -> Option<Vec<Assignment>> {
    let mut known = Vec::new();
    let mut more = words.eat("select");
    while more {
        known.extend(call(words)?);
        if words.eat("as") {
            words.parameter()?;
        }
        more = words.eat_symbol(b',');
    }
    words.is_done().then_some(known)
}

/// One call; nothing is returned for one that sets another parameter.
fn call(words: &mut Words<'_>) -> Option<Option<Assignment>> {
    if words.eat("pg_catalog") && !words.eat_symbol(b'.') {
        return None;
    }
    let named = words.eat("set_config") && words.eat_symbol(b'(');
    let (name, _) = words.text().filter(|_| named)?;
    let parameter = Guarded::named(&name);
    let at = words.eat_symbol(b',').then(|| words.ahead())?;
    let value = match words.text() {
        Some((text, _)) => Some(Value::Text(text)),
        // A parameter of the statement, say: no matter whose value it is, unless it is a guarded one's.
        None if parameter.is_none() => None,
        None => return None,
    };
    let local = words.eat_symbol(b',').then(|| words.eat("true"))?;
    if !(local || words.eat("false")) || !words.eat_symbol(b')') {
        return None;
    }
    Some(parameter.zip(value).map(|(parameter, value)| Assignment { parameter, local, value, at }))
}

/// Whether a call of `set_config` may be about a guarded parameter.
fn names_guarded(words: &mut Words<'_>) -> bool {
    let mut seen = false;
    while !words.is_done() {
        if !(words.eat("set_config") && words.eat_symbol(b'(')) {
            words.token();
            continue;
        }
        seen = true;
        match words.text() {
            Some((name, _)) if Guarded::named(&name).is_none() && words.eat_symbol(b',') => {}
            _ => return true,
        }
    }
    // It is there, in a spelling that was not recognised.
    !seen
}
