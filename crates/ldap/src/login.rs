//! One login: connect to the first server that can be reached, find the user's entry, and bind as it.

use std::sync::Arc;
use std::time::Duration;

use howdah_hba::{Find, Ldap, LdapScope, LdapSearch};
use ldap3::{LdapConnAsync, LdapConnSettings, Scope, SearchEntry, dn_escape, ldap_escape};

use crate::certificates::{self, Conf};

/// Why somebody is not let in. For the log: no password is in it.
#[derive(Debug, thiserror::Error)]
pub enum LdapError {
    /// An empty password would be an anonymous bind, which succeeds for everybody.
    #[error("empty password")]
    EmptyPassword,
    /// A name that would be read as part of a filter.
    #[error("invalid character in user name for LDAP authentication")]
    InvalidUser,
    /// No entry, or more than one.
    #[error("LDAP search returned {found} entries, and not exactly one")]
    Entries {
        /// How many.
        found: usize,
    },
    /// The certificates cannot be used.
    #[error("TLS towards the LDAP server: {0}")]
    Tls(String),
    /// The server says no, or cannot be reached.
    #[error("{0}")]
    Server(#[from] ldap3::LdapError),
    /// It has not answered in time.
    #[error("the LDAP server did not answer in time")]
    Timeout,
}

/// Whether the LDAP server takes this password for this user.
///
/// # Errors
/// It does not, or cannot be asked within `limit`.
pub async fn log_in(options: &Ldap, user: &str, password: &str, limit: Duration) -> Result<(), LdapError> {
    if password.is_empty() {
        return Err(LdapError::EmptyPassword);
    }
    let login = async {
        let tls = settings(options).await?;
        let dn = match &options.find {
            Find::Direct { prefix, suffix } => direct(prefix, user, suffix),
            Find::Search(search) => {
                let mut session = Session::open(options, &tls).await?;
                let dn = session.find(search, user).await;
                session.close().await;
                dn?
            }
        };
        // A connection of its own: what the searcher may do is none of the user's business.
        let mut session = Session::open(options, &tls).await?;
        let bound = session.ldap.simple_bind(&dn, password).await.and_then(ldap3::LdapResult::success);
        session.close().await;
        bound.map(drop).map_err(LdapError::from)
    };
    tokio::time::timeout(limit, login).await.unwrap_or(Err(LdapError::Timeout))
}

/// The name of an entry. Behind an attribute's `=` the user is escaped, so that it cannot become another entry's.
pub(crate) fn direct(prefix: &str, user: &str, suffix: &str) -> String {
    let user = if prefix.trim_end().ends_with('=') { dn_escape(user) } else { user.into() };
    format!("{prefix}{user}{suffix}")
}

async fn settings(options: &Ldap) -> Result<LdapConnSettings, LdapError> {
    let settings = LdapConnSettings::new().set_starttls(options.start_tls && !options.is_ldaps);
    if !options.start_tls && !options.is_ldaps {
        return Ok(settings);
    }
    let config = tokio::task::spawn_blocking(|| certificates::config(&Conf::of_system())).await;
    let config = config.map_err(|error| LdapError::Tls(error.to_string()))?.map_err(LdapError::Tls)?;
    Ok(settings.set_config(Arc::clone(&config)))
}

/// A connection to a server.
struct Session {
    ldap: ldap3::Ldap,
    driver: tokio::task::JoinHandle<()>,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Session {
    /// To the first server that can be reached.
    async fn open(options: &Ldap, settings: &LdapConnSettings) -> Result<Self, LdapError> {
        let mut failure = LdapError::Timeout;
        for server in &options.servers {
            let scheme = if options.is_ldaps { "ldaps" } else { "ldap" };
            let host = if server.contains(':') { format!("[{server}]") } else { server.clone() };
            let port = options.port.map(|port| format!(":{port}")).unwrap_or_default();
            match LdapConnAsync::with_settings(settings.clone(), &format!("{scheme}://{host}{port}")).await {
                Ok((connection, ldap)) => {
                    // How it ends, the operations on it say.
                    let driver = tokio::spawn(async move { drop(connection.drive().await) });
                    return Ok(Self { ldap, driver });
                }
                Err(error) => failure = error.into(),
            }
        }
        Err(failure)
    }

    /// The name of the only entry that the search finds.
    async fn find(&mut self, search: &LdapSearch, user: &str) -> Result<String, LdapError> {
        if user.contains(['*', '(', ')', '\\', '/']) {
            return Err(LdapError::InvalidUser);
        }
        self.ldap.simple_bind(&search.bind_dn, search.bind_password.expose()).await?.success()?;
        let filter = search.filter.replace("$username", &ldap_escape(user));
        let scope = match search.scope {
            LdapScope::Base => Scope::Base,
            LdapScope::One => Scope::OneLevel,
            LdapScope::Sub => Scope::Subtree,
        };
        // `1.1`: no attributes, the name is enough.
        let (entries, _) = self.ldap.search(&search.base, scope, &filter, ["1.1"]).await?.success()?;
        let mut entries: Vec<_> = entries.into_iter().filter(|entry| !entry.is_ref()).collect();
        match (entries.pop(), entries.len()) {
            (Some(entry), 0) => Ok(SearchEntry::construct(entry).dn),
            (None, _) => Err(LdapError::Entries { found: 0 }),
            (Some(_), more) => Err(LdapError::Entries { found: more + 1 }),
        }
    }

    async fn close(mut self) {
        // The server may be gone already.
        drop(self.ldap.unbind().await);
    }
}
