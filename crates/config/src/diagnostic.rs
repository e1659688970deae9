//! What is wrong with a file, where, and in a sentence.

use std::fmt;
use std::path::PathBuf;

/// How serious a [`Diagnostic`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The file cannot be used.
    Error,
    /// Accepted, but probably not what was meant.
    Warning,
    /// Accepted, and worth knowing: a setting without effect yet.
    Note,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        })
    }
}

/// One finding. Displays as `file:line:column: error: sentence`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// The file as it was named.
    pub file: PathBuf,
    /// Line, from 1; 0 when the finding is about the file as a whole.
    pub line: u32,
    /// Column, from 1, counted in characters; 0 as above.
    pub column: u32,
    /// How serious it is.
    pub severity: Severity,
    /// A sentence without the place.
    pub message: String,
    /// The line that PgBouncer logs for the same mistake, where there is one (`unknown parameter: pgbouncer/x`).
    pub pgbouncer: Option<String>,
}

impl Diagnostic {
    /// What the log says of it: PgBouncer's line, which scripts look for and count, where there is one that ours does
    /// not have in it, and ours with the place.
    pub fn log_lines(&self) -> impl Iterator<Item = String> {
        let theirs = self.pgbouncer.clone().filter(|line| !self.message.contains(line.as_str()));
        theirs.into_iter().chain(std::iter::once(self.to_string()))
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file.display())?;
        if self.line > 0 {
            write!(f, "{}:{}:", self.line, self.column)?;
        }
        write!(f, " {}: {}", self.severity, self.message)
    }
}

impl std::error::Error for Diagnostic {}
