//! Why a server could not be used, told apart by what follows from it: a refusal is for everybody who waits, an
//! unreachable server is tried again, a starting one is waited for (PGBOUNCER_BEHAVIOUR.md section 5).

use howdah_protocol::auth::AuthError;
use howdah_protocol::frame::FrameError;
use howdah_protocol::read::{ErrorFields, ReadError};
use howdah_protocol::write::WriteError;
use howdah_tls::HandshakeError;

/// What a server said in an ErrorResponse.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerReport {
    /// Its severity, `FATAL` mostly.
    pub severity: String,
    /// The SQLSTATE.
    pub code: String,
    /// The sentence.
    pub message: String,
}

impl From<ErrorFields<'_>> for ServerReport {
    fn from(fields: ErrorFields<'_>) -> Self {
        let text = |value: Option<&[u8]>| String::from_utf8_lossy(value.unwrap_or_default()).into_owned();
        Self {
            severity: text(fields.severity_nonlocalized.or(fields.severity)),
            code: text(fields.code),
            message: text(fields.message),
        }
    }
}

/// A login that did not come about.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The server said no, in its own words.
    #[error("server login failed: {} {}", .0.severity, .0.message)]
    Refused(ServerReport),
    /// No connection: refused, no route, no such socket, no such name.
    #[error("connect failed: {0}")]
    Unreachable(std::io::Error),
    /// The host's name stands for no address.
    #[error("server DNS lookup failed: {host}")]
    NoSuchHost {
        /// The name.
        host: String,
    },
    /// The server's certificate is not right, or there is no agreement on TLS.
    #[error("TLS handshake error: {0}")]
    Tls(HandshakeError),
    /// TLS is required and the server has none.
    #[error("server refused SSL connection")]
    TlsRefused,
    /// Not finished within `server_connect_timeout`.
    #[error("connect timeout")]
    Timeout,
    /// The server closed the connection before the login was done.
    #[error("server closed the connection during login")]
    Closed,
    /// What we know of the user does not serve the method that the server asks for.
    #[error("{0}")]
    Auth(#[from] AuthError),
    /// The server does not speak the protocol.
    #[error("{0}")]
    Frame(#[from] FrameError),
    /// The server does not speak the protocol.
    #[error("broken message from server: {0}")]
    Body(#[from] ReadError),
    /// A name or value that cannot be sent.
    #[error("{0}")]
    Write(#[from] WriteError),
    /// The server asks for what it should not ask for.
    #[error("unexpected message '{}' from server during login", tag.escape_ascii())]
    Unexpected {
        /// Its tag.
        tag: u8,
    },
    /// `connect_query` failed.
    #[error("connect_query failed: {0}")]
    ConnectQuery(#[from] RunError),
}

impl ConnectError {
    /// Whether the server is starting up (57P03): clients keep waiting.
    pub fn is_starting_up(&self) -> bool {
        matches!(self, Self::Refused(report) if report.code == "57P03")
    }

    /// Whether nobody answered, so that the next attempt may go another way.
    pub fn is_unreachable(&self) -> bool {
        matches!(self, Self::Unreachable(_) | Self::NoSuchHost { .. } | Self::Timeout | Self::Closed)
            || self.is_insecure()
    }

    /// Whether the server answered and there is no TLS with it as it is demanded: it is tried again, and says nothing
    /// about the node.
    pub fn is_insecure(&self) -> bool {
        matches!(self, Self::Tls(_) | Self::TlsRefused)
    }
}

/// A query of our own that did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The server refused it.
    #[error("{}", .0.message)]
    Refused(ServerReport),
    /// The connection broke.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// The server does not speak the protocol.
    #[error("{0}")]
    Frame(#[from] FrameError),
    /// The server does not speak the protocol.
    #[error("broken message from server: {0}")]
    Body(#[from] ReadError),
    /// The query cannot be sent.
    #[error("{0}")]
    Write(#[from] WriteError),
    /// The query wants to copy data, which nobody has.
    #[error("the query wants to copy data in")]
    Copies,
    /// It has committed, and the wait for a standby was interrupted.
    #[error("the wait for synchronous replication was interrupted")]
    Unprotected,
    /// The query left a transaction open.
    #[error("the query left a transaction open")]
    LeftTransaction,
}
