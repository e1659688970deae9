//! Who the client is: what is known of the user, by which method it has to prove itself, and the exchange
//! (PGBOUNCER_BEHAVIOUR.md section 5). A user who is not known is asked for proof like any other.

use std::borrow::Cow;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use howdah_config::{AuthType, CONSOLE_DATABASE, Config, Secret as Stored};
use howdah_hba as hba;
use howdah_protocol::auth::{AuthError, ClientLogin, Method, Password, Progress, Proved, Secret};
use howdah_protocol::frame::{self, Direction, Limits, Step};
use howdah_protocol::startup::Replication;
use howdah_protocol::{read, write};

use super::end::End;
use super::login::{Asked, Newcomer};
use super::stream::Peer;
use crate::entry::Entry;

/// The longest message of a client that is not logged in yet (bytes): a password of 65,530 fits.
const LOGIN_FRAME_MAX: usize = 128 * 1024;

/// How long an LDAP server may take, where `client_login_timeout` is off (time).
const OUTSIDE_TIMEOUT: Duration = Duration::from_secs(60);

/// What a login has brought to light.
#[derive(Debug, Default)]
pub(crate) struct Identity {
    pub(crate) proved: Proved,
    /// The secret of a user whom `auth_query` has found.
    pub(crate) found: Option<Stored>,
}

/// What is known of the user who wants in.
#[derive(Debug)]
pub(super) enum Known {
    /// `auth_file` has it.
    Listed(Stored),
    /// `auth_query` has found it.
    Found(Stored),
    /// Nobody knows it: it fails where a wrong password fails.
    Nobody,
}

