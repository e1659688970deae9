//! The parameters that follow a client from server to server (PgBouncer: `track_extra_parameters`).
//!
//! A set of values is immutable and shared: most clients of an application have the same one, so a client
//! costs a pointer, and "does this server already have my values?" is usually a pointer comparison.

use std::sync::Arc;

/// The names that are tracked, in one fixed order for the whole process.
#[derive(Debug)]
pub struct Tracked {
    names: Vec<Box<str>>,
}

impl Tracked {
    /// What PgBouncer always tracks, in the spelling of PostgreSQL's ParameterStatus.
    const ALWAYS: [&'static str; 5] =
        ["client_encoding", "DateStyle", "TimeZone", "standard_conforming_strings", "application_name"];

    /// The standard names and those of `track_extra_parameters`; names are compared without case.
    pub fn new<'a>(extra: impl IntoIterator<Item = &'a str>) -> Self {
        let mut names: Vec<Box<str>> = Self::ALWAYS.iter().map(|name| Box::from(*name)).collect();
        for name in extra {
            if !name.is_empty() && !names.iter().any(|known| known.eq_ignore_ascii_case(name)) {
                names.push(name.into());
            }
        }
        Self { names }
    }

    /// The position of `name`, if it is tracked.
    pub fn position(&self, name: &[u8]) -> Option<usize> {
        self.names.iter().position(|known| known.as_bytes().eq_ignore_ascii_case(name))
    }

    /// The tracked names in their order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(AsRef::as_ref)
    }
}

/// Values of the tracked parameters; a missing one is not known and never set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Vars {
    values: Vec<Option<Arc<[u8]>>>,
}

impl Vars {
    /// The value at a position of [`Tracked`].
    pub fn get(&self, position: usize) -> Option<&[u8]> {
        self.values.get(position).and_then(|value| value.as_deref())
    }

    /// The value at a position, to be kept elsewhere.
    pub(crate) fn shared(&self, position: usize) -> Option<Arc<[u8]>> {
        self.values.get(position).cloned().flatten()
    }

    /// Sets a value; returns false when it was the same already.
    pub fn set(&mut self, position: usize, value: &[u8]) -> bool {
        if self.get(position) == Some(value) {
            return false;
        }
        if self.values.len() <= position {
            self.values.resize(position + 1, None);
        }
        self.values[position] = Some(value.into());
        true
    }

    /// Fills what is missing here from `other`.
    pub fn fill_from(&mut self, other: &Vars) {
        if self.values.len() < other.values.len() {
            self.values.resize(other.values.len(), None);
        }
        for (mine, theirs) in self.values.iter_mut().zip(&other.values) {
            if mine.is_none() {
                mine.clone_from(theirs);
            }
        }
    }

    /// Appends the `SET` statements that turn a server with `server`'s values into one with these;
    /// returns whether there are any.
    pub fn differences(&self, server: &Vars, tracked: &Tracked, sql: &mut Vec<u8>) -> bool {
        let before = sql.len();
        for (position, name) in tracked.names().enumerate() {
            let Some(wanted) = self.get(position) else { continue };
            if server.get(position) == Some(wanted) {
                continue;
            }
            sql.extend_from_slice(b"SET ");
            sql.extend_from_slice(name.as_bytes());
            sql.push(b'=');
            quote_literal(wanted, sql);
            sql.push(b';');
        }
        sql.len() > before
    }
}

/// Changes one value of a shared set, copying it only when it is really another value.
pub(crate) fn set_shared(vars: &mut Arc<Vars>, position: usize, value: &[u8]) {
    if vars.get(position) != Some(value) {
        Arc::make_mut(vars).set(position, value);
    }
}

/// A literal that means the same whatever `standard_conforming_strings` is: with a backslash in it the
/// escape form is used (PostgreSQL manual, 4.1.2.2).
fn quote_literal(value: &[u8], out: &mut Vec<u8>) {
    let escapes = value.contains(&b'\\');
    out.extend_from_slice(if escapes { b"E'" } else { b"'" });
    for &byte in value {
        if byte == b'\'' || byte == b'\\' {
            out.push(byte);
        }
        out.push(byte);
    }
    out.push(b'\'');
}
