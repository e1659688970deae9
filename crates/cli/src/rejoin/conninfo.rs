//! Connection strings of libpq, `key=value` pairs: read, changed and written again. Read next: `source.rs`.

use std::fmt::Write as _;

/// A connection string, its pairs in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Conninfo {
    pairs: Vec<(String, String)>,
}

impl Conninfo {
    /// Reads `key=value key='quoted \' value'`.
    ///
    /// # Errors
    /// A sentence that says what is wrong.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text.contains("://") {
            return Err("give the connection string as key=value pairs, not as a URI".to_owned());
        }
        let mut pairs = Vec::new();
        let mut rest = text.trim_start();
        while !rest.is_empty() {
            let Some((key, after)) = rest.split_once('=') else {
                return Err(format!("{rest:?} in the connection string has no value"));
            };
            let (value, after) = value(after.trim_start())?;
            pairs.push((key.trim().to_owned(), value));
            rest = after.trim_start();
        }
        Ok(Self { pairs })
    }

    /// The last value of a key.
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.pairs.iter().rev().find(|(known, _)| known == key).map(|(_, value)| value.as_str())
    }

    /// The same with another value for a key.
    pub(crate) fn with(&self, key: &str, value: &str) -> Self {
        let mut changed = self.without(key);
        changed.pairs.push((key.to_owned(), value.to_owned()));
        changed
    }

    /// The same without a key.
    pub(crate) fn without(&self, key: &str) -> Self {
        Self { pairs: self.pairs.iter().filter(|(known, _)| known != key).cloned().collect() }
    }

    /// Where it leads, for people.
    pub(crate) fn place(&self) -> String {
        let host = self.get("host").or(self.get("hostaddr")).unwrap_or("the local socket");
        format!("{host}:{}", self.get("port").unwrap_or("5432"))
    }

    /// As libpq reads it.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        for (key, value) in &self.pairs {
            let blank = if text.is_empty() { "" } else { " " };
            // Writing to a String cannot fail.
            let _ = write!(text, "{blank}{key}={}", quoted(value));
        }
        text
    }
}

/// One value, and what is after it.
fn value(text: &str) -> Result<(String, &str), String> {
    let (is_quoted, body) = match text.strip_prefix('\'') {
        Some(body) => (true, body),
        None => (false, text),
    };
    let mut value = String::new();
    let mut chars = body.char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            '\\' => value.extend(chars.next().map(|(_, escaped)| escaped)),
            '\'' if is_quoted => return Ok((value, &body[at + 1..])),
            char if !is_quoted && char.is_whitespace() => return Ok((value, &body[at..])),
            char => value.push(char),
        }
    }
    if is_quoted { Err("a quote in the connection string is not closed".to_owned()) } else { Ok((value, "")) }
}

fn quoted(value: &str) -> String {
    if !value.is_empty() && !value.contains(|c: char| c.is_whitespace() || c == '\'' || c == '\\') {
        return value.to_owned();
    }
    format!("'{}'", value.replace('\\', "\\\\").replace('\'', "\\'"))
}
