//! `auth_file`: who may log in, with the stored secrets (PGBOUNCER.md §1, PGBOUNCER_BEHAVIOUR.md §5).
//!
//! A line is `"user" "secret" anything`; a quote inside quotes is doubled; `;` starts a comment line. Nothing is trimmed
//! inside the quotes. A secret is never printed, not even in a finding.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use crate::secret::Secret;
use crate::written::{Findings, Place};

/// Longest secret, in bytes (PgBouncer's limit).
pub const MAX_SECRET: usize = 65530;

/// The users of `auth_file` with their secrets as written (plain, `md5…` or `SCRAM-SHA-256$…`), in the file's order.
#[derive(Clone, Debug, Default)]
pub struct UserList {
    entries: Vec<(String, Secret)>,
    /// Where each name stands in `entries`.
    index: BTreeMap<String, usize>,
}

impl UserList {
    /// Adds a user, or gives the one of that name another secret.
    pub fn insert(&mut self, name: impl Into<String>, secret: Secret) {
        let name = name.into();
        if let Some(at) = self.index.get(&name) {
            self.entries[*at].1 = secret;
        } else {
            self.index.insert(name.clone(), self.entries.len());
            self.entries.push((name, secret));
        }
    }

    /// The stored secret of a user.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Secret> {
        self.index.get(name).map(|at| &self.entries[*at].1)
    }

    /// Users and secrets in the file's order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Secret)> {
        self.entries.iter().map(|(name, secret)| (name.as_str(), secret))
    }

    /// How many users there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl PartialEq for UserList {
    fn eq(&self, other: &Self) -> bool {
        self.entries == other.entries
    }
}

/// Reads a user list; mistakes go to `findings`, the good lines are kept.
pub(crate) fn read(path: &Path, bytes: &[u8], findings: &mut Findings) -> UserList {
    let file: Arc<Path> = Arc::from(path);
    let mut list = UserList::default();
    for (index, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let number = u32::try_from(index + 1).unwrap_or(u32::MAX);
        let start = Place { file: Arc::clone(&file), line: number, column: 1 };
        match read_line(line) {
            Ok(Some((name, secret))) => list.insert(name, secret),
            Ok(None) => {}
            Err((at, sentence)) => {
                let column = String::from_utf8_lossy(&line[..at]).chars().count();
                findings.error(&start.plus(column), sentence);
            }
        }
    }
    list
}

/// Where a mistake is, in bytes of the line, and its sentence.
type Mistake = (usize, String);

fn read_line(line: &[u8]) -> Result<Option<(String, Secret)>, Mistake> {
    let start = line.len() - line.trim_ascii_start().len();
    if matches!(line.get(start), None | Some(b';' | b'#')) {
        return Ok(None);
    }
    let (name, after_name) = quoted(line, start, "user name")?;
    let rest = &line[after_name..];
    let secret_at = after_name + rest.len() - rest.trim_ascii_start().len();
    let (secret, _) = quoted(line, secret_at, "secret")?;
    if name.is_empty() {
        return Err((start, "the user name is empty".to_owned()));
    }
    if secret.len() > MAX_SECRET {
        return Err((secret_at, format!("the secret is longer than {MAX_SECRET} bytes")));
    }
    Ok(Some((name, Secret::new(secret))))
}

/// The text in double quotes that starts at byte `at`, and where what follows begins.
fn quoted(line: &[u8], at: usize, what: &str) -> Result<(String, usize), Mistake> {
    if line.get(at) != Some(&b'"') {
        return Err((at, format!("expected the {what} in double quotes")));
    }
    let mut text = Vec::new();
    let mut next = at + 1;
    loop {
        match (line.get(next), line.get(next + 1)) {
            (None, _) => return Err((at, format!("the closing \" of the {what} is missing"))),
            (Some(b'"'), Some(b'"')) => {
                text.push(b'"');
                next += 2;
            }
            (Some(b'"'), _) => break,
            (Some(byte), _) => {
                text.push(*byte);
                next += 1;
            }
        }
    }
    let text = String::from_utf8(text).map_err(|_| (at, format!("the {what} is not UTF-8 text")))?;
    Ok((text, next + 1))
}
