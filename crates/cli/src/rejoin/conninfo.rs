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

    /// The servers that it names, as libpq lists them (`host=a,b port=1,2`): the same for each, with one host and port.
    ///
    /// # Errors
    /// There are as many ports as fit neither one nor all of the hosts.
    pub(crate) fn each(&self) -> Result<Vec<Self>, String> {
        let Some(hosts) = self.get("host").filter(|hosts| hosts.contains(',')) else {
            return Ok(vec![self.clone()]);
        };
        let hosts: Vec<&str> = hosts.split(',').map(str::trim).collect();
        let ports: Vec<&str> = self.get("port").unwrap_or("5432").split(',').map(str::trim).collect();
        if ports.len() != 1 && ports.len() != hosts.len() {
            return Err(format!("{} hosts and {} ports in the connection string", hosts.len(), ports.len()));
        }
        let ports = ports.iter().cycle();
        Ok(hosts.iter().zip(ports).map(|(host, port)| self.with("host", host).with("port", port)).collect())
    }

    /// The same at the place of another one.
    pub(crate) fn at(&self, other: &Self) -> Self {
        let moved = self.without("host").without("hostaddr").without("port");
        let keys = ["host", "hostaddr", "port"];
        let pairs = other.pairs.iter().filter(|(key, _)| keys.contains(&key.as_str()));
        Self { pairs: pairs.cloned().chain(moved.pairs).collect() }
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
