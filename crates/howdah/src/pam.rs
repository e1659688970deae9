//! `auth_type = pam`: the system's own ways of proving a password, by the service `pgbouncer`.
//!
//! Behind the cargo feature `pam`, since it links the system's library. Its modules may take seconds, and are asked on
//! blocking threads only.

use howdah_config::{AuthType, Config};

/// What is said where this build has no PAM and the settings want it.
const NOT_BUILT: &str = "auth_type = pam: this build has no PAM (cargo feature `pam`)";

/// Whether the settings want what was not built.
pub(crate) fn is_missing(config: &Config) -> Option<&'static str> {
    (config.settings.auth_type == AuthType::Pam && !cfg!(feature = "pam")).then_some(NOT_BUILT)
}

/// Whether the system takes this password for this user.
///
/// # Errors
/// It does not; the sentence is for the log.
#[cfg(feature = "pam")]
pub(crate) async fn log_in(user: String, password: String) -> Result<(), String> {
    let asked = tokio::task::spawn_blocking(move || transaction::run(&user, password)).await;
    asked.unwrap_or_else(|error| Err(format!("PAM: {error}")))
}

/// Nobody comes here: such settings are refused.
#[cfg(not(feature = "pam"))]
#[allow(clippy::unused_async, reason = "as the one with PAM")]
pub(crate) async fn log_in(_user: String, _password: String) -> Result<(), String> {
    Err(NOT_BUILT.to_owned())
}

#[cfg(feature = "pam")]
mod transaction {
    use std::ffi::{OsStr, OsString};

    use nonstick::{
        AuthnFlags, ConversationAdapter, ErrorCode, Result as PamResult, Transaction, TransactionBuilder,
    };

    /// Which file of `/etc/pam.d` decides: PgBouncer's.
    const SERVICE: &str = "pgbouncer";

    /// Answers every question with the password: there is nobody to be asked anything else.
    struct Answers(OsString);

    impl ConversationAdapter for Answers {
        fn prompt(&self, _request: impl AsRef<OsStr>) -> PamResult<OsString> {
            Err(ErrorCode::ConversationError)
        }

        fn masked_prompt(&self, _request: impl AsRef<OsStr>) -> PamResult<OsString> {
            Ok(self.0.clone())
        }

        fn error_msg(&self, _message: impl AsRef<OsStr>) {}

        fn info_msg(&self, _message: impl AsRef<OsStr>) {}
    }

    pub(super) fn run(user: &str, password: String) -> Result<(), String> {
        let answers = Answers(password.into()).into_conversation();
        let failed = |what: &str| {
            let what = what.to_owned();
            move |error: ErrorCode| format!("{what}() failed: {error}")
        };
        let transaction = TransactionBuilder::new_with_service(SERVICE).username(user).build(answers);
        let mut transaction = transaction.map_err(failed("pam_start"))?;
        transaction.authenticate(AuthnFlags::SILENT).map_err(failed("pam_authenticate"))?;
        transaction.account_management(AuthnFlags::SILENT).map_err(failed("pam_acct_mgmt"))
    }
}
