//! From settings to what connections are made with. Built whole or not at all: whoever fails to build keeps the old one.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::client::{Resumption, UnbufferedClientConnection};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::ServerName;
use rustls::server::{NoServerSessionStorage, UnbufferedServerConnection};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{CipherSuite, ClientConfig, ServerConfig, SupportedProtocolVersion};

use crate::channel::{ClientChannel, ServerChannel};
use crate::suites::{self, Curves};
use crate::verify::{ClientVerifier, ServerVerifier};
use crate::{ALPN, end_point, files, protocols, provider};

/// The settings of one side, without their prefix `client_tls_` or `server_tls_`. Two that are equal lead to the same
/// TLS, as long as the files stay the same.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Settings {
    /// Private key, PEM.
    pub key_file: Option<PathBuf>,
    /// Certificate and its chain, PEM.
    pub cert_file: Option<PathBuf>,
    /// Authorities for the peers' certificates, PEM.
    pub ca_file: Option<PathBuf>,
    /// Versions.
    pub protocols: String,
    /// Suites of TLS 1.2.
    pub ciphers: String,
    /// Suites of TLS 1.3.
    pub tls13_ciphers: String,
    /// Curve; clients only.
    pub ecdhcurve: String,
    /// Parameters of a key exchange that rustls does not have: checked, without effect; clients only.
    pub dheparams: String,
}

/// How far a peer's certificate is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Verify {
    /// Not at all; a client is not asked for one.
    #[default]
    Nothing,
    /// It must lead to a known authority.
    Authority,
    /// And it must be for the name that was connected to. Of clients the same as [`Verify::Authority`].
    Name,
}

/// Settings that cannot be used. The texts are those that PgBouncer logs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SetupError {
    /// TLS for clients needs a certificate.
    #[error(
        "To allow TLS connections from clients, client_tls_key_file and client_tls_cert_file must be set."
    )]
    NoCertificate,
    /// The certificate cannot be read.
    #[error("TLS setup failed: failed to load certificate file \"{}\": {reason}", file.display())]
    Certificate {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The private key cannot be read, or is another certificate's.
    #[error("TLS setup failed: failed to load private key file \"{}\": {reason}", file.display())]
    Key {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The authorities cannot be read.
    #[error("TLS setup failed: failed to load CA: {0}")]
    Ca(String),
    /// A value that is none.
    #[error("invalid {setting}: {value}")]
    Invalid {
        /// Name of the setting.
        setting: String,
        /// What was given.
        value: String,
    },
    /// A suite of TLS 1.3 that there is not.
    #[error("TLS setup failed: failed to set the TLSv1.3 cipher suites")]
    Tls13Suites,
    /// Nothing is left that the two sides could agree on.
    #[error("TLS setup failed: none of the cipher suites can be used with these protocols")]
    NoSuite,
    /// The TLS library refuses.
    #[error("TLS setup failed: {0}")]
    Library(String),
}

impl From<rustls::Error> for SetupError {
    fn from(error: rustls::Error) -> Self {
        Self::Library(error.to_string())
    }
}

/// What was built, and what is worth saying about it in the log.
#[derive(Debug)]
pub struct Prepared<T> {
    /// What was built.
    pub value: T,
    /// A sentence for each thing of the settings that is done in another way than asked.
    pub notes: Vec<String>,
}

/// What clients are let in with.
#[derive(Debug, Clone)]
pub struct Acceptor {
    config: Arc<ServerConfig>,
    end_point: Option<Arc<[u8]>>,
}

impl Acceptor {
    /// Reads the files and checks the words of `client_tls_*`.
    ///
    /// # Errors
    /// [`SetupError`], with PgBouncer's text.
    pub fn build(settings: &Settings, verify: Verify) -> Result<Prepared<Self>, SetupError> {
        let (Some(certificate), Some(key)) = (&settings.cert_file, &settings.key_file) else {
            return Err(SetupError::NoCertificate);
        };
        let mut words = Words::read("client_tls", settings)?;
        let key = files::certified_key(certificate, key)?;
        let end_point = key.cert.first().and_then(|der| end_point(der)).map(Arc::from);
        let verifier = match (verify, &settings.ca_file) {
            (Verify::Nothing, Some(file)) => {
                // Not used, but a file that is not there is a mistake all the same.
                files::authorities(file)?;
                None
            }
            (Verify::Nothing, None) => None,
            (_, file) => Some(ClientVerifier::new(&authorities(file, &mut words.notes)?)?),
        };
        let builder =
            ServerConfig::builder_with_provider(words.provider()).with_protocol_versions(&words.versions)?;
        let builder = match verifier {
            Some(verifier) => builder.with_client_cert_verifier(Arc::new(verifier)),
            None => builder.with_no_client_auth(),
        };
        let mut config = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(key)));
        config.alpn_protocols = vec![ALPN.to_vec()];
        // As PgBouncer does: the order is ours, and nothing is kept for a client that comes again.
        config.ignore_client_order = true;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(Prepared { value: Self { config: Arc::new(config), end_point }, notes: words.notes })
    }

    /// The server's end of a new connection; `received` is what the client has sent already.
    ///
    /// # Errors
    /// The TLS library refuses, which it does for want of memory only.
    pub fn accept(&self, received: Vec<u8>) -> Result<ServerChannel, SetupError> {
        let connection = UnbufferedServerConnection::new(Arc::clone(&self.config))?;
        Ok(ServerChannel::new(connection, received))
    }

    /// What SCRAM-SHA-256-PLUS binds to: `tls-server-end-point` of our certificate.
    #[must_use]
    pub fn end_point(&self) -> Option<Arc<[u8]>> {
        self.end_point.clone()
    }
}

