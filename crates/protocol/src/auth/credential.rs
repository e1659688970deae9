//! What we have to log in to a server with.

use super::{Md5Hash, Password, ScramKeys, Secret};

/// What a login to a server can use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// Nothing: the server must trust us.
    None,
    /// A password, which serves every method.
    Password(Password),
    /// The keys of a user who has logged in to us by SCRAM: for SCRAM alone.
    ScramKeys(ScramKeys),
    /// An MD5 hash: for MD5 alone.
    Md5Hash(Md5Hash),
    /// A SCRAM secret without the keys that a login would have revealed: for nothing, and the log says why.
    ScramSecretOnly,
}

impl Credential {
    /// What a user's secret is good for towards a server; `keys` are those that the user's own login has
    /// revealed, if it was by SCRAM and the server user is the same.
    pub fn from_secret(secret: &Secret, keys: Option<&ScramKeys>) -> Self {
        match (secret, keys) {
            (Secret::Plain(password), _) => Self::Password(password.clone()),
            (Secret::Md5(hash), _) => Self::Md5Hash(hash.clone()),
            (Secret::Scram(_), Some(keys)) => Self::ScramKeys(keys.clone()),
            (Secret::Scram(_), None) => Self::ScramSecretOnly,
        }
    }
}
