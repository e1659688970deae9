//! What a [`crate::Channel`] stands between: the socket that its owner lends, and rustls's own end of a connection.

use std::io;
use std::task::{Context, Poll};

use rustls::CommonState;
use rustls::client::{ClientConnectionData, UnbufferedClientConnection};
use rustls::server::{ServerConnectionData, UnbufferedServerConnection};
use rustls::unbuffered::UnbufferedStatus;

/// A socket, polled.
pub trait Raw {
    /// Reads into `buffer`; 0 bytes is the end.
    ///
    /// # Errors
    /// As the socket says.
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>>;

    /// Writes some of `bytes`.
    ///
    /// # Errors
    /// As the socket says.
    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>>;
}

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// The peer has gone.
    #[error("the peer closed the connection during the TLS handshake")]
    Closed,
    /// The socket failed.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The peer's certificate is not right.
    #[error("certificate verify failed: {0}")]
    Certificate(String),
    /// Anything else that the two sides do not agree on.
    #[error("{0}")]
    Tls(rustls::Error),
}

impl From<rustls::Error> for HandshakeError {
    fn from(error: rustls::Error) -> Self {
        use rustls::CertificateError::{NotValidForName, NotValidForNameContext};
        match error {
            rustls::Error::InvalidCertificate(NotValidForNameContext { expected, .. }) => {
                Self::Certificate(format!("name `{}' not present in server certificate", expected.to_str()))
            }
            rustls::Error::InvalidCertificate(NotValidForName) => {
                Self::Certificate("name not present in server certificate".to_owned())
            }
            rustls::Error::InvalidCertificate(error) => Self::Certificate(format!("{error:?}")),
            other => Self::Tls(other),
        }
    }
}

/// One of the two ends.
pub trait End {
    /// What rustls keeps for it.
    type Data;

    /// Works on what has come.
    fn process<'c, 'i>(&'c mut self, input: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data>;

    /// What is known of the connection.
    fn common(&self) -> &CommonState;
}

impl End for UnbufferedServerConnection {
    type Data = ServerConnectionData;

    fn process<'c, 'i>(&'c mut self, input: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data> {
        self.process_tls_records(input)
    }

    fn common(&self) -> &CommonState {
        self
    }
}

impl End for UnbufferedClientConnection {
    type Data = ClientConnectionData;

    fn process<'c, 'i>(&'c mut self, input: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data> {
        self.process_tls_records(input)
    }

    fn common(&self) -> &CommonState {
        self
    }
}
