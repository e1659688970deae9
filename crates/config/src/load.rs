//! Entry points: a file or a text to a [`Config`], and the report of `howdah check`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::build;
use crate::config::Config;
use crate::diagnostic::{Diagnostic, Severity};
use crate::ini;
use crate::settings::Settings;
use crate::toml_file;
use crate::written::{Findings, Place};

/// A configuration that can run, with what is worth saying about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    /// What runs.
    pub config: Config,
    /// Warnings and notes, in the order of the file.
    pub notes: Vec<Diagnostic>,
}

/// The form of a configuration text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// PgBouncer's.
    Ini,
    /// `howdah.toml`.
    Toml,
}

impl Format {
    /// TOML for a file that is called `….toml`, else ini.
    #[must_use]
    pub fn of(path: &Path) -> Self {
        let toml = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("toml"));
        if toml { Self::Toml } else { Self::Ini }
    }
}

/// Reads a configuration file with all that it includes and its `auth_file`.
///
/// # Errors
/// Every mistake of the files at once, warnings and notes among them, in the order of the file.
pub fn load(path: impl AsRef<Path>) -> Result<Loaded, Vec<Diagnostic>> {
    let path = path.as_ref();
    match ini::read_bytes(path) {
        Ok(bytes) => {
            let mut loaded = parse(path, &bytes, Format::of(path))?;
            loaded.config.settings.conffile = Some(path.to_owned());
            Ok(loaded)
        }
        Err(error) => {
            let mut findings = Findings::default();
            findings.error(&Place::file(path), format!("cannot read the file: {error}"));
            Err(findings.list)
        }
    }
}

/// Reads a configuration text; `path` is what the findings call it.
///
/// # Errors
/// As [`load`].
pub fn parse(path: impl AsRef<Path>, bytes: &[u8], format: Format) -> Result<Loaded, Vec<Diagnostic>> {
    let path = path.as_ref();
    let mut findings = Findings::default();
    let (written, defaults) = match format {
        Format::Ini => (ini::read_text(path, bytes, &mut findings), Settings::default()),
        Format::Toml => (toml_file::read_text(path, bytes, &mut findings), Settings::toml_default()),
    };
    let config = build::build(&written, defaults, path, &mut findings);
    let failed = findings.has_errors();
    let notes = in_order(findings.list, path);
    if failed { Err(notes) } else { Ok(Loaded { config, notes }) }
}

/// The log file that a configuration file names, whatever else is wrong with it: what is wrong is to be told there.
#[must_use]
pub fn logfile(path: impl AsRef<Path>) -> Option<PathBuf> {
    let path = path.as_ref();
    let bytes = ini::read_bytes(path).ok()?;
    let mut findings = Findings::default();
    let written = match Format::of(path) {
        Format::Ini => ini::read_text(path, &bytes, &mut findings),
        Format::Toml => toml_file::read_text(path, &bytes, &mut findings),
    };
    let named = written.settings.iter().rfind(|pair| pair.key.text == "logfile")?;
    Some(&named.value.text).filter(|text| !text.is_empty()).map(PathBuf::from)
}

/// The findings of the main file by line, then those of the other files.
fn in_order(mut list: Vec<Diagnostic>, main: &Path) -> Vec<Diagnostic> {
    list.sort_by(|a, b| {
        let key = |d: &Diagnostic| (d.file != main, d.file.clone(), d.line, d.column);
        key(a).cmp(&key(b))
    });
    list
}

/// What `howdah check` prints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// One line a finding, and a last line that says what they come to.
    pub text: String,
    /// Whether the file can be used.
    pub usable: bool,
}

/// Checks a file and says everything about it.
#[must_use]
pub fn check(path: impl AsRef<Path>) -> Report {
    let path = path.as_ref();
    let (findings, summary) = match load(path) {
        Ok(loaded) => (loaded.notes, Some(summary(&loaded.config))),
        Err(findings) => (findings, None),
    };
    let mut text = String::new();
    for finding in &findings {
        let _ = writeln!(text, "{finding}");
    }
    let errors = findings.iter().filter(|finding| finding.severity == Severity::Error).count();
    let usable = summary.is_some();
    let verdict = summary.unwrap_or_else(|| match errors {
        1 => "1 mistake".to_owned(),
        count => format!("{count} mistakes"),
    });
    let _ = writeln!(text, "{}: {verdict}", PathBuf::from(path).display());
    Report { text, usable }
}

fn summary(config: &Config) -> String {
    let count = |number: usize, one: &str| match number {
        1 => format!("1 {one}"),
        many => format!("{many} {one}s"),
    };
    let databases = config.databases.len() + usize::from(config.autodb.is_some());
    format!(
        "good: {}, {}, {}",
        count(databases, "database"),
        count(config.clusters.len(), "cluster"),
        count(config.auth_users.len(), "user")
    )
}
