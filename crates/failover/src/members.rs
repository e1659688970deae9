//! The synchronous names: the list in force, its versions, and their text forms. Read next: [`crate::quorum`].

use std::fmt;
use std::str::FromStr;

/// How the k standbys are chosen from the names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// `FIRST k`: by the order of the names; `pg_stat_replication` shows `sync` and `potential`.
    First,
    /// `ANY k`: whichever answer first.
    Any,
}

/// A name that no node has: the list of a primary whose commits must wait for a standby that is still to come
/// (`on_last_node = block`). An empty list would mean asynchronous commits.
pub const NOBODY: &str = "howdah_nobody";

/// The value of `synchronous_standby_names`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncNames {
    /// FIRST or ANY.
    pub method: Method,
    /// Standbys that a commit waits for; 0 with an empty list.
    pub k: usize,
    /// The names; `*` stands for every standby.
    pub names: Vec<String>,
}

impl SyncNames {
    /// The empty list: commits wait for nobody.
    #[must_use]
    pub fn none() -> SyncNames {
        SyncNames { method: Method::First, k: 0, names: Vec::new() }
    }

    /// The list under which every commit waits until a standby is named.
    #[must_use]
    pub fn nobody() -> SyncNames {
        SyncNames { method: Method::First, k: 1, names: vec![NOBODY.to_owned()] }
    }

    /// Whether commits wait for nobody.
    #[must_use]
    pub fn is_async(&self) -> bool {
        self.k == 0 || self.names.is_empty()
    }

    /// Whether it is `*` in any form: who acknowledges is then not known beforehand.
    #[must_use]
    pub fn is_wildcard(&self) -> bool {
        self.names.iter().any(|n| n == "*")
    }

    /// Whether it is [`SyncNames::nobody`].
    #[must_use]
    pub fn is_nobody(&self) -> bool {
        self.contains(NOBODY)
    }

    /// Whether `name` is in it.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.names.iter().any(|n| n == name)
    }

    /// The same without `name`, with k no greater than what is left.
    #[must_use]
    pub fn without(&self, name: &str) -> SyncNames {
        let names: Vec<String> = self.names.iter().filter(|n| *n != name).cloned().collect();
        SyncNames { method: self.method, k: self.k.min(names.len()), names }
    }
}

/// As PostgreSQL reads it: `FIRST 1 ("a", "b")`, or nothing.
impl fmt::Display for SyncNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_async() {
            return Ok(());
        }
        let method = match self.method {
            Method::First => "FIRST",
            Method::Any => "ANY",
        };
        let quote = |n: &String| if n == "*" { n.clone() } else { format!("\"{}\"", n.replace('"', "\"\"")) };
        let names: Vec<String> = self.names.iter().map(quote).collect();
        write!(f, "{method} {} ({})", self.k, names.join(", "))
    }
}

/// The text is no list of synchronous standbys.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a list of synchronous standbys: {0:?}")]
pub struct SyncNamesError(pub String);

/// Every form that PostgreSQL takes: empty, `*`, `a, b`, `1 (a, b)`, `FIRST 1 (a, b)`, `ANY 2 (a, b, c)`, names
/// quoted or not. Unquoted names compare without case in PostgreSQL; they are kept as written.
impl FromStr for SyncNames {
    type Err = SyncNamesError;

    fn from_str(text: &str) -> Result<SyncNames, SyncNamesError> {
        let fail = || SyncNamesError(text.to_owned());
        let trimmed = text.trim();
        if trimmed.is_empty() {
            return Ok(SyncNames::none());
        }
        let Some((head, list)) = split_list(trimmed) else {
            let names = parse_names(trimmed).ok_or_else(fail)?;
            return Ok(SyncNames { method: Method::First, k: 1, names });
        };
        let mut words: Vec<&str> = head.split_whitespace().collect();
        let k: usize = words.pop().and_then(|w| w.parse().ok()).filter(|k| *k > 0).ok_or_else(fail)?;
        let method = match words.as_slice() {
            [] => Method::First,
            [w] if w.eq_ignore_ascii_case("first") => Method::First,
            [w] if w.eq_ignore_ascii_case("any") => Method::Any,
            _ => return Err(fail()),
        };
        let names = parse_names(list).ok_or_else(fail)?;
        Ok(SyncNames { method, k, names })
    }
}

/// `HEAD (LIST)` in two, unless the parenthesis is inside a quoted name.
fn split_list(text: &str) -> Option<(&str, &str)> {
    let open = text.find('(')?;
    let (head, rest) = text.split_at(open);
    if head.contains('"') {
        return None;
    }
    Some((head, rest.strip_prefix('(')?.strip_suffix(')')?))
}

/// Names between commas, quoted or not; `None` if one is empty or a quote is open.
fn parse_names(list: &str) -> Option<Vec<String>> {
    let mut names = Vec::new();
    let mut rest = list.trim_start();
    loop {
        let (name, after) = parse_name(rest)?;
        names.push(name);
        let after = after.trim_start();
        if after.is_empty() {
            return Some(names);
        }
        rest = after.strip_prefix(',')?.trim_start();
    }
}

/// One name and what follows it.
fn parse_name(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(',').unwrap_or(text.len());
        let (name, rest) = text.split_at(end);
        let name = name.trim_end();
        let plain = !name.is_empty() && !name.contains(['"', ' ', '(', ')']);
        return plain.then(|| (name.to_owned(), rest));
    };
    let mut name = String::new();
    let mut rest = quoted;
    loop {
        let (part, after) = rest.split_once('"')?;
        name.push_str(part);
        match after.strip_prefix('"') {
            Some(more) => {
                name.push('"');
                rest = more;
            }
            None => return (!name.is_empty()).then_some((name, after)),
        }
    }
}

/// The list in force with its version, kept on every node as `howdah.members`. The newest version seen governs
/// the count of votes (FAILOVER_PROTOCOL.md §2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Members {
    /// Grows with each change.
    pub version: u64,
    /// The list that the primary uses.
    pub sync: SyncNames,
}

/// The value of `howdah.members`: `VERSION LIST`.
impl fmt::Display for Members {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.version, self.sync)
    }
}

impl FromStr for Members {
    type Err = SyncNamesError;

    fn from_str(text: &str) -> Result<Members, SyncNamesError> {
        let fail = || SyncNamesError(text.to_owned());
        let (version, list) = text.split_once(' ').unwrap_or((text, ""));
        Ok(Members { version: version.parse().map_err(|_| fail())?, sync: list.parse()? })
    }
}
