//! The `key=value` lists of `[databases]`, `[users]`, `[peers]`, `[clusters]` and `[nodes]`.
//!
//! Pairs are separated by blanks, blanks around `=` are allowed, a value with blanks stands in single quotes with a
//! quote doubled (PGBOUNCER.md §1).

use crate::written::{Findings, Pair, Spanned};

/// PgBouncer's sentence for a list that it cannot read.
const THEIRS: &str = "syntax error in connection string";

/// Reads a list. A mistake is reported and ends the list.
pub(crate) fn read(list: &Spanned, findings: &mut Findings) -> Vec<Pair> {
    let mut cursor = Cursor { list, at: 0 };
    let mut pairs = Vec::new();
    while let Some(pair) = cursor.pair() {
        match pair {
            Ok(pair) => pairs.push(pair),
            Err((at, sentence)) => {
                findings.error_as(&cursor.spanned(at, String::new()).place, sentence, THEIRS.to_owned());
                break;
            }
        }
    }
    pairs
}

/// Where a mistake is, in bytes, and its sentence.
type Mistake = (usize, String);

struct Cursor<'a> {
    list: &'a Spanned,
    /// Bytes read.
    at: usize,
}

impl Cursor<'_> {
    /// The next pair; `None` at the end.
    fn pair(&mut self) -> Option<Result<Pair, Mistake>> {
        self.skip_blanks();
        let start = self.at;
        let end =
            self.rest().find(|c: char| c == '=' || c.is_ascii_whitespace()).unwrap_or(self.rest().len());
        let key = self.rest()[..end].to_owned();
        if key.is_empty() && self.rest().is_empty() {
            return None;
        }
        self.at += end;
        self.skip_blanks();
        if key.is_empty() || !self.rest().starts_with('=') {
            return Some(Err((
                start,
                format!("expected key=value, and not {:?}", first_word(&self.list.text[start..])),
            )));
        }
        self.at += 1;
        self.skip_blanks();
        let key = self.spanned(start, key);
        Some(self.value(&key.text).map(|value| Pair { key, value }))
    }

    fn value(&mut self, key: &str) -> Result<Spanned, Mistake> {
        let start = self.at;
        let text = if self.rest().starts_with('\'') {
            self.quoted().ok_or_else(|| (start, format!("the closing ' of {key} is missing")))?
        } else {
            let end = self.rest().find(|c: char| c.is_ascii_whitespace()).unwrap_or(self.rest().len());
            let text = self.rest()[..end].to_owned();
            self.at += end;
            text
        };
        if self.at == start {
            return Err((start, format!("{key} has no value (an empty one is written '')")));
        }
        if !self.rest().is_empty() && !self.rest().starts_with(|c: char| c.is_ascii_whitespace()) {
            return Err((self.at, format!("a blank must follow the closing ' of {key}")));
        }
        Ok(self.spanned(start, text))
    }

    /// The text in single quotes; `None`: it does not end.
    fn quoted(&mut self) -> Option<String> {
        let rest = self.list.text.get(self.at + 1..)?;
        let mut text = String::new();
        let mut characters = rest.char_indices().peekable();
        while let Some((at, character)) = characters.next() {
            if character != '\'' {
                text.push(character);
            } else if characters.next_if(|(_, next)| *next == '\'').is_some() {
                text.push('\'');
            } else {
                self.at += at + 2;
                return Some(text);
            }
        }
        None
    }

    fn rest(&self) -> &str {
        &self.list.text[self.at..]
    }

    fn skip_blanks(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_ascii_start().len();
    }

    /// A text with the place of byte `at`.
    fn spanned(&self, at: usize, text: String) -> Spanned {
        Spanned { text, place: self.list.place.plus(self.list.text[..at].chars().count()) }
    }
}

fn first_word(text: &str) -> &str {
    text.split_ascii_whitespace().next().unwrap_or(text)
}
