//! What can go wrong while a test server is made or asked.

use std::path::PathBuf;
use std::time::Duration;

/// An error of the test kit. Its text is meant to be read by the person whose test failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No directory with PostgreSQL's server programs was found.
    #[error(
        "PostgreSQL's server programs were not found; looked in {looked}. \
         Install the package (Debian: apt-get install postgresql) or set HOWDAH_PG_BIN to their directory"
    )]
    BinariesNotFound {
        /// The places that were looked at, separated by commas.
        looked: String,
    },
    /// PostgreSQL refuses to run as root and no other account could be found.
    #[error("running as root, and neither the account postgres nor nobody exists to run PostgreSQL as")]
    NoAccount,
    /// A program ended with an error.
    #[error("{program} failed ({status}):\n{output}")]
    Program {
        /// The program's name.
        program: String,
        /// Its exit status.
        status: String,
        /// What it printed, the end of it if it was long.
        output: String,
    },
    /// A server did not come up; the end of its log says why.
    #[error("server {name} did not start:\n{log}")]
    Start {
        /// The node's name.
        name: String,
        /// The end of the server's log.
        log: String,
    },
    /// Something did not happen in time.
    #[error("waited {waited:?} for {what}")]
    Deadline {
        /// What was waited for.
        what: String,
        /// For how long.
        waited: Duration,
    },
    /// A file or process operation failed.
    #[error("{what} {}: {source}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// No free port was found on loopback.
    #[error("no free port between {0} and {1} on loopback")]
    NoPort(u16, u16),
    /// A query failed.
    #[error("SQL on {node}: {source}")]
    Sql {
        /// The node's name.
        node: String,
        /// The driver's error.
        source: tokio_postgres::Error,
    },
    /// The node was not in the state that the call needs, for example stopped twice.
    #[error("node {node} is not running")]
    NotRunning {
        /// The node's name.
        node: String,
    },
}

impl Error {
    /// For `map_err` around file operations.
    pub(crate) fn io(what: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { what, path, source }
    }
}
