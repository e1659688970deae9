//! SCRAM-SHA-256 (RFC 5802, RFC 7677) over `ring`: secrets and keys here, the server's side of an exchange in
//! `server.rs`, the client's side in `client.rs`, attributes of messages in `attributes.rs`.
//!
//! Channel binding (`SCRAM-SHA-256-PLUS`) is by `tls-server-end-point` alone, as in PostgreSQL; what that is of a
//! certificate is the caller's to know.

use std::{fmt, num::NonZeroU32};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use ring::{digest, hmac, pbkdf2};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// A header and what is bound under it, as client-final repeats it.
fn channel_binding(header: &str, end_point: &[u8]) -> String {
    BASE64.encode([header.as_bytes(), end_point].concat())
}

mod attributes;
pub(super) mod client;
pub(super) mod server;

/// The mechanism's name.
pub const MECHANISM: &str = "SCRAM-SHA-256";

/// The mechanism's name with channel binding.
pub const MECHANISM_PLUS: &str = "SCRAM-SHA-256-PLUS";

/// The header of client-first that binds the channel.
const BOUND_HEADER: &str = "p=tls-server-end-point,,";

/// PostgreSQL's `scram_iterations` unless set.
// proof: a constant that is not 0, checked when compiled.
pub const DEFAULT_ITERATIONS: NonZeroU32 = NonZeroU32::new(4096).unwrap();

/// Most iterations that we compute for a login, whoever asks for them; about half a second of one core.
// proof: a constant that is not 0, checked when compiled.
pub const MAX_ITERATIONS: NonZeroU32 = NonZeroU32::new(1_000_000).unwrap();

/// Bytes of a SHA-256, and so of every key.
const KEY_LEN: usize = 32;

type Key = Zeroizing<[u8; KEY_LEN]>;

/// What a server keeps of a password: `SCRAM-SHA-256$iterations:salt$stored key:server key`.
#[derive(Clone)]
pub struct ScramSecret {
    iterations: NonZeroU32,
    salt: Vec<u8>,
    stored_key: Key,
    server_key: Key,
}

/// The keys with which a user can log in wherever the secret with the same salt and iterations is known: what
/// a client proves itself with, and what the server's answer is checked with.
#[derive(Clone)]
pub struct ScramKeys {
    /// The client's key.
    pub client_key: Zeroizing<[u8; 32]>,
    /// The server's key.
    pub server_key: Zeroizing<[u8; 32]>,
}

impl ScramSecret {
    /// Computes the secret of a password; costs `iterations` rounds of HMAC (4096 are about 1 ms).
    pub fn build(password: &[u8], salt: &[u8], iterations: NonZeroU32) -> Self {
        let keys = ScramKeys::build(password, salt, iterations);
        let ScramKeys { client_key, server_key } = keys;
        Self { iterations, salt: salt.to_vec(), stored_key: sha256(&*client_key), server_key }
    }

    /// Reads a secret's text, as `pg_shadow` and `userlist.txt` have it; `None` when it is anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let (head, keys) = text.strip_prefix("SCRAM-SHA-256$")?.split_once('$')?;
        let (iterations, salt) = head.split_once(':')?;
        let (stored_key, server_key) = keys.split_once(':')?;
        let salt = BASE64.decode(salt).ok().filter(|salt| !salt.is_empty())?;
        Some(Self {
            iterations: iterations.parse().ok()?,
            salt,
            stored_key: decode_key(stored_key)?,
            server_key: decode_key(server_key)?,
        })
    }

    /// The text that [`ScramSecret::parse`] reads. It is a secret.
    pub fn expose(&self) -> Zeroizing<String> {
        Zeroizing::new(format!(
            "SCRAM-SHA-256${}:{}${}:{}",
            self.iterations,
            BASE64.encode(&self.salt),
            BASE64.encode(*self.stored_key),
            BASE64.encode(*self.server_key),
        ))
    }

    /// Rounds of HMAC that the password costs.
    pub const fn iterations(&self) -> NonZeroU32 {
        self.iterations
    }

    /// A secret that no password opens, for the mock login of a user that is not known.
    pub(super) fn mock(salt: &[u8], iterations: NonZeroU32) -> Self {
        let unused = Zeroizing::new([0; KEY_LEN]);
        Self { iterations, salt: salt.to_vec(), stored_key: unused.clone(), server_key: unused }
    }

    /// Whether this is the secret of that password.
    pub(super) fn verify(&self, password: &[u8]) -> bool {
        let built = Self::build(password, &self.salt, self.iterations);
        built.stored_key.ct_eq(&*self.stored_key).into()
    }
}

