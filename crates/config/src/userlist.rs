//! `auth_file`: who may log in, with the stored secrets.

use crate::secret::Secret;

/// The users of `auth_file` with their secrets as written (plain, `md5…` or `SCRAM-SHA-256$…`), in the file's order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UserList {
    entries: Vec<(String, Secret)>,
}

impl UserList {
    /// Adds a user, or gives the one of that name another secret.
    pub fn insert(&mut self, name: impl Into<String>, secret: Secret) {
        let name = name.into();
        match self.entries.iter_mut().find(|(known, _)| *known == name) {
            Some(entry) => entry.1 = secret,
            None => self.entries.push((name, secret)),
        }
    }

    /// The stored secret of a user.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Secret> {
        self.entries.iter().find(|(known, _)| known == name).map(|(_, secret)| secret)
    }

    /// Users and secrets in the file's order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Secret)> {
        self.entries.iter().map(|(name, secret)| (name.as_str(), secret))
    }
}
