//! How a client's connection ends, what the client is told and what the log says.

use howdah_protocol::write::{self, Report};
use howdah_session::Fatal;

/// A query has run for longer than `query_timeout`.
pub(crate) const QUERY_TIMEOUT: &str = "query timeout";
/// A transaction has stood still for longer than `idle_transaction_timeout`.
pub(crate) const IDLE_TRANSACTION_TIMEOUT: &str = "idle transaction timeout";
/// A transaction has lasted for longer than `transaction_timeout`.
pub(crate) const TRANSACTION_TIMEOUT: &str = "transaction timeout";
/// Its client is gone while a server was in the middle of something.
pub(crate) const SERVER_NOT_READY: &str = "client disconnect while server was not ready";

/// Why a client is gone or has to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    /// It said Terminate.
    CloseRequest,
    /// It closed its socket.
    UnexpectedEof,
    /// Our decision: FATAL 08P01 with this sentence.
    Refused(String),
    /// A server's words, with its SQLSTATE.
    Relayed {
        /// SQLSTATE.
        code: String,
        /// The sentence.
        message: String,
    },
    /// A cancel request is done with: the log has the reason, and the client is told nothing, as nobody answers one.
    Dropped(&'static str),
    /// Nothing is said: a console that was told all, a pipe that broke.
    Silent,
}

impl End {
    pub(crate) fn refused(reason: impl Into<String>) -> Self {
        Self::Refused(reason.into())
    }

    /// The reason in the log line `closing because: …`.
    pub(crate) fn reason(&self) -> &str {
        match self {
            Self::CloseRequest => "client close request",
            Self::UnexpectedEof => "client unexpected eof",
            Self::Refused(reason) | Self::Relayed { message: reason, .. } => reason,
            Self::Dropped(reason) => reason,
            Self::Silent => "done",
        }
    }

    /// The reason in the log line of the server that it had in the middle of something: what is held against what both
    /// do is the reason for both. With PgBouncer it is the server that these end, and its client after it.
    pub(crate) fn server_reason(&self) -> &str {
        let of_both = [QUERY_TIMEOUT, IDLE_TRANSACTION_TIMEOUT, TRANSACTION_TIMEOUT, "database removed"];
        match self {
            Self::Refused(reason)
                if of_both.contains(&reason.as_str())
                    || *reason == Fatal::TransactionInStatementMode.message() =>
            {
                reason
            }
            _ => SERVER_NOT_READY,
        }
    }

    /// Whether the pooler ends it.
    pub(crate) fn is_ours(&self) -> bool {
        matches!(self, Self::Refused(_) | Self::Relayed { .. })
    }

    /// What the client is told before its socket closes.
    pub(crate) fn tell(&self, out: &mut Vec<u8>) {
        match self {
            Self::Refused(message) => write::error_response(out, &Report::fatal(message)),
            Self::Relayed { code, message } => {
                write::error_response(out, &Report::new("FATAL", code, message));
            }
            Self::CloseRequest | Self::UnexpectedEof | Self::Dropped(_) | Self::Silent => {}
        }
    }
}
