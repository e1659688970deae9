//! TLS of the control plane's sessions. It may change while they run (RELOAD): those that are open stay, new ones use the
//! newest.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use howdah_tls::Connector;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres_rustls::MakeRustlsConnect;

/// `server_tls_sslmode` from `allow` on, and what goes with it.
#[derive(Debug, Clone)]
pub struct Secure {
    /// How certificates are checked, and what of our own is shown.
    pub connector: Connector,
    /// A node that refuses TLS is not spoken to.
    pub required: bool,
}

/// What is in force; clones are the same one. Empty: no TLS.
#[derive(Clone, Default)]
pub struct ControlTls(Arc<ArcSwapOption<Secure>>);

impl ControlTls {
    /// For sessions that are opened from now on.
    pub fn set(&self, secure: Option<Secure>) {
        self.0.store(secure.map(Arc::new));
    }

    /// What a session to this host is opened with; a Unix socket never speaks TLS.
    pub(crate) fn of(&self, config: &Config) -> Option<(SslMode, MakeRustlsConnect)> {
        if config.get_hosts().iter().any(|host| matches!(host, Host::Unix(_))) {
            return None;
        }
        let secure = self.0.load();
        let secure = secure.as_ref()?;
        let mode = if secure.required { SslMode::Require } else { SslMode::Prefer };
        Some((mode, MakeRustlsConnect::new((*secure.connector.config()).clone())))
    }
}

impl PartialEq for ControlTls {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for ControlTls {}

impl fmt::Debug for ControlTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.load().is_some() { "ControlTls(on)" } else { "ControlTls(off)" })
    }
}