/// What servers are connected to with.
#[derive(Debug, Clone)]
pub struct Connector {
    config: Arc<ClientConfig>,
}

impl Connector {
    /// Reads the files and checks the words of `server_tls_*`.
    ///
    /// # Errors
    /// [`SetupError`], with PgBouncer's text.
    pub fn build(settings: &Settings, verify: Verify) -> Result<Prepared<Self>, SetupError> {
        let mut words = Words::read("server_tls", settings)?;
        let authorities = match (verify, &settings.ca_file) {
            (Verify::Nothing, None) => Vec::new(),
            (Verify::Nothing, Some(file)) => files::authorities(file)?,
            (_, file) => authorities(file, &mut words.notes)?,
        };
        let verifier = ServerVerifier::new(&authorities, verify)?;
        let builder = ClientConfig::builder_with_provider(words.provider())
            .with_protocol_versions(&words.versions)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let mut config = match own_key(settings)? {
            Some(key) => builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(key))),
            None => builder.with_no_client_auth(),
        };
        config.resumption = Resumption::disabled();
        Ok(Prepared { value: Self { config: Arc::new(config) }, notes: words.notes })
    }

    /// The client's end of a new connection to this host.
    ///
    /// # Errors
    /// The TLS library refuses, which it does for want of memory only.
    pub fn connect(&self, host: &str) -> Result<ClientChannel, SetupError> {
        let connection = UnbufferedClientConnection::new(Arc::clone(&self.config), server_name(host))?;
        Ok(ClientChannel::new(connection, Vec::new()))
    }

    /// The configuration itself, for drivers that speak TLS by themselves.
    #[must_use]
    pub fn config(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.config)
    }
}

/// The name that a server's certificate must have. A host that cannot be one in a certificate is called by an
/// address that no certificate has.
fn server_name(host: &str) -> ServerName<'static> {
    ServerName::try_from(host.to_owned())
        .unwrap_or(ServerName::IpAddress(std::net::IpAddr::from([0, 0, 0, 0]).into()))
}

