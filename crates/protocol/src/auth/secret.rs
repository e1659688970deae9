//! What is known of a user, in the forms that `userlist.txt` and `pg_shadow` have.

use std::fmt;

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::{MAX_ITERATIONS, MAX_PASSWORD, Password, ScramSecret, md5};

/// A user's secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Secret {
    /// The password itself. Empty, it opens nothing but `trust`.
    Plain(Password),
    /// `md5…`
    Md5(Md5Hash),
    /// `SCRAM-SHA-256$…`
    Scram(ScramSecret),
}

/// The MD5 of a password and the user's name, as 32 hex digits.
#[derive(Clone)]
pub struct Md5Hash(Zeroizing<[u8; md5::HEX_LEN]>);

impl Secret {
    /// Reads a secret's text. Whatever is not whole as `md5` or SCRAM secret is a password, as in PostgreSQL.
    pub fn parse(text: &str) -> Self {
        if let Some(hash) = Md5Hash::parse(text) {
            return Self::Md5(hash);
        }
        match ScramSecret::parse(text) {
            Some(secret) => Self::Scram(secret),
            None => Self::Plain(text.into()),
        }
    }

    /// Whether this is the user's password. A SCRAM secret costs its iterations.
    pub(super) fn verify(&self, user: &[u8], password: &[u8]) -> bool {
        if password.is_empty() || password.len() > MAX_PASSWORD {
            return false;
        }
        match self {
            Self::Plain(known) => known.as_bytes().ct_eq(password).into(),
            Self::Md5(known) => known.0.ct_eq(&md5::stored(password, user)).into(),
            Self::Scram(known) => known.iterations() <= MAX_ITERATIONS && known.verify(password),
        }
    }

    /// The MD5 hash that this secret is or makes.
    pub(super) fn md5_hash(&self, user: &[u8]) -> Option<Md5Hash> {
        match self {
            Self::Plain(password) if password.is_empty() => None,
            Self::Plain(password) => Some(Md5Hash::build(password, user)),
            Self::Md5(hash) => Some(hash.clone()),
            Self::Scram(_) => None,
        }
    }
}

impl Md5Hash {
    /// Reads `md5` and 32 hex digits.
    pub fn parse(text: &str) -> Option<Self> {
        let digits: &[u8; md5::HEX_LEN] = text.strip_prefix("md5")?.as_bytes().try_into().ok()?;
        digits
            .iter()
            .all(u8::is_ascii_hexdigit)
            .then(|| Self(Zeroizing::new(digits.map(|digit| digit.to_ascii_lowercase()))))
    }

    /// Makes the hash of a user's password.
    pub fn build(password: &Password, user: &[u8]) -> Self {
        Self(Zeroizing::new(md5::stored(password.as_bytes(), user)))
    }

    /// What a PasswordMessage holds for this salt.
    pub(super) fn answer(&self, salt: [u8; 4]) -> [u8; 35] {
        md5::answer(&self.0, salt)
    }
}

impl PartialEq for Md5Hash {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&*other.0).into()
    }
}

impl Eq for Md5Hash {}

impl fmt::Debug for Md5Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Md5Hash(..)")
    }
}
