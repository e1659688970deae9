//! The server's side of a SCRAM exchange: client-first → server-first, client-final → server-final.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use subtle::ConstantTimeEq;

use super::{
    BOUND_HEADER, ScramKeys, ScramSecret,
    attributes::{NONCE_BYTES, is_nonce, take},
    channel_binding, decode_key, hmac, sha256, xor,
};
use crate::auth::AuthError;

/// The flag of [`BOUND_HEADER`].
const BOUND_FLAG: &str = "p=tls-server-end-point";

/// What the client may bind to, and whether it has chosen to.
pub(in crate::auth) struct Offer {
    /// `None`: channel binding was not offered.
    pub(in crate::auth) end_point: Option<Arc<[u8]>>,
    /// The client chose the mechanism with it.
    pub(in crate::auth) chosen: bool,
}

impl Offer {
    /// Whether client-first's header goes with the choice.
    fn check(&self, header: &str) -> Result<(), &'static str> {
        match (header, self.chosen) {
            (BOUND_HEADER, true) if self.end_point.is_some() => Ok(()),
            (BOUND_HEADER, false) => Err("client binds the channel with a mechanism that does not"),
            (_, true) => Err("client does not bind the channel with a mechanism that does"),
            // Somebody between the two has taken the offer away.
            ("y,,", false) if self.end_point.is_some() => {
                Err("channel binding was offered and did not arrive")
            }
            _ => Ok(()),
        }
    }
}

/// What is kept of an exchange between its two messages.
pub(in crate::auth) struct Exchange {
    secret: ScramSecret,
    /// Whether the secret is a mock one: the exchange goes its usual way, and fails.
    mock: bool,
    /// client-first's header with what it binds to, in base64: the client must repeat it under its proof.
    binding: String,
    /// The client's nonce and ours.
    nonce: String,
    /// client-first without its header, and server-first, as the proof signs them.
    signed: String,
}

/// A client whose proof was right.
pub(in crate::auth) struct Accepted {
    pub(in crate::auth) server_final: String,
    pub(in crate::auth) keys: ScramKeys,
}

impl Exchange {
    /// Takes client-first; gives the exchange and server-first. `secret` is `None` for a mock exchange.
    pub(in crate::auth) fn start(
        client_first: &[u8],
        secret: (ScramSecret, bool),
        offer: &Offer,
        random: &[u8; 32],
    ) -> Result<(Self, String), AuthError> {
        let (secret, mock) = secret;
        let first = ClientFirst::read(client_first).map_err(|detail| AuthError::Sasl { detail })?;
        offer.check(first.gs2_header).map_err(|detail| AuthError::Sasl { detail })?;
        let end_point = offer.end_point.as_deref().filter(|_| offer.chosen).unwrap_or_default();
        let binding = channel_binding(first.gs2_header, end_point);
        let nonce = format!("{}{}", first.nonce, BASE64.encode(&random[..NONCE_BYTES]));
        let salt = BASE64.encode(&secret.salt);
        let server_first = format!("r={nonce},s={salt},i={}", secret.iterations);
        let signed = format!("{},{server_first}", first.bare);
        let exchange = Self { secret, mock, binding, nonce, signed };
        Ok((exchange, server_first))
    }

    /// Takes client-final; gives server-final and the keys that the proof reveals.
    pub(in crate::auth) fn finish(self, client_final: &[u8]) -> Result<Accepted, AuthError> {
        let fail = |detail| AuthError::Sasl { detail };
        let text = std::str::from_utf8(client_final).map_err(|_| fail("client-final is not UTF-8"))?;
        let (without_proof, proof) =
            text.rsplit_once(",p=").ok_or(fail("client-final does not end in a proof"))?;
        let mut left = without_proof;
        let binding = take(&mut left, 'c').ok_or(fail("client-final has no channel binding attribute"))?;
        if binding != self.binding {
            return Err(fail("client-final repeats another channel binding header"));
        }
        if take(&mut left, 'r') != Some(self.nonce.as_str()) {
            return Err(fail("client-final has another nonce"));
        }
        let proof =
            decode_key(proof).ok_or(fail("client-final has a proof that is not 32 bytes in base64"))?;
        let signed = [self.signed.as_bytes(), b",", without_proof.as_bytes()];
        let client_key = xor(&proof, &hmac(&self.secret.stored_key, &signed));
        let right = sha256(&*client_key).ct_eq(&*self.secret.stored_key);
        if !bool::from(right) || self.mock {
            return Err(fail("password authentication failed"));
        }
        let signature = hmac(&self.secret.server_key, &signed);
        let keys = ScramKeys { client_key, server_key: self.secret.server_key };
        Ok(Accepted { server_final: format!("v={}", BASE64.encode(*signature)), keys })
    }
}

/// client-first in its parts.
struct ClientFirst<'a> {
    gs2_header: &'a str,
    bare: &'a str,
    nonce: &'a str,
}

impl<'a> ClientFirst<'a> {
    fn read(message: &'a [u8]) -> Result<Self, &'static str> {
        let text = std::str::from_utf8(message).map_err(|_| "client-first is not UTF-8")?;
        let bare = match text.split_once(',') {
            Some(("n" | "y" | BOUND_FLAG, after)) => {
                after.strip_prefix(',').ok_or("authorization identity is not supported")?
            }
            Some((flag, _)) if flag.starts_with("p=") => {
                return Err("client-first binds to something else than tls-server-end-point");
            }
            _ => return Err("client-first has no channel binding flag"),
        };
        let gs2_header = &text[..text.len() - bare.len()];
        let mut left = bare;
        if left.starts_with("m=") {
            return Err("client requires a SCRAM extension that is not supported");
        }
        // The name is the startup packet's; what stands here is ignored, as PostgreSQL does.
        take(&mut left, 'n').ok_or("client-first has no user name attribute")?;
        let nonce = take(&mut left, 'r').ok_or("client-first has no nonce")?;
        if !is_nonce(nonce) {
            return Err("client-first has an invalid nonce");
        }
        Ok(Self { gs2_header, bare, nonce })
    }
}
