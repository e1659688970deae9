//! Finds PostgreSQL's server programs.
//!
//! Debian keeps them outside `PATH`, one directory a version; elsewhere they are in `PATH` or in the usual
//! prefixes. `HOWDAH_PG_BIN` wins over everything.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::error::Error;

/// Names the directory with `initdb`, `postgres`, `pg_basebackup` when it is set.
const ENV_BIN: &str = "HOWDAH_PG_BIN";

/// Directories under which each version has one of its own (`<prefix>/<version>/bin`).
const VERSIONED_PREFIXES: [&str; 3] = ["/usr/lib/postgresql", "/usr/pgsql", "/opt/postgresql"];

/// Directories that hold the programs of the one version installed.
const PLAIN_DIRECTORIES: [&str; 4] =
    ["/usr/local/pgsql/bin", "/usr/local/bin", "/opt/homebrew/bin", "/usr/libexec/postgresql"];

/// What must be there for a directory to count.
const NEEDED: [&str; 4] = ["initdb", "postgres", "pg_basebackup", "pg_ctl"];

/// A directory with PostgreSQL's server programs.
#[derive(Debug, Clone)]
pub struct Binaries {
    dir: PathBuf,
    major: u32,
}

impl Binaries {
    /// The directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The major version, 15 for example; 0 when `postgres --version` could not be read.
    #[must_use]
    pub fn major(&self) -> u32 {
        self.major
    }

    /// The path of one of the programs.
    #[must_use]
    pub fn program(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    fn at(dir: &Path) -> Option<Self> {
        if !NEEDED.iter().all(|name| dir.join(name).is_file()) {
            return None;
        }
        Some(Self { dir: dir.to_owned(), major: major_of(dir) })
    }
}

/// Finds PostgreSQL's server programs: `HOWDAH_PG_BIN`, then `PATH`, then the newest installed version.
///
/// # Errors
/// [`Error::BinariesNotFound`] with the places looked at.
pub fn find_binaries() -> Result<Binaries, Error> {
    let mut looked = Vec::new();
    if let Some(dir) = std::env::var_os(ENV_BIN) {
        // Named on purpose: falling back to another version would test something else than was asked.
        let dir = PathBuf::from(dir);
        return Binaries::at(&dir)
            .ok_or_else(|| Error::BinariesNotFound { looked: format!("{ENV_BIN}={}", dir.display()) });
    }
    looked.push("PATH".to_owned());
    for dir in std::env::var_os("PATH").iter().flat_map(std::env::split_paths) {
        if let Some(found) = Binaries::at(&dir) {
            return Ok(found);
        }
    }
    let mut newest: Option<Binaries> = None;
    for dir in versioned_directories().chain(PLAIN_DIRECTORIES.iter().map(PathBuf::from)) {
        looked.push(dir.display().to_string());
        if let Some(found) = Binaries::at(&dir)
            && newest.as_ref().is_none_or(|best| found.major > best.major)
        {
            newest = Some(found);
        }
    }
    newest.ok_or(Error::BinariesNotFound { looked: looked.join(", ") })
}

fn versioned_directories() -> impl Iterator<Item = PathBuf> {
    VERSIONED_PREFIXES
        .iter()
        .filter_map(|prefix| std::fs::read_dir(prefix).ok())
        .flatten()
        .filter_map(Result::ok)
        .map(|entry| entry.path().join("bin"))
}

/// Asks `postgres --version`, whose answer is `postgres (PostgreSQL) 15.20 (Debian …)`.
fn major_of(dir: &Path) -> u32 {
    let output = std::process::Command::new(dir.join("postgres")).arg(OsStr::new("--version")).output();
    let text = output.map(|o| String::from_utf8_lossy(&o.stdout).into_owned()).unwrap_or_default();
    text.split_whitespace()
        .nth(2)
        .map(|v| v.chars().take_while(char::is_ascii_digit).collect::<String>())
        .and_then(|v| v.parse().ok())
        .unwrap_or(0)
}
