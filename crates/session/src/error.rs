//! What can go wrong between a client and a server, and whose fault it is.
//!
//! Two questions are kept apart: what the client may read ([`Fatal::message`]), and whether the server
//! connection is still good ([`ServerFault`] means it is not).

use howdah_protocol::frame::{FrameError, FrameFault};
use howdah_protocol::read::ReadError;
use howdah_protocol::write::WriteError;

/// So much of a statement's name is shown in the log (characters).
const NAME_SHOWN: usize = 128;

/// The client's own doing: it gets the sentence as a FATAL error and is closed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fatal {
    /// A frame that the protocol does not know, or too large.
    #[error("{0}")]
    Frame(#[from] FrameError),
    /// A body that does not hold what its tag promises.
    #[error("broken message: {0}")]
    Body(#[from] ReadError),
    /// A message that cannot be written again with another name in it.
    #[error("{0}")]
    Write(#[from] WriteError),
    /// Bind or Describe of a name that was never prepared (PGBOUNCER_BEHAVIOUR.md section 10).
    #[error("prepared statement did not exist")]
    UnknownStatement,
    /// Parse of a name that is in use.
    #[error("prepared statement name is already in use")]
    StatementInUse {
        /// That name.
        name: Box<[u8]>,
    },
    /// A transaction was begun in statement pooling.
    #[error("transaction blocks not allowed in statement pooling mode")]
    TransactionInStatementMode,
    /// `disable_pqexec` is set and a simple query came.
    #[error("PQexec disallowed")]
    SimpleQueryDisallowed,
}

impl Fatal {
    /// The sentence for the client; PgBouncer's, where it has one.
    pub fn message(&self) -> String {
        match self {
            Self::Frame(error) if error.fault == FrameFault::UnknownTag => "unknown pkt".to_owned(),
            other => other.to_string(),
        }
    }

    /// What the log has beside the sentence (PgBouncer's text).
    pub fn detail(&self) -> Option<String> {
        match self {
            Self::StatementInUse { name } => {
                let name = String::from_utf8_lossy(name);
                // The client's own word, on its way into a log of lines.
                let shown = name.chars().take(NAME_SHOWN).map(|c| if c.is_control() { '?' } else { c });
                Some(format!("prepared statement '{}' was already prepared", shown.collect::<String>()))
            }
            _ => None,
        }
    }
}

/// The server did what no PostgreSQL server does, or says that it ends: the connection is given up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ServerFault {
    /// A frame that the protocol does not know.
    #[error("{0}")]
    Frame(#[from] FrameError),
    /// A body that does not hold what its tag promises.
    #[error("broken message from server: {0}")]
    Body(#[from] ReadError),
    /// An answer that nobody asked for.
    #[error("unexpected message '{}' from server", tag.escape_ascii())]
    Unexpected {
        /// Its tag.
        tag: u8,
    },
    /// The server ends, in its own words; the session goes on without it.
    #[error("{message}")]
    Ends {
        /// The server's own sentence.
        message: String,
    },
    /// The client's parameters could not be set on the server.
    #[error("{message}")]
    SetFailed {
        /// The server's own sentence.
        message: String,
    },
}
