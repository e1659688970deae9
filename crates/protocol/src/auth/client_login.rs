//! The login of a client, of which we are the server.
//!
//! AuthenticationOk is not written here: it opens the welcome with the parameters and the cancel key, for which
//! the caller may have to wait.

use std::num::NonZeroU32;
use std::sync::Arc;

use subtle::ConstantTimeEq;

use super::{
    AuthError, MECHANISM, MECHANISM_PLUS, Md5Hash, Password, Progress, ScramKeys, ScramSecret, Secret,
    scram::{
        server::{Exchange, Offer},
        stable_salt,
    },
};
use crate::{read, write};

/// How a client must prove itself: `auth_type`, or the method of its HBA line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Method {
    /// Not at all, but the user must be known.
    Trust,
    /// By the password as it is.
    Plain,
    /// By MD5; a user with a SCRAM secret by SCRAM.
    Md5,
    /// By SCRAM-SHA-256.
    Scram,
}

/// Randomness for one login.
#[derive(Clone)]
pub struct Entropy {
    /// Fresh for every login; salts and nonces are made of it.
    pub random: [u8; 32],
    /// The same for the whole process, and known to nobody else; see [`stable_salt`].
    pub process_secret: [u8; 32],
}

impl std::fmt::Debug for Entropy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Entropy(..)")
    }
}

/// What a login has brought to light, for logging in to a server in the user's name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proved {
    /// The password, when the client sent it as it is.
    pub password: Option<Password>,
    /// The keys, when the client logged in by SCRAM.
    pub scram_keys: Option<ScramKeys>,
}

/// One client's login. [`ClientLogin::start`] first, then [`ClientLogin::message`] with each `p` frame until it
/// is done or has failed.
pub struct ClientLogin {
    method: Method,
    user: Vec<u8>,
    secret: Option<Secret>,
    entropy: Entropy,
    iterations: NonZeroU32,
    /// What SCRAM may bind to.
    end_point: Option<Arc<[u8]>>,
    state: State,
}

enum State {
    New,
    Plain,
    /// The hash to compare with; `None` fails whatever comes.
    Md5 {
        salt: [u8; 4],
        hash: Option<Md5Hash>,
    },
    SaslFirst,
    SaslFinal(Box<Exchange>),
    Over,
}

impl ClientLogin {
    /// A login of `user`. `secret` is `None` for a user who is not known: the client is asked for proof all the
    /// same, and fails where a wrong password fails. `iterations` is what SCRAM costs for a user of whom no
    /// SCRAM secret is kept.
    pub fn new(
        method: Method,
        user: &[u8],
        secret: Option<Secret>,
        entropy: Entropy,
        iterations: NonZeroU32,
    ) -> Self {
        Self { method, user: user.to_vec(), secret, entropy, iterations, end_point: None, state: State::New }
    }

    /// The client is connected over TLS, and SCRAM may bind to this: `tls-server-end-point` of our certificate.
    #[must_use]
    pub fn with_end_point(mut self, end_point: Option<Arc<[u8]>>) -> Self {
        self.end_point = end_point;
        self
    }

    /// Appends the request for proof, if the method has one.
    ///
    /// # Errors
    /// [`AuthError::Trust`] for a user who is not known; [`AuthError::Unexpected`] when called again.
    pub fn start(&mut self, out: &mut Vec<u8>) -> Result<Progress<Proved>, AuthError> {
        let State::New = std::mem::replace(&mut self.state, State::Over) else {
            return Err(AuthError::Unexpected);
        };
        match (self.method, &self.secret) {
            (Method::Trust, None) => return Err(AuthError::Trust),
            (Method::Trust, Some(_)) => return Ok(Progress::Done(Proved::default())),
            (Method::Plain, _) => {
                write::authentication_cleartext_password(out);
                self.state = State::Plain;
            }
            (Method::Md5, Some(Secret::Scram(_))) | (Method::Scram, _) => {
                let offered = [MECHANISM_PLUS, MECHANISM];
                let bound = self.end_point.is_some();
                write::authentication_sasl(out, if bound { &offered } else { &offered[1..] })?;
                self.state = State::SaslFirst;
            }
            (Method::Md5, secret) => {
                // Behind the bytes that a SCRAM nonce is made of; a login is one or the other anyway.
                let [.., a, b, c, d] = self.entropy.random;
                let salt = [a, b, c, d];
                let hash = secret.as_ref().and_then(|secret| secret.md5_hash(&self.user));
                write::authentication_md5(out, salt);
                self.state = State::Md5 { salt, hash };
            }
        }
        Ok(Progress::Continue)
    }

