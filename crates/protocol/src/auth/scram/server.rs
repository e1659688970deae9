//! The server's side of a SCRAM exchange: client-first → server-first, client-final → server-final.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use subtle::ConstantTimeEq;

use super::{
    ScramKeys, ScramSecret,
    attributes::{NONCE_BYTES, is_nonce, take},
    decode_key, hmac, sha256, xor,
};
use crate::auth::AuthError;

/// What is kept of an exchange between its two messages.
pub(in crate::auth) struct Exchange {
    secret: ScramSecret,
    /// Whether the secret is a mock one: the exchange goes its usual way, and fails.
    mock: bool,
    /// `n,,` or `y,,`: the client must repeat it under its proof.
    gs2_header: String,
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
        random: &[u8; 32],
    ) -> Result<(Self, String), AuthError> {
        let (secret, mock) = secret;
        let first = ClientFirst::read(client_first).map_err(|detail| AuthError::Sasl { detail })?;
        let nonce = format!("{}{}", first.nonce, BASE64.encode(&random[..NONCE_BYTES]));
        let salt = BASE64.encode(&secret.salt);
        let server_first = format!("r={nonce},s={salt},i={}", secret.iterations);
        let signed = format!("{},{server_first}", first.bare);
        let exchange = Self { secret, mock, gs2_header: first.gs2_header.to_owned(), nonce, signed };
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
        if binding != BASE64.encode(&self.gs2_header) {
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
        // `y`: the client could bind the channel and saw that we do not offer it, which is true.
        let bare = match text.get(..2) {
            Some("n," | "y,") => {
                text[2..].strip_prefix(',').ok_or("authorization identity is not supported")?
            }
            Some("p=") => return Err("channel binding was not offered"),
            _ => return Err("client-first has no channel binding flag"),
        };
        let gs2_header = &text[..3];
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
