//! The TLS settings in force: built of the configuration at start, RELOAD and SET, whole or not at all. A change that
//! cannot be built leaves the old ones in force (PGBOUNCER_BEHAVIOUR.md section 12).

use std::sync::Arc;

use howdah_backend::ServerTls;
use howdah_config::{Settings, SslMode};
use howdah_controller::Secure;
use howdah_tls::{Acceptor, Connector, Prepared, SetupError, Verify};

use crate::pooler::Pooler;

/// What the log says beside the mistake when RELOAD keeps the old settings (PgBouncer's text).
const KEPT: &str = "TLS configuration could not be reloaded, keeping old configuration";

/// Both sides.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tls {
    /// `client_tls_sslmode`.
    pub(crate) client_mode: ClientMode,
    /// What clients are let in with; `None`: they are not.
    pub(crate) acceptor: Option<Acceptor>,
    /// Towards servers.
    pub(crate) server: Option<ServerTls>,
    /// What the server's side was built of.
    written: (ClientMode, howdah_tls::Settings),
}

/// How much is asked of the other side, as an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) enum ClientMode {
    /// No TLS.
    #[default]
    Off,
    /// TLS for who asks, or can.
    Optional,
    /// Nothing without TLS.
    Required,
    /// And a certificate of a known authority.
    Authority,
    /// And for the right name.
    Name,
}

impl From<SslMode> for ClientMode {
    fn from(mode: SslMode) -> Self {
        match mode {
            SslMode::Disable => Self::Off,
            SslMode::Allow | SslMode::Prefer => Self::Optional,
            SslMode::Require => Self::Required,
            SslMode::VerifyCa => Self::Authority,
            SslMode::VerifyFull => Self::Name,
        }
    }
}

impl ClientMode {
    fn verify(self) -> Verify {
        match self {
            Self::Off | Self::Optional | Self::Required => Verify::Nothing,
            Self::Authority => Verify::Authority,
            Self::Name => Verify::Name,
        }
    }
}

fn client_settings(s: &Settings) -> howdah_tls::Settings {
    howdah_tls::Settings {
        key_file: s.client_tls_key_file.clone(),
        cert_file: s.client_tls_cert_file.clone(),
        ca_file: s.client_tls_ca_file.clone(),
        protocols: s.client_tls_protocols.clone(),
        ciphers: s.client_tls_ciphers.clone(),
        tls13_ciphers: s.client_tls13_ciphers.clone(),
        ecdhcurve: s.client_tls_ecdhcurve.clone(),
        dheparams: s.client_tls_dheparams.clone(),
    }
}

fn server_settings(s: &Settings) -> howdah_tls::Settings {
    howdah_tls::Settings {
        key_file: s.server_tls_key_file.clone(),
        cert_file: s.server_tls_cert_file.clone(),
        ca_file: s.server_tls_ca_file.clone(),
        protocols: s.server_tls_protocols.clone(),
        ciphers: s.server_tls_ciphers.clone(),
        tls13_ciphers: s.server_tls13_ciphers.clone(),
        ecdhcurve: String::new(),
        dheparams: String::new(),
    }
}

impl Tls {
    /// Builds both sides; a side that is off is not looked at.
    ///
    /// # Errors
    /// [`SetupError`], with PgBouncer's text.
    pub(crate) fn build(settings: &Settings) -> Result<Prepared<Self>, SetupError> {
        let (client_mode, server_mode) =
            (ClientMode::from(settings.client_tls_sslmode), ClientMode::from(settings.server_tls_sslmode));
        let written = server_settings(settings);
        let mut notes = Vec::new();
        let acceptor = match client_mode {
            ClientMode::Off => None,
            mode => {
                let prepared = Acceptor::build(&client_settings(settings), mode.verify())?;
                notes.extend(prepared.notes);
                Some(prepared.value)
            }
        };
        let server = match server_mode {
            ClientMode::Off => None,
            mode => {
                let prepared = Connector::build(&written, mode.verify())?;
                notes.extend(prepared.notes);
                Some(ServerTls { required: mode >= ClientMode::Required, connector: prepared.value })
            }
        };
        let value = Self { client_mode, acceptor, server, written: (server_mode, written) };
        Ok(Prepared { value, notes })
    }

    /// The server's side, for the control plane.
    pub(crate) fn control(&self) -> Option<Secure> {
        let tls = self.server.as_ref()?;
        Some(Secure { connector: tls.connector.clone(), required: tls.required })
    }

    /// Builds, with what there is to say about it in the log.
    ///
    /// # Errors
    /// As [`Tls::build`]; it has been logged.
    pub(crate) fn build_logged(settings: &Settings) -> Result<Arc<Self>, SetupError> {
        match Self::build(settings) {
            Ok(Prepared { value, notes }) => {
                for note in notes {
                    tracing::warn!("{note}");
                }
                Ok(Arc::new(value))
            }
            Err(error) => {
                tracing::error!("{error}");
                Err(error)
            }
        }
    }
}

/// What there is to say of the TLS settings, for `howdah check`: notes, or why they cannot be used.
///
/// # Errors
/// A file that cannot be read, or a word that is none; PgBouncer's text.
pub fn check_tls(settings: &Settings) -> Result<Vec<String>, String> {
    Tls::build(settings).map(|prepared| prepared.notes).map_err(|error| error.to_string())
}

impl Pooler {
    /// Puts the TLS settings of the configuration in force into force; servers that were connected to with others
    /// are closed as RECONNECT does. `false`: they cannot be built, the log says why, and the old ones stay.
    pub(crate) fn apply_tls(self: &Arc<Self>) -> bool {
        let Ok(tls) = Tls::build_logged(&self.config.load().settings) else { return false };
        let before = self.tls.swap(Arc::clone(&tls));
        self.control_tls.set(tls.control());
        if before.written != tls.written {
            self.invalidate_servers();
        }
        true
    }

    /// RELOAD: the same, and the log says that the old ones stay.
    pub(crate) fn reload_tls(self: &Arc<Self>) -> Result<(), String> {
        if self.apply_tls() { Ok(()) } else { Err(KEPT.to_owned()) }
    }
}