    /// Takes the body of a `p` frame, and appends the answer, if there is one.
    ///
    /// # Errors
    /// The proof is wrong, the message cannot be read, or it has no place here. The login is over then.
    pub fn message(&mut self, body: &[u8], out: &mut Vec<u8>) -> Result<Progress<Proved>, AuthError> {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Plain => self.plain(read::password(body)?),
            State::Md5 { salt, hash } => md5(salt, hash, read::password(body)?),
            State::SaslFirst => self.sasl_first(read::sasl_initial_response(body)?, out),
            State::SaslFinal(exchange) => {
                let accepted = exchange.finish(body)?;
                write::authentication_sasl_final(out, accepted.server_final.as_bytes())?;
                Ok(Progress::Done(Proved { password: None, scram_keys: Some(accepted.keys) }))
            }
            State::New | State::Over => Err(AuthError::Unexpected),
        }
    }

    fn plain(&self, password: &[u8]) -> Result<Progress<Proved>, AuthError> {
        match &self.secret {
            Some(secret) if secret.verify(&self.user, password) => {
                Ok(Progress::Done(Proved { password: Some(password.into()), scram_keys: None }))
            }
            _ => Err(AuthError::Password),
        }
    }

    fn sasl_first(
        &mut self,
        response: read::SaslInitialResponse<'_>,
        out: &mut Vec<u8>,
    ) -> Result<Progress<Proved>, AuthError> {
        let offer = match response.mechanism {
            mechanism if mechanism == MECHANISM.as_bytes() => {
                Offer { end_point: self.end_point.clone(), chosen: false }
            }
            mechanism if mechanism == MECHANISM_PLUS.as_bytes() && self.end_point.is_some() => {
                Offer { end_point: self.end_point.clone(), chosen: true }
            }
            _ => return Err(AuthError::Mechanism),
        };
        let first = response.data.ok_or(AuthError::Sasl { detail: "client sent no client-first" })?;
        let (exchange, server_first) =
            Exchange::start(first, self.scram_secret(), &offer, &self.entropy.random)?;
        write::authentication_sasl_continue(out, server_first.as_bytes())?;
        self.state = State::SaslFinal(Box::new(exchange));
        Ok(Progress::Continue)
    }

    /// The secret to run SCRAM with, and whether it is a mock one. A plain password gets the salt that a mock
    /// secret of the same name would have, so that the two cannot be told apart.
    fn scram_secret(&self) -> (ScramSecret, bool) {
        let salt = stable_salt(&self.user, &self.entropy.process_secret);
        match &self.secret {
            Some(Secret::Scram(secret)) => (secret.clone(), false),
            Some(Secret::Plain(password)) if !password.is_empty() => {
                (ScramSecret::build(password.as_bytes(), &salt, self.iterations), false)
            }
            _ => (ScramSecret::mock(&salt, self.iterations), true),
        }
    }
}

fn md5(salt: [u8; 4], hash: Option<Md5Hash>, answer: &[u8]) -> Result<Progress<Proved>, AuthError> {
    match hash {
        Some(hash) if bool::from(hash.answer(salt).ct_eq(answer)) => Ok(Progress::Done(Proved::default())),
        _ => Err(AuthError::Password),
    }
}

impl std::fmt::Debug for ClientLogin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientLogin").field("method", &self.method).finish_non_exhaustive()
    }
}
