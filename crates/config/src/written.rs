//! What was written: keys and values as text, each with its place. Both readers (`ini.rs`, `toml_file.rs`) yield this;
//! `build.rs` turns it into what runs.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::diagnostic::{Diagnostic, Severity};

/// Where something stands in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) file: Arc<Path>,
    /// From 1; 0 for the file as a whole.
    pub(crate) line: u32,
    /// From 1, in characters; 0 for the file as a whole.
    pub(crate) column: u32,
}

impl Place {
    /// The file as a whole.
    pub(crate) fn file(path: &Path) -> Self {
        Self { file: Arc::from(path), line: 0, column: 0 }
    }

    /// So many characters further on the same line.
    pub(crate) fn plus(&self, characters: usize) -> Self {
        let further = u32::try_from(characters).unwrap_or(u32::MAX);
        Self { column: self.column.saturating_add(further), ..self.clone() }
    }
}

/// A text with its place.
#[derive(Clone, Debug)]
pub(crate) struct Spanned {
    pub(crate) text: String,
    pub(crate) place: Place,
}

/// A key with its value.
#[derive(Clone, Debug)]
pub(crate) struct Pair {
    pub(crate) key: Spanned,
    pub(crate) value: Spanned,
}

/// The sections. In howdah.toml `[pgbouncer]` is called `[settings]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Section {
    Settings,
    Databases,
    Users,
    Peers,
    Clusters,
    Nodes,
}

impl Section {
    /// The section of a name in an ini file.
    pub(crate) fn of_ini(name: &str) -> Option<Self> {
        if name == "pgbouncer" { Some(Self::Settings) } else { Self::of_entries(name) }
    }

    /// The section of a name in howdah.toml.
    pub(crate) fn of_toml(name: &str) -> Option<Self> {
        if name == "settings" { Some(Self::Settings) } else { Self::of_entries(name) }
    }

    fn of_entries(name: &str) -> Option<Self> {
        Some(match name {
            "databases" => Self::Databases,
            "users" => Self::Users,
            "peers" => Self::Peers,
            "clusters" => Self::Clusters,
            "nodes" => Self::Nodes,
            _ => return None,
        })
    }
}

/// A line of a section whose lines have names: a database, a user, …
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) section: Section,
    pub(crate) name: Spanned,
    pub(crate) pairs: Vec<Pair>,
}

/// A whole file with what it includes, in order.
#[derive(Debug, Default)]
pub(crate) struct Written {
    pub(crate) settings: Vec<Pair>,
    pub(crate) entries: Vec<Entry>,
}

/// The findings of a whole reading: all mistakes are reported at once.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) list: Vec<Diagnostic>,
}

impl Findings {
    /// A mistake.
    pub(crate) fn error(&mut self, place: &Place, message: impl Into<String>) {
        self.push(place, Severity::Error, message.into(), None);
    }

    /// A mistake for which PgBouncer has a text of its own.
    pub(crate) fn error_as(&mut self, place: &Place, message: impl Into<String>, pgbouncer: String) {
        self.push(place, Severity::Error, message.into(), Some(pgbouncer));
    }

    /// Something that is probably not what was meant.
    pub(crate) fn warning(&mut self, place: &Place, message: impl Into<String>) {
        self.push(place, Severity::Warning, message.into(), None);
    }

    /// Something worth knowing.
    pub(crate) fn note(&mut self, place: &Place, message: impl Into<String>) {
        self.push(place, Severity::Note, message.into(), None);
    }

    /// Whether there is a mistake.
    pub(crate) fn has_errors(&self) -> bool {
        self.list.iter().any(|finding| finding.severity == Severity::Error)
    }

    fn push(&mut self, place: &Place, severity: Severity, message: String, pgbouncer: Option<String>) {
        let file = PathBuf::from(&*place.file);
        self.list.push(Diagnostic {
            file,
            line: place.line,
            column: place.column,
            severity,
            message,
            pgbouncer,
        });
    }
}
