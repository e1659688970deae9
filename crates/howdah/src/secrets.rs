//! SCRAM secrets of users whose password is kept as it is: computed at the first login, since the iterations cost
//! about a millisecond each time otherwise, and a login storm would wait for them.

use std::collections::HashMap;
use std::num::NonZeroU32;

use howdah_protocol::auth::{Entropy, Method, ScramSecret, Secret, stable_salt};
use parking_lot::Mutex;

/// The computed secrets, by user; forgotten when the configuration changes.
#[derive(Debug, Default)]
pub(crate) struct Secrets {
    computed: Mutex<HashMap<Box<str>, ScramSecret>>,
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
        if let Some(known) = self.computed.lock().get(user) {
            return Secret::Scram(known.clone());
        }
        // Outside the lock: two first logins at once compute the same.
        let salt = stable_salt(user.as_bytes(), &entropy.process_secret);
        let computed = ScramSecret::build(password.as_bytes(), &salt, iterations);
        self.computed.lock().insert(user.into(), computed.clone());
        Secret::Scram(computed)
    }

    /// The configuration has changed.
    pub(crate) fn forget(&self) {
        self.computed.lock().clear();
    }
}
