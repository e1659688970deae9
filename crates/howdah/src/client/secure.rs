//! TLS with a client: whether it may, must or must not, the handshake, and what the login learns by it
//! (PGBOUNCER_BEHAVIOUR.md sections 1 and 12).

use std::future::poll_fn;
use std::sync::Arc;

use howdah_tls::{FIRST_BYTE, PeerCertificate};

use super::end::End;
use super::login::Newcomer;
use super::stream::{ClientStream, Peer, TlsStream};
use crate::tls::{ClientMode, Tls};

/// What the login knows of a client's TLS.
#[derive(Debug, Default)]
pub(crate) struct Secured {
    /// The client's certificate, which has been verified; clients are asked for one with `verify-ca` and
    /// `verify-full` only.
    pub(crate) certificate: Option<PeerCertificate>,
    /// What SCRAM-SHA-256-PLUS binds to.
    pub(crate) end_point: Option<Arc<[u8]>>,
}

impl Newcomer {
    /// TLS is for TCP only, whatever the settings say.
    fn tls_in_force(&self) -> Option<Arc<Tls>> {
        matches!(self.info.peer, Peer::Tcp { .. }).then(|| self.pooler.tls.load_full())
    }

    /// Whether the client begins with TLS at once (direct TLS).
    pub(super) fn begins_with_tls(&self) -> bool {
        self.secured.is_none()
            && self.input.first() == Some(&FIRST_BYTE)
            && self.tls_in_force().is_some_and(|tls| tls.acceptor.is_some())
    }

    /// Answers SSLRequest: `N`, or `S` and the handshake.
    pub(super) async fn answer_ssl_request(&mut self) -> Result<(), End> {
        if self.secured.is_some() {
            return Err(End::refused("SSL req inside SSL"));
        }
        if self.tls_in_force().is_none_or(|tls| tls.acceptor.is_none()) {
            return self.send(b"N").await;
        }
        self.send(b"S").await?;
        self.begin_tls().await
    }

    /// A client that begins with TLS must say that it means PostgreSQL: other protocols do the same.
    pub(super) async fn direct_tls(&mut self) -> Result<(), End> {
        self.begin_tls().await?;
        match &self.stream {
            ClientStream::Tls(stream) if stream.channel.is_postgresql() => Ok(()),
            _ => Err(End::refused(
                "received direct SSL connection request without ALPN protocol negotiation extension",
            )),
        }
    }

    async fn begin_tls(&mut self) -> Result<(), End> {
        // One look: what is in force may change between two.
        let Some((acceptor, verified)) = self.tls_in_force().and_then(|tls| {
            let verified = tls.client_mode >= ClientMode::Authority;
            tls.acceptor.clone().map(|acceptor| (acceptor, verified))
        }) else {
            return Err(End::UnexpectedEof);
        };
        let received = std::mem::take(&mut self.input);
        let channel = acceptor.accept(received).map_err(|error| End::refused(error.to_string()))?;
        let raw = std::mem::replace(&mut self.stream, ClientStream::closed());
        let mut stream = Box::new(TlsStream { raw, channel });
        let shaken = poll_fn(|cx| stream.poll_handshake(cx)).await;
        if let Err(error) = shaken {
            tracing::warn!("{} TLS handshake error: {error}", self.info.log_name());
            return Err(End::UnexpectedEof);
        }
        let certificate = stream.channel.peer_certificate().filter(|_| verified);
        self.secured = Some(Secured {
            certificate: certificate.and_then(PeerCertificate::read),
            end_point: acceptor.end_point(),
        });
        if let Some(negotiated) = stream.channel.negotiated() {
            // Once: a client shakes hands once.
            let _ = self.info.tls.set(negotiated);
        }
        self.stream = ClientStream::Tls(stream);
        Ok(())
    }

    /// Whether the client may go on as it is.
    pub(super) fn is_secure_enough(&self) -> Result<(), End> {
        let insecure = self.secured.is_none()
            && self.tls_in_force().is_some_and(|tls| tls.client_mode >= ClientMode::Required);
        if insecure { Err(End::refused("SSL required")) } else { Ok(()) }
    }
}
