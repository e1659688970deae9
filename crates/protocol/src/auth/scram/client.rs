//! The client's side of a SCRAM exchange: client-first, server-first → client-final, server-final checked.

use std::num::NonZeroU32;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use subtle::ConstantTimeEq;

use super::{
    BOUND_HEADER, Key, MAX_ITERATIONS, ScramKeys,
    attributes::{NONCE_BYTES, is_nonce, take},
    channel_binding, decode_key, hmac, sha256, xor,
};
use crate::auth::{AuthError, Password};

/// What the exchange is bound to.
pub(in crate::auth) enum Binding {
    /// Nothing, and it could not be: there is no TLS.
    Impossible,
    /// Nothing, since the server does not offer it. A server that does, and reads this, knows that somebody between the
    /// two has taken its offer away.
    NotOffered,
    /// The server's certificate.
    EndPoint(Box<[u8]>),
}

impl Binding {
    fn header(&self) -> &'static str {
        match self {
            Self::Impossible => "n,,",
            Self::NotOffered => "y,,",
            Self::EndPoint(_) => BOUND_HEADER,
        }
    }

    fn repeated(&self) -> String {
        let end_point: &[u8] = if let Self::EndPoint(end_point) = self { end_point } else { &[] };
        channel_binding(self.header(), end_point)
    }
}

/// What the proof is made of.
pub(in crate::auth) enum Proof {
    /// The password: the keys cost the server's iterations.
    Password(Password),
    /// The keys that the user's own login revealed.
    Keys(ScramKeys),
}

/// The exchange before server-first.
pub(in crate::auth) struct Opened {
    proof: Proof,
    nonce: String,
    binding: Binding,
}

/// The exchange before server-final.
pub(in crate::auth) struct Proving {
    server_signature: Key,
}

impl Opened {
    /// Gives the exchange and client-first.
    pub(in crate::auth) fn new(proof: Proof, random: &[u8; 32], binding: Binding) -> (Self, String) {
        let nonce = BASE64.encode(&random[..NONCE_BYTES]);
        // The user is the startup packet's; PostgreSQL ignores a name here, and libpq sends none.
        let client_first = format!("{}n=,r={nonce}", binding.header());
        (Self { proof, nonce, binding }, client_first)
    }

    /// Takes server-first; gives the exchange and client-final.
    pub(in crate::auth) fn prove(self, server_first: &[u8]) -> Result<(Proving, String), AuthError> {
        let fail = |detail| AuthError::Server { detail };
        let text = std::str::from_utf8(server_first).map_err(|_| fail("its first message is not UTF-8"))?;
        let first = ServerFirst::read(text).map_err(fail)?;
        let ours_extended = first.nonce.strip_prefix(self.nonce.as_str()).is_some_and(is_nonce);
        if !ours_extended {
            return Err(fail("its nonce does not extend ours"));
        }
        let keys = self.proof.keys(&first)?;
        let without_proof = format!("c={},r={}", self.binding.repeated(), first.nonce);
        let signed = format!("n=,r={},{text},{without_proof}", self.nonce);
        let client_signature = hmac(&sha256(&*keys.client_key), &[signed.as_bytes()]);
        let proof = xor(&keys.client_key, &client_signature);
        let server_signature = hmac(&keys.server_key, &[signed.as_bytes()]);
        Ok((Proving { server_signature }, format!("{without_proof},p={}", BASE64.encode(*proof))))
    }
}

impl Proof {
    fn keys(self, first: &ServerFirst<'_>) -> Result<ScramKeys, AuthError> {
        match self {
            Self::Keys(keys) => Ok(keys),
            Self::Password(_) if first.iterations > u64::from(MAX_ITERATIONS.get()) => {
                Err(AuthError::Iterations { iterations: first.iterations })
            }
            Self::Password(password) => {
                let iterations = u32::try_from(first.iterations).ok().and_then(NonZeroU32::new);
                let iterations =
                    iterations.ok_or(AuthError::Server { detail: "it asks for 0 iterations" })?;
                Ok(ScramKeys::build(password.as_bytes(), &first.salt, iterations))
            }
        }
    }
}

impl Proving {
    /// Takes server-final: the server must know the secret too.
    pub(in crate::auth) fn verify(self, server_final: &[u8]) -> Result<(), AuthError> {
        let fail = |detail| AuthError::Server { detail };
        let text = std::str::from_utf8(server_final).map_err(|_| fail("its last message is not UTF-8"))?;
        if text.starts_with("e=") {
            return Err(fail("it ended the exchange with an error"));
        }
        let mut left = text;
        let signature = take(&mut left, 'v').and_then(decode_key).ok_or(fail("its signature is missing"))?;
        if !bool::from(signature.ct_eq(&*self.server_signature)) {
            return Err(fail("its signature is wrong: it does not know the password"));
        }
        Ok(())
    }
}

/// server-first in its parts.
struct ServerFirst<'a> {
    nonce: &'a str,
    salt: Vec<u8>,
    iterations: u64,
}

impl<'a> ServerFirst<'a> {
    fn read(text: &'a str) -> Result<Self, &'static str> {
        let mut left = text;
        if left.starts_with("m=") {
            return Err("it requires a SCRAM extension that is not supported");
        }
        let nonce = take(&mut left, 'r').ok_or("its first message has no nonce")?;
        let salt = take(&mut left, 's').and_then(|salt| BASE64.decode(salt).ok());
        let salt = salt.filter(|salt| !salt.is_empty()).ok_or("its first message has no salt")?;
        let iterations = take(&mut left, 'i').and_then(|count| count.parse().ok());
        let iterations = iterations.ok_or("its first message has no iteration count")?;
        if iterations == 0 {
            return Err("it asks for 0 iterations");
        }
        Ok(Self { nonce, salt, iterations })
    }
}