/// How a client proves itself.
enum Way<'a> {
    /// By something that it says.
    Exchange(Method),
    /// By the user of its process, through this ident map.
    Peer(Option<&'a str>),
    /// By its TLS certificate, through this ident map.
    Cert(Option<&'a str>),
    /// By a password that an LDAP server knows.
    Ldap(Cow<'a, hba::Ldap>),
    /// By a password that the system knows.
    Pam,
}

impl Newcomer {
    /// Finds out who the client is, or why it cannot come in. Under `auth_query` and `auth_type = any` it may turn out to
    /// be another user than it said.
    pub(super) async fn authenticate(&mut self, asked: &mut Asked) -> Result<Identity, End> {
        let config = self.pooler.config.load_full();
        if asked.database == CONSOLE_DATABASE && self.is_local_admin(&asked.user) {
            tracing::info!("{} pgbouncer access from unix socket", self.info.log_name());
            return Ok(Identity::default());
        }
        // Inside the process the program itself vouches for its user.
        if self.info.peer == Peer::Pipe {
            return Ok(Identity::default());
        }
        let entry = self.entry_of(asked);
        if config.settings.auth_type == AuthType::Any {
            return self.anybody(asked, entry.as_deref());
        }
        // These know their users themselves.
        match self.way(&config, asked) {
            Ok(Way::Ldap(options)) => return self.by_ldap(&config, &options, &asked.user).await,
            Ok(Way::Pam) => return self.by_pam(&asked.user).await,
            _ => {}
        }
        let known = self.look_up(&config, asked, entry).await?;
        match self.way(&config, asked)? {
            // Under another name, which `auth_query` gave.
            Way::Ldap(options) => self.by_ldap(&config, &options, &asked.user).await,
            Way::Exchange(method) => self.prove(&config, (method, &asked.user), known).await,
            Way::Peer(map) => self.peer(&config, (&asked.user, map), known).await,
            Way::Cert(map) => self.certificate(&config, (&asked.user, map), known),
            Way::Pam => self.by_pam(&asked.user).await,
        }
    }

    /// How this client has to prove itself; under `auth_type = hba` the first line that matches says so.
    fn way<'a>(&self, config: &'a Config, asked: &Asked) -> Result<Way<'a>, End> {
        let way = match config.settings.auth_type {
            AuthType::Any | AuthType::Trust => Way::Exchange(Method::Trust),
            AuthType::Plain => Way::Exchange(Method::Plain),
            AuthType::Md5 => Way::Exchange(Method::Md5),
            AuthType::ScramSha256 => Way::Exchange(Method::Scram),
            AuthType::Cert => Way::Cert(None),
            AuthType::Hba => return self.by_rule(config, asked),
            AuthType::Ldap => Way::Ldap(self.ldap_options(config)?),
            AuthType::Pam => Way::Pam,
        };
        Ok(way)
    }

    fn by_rule<'a>(&self, config: &'a Config, asked: &Asked) -> Result<Way<'a>, End> {
        let transport = match self.info.peer {
            Peer::Tcp { peer, .. } if self.secured.is_some() => hba::Transport::Tls(peer.ip()),
            Peer::Tcp { peer, .. } => hba::Transport::Plain(peer.ip()),
            Peer::Unix { .. } | Peer::Pipe => hba::Transport::Local,
        };
        // What cannot be read was refused before.
        let is_replication = asked.startup.replication().is_ok_and(|mode| mode != Replication::None);
        let wanted = match is_replication {
            true => hba::Asked::Replication,
            false => hba::Asked::Database(&asked.database),
        };
        let login = hba::Login { transport, asked: wanted, user: &asked.user };
        let rule = config.hba.decide(&login).ok_or_else(|| End::refused("login rejected"))?;
        let way = match &rule.method {
            hba::Method::Reject => return Err(End::refused("login rejected")),
            hba::Method::Trust => Way::Exchange(Method::Trust),
            hba::Method::Password => Way::Exchange(Method::Plain),
            hba::Method::Md5 => Way::Exchange(Method::Md5),
            hba::Method::Scram => Way::Exchange(Method::Scram),
            hba::Method::Peer => Way::Peer(rule.map.as_deref()),
            hba::Method::Cert => Way::Cert(rule.map.as_deref()),
            hba::Method::Ldap(options) => Way::Ldap(Cow::Borrowed(options)),
        };
        Ok(way)
    }

    /// By the common name of the client's certificate, which the handshake has verified.
    fn certificate(
        &self,
        config: &Config,
        (user, map): (&str, Option<&str>),
        known: Known,
    ) -> Result<Identity, End> {
        let refused = |why: &str| {
            tracing::error!("{} {why}", self.info.log_name());
            Err(End::refused("certificate authentication failed"))
        };
        let Some(secured) = &self.secured else { return refused("TLS connection required") };
        let found = match known {
            Known::Listed(_) => None,
            Known::Found(secret) => Some(secret),
            Known::Nobody => return refused("no such user"),
        };
        let name = secured.certificate.as_ref().and_then(|certificate| certificate.common_name.as_deref());
        let Some(name) = name else { return refused("TLS client certificate required") };
        match map {
            None if name != user => refused("TLS certificate name mismatch"),
            Some(map) if !config.ident.allows(map, name, user) => {
                refused(&format!("ident map: {map} does not have a match"))
            }
            _ => Ok(Identity { proved: Proved::default(), found }),
        }
    }

    /// By the user of the client's process, which the kernel knows.
    async fn peer(
        &self,
        config: &Config,
        (user, map): (&str, Option<&str>),
        known: Known,
    ) -> Result<Identity, End> {
        let refused = || End::refused("unix socket login rejected");
        let Peer::Unix { uid, .. } = self.info.peer else { return Err(refused()) };
        let found = match known {
            Known::Listed(_) => None,
            Known::Found(secret) => Some(secret),
            Known::Nobody => return Err(refused()),
        };
        // The system may ask a directory service for the name.
        let name = tokio::task::spawn_blocking(move || uzers::get_user_by_uid(uid)).await;
        let name = name.ok().flatten().ok_or_else(refused)?;
        let name = name.name().to_str().ok_or_else(refused)?;
        let matches = match map {
            None => name == user,
            Some(map) => config.ident.allows(map, name, user),
        };
        if let (Some(map), false) = (map, matches) {
            tracing::error!("{} ident map {map} cannot be matched", self.info.log_name());
        }
        if matches { Ok(Identity { proved: Proved::default(), found }) } else { Err(refused()) }
    }

    /// The entry that the client asked for, made if there is a fallback; the console is none.
    fn entry_of(&self, asked: &Asked) -> Option<Arc<Entry>> {
        if asked.database == CONSOLE_DATABASE {
            return None;
        }
        self.pooler.find_entry(&asked.database)
    }

    /// Nobody is asked for anything: the entry's forced user is who everybody is.
    fn anybody(&self, asked: &mut Asked, entry: Option<&Entry>) -> Result<Identity, End> {
        if asked.database == CONSOLE_DATABASE {
            return Ok(Identity::default());
        }
        let forced = entry.and_then(|entry| entry.database().user.clone());
        let Some(forced) = forced else {
            tracing::error!("{} auth_type=any requires forced user", self.info.log_name());
            return Err(End::refused("bouncer config error"));
        };
        self.is_really(asked, forced);
        Ok(Identity::default())
    }

    /// The client goes on as this user.
    pub(super) fn is_really(&self, asked: &mut Asked, user: String) {
        self.info.who.lock().1 = user.as_str().into();
        asked.user = user;
    }

    /// What is known of the user: `auth_file` first, then `auth_query`.
    async fn look_up(
        &mut self,
        config: &Config,
        asked: &mut Asked,
        entry: Option<Arc<Entry>>,
    ) -> Result<Known, End> {
        if let Some(secret) = config.auth_users.get(&asked.user) {
            return Ok(Known::Listed(secret.clone()));
        }
        let Some(question) = self.auth_question(config, asked, entry)? else {
            if config.settings.log_connections {
                tracing::info!("{} no such user: {}", self.info.log_name(), asked.user);
            }
            return Ok(Known::Nobody);
        };
        self.ask_auth_query(question, asked).await.map(Known::Found)
    }

    /// The exchange, to its end.
    async fn prove(
        &mut self,
        config: &Config,
        (method, user): (Method, &str),
        known: Known,
    ) -> Result<Identity, End> {
        let (secret, found) = match known {
            Known::Listed(secret) => (Some(secret), None),
            Known::Found(secret) => (Some(secret.clone()), Some(secret)),
            Known::Nobody => (None, None),
        };
        // A user with an empty secret exists, but no password is right.
        let secret = secret.filter(|secret| method == Method::Trust || !secret.is_empty());
        let entropy = self.pooler.entropy().map_err(|error| End::refused(error.to_string()))?;
        let iterations = NonZeroU32::new(config.settings.scram_iterations).unwrap_or(NonZeroU32::MIN);
        let secret = secret.map(|secret| {
            let secret = Secret::parse(secret.expose());
            self.pooler.secrets.for_login((method, user), secret, &entropy, iterations)
        });
        if let (Method::Scram, Some(Secret::Md5(_))) = (method, &secret) {
            tracing::error!("{} SCRAM authentication failed: user has MD5 secret", self.info.log_name());
        }
        let mut login = ClientLogin::new(method, user.as_bytes(), secret, entropy, iterations)
            .with_end_point(self.secured.as_ref().and_then(|secured| secured.end_point.clone()));
        let mut out = Vec::new();
        let mut progress = login.start(&mut out).map_err(|error| self.failed(error))?;
        loop {
            self.send(&std::mem::take(&mut out)).await?;
            if let Progress::Done(proved) = progress {
                return Ok(Identity { proved, found });
            }
            let body = self.password_message().await?;
            progress = login.message(&body, &mut out).map_err(|error| self.failed(error))?;
        }
    }

    /// `auth_ldap_options`, which SET may have changed.
    fn ldap_options<'a>(&self, config: &Config) -> Result<Cow<'a, hba::Ldap>, End> {
        let options = config.settings.auth_ldap_options.as_deref().unwrap_or_default();
        hba::Ldap::parse(options).map(Cow::Owned).map_err(|sentence| {
            tracing::error!("{} auth_ldap_options: {sentence}", self.info.log_name());
            End::refused("bouncer config error")
        })
    }

    /// By a password that an LDAP server knows; it serves for the server, too.
    async fn by_ldap(&mut self, config: &Config, options: &hba::Ldap, user: &str) -> Result<Identity, End> {
        let refused = || End::refused("LDAP authentication failed");
        let password = self.cleartext_password().await?;
        let text = std::str::from_utf8(password.as_bytes()).map_err(|_| refused())?;
        let limit = config.settings.client_login_timeout;
        // The client's own limit comes first, where there is one.
        let limit = if limit.is_zero() { OUTSIDE_TIMEOUT } else { limit.saturating_mul(2) };
        match self.while_waiting(howdah_ldap::log_in(options, user, text, limit)).await? {
            Ok(()) => {
                Ok(Identity { proved: Proved { password: Some(password), scram_keys: None }, found: None })
            }
            Err(error) => {
                tracing::warn!("{} LDAP authentication failed: {error}", self.info.log_name());
                Err(refused())
            }
        }
    }

    /// By a password that the system knows; it serves for the server, too.
    async fn by_pam(&mut self, user: &str) -> Result<Identity, End> {
        let refused = || End::refused("PAM authentication failed");
        let password = self.cleartext_password().await?;
        let text = std::str::from_utf8(password.as_bytes()).map_err(|_| refused())?.to_owned();
        match self.while_waiting(crate::pam::log_in(user.to_owned(), text)).await? {
            Ok(()) => {
                Ok(Identity { proved: Proved { password: Some(password), scram_keys: None }, found: None })
            }
            Err(why) => {
                tracing::warn!("{} {why}", self.info.log_name());
                Err(refused())
            }
        }
    }

    /// Asks for the password as it is.
    async fn cleartext_password(&mut self) -> Result<Password, End> {
        let mut out = Vec::new();
        write::authentication_cleartext_password(&mut out);
        self.send(&out).await?;
        let body = self.password_message().await?;
        let password = read::password(&body).map_err(|error| End::refused(error.to_string()))?;
        Ok(password.into())
    }

    /// The log learns more of a failure than the client does.
    fn failed(&self, error: AuthError) -> End {
        if let Some(detail) = error.detail() {
            tracing::error!("{} {detail}", self.info.log_name());
        }
        End::refused(error.to_string())
    }

    async fn password_message(&mut self) -> Result<Vec<u8>, End> {
        let limits = Limits { max_frame: LOGIN_FRAME_MAX };
        loop {
            let step = frame::next(Direction::FromClient, &limits, &self.input);
            match step.map_err(|error| End::refused(error.to_string()))? {
                Step::Complete(frame) if frame.tag == b'p' => {
                    let (body, length) = (frame.body.to_vec(), frame.bytes.len());
                    self.input.drain(..length);
                    return Ok(body);
                }
                Step::Complete(frame) if frame.tag == b'X' => return Err(End::CloseRequest),
                Step::Complete(_) => return Err(End::refused("unexpected message during login")),
                Step::Partial(_) => self.fill().await?,
            }
        }
    }
}
