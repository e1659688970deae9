//! How the certificate of an LDAP server is looked at: as the system's LDAP configuration says, which is the file that
//! `LDAPCONF` names, else `/etc/ldap/ldap.conf`; `LDAPTLS_REQCERT` and `LDAPTLS_CACERT` win (ldap.conf(5)).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use howdah_tls::{Connector, Settings, Verify};

/// The configuration of a system whose administrator has not said otherwise.
const SYSTEM: &str = "/etc/ldap/ldap.conf";

/// What of ldap.conf(5) is followed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Conf {
    /// `TLS_REQCERT`, in lower case.
    pub(crate) demand: Option<String>,
    /// `TLS_CACERT`
    pub(crate) authorities: Option<PathBuf>,
}

impl Conf {
    /// As the environment of this process says.
    pub(crate) fn of_system() -> Self {
        let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        let file = variable("LDAPCONF").unwrap_or_else(|| SYSTEM.to_owned());
        // Without it the defaults hold.
        let mut conf = Self::parse(&std::fs::read_to_string(Path::new(&file)).unwrap_or_default());
        if let Some(demand) = variable("LDAPTLS_REQCERT") {
            conf.demand = Some(demand.to_ascii_lowercase());
        }
        if let Some(authorities) = variable("LDAPTLS_CACERT") {
            conf.authorities = Some(authorities.into());
        }
        conf
    }

    /// Reads the text of such a file: a word and its value a line, whatever the case of the word.
    pub(crate) fn parse(text: &str) -> Self {
        let mut conf = Self::default();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let Some((word, value)) = line.trim().split_once(char::is_whitespace) else { continue };
            let value = value.trim();
            match word.to_ascii_uppercase().as_str() {
                "TLS_REQCERT" => conf.demand = Some(value.to_ascii_lowercase()),
                "TLS_CACERT" => conf.authorities = Some(value.into()),
                _ => {}
            }
        }
        conf
    }

    /// `never` and `allow` take any certificate; everything else wants one that leads to an authority and has the
    /// server's name.
    pub(crate) fn verify(&self) -> Verify {
        match self.demand.as_deref() {
            Some("never" | "allow") => Verify::Nothing,
            _ => Verify::Name,
        }
    }
}

/// What a connection is made with.
pub(crate) fn config(conf: &Conf) -> Result<Arc<rustls::ClientConfig>, String> {
    let verify = conf.verify();
    let settings = Settings {
        ca_file: conf.authorities.clone().filter(|_| verify != Verify::Nothing),
        protocols: "secure".to_owned(),
        ciphers: "default".to_owned(),
        ..Settings::default()
    };
    let prepared = Connector::build(&settings, verify).map_err(|error| error.to_string())?;
    Ok(prepared.value.config())
}
