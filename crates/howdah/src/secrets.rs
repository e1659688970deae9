//! SCRAM secrets of users whose password is kept as it is: computed at the first login, since the iterations cost
//! about a millisecond each time otherwise, and a login storm would wait for them.

use std::collections::HashMap;
use std::num::NonZeroU32;

use howdah_protocol::auth::{Entropy, Method, ScramSecret, Secret, stable_salt};
use parking_lot::Mutex;

/// The computed secrets, by user; forgotten when the configuration changes.
#[derive(Debug, Default)]
pub(crate) struct Secrets {
    computed: Mutex<HashMap<Box<str>, Computed>>,
}

/// A secret and what it was computed from: one name may have another password in each entry's `auth_query`, and another
/// one tomorrow.
struct Computed {
    password: Box<[u8]>,
    secret: ScramSecret,
}

/// Without the password.
impl std::fmt::Debug for Computed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Computed")
    }
}

impl Secrets {
    /// The secret to check a login with.
    pub(crate) fn for_login(
        &self,
        (method, user): (Method, &str),
        secret: Secret,
        entropy: &Entropy,
        iterations: NonZeroU32,
    ) -> Secret {
        let (Method::Scram, Secret::Plain(password)) = (method, &secret) else { return secret };
        let password = password.as_bytes();
        if let Some(known) = self.computed.lock().get(user).filter(|known| *known.password == *password) {
            return Secret::Scram(known.secret.clone());
        }
        // Outside the lock: two first logins at once compute the same.
        let salt = stable_salt(user.as_bytes(), &entropy.process_secret);
        let secret = ScramSecret::build(password, &salt, iterations);
        self.computed
            .lock()
            .insert(user.into(), Computed { password: password.into(), secret: secret.clone() });
        Secret::Scram(secret)
    }

    /// The configuration has changed.
    pub(crate) fn forget(&self) {
        self.computed.lock().clear();
    }
}

#[cfg(test)]
#[path = "secrets_tests.rs"]
mod secrets_tests;
