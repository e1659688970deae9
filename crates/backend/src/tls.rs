//! TLS towards a server: the request for it, the server's word, the handshake (manual 55.2.10). Unix sockets never
//! speak it.

use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll, Waker};

use howdah_protocol::write;
use howdah_tls::{ClientChannel, Connector, HandshakeError, Negotiated, Raw};

use crate::connect::Address;
use crate::error::ConnectError;
use crate::frames::send;
use crate::stream::Stream;

/// `server_tls_sslmode` from `allow` on, and what goes with it.
#[derive(Debug, Clone)]
pub struct ServerTls {
    /// A server that refuses TLS is not spoken to (`require` and above).
    pub required: bool,
    /// How certificates are checked, and what of our own is shown.
    pub connector: Connector,
}

/// TLS over a socket.
#[derive(Debug)]
pub struct TlsStream {
    raw: Stream,
    channel: ClientChannel,
}

impl Raw for Stream {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        Self::poll_read(self, cx, buffer)
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Self::poll_write(self, cx, bytes)
    }
}

impl TlsStream {
    pub(crate) fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        self.channel.poll_read(cx, &mut self.raw, buffer)
    }

    pub(crate) fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.channel.poll_write(cx, &mut self.raw, bytes)
    }

    pub(crate) fn raw(&self) -> &Stream {
        &self.raw
    }

    /// Anything that has come, also what is TLS's own: a server that says something while nobody asks is done with.
    pub(crate) fn is_disturbed(&self) -> bool {
        self.channel.has_unread() || self.raw.is_disturbed()
    }

    pub(crate) fn negotiated(&self) -> Option<Negotiated> {
        self.channel.negotiated()
    }

    /// What SCRAM may bind to, if the server's certificate defines it.
    pub(crate) fn end_point(&self) -> Option<Box<[u8]>> {
        howdah_tls::end_point(self.channel.peer_certificate()?)
    }
}

impl Drop for TlsStream {
    fn drop(&mut self) {
        self.channel.close(&mut Context::from_waker(Waker::noop()), &mut self.raw);
    }
}

/// The socket with TLS over it, if it is asked for and the server has it.
///
/// # Errors
/// The server refuses what is required, or the two sides do not agree.
pub(crate) async fn secure(
    mut raw: Stream,
    address: &Address,
    tls: Option<&ServerTls>,
) -> Result<Stream, ConnectError> {
    let (Some(tls), Address::Tcp { host, .. }) = (tls, address) else { return Ok(raw) };
    let mut request = Vec::new();
    write::ssl_request(&mut request);
    send(&mut raw, &request).await.map_err(ConnectError::Unreachable)?;
    match answer(&mut raw).await? {
        b'S' => {}
        b'N' if tls.required => return Err(ConnectError::TlsRefused),
        b'N' => return Ok(raw),
        tag => return Err(ConnectError::Unexpected { tag }),
    }
    let channel =
        tls.connector.connect(host).map_err(|error| ConnectError::Tls(io::Error::other(error).into()))?;
    let mut stream = Box::new(TlsStream { raw, channel });
    poll_fn(|cx| {
        let TlsStream { raw, channel } = &mut *stream;
        channel.poll_handshake(cx, raw)
    })
    .await
    .map_err(|error| match error {
        HandshakeError::Io(error) => ConnectError::Unreachable(error),
        HandshakeError::Closed => ConnectError::Closed,
        other => ConnectError::Tls(other),
    })?;
    Ok(Stream::Tls(stream))
}

/// The one byte that a server answers SSLRequest with. No more is read: what follows must be TLS.
async fn answer(raw: &mut Stream) -> Result<u8, ConnectError> {
    let mut byte = [0_u8; 1];
    match poll_fn(|cx| raw.poll_read(cx, &mut byte)).await {
        Ok(0) => Err(ConnectError::Closed),
        Ok(_) => Ok(byte[0]),
        Err(error) => Err(ConnectError::Unreachable(error)),
    }
}