impl ScramKeys {
    /// Computes the keys of a password; costs as [`ScramSecret::build`].
    pub fn build(password: &[u8], salt: &[u8], iterations: NonZeroU32) -> Self {
        let mut salted = Zeroizing::new([0; KEY_LEN]);
        let prepared = prepare(password);
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, iterations, salt, &prepared, &mut *salted);
        Self { client_key: hmac(&salted, &[b"Client Key"]), server_key: hmac(&salted, &[b"Server Key"]) }
    }
}

/// The salt of a user for whom no SCRAM secret is kept, 16 bytes: the same at every login, so that a user who is
/// not known looks like one who is, and different for everyone who does not have `process_secret`. A caller that
/// keeps [`ScramSecret::build`] of a password with it saves the iterations of later logins.
pub fn stable_salt(user: &[u8], process_secret: &[u8; 32]) -> [u8; 16] {
    let digest = hmac(process_secret, &[b"salt of ", user]);
    let mut salt = [0; 16];
    salt.copy_from_slice(&digest[..16]);
    salt
}

/// SASLprep, or the bytes as they are where that cannot be done: PostgreSQL does the same on both sides.
fn prepare(password: &[u8]) -> Zeroizing<Vec<u8>> {
    let prepared = std::str::from_utf8(password).ok().and_then(|text| stringprep::saslprep(text).ok());
    match prepared {
        Some(prepared) if !prepared.is_empty() => Zeroizing::new(prepared.into_owned().into_bytes()),
        _ => Zeroizing::new(password.to_vec()),
    }
}

fn hmac(key: &[u8; KEY_LEN], parts: &[&[u8]]) -> Key {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
    for part in parts {
        context.update(part);
    }
    copy_key(context.sign().as_ref())
}

fn sha256(bytes: &[u8]) -> Key {
    copy_key(digest::digest(&digest::SHA256, bytes).as_ref())
}

fn copy_key(bytes: &[u8]) -> Key {
    let mut key = Zeroizing::new([0; KEY_LEN]);
    key.copy_from_slice(bytes);
    key
}

fn decode_key(text: &str) -> Option<Key> {
    let bytes = Zeroizing::new(BASE64.decode(text).ok()?);
    (bytes.len() == KEY_LEN).then(|| copy_key(&bytes))
}

/// One key with another laid over it: what makes a proof of a key, and a key of a proof.
fn xor(a: &[u8; KEY_LEN], b: &[u8; KEY_LEN]) -> Key {
    let mut out = Zeroizing::new(*a);
    for (byte, other) in out.iter_mut().zip(b) {
        *byte ^= other;
    }
    out
}

impl PartialEq for ScramSecret {
    fn eq(&self, other: &Self) -> bool {
        let keys = self.stored_key.ct_eq(&*other.stored_key) & self.server_key.ct_eq(&*other.server_key);
        bool::from(keys) && self.iterations == other.iterations && self.salt == other.salt
    }
}

impl Eq for ScramSecret {}

impl PartialEq for ScramKeys {
    fn eq(&self, other: &Self) -> bool {
        (self.client_key.ct_eq(&*other.client_key) & self.server_key.ct_eq(&*other.server_key)).into()
    }
}

impl Eq for ScramKeys {}

impl fmt::Debug for ScramSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScramSecret").field("iterations", &self.iterations).finish_non_exhaustive()
    }
}

impl fmt::Debug for ScramKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ScramKeys(..)")
    }
}

#[cfg(test)]
mod scram_tests;