fn own_key(settings: &Settings) -> Result<Option<Arc<CertifiedKey>>, SetupError> {
    match (&settings.cert_file, &settings.key_file) {
        (Some(certificate), Some(key)) => files::certified_key(certificate, key).map(Some),
        // Half of it is of no use, and PgBouncer does not mind.
        _ => Ok(None),
    }
}

fn authorities(
    file: &Option<PathBuf>,
    notes: &mut Vec<String>,
) -> Result<Vec<rustls::pki_types::CertificateDer<'static>>, SetupError> {
    match file {
        Some(file) => files::authorities(file),
        None => Ok(files::system_authorities().unwrap_or_else(|_| {
            notes.push(
                "no CA file is set and the system has no list of authorities: every certificate is refused"
                    .to_owned(),
            );
            Vec::new()
        })),
    }
}

/// What the words of the settings come to.
struct Words {
    versions: Vec<&'static SupportedProtocolVersion>,
    tls12: Vec<CipherSuite>,
    tls13: Vec<CipherSuite>,
    curves: Curves,
    notes: Vec<String>,
}

impl Words {
    fn read(prefix: &str, settings: &Settings) -> Result<Self, SetupError> {
        let invalid = |name: &str, value: &str| SetupError::Invalid {
            setting: format!("{prefix}_{name}"),
            value: value.to_owned(),
        };
        let mut notes = Vec::new();
        let (versions, old_only) =
            protocols::parse(&settings.protocols).ok_or_else(|| invalid("protocols", &settings.protocols))?;
        if old_only {
            notes.push(format!("{prefix}_protocols: TLS 1.0 and 1.1 are not spoken any more, TLS 1.2 is"));
        }
        let tls12 = suites::tls12(&settings.ciphers).ok_or_else(|| invalid("ciphers", &settings.ciphers))?;
        let tls13 = suites::tls13(&settings.tls13_ciphers).ok_or(SetupError::Tls13Suites)?;
        let curves =
            suites::curves(&settings.ecdhcurve).ok_or_else(|| invalid("ecdhcurve", &settings.ecdhcurve))?;
        if curves == Curves::Missing {
            notes.push(format!(
                "{prefix}_ecdhcurve: {} is not there, the usual curves are",
                settings.ecdhcurve
            ));
        }
        if !["", "auto", "none", "legacy"].contains(&settings.dheparams.as_str()) {
            return Err(invalid("dheparams", &settings.dheparams));
        }
        let mut words = Self { versions, tls12, tls13, curves, notes };
        words.drop_versions_without_suites(prefix)?;
        Ok(words)
    }

    /// A version of which no suite is allowed is not spoken.
    fn drop_versions_without_suites(&mut self, prefix: &str) -> Result<(), SetupError> {
        let before = self.versions.len();
        let (tls12, tls13) = (!self.tls12.is_empty(), !self.tls13.is_empty());
        self.versions.retain(|version| if **version == rustls::version::TLS13 { tls13 } else { tls12 });
        if self.versions.is_empty() {
            return Err(SetupError::NoSuite);
        }
        if self.versions.len() < before {
            let version = if tls12 { "1.3" } else { "1.2" };
            self.notes.push(format!(
                "{prefix}: no allowed cipher suite of TLS {version} is there: it is not spoken"
            ));
        }
        Ok(())
    }

    /// The provider with what these words leave of it, in their order.
    fn provider(&self) -> Arc<CryptoProvider> {
        let mut provider = provider::provider();
        let all = std::mem::take(&mut provider.cipher_suites);
        let find = |wanted: &CipherSuite| all.iter().find(|suite| suite.suite() == *wanted).copied();
        provider.cipher_suites = self.tls13.iter().chain(&self.tls12).filter_map(find).collect();
        if let Curves::One(group) = self.curves {
            provider.kx_groups.retain(|known| known.name() == group);
        }
        Arc::new(provider)
    }
}
