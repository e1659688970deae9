//! libpq connection strings of the form `keyword=value …`, as far as `primary_conninfo` needs them.
//!
//! The rules of quoting are those of the libpq manual, "Keyword/Value Connection Strings".

use std::fmt;

/// The pairs of a connection string, in order; a later pair of the same keyword wins, as in libpq.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Conninfo {
    pairs: Vec<(String, String)>,
}

/// The text is no `keyword=value` connection string.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ConninfoError {
    #[error("primary_conninfo is a URI; write it as keyword=value pairs")]
    Uri,
    #[error("primary_conninfo is not made of keyword=value pairs")]
    Malformed,
}

impl Conninfo {
    pub(crate) fn parse(text: &str) -> Result<Self, ConninfoError> {
        let mut rest = text.trim();
        if rest.starts_with("postgres://") || rest.starts_with("postgresql://") {
            return Err(ConninfoError::Uri);
        }
        let mut pairs = Vec::new();
        while !rest.is_empty() {
            let (keyword, after) = rest.split_once('=').ok_or(ConninfoError::Malformed)?;
            let keyword = keyword.trim();
            if keyword.is_empty() || keyword.contains(char::is_whitespace) {
                return Err(ConninfoError::Malformed);
            }
            let (value, after) = take_value(after.trim_start()).ok_or(ConninfoError::Malformed)?;
            pairs.push((keyword.to_owned(), value));
            rest = after.trim_start();
        }
        Ok(Self { pairs })
    }

    pub(crate) fn get(&self, keyword: &str) -> Option<&str> {
        self.pairs.iter().rev().find(|(k, _)| k == keyword).map(|(_, v)| v.as_str())
    }

    /// Replaces or adds a pair.
    pub(crate) fn set(&mut self, keyword: &str, value: &str) {
        self.remove(keyword);
        self.pairs.push((keyword.to_owned(), value.to_owned()));
    }

    pub(crate) fn remove(&mut self, keyword: &str) {
        self.pairs.retain(|(k, _)| k != keyword);
    }
}

/// A value up to its end and the rest of the text; `None` when a quote is not closed.
fn take_value(text: &str) -> Option<(String, &str)> {
    let quoted = text.starts_with('\'');
    let mut value = String::new();
    let mut chars = text.char_indices();
    if quoted {
        chars.next();
    }
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => value.push(chars.next()?.1),
            '\'' if quoted => return Some((value, &text[at + 1..])),
            c if !quoted && c.is_whitespace() => return Some((value, &text[at..])),
            c => value.push(c),
        }
    }
    (!quoted).then_some((value, ""))
}

impl fmt::Display for Conninfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (keyword, value)) in self.pairs.iter().enumerate() {
            if i > 0 {
                f.write_str(" ")?;
            }
            let plain =
                !value.is_empty() && !value.contains(['\'', '\\']) && !value.contains(char::is_whitespace);
            if plain {
                write!(f, "{keyword}={value}")?;
            } else {
                write!(f, "{keyword}='{}'", value.replace('\\', "\\\\").replace('\'', "\\'"))?;
            }
        }
        Ok(())
    }
}

/// Without values: one of them is a password.
impl fmt::Debug for Conninfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.pairs.iter().map(|(keyword, _)| keyword)).finish()
    }
}
