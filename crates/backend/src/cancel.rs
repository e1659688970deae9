//! CancelRequest: a connection of its own that the server closes when it has seen the request (manual 55.2.8).

use std::future::poll_fn;
use std::io;
use std::time::Duration;

use howdah_protocol::write;

use crate::connect::{Address, TcpOptions, open};
use crate::frames::send;
use crate::tls::{ServerTls, secure};

/// Sends a CancelRequest and waits until the server has taken it, so that the connection of the query may only
/// afterwards go to somebody else. A certificate must be for the address beside the TLS settings.
///
/// # Errors
/// The server was not reached, or did not close the connection within `timeout`.
pub async fn cancel(
    address: &Address,
    (pid, key): (u32, &[u8]),
    (options, tls): (&TcpOptions, Option<(&ServerTls, &Address)>),
    timeout: Duration,
) -> io::Result<()> {
    let whole = async {
        let stream = open(address, options).await?;
        let named = tls.map_or(address, |(_, named)| named);
        let stream = secure(stream, named, tls.map(|(tls, _)| tls)).await;
        let mut stream = stream.map_err(io::Error::other)?;
        let mut out = Vec::new();
        write::cancel_request(&mut out, pid, key).map_err(io::Error::other)?;
        send(&mut stream, &out).await?;
        let mut byte = [0_u8; 1];
        // The server answers by closing; a reset says the same.
        let _ = poll_fn(|cx| stream.poll_read(cx, &mut byte)).await;
        Ok(())
    };
    tokio::time::timeout(timeout, whole).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}
