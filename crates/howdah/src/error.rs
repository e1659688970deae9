//! What the facade's callers and its clients are told.

use howdah_backend::{ConnectError, ServerReport};

/// Why Howdah did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {error}")]
    Listen {
        /// The address or socket file.
        address: String,
        /// What the system said.
        error: std::io::Error,
    },
    /// Another process owns the Unix socket (PgBouncer's text).
    #[error("unix socket is in use, cannot continue")]
    UnixSocketInUse,
    /// None of the addresses can be listened on (PgBouncer's text).
    #[error("nowhere to listen on")]
    Nowhere,
    /// `unix_socket_group` is no group (PgBouncer's text).
    #[error("could not find group '{0}'")]
    NoGroup(String),
    /// A database entry names a cluster that there is not.
    #[error("database {database}: there is no cluster {cluster}")]
    NoCluster {
        /// The entry.
        database: String,
        /// The cluster it names.
        cluster: String,
    },
    /// The TLS settings cannot be used; the log says why (PgBouncer's text).
    #[error("TLS setup failed")]
    Tls,
    /// The settings want something that this build does not have.
    #[error("{0}")]
    NotBuilt(&'static str),
    /// The running process could not be taken over.
    #[error("{0}")]
    Takeover(#[from] crate::takeover::take::TakeoverError),
    /// The system has no randomness to give.
    #[error("no randomness from the system: {0}")]
    Random(String),
}

/// A login to a server that failed, as the clients that wait for it are told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LoginFailure {
    /// SQLSTATE; the server's own where it spoke.
    pub(crate) code: String,
    /// The sentence; the server's own where it spoke.
    pub(crate) message: String,
}

impl From<&ConnectError> for LoginFailure {
    fn from(error: &ConnectError) -> Self {
        match error {
            ConnectError::Refused(ServerReport { code, message, .. }) => {
                Self { code: code.clone(), message: message.clone() }
            }
            // What went wrong on our side of the login is in the log; the client reads PgBouncer's sentences.
            ConnectError::Auth(error) => Self { code: "08P01".to_owned(), message: error.to_string() },
            other => Self { code: "08P01".to_owned(), message: other.to_string() },
        }
    }
}
