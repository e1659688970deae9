//! A comma separated list that remembers how it was written.

use std::fmt;

/// A comma separated list (`listen_addr`, `admin_users`, …). SHOW CONFIG prints it as it was written; the items are
/// trimmed and empty ones are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct List {
    written: String,
}

impl List {
    /// The list that `written` stands for.
    #[must_use]
    pub fn new(written: impl Into<String>) -> Self {
        Self { written: written.into() }
    }

    /// The list as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.written
    }

    /// The items, in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.written.split(',').map(str::trim).filter(|item| !item.is_empty())
    }

    /// Whether there is no item.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    /// Whether `name` is an item, letter for letter (user names).
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.iter().any(|item| item == name)
    }

    /// Whether `name` is an item without regard to case (names of PostgreSQL parameters).
    #[must_use]
    pub fn contains_ignoring_case(&self, name: &str) -> bool {
        self.iter().any(|item| item.eq_ignore_ascii_case(name))
    }
}

impl fmt::Display for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

impl From<&str> for List {
    fn from(written: &str) -> Self {
        Self::new(written)
    }
}
