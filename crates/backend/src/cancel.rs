//! CancelRequest: a connection of its own that the server closes when it has seen the request (manual 55.2.8).

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use howdah_protocol::write;

use crate::connect::{Address, TcpOptions, open};
use crate::error::ConnectError;
use crate::frames::send;
use crate::stream::Stream;
use crate::tls::{ServerTls, secure};

/// A connection that is there for one CancelRequest. In this order: [`CancelConnection::open`], `secure`, `send`.
#[derive(Debug)]
pub struct CancelConnection {
    stream: Stream,
}

impl CancelConnection {
    /// Connects, within `timeout` (zero: without an end).
    ///
    /// # Errors
    /// [`ConnectError`]: nobody was reached in time.
    pub async fn open(
        address: &Address,
        options: &TcpOptions,
        timeout: Duration,
    ) -> Result<Self, ConnectError> {
        let opened = async {
            let stream = open(address, options).await.map_err(ConnectError::Unreachable)?;
            Ok(Self { stream })
        };
        if timeout.is_zero() {
            return opened.await;
        }
        tokio::time::timeout(timeout, opened).await.unwrap_or(Err(ConnectError::Timeout))
    }

    /// Encrypts, as the connection of the query is. A certificate must be for `named`.
    ///
    /// # Errors
    /// [`ConnectError`]: TLS was refused, or there was no answer within `timeout`.
    pub async fn secure(
        self,
        (tls, named): (&ServerTls, &Address),
        timeout: Duration,
    ) -> Result<Self, ConnectError> {
        let secured = secure(self.stream, named, Some(tls));
        let stream = tokio::time::timeout(timeout, secured).await.unwrap_or(Err(ConnectError::Timeout))?;
        Ok(Self { stream })
    }

    /// Sends the request and waits until the other side has taken it, so that the connection of the query may only
    /// afterwards go to somebody else.
    ///
    /// # Errors
    /// The other side did not take it, or did not close the connection within `timeout`.
    pub async fn send(mut self, (pid, key): (u32, &[u8]), timeout: Duration) -> io::Result<()> {
        let whole = async {
            let mut out = Vec::new();
            write::cancel_request(&mut out, pid, key).map_err(io::Error::other)?;
            send(&mut self.stream, &out).await?;
            let mut byte = [0_u8; 1];
            // The server answers by closing; a reset says the same.
            let _ = poll_fn(|cx| self.stream.poll_read(cx, &mut byte)).await;
            Ok(())
        };
        tokio::time::timeout(timeout, whole).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    /// Our end, of a TCP connection.
    #[must_use]
    pub fn local(&self) -> Option<SocketAddr> {
        self.stream.local()
    }

    /// The other end, of a TCP connection.
    #[must_use]
    pub fn peer(&self) -> Option<SocketAddr> {
        self.stream.peer()
    }
}
