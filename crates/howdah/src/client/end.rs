//! How a client's connection ends, what the client is told and what the log says.

use howdah_protocol::write::{self, Report};

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
    /// Nothing is said: a cancel request that has been dealt with, a pipe that broke.
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
            Self::Silent => "done",
        }
    }

    /// The reason in the log line of the server that it had in the middle of something: what is held against what both
    /// do is the reason for both.
    pub(crate) fn server_reason(&self) -> &str {
        const OF_BOTH: [&str; 5] = [
            "query timeout",
            "idle transaction timeout",
            "transaction timeout",
            "transaction blocks not allowed in statement pooling mode",
            "database removed",
        ];
        match self {
            Self::Refused(reason) if OF_BOTH.contains(&reason.as_str()) => reason,
            _ => "client disconnect while server was not ready",
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
            Self::CloseRequest | Self::UnexpectedEof | Self::Silent => {}
        }
    }
}
