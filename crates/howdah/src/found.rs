//! Users whom `auth_query` has found and who have logged in: rows of SHOW USERS, and what logs their pools' servers in
//! (PGBOUNCER_BEHAVIOUR.md section 5). A name that failed never comes here.

use std::collections::HashMap;
use std::sync::Arc;

use howdah_config::Secret;
use parking_lot::Mutex;

use crate::pooler::Login;

/// The secrets that were found, by entry and user: each database may know another one.
#[derive(Debug, Default)]
pub(crate) struct Found {
    secrets: Mutex<HashMap<Login, Secret>>,
}

impl Found {
    /// This user has logged in; the query is run at every login, so the latest secret is the one in force.
    pub(crate) fn remember(&self, entry: &Arc<str>, user: &Arc<str>, secret: Secret) {
        self.secrets.lock().insert((Arc::clone(entry), Arc::clone(user)), secret);
    }

    /// What is known of a user of this entry.
    pub(crate) fn secret(&self, entry: &Arc<str>, user: &Arc<str>) -> Option<Secret> {
        self.secrets.lock().get(&(Arc::clone(entry), Arc::clone(user))).cloned()
    }

    /// Everybody who was found.
    pub(crate) fn names(&self) -> Vec<String> {
        self.secrets.lock().keys().map(|(_, user)| user.to_string()).collect()
    }

    /// The entry is gone.
    pub(crate) fn forget_entry(&self, entry: &str) {
        self.secrets.lock().retain(|(of, _), _| **of != *entry);
    }
}
