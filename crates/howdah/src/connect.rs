//! Logging in to servers: which address, which credential, and what a failure means.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use howdah_backend::{Address, ConnectError, ConnectSpec, Server, TcpOptions};
use howdah_config::{Config, Database, LoadBalanceHosts, Secret as Kept, Settings};
use howdah_failover::Report;
use howdah_pool::{FailureKind, LoginId};
use howdah_protocol::auth::{Credential, Proved, Secret};
use howdah_session::{Commit, Guards, Level, ServerSide};

use crate::client::authenticate::Identity;
use crate::entry::Entry;
use crate::error::LoginFailure;
use crate::pooler::Pooler;
use crate::pools::PoolKey;
use crate::server::{ServerConn, ServerInfo};

/// What says what an acknowledgement is worth (FAILOVER_PROTOCOL.md section 9): a role may have its own values.
const GUARDS_SQL: &[u8] = b"SELECT pg_catalog.current_setting('client_min_messages'), \
    pg_catalog.current_setting('synchronous_commit')";

/// How long that question may take, where `server_connect_timeout` is off (time).
const LOOK_TIMEOUT: Duration = Duration::from_secs(15);

/// The `tcp_*` settings.
pub(crate) fn tcp_options(settings: &Settings) -> TcpOptions {
    TcpOptions {
        keepalive: settings.tcp_keepalive,
        keepalive_idle: settings.tcp_keepidle,
        keepalive_interval: settings.tcp_keepintvl,
        keepalive_count: settings.tcp_keepcnt,
        user_timeout: settings.tcp_user_timeout,
        buffer: settings.tcp_socket_buffer as usize,
    }
}

/// What proves the server user: the entry's password, else the secret that is kept of that user, else what the client
/// has proved.
fn credential(database: &Database, secret: Option<Kept>, proved: Option<&Proved>) -> Credential {
    if let Some(password) = &database.password {
        return Credential::Password(password.expose().into());
    }
    let keys = proved.filter(|_| database.user.is_none()).and_then(|proved| proved.scram_keys.as_ref());
    if let Some(secret) = secret.filter(|secret| !secret.is_empty()) {
        return Credential::from_secret(&Secret::parse(secret.expose()), keys);
    }
    match proved.and_then(|proved| proved.password.as_ref()) {
        Some(password) if database.user.is_none() => Credential::Password(password.clone()),
        _ => keys.map_or(Credential::None, |keys| Credential::ScramKeys(keys.clone())),
    }
}

/// Parameters that an entry asks of its servers at login.
fn startup_parameters(database: &Database) -> Vec<(String, String)> {
    let named = [
        ("client_encoding", &database.client_encoding),
        ("datestyle", &database.datestyle),
        ("timezone", &database.timezone),
        ("application_name", &database.application_name),
    ];
    named.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value.clone()?))).collect()
}

/// The lines about a login that has failed (PGBOUNCER_BEHAVIOUR.md sections 7, 9 and 15).
pub(crate) fn log_failure(name: &str, error: &ConnectError, age: Duration) {
    let reason = match error {
        ConnectError::NoSuchHost { host } => {
            tracing::warn!("DNS lookup failed: {host}");
            "server DNS lookup failed"
        }
        ConnectError::Unreachable(_) | ConnectError::Closed => {
            tracing::warn!("{name} {error}");
            "connect failed"
        }
        ConnectError::Timeout => "connect timeout",
        // The clients that waited for it close for the same reason.
        ConnectError::Refused(report) if !error.is_starting_up() => {
            tracing::warn!("{name} {error}");
            &report.message
        }
        _ => {
            tracing::warn!("{name} {error}");
            "login failed"
        }
    };
    tracing::info!("{name} closing because: {reason} (age={}s)", age.as_secs());
}

/// What a failed login means for those who wait; whoever watches the node hears of it.
pub(crate) fn failure_kind(entry: &Entry, key: &PoolKey, error: &ConnectError) -> FailureKind {
    if error.is_unreachable() {
        // In turn the next host is next anyway.
        if entry.database().load_balance_hosts == Some(LoadBalanceHosts::Disable) {
            entry.host_turn.fetch_add(1, Ordering::Relaxed);
        }
        let refused = matches!(error, ConnectError::Unreachable(io) if io.kind() == std::io::ErrorKind::ConnectionRefused);
        if !error.is_insecure() {
            entry.report(key.node, if refused { Report::Refused } else { Report::Silent });
        }
        FailureKind::Unreachable
    } else if error.is_starting_up() {
        FailureKind::StartingUp
    } else {
        FailureKind::Refused
    }
}

impl Pooler {
    /// Performs `Effect::Connect`: one attempt, and its result into the account.
    pub(crate) async fn log_in(self: &Arc<Self>, key: PoolKey, login: LoginId) {
        let Some(entry) = self.entry(&key.entry) else {
            let failure = LoginFailure { code: "08P01".to_owned(), message: "database removed".to_owned() };
            return self.account(|account, now| {
                account.login_failed(now, login, Arc::new(failure), FailureKind::Refused);
            });
        };
        let mut spec = self.connect_spec(&entry, &key);
        let id = self.next_id();
        self.roll.begin(login.server(), id, &spec.address);
        let begun = std::time::Instant::now();
        let connected = match self.resolve(&mut spec).await {
            Ok(()) => self.connect(&entry, &spec).await,
            Err(error) => Err(error),
        };
        match connected {
            Ok((server, guards)) => self.logged_in(&entry, (&key, login, id), &spec, (server, guards)),
            Err(error) => {
                let name = format!("S-0x{id:x}: {}/{}@{}", key.entry, key.user, spec.address);
                log_failure(&name, &error, begun.elapsed());
                self.login_refused(&entry, &key, login, &error);
            }
        }
    }

    /// Looks the host's name up.
    pub(crate) async fn resolve(&self, spec: &mut ConnectSpec) -> Result<(), ConnectError> {
        let Address::Tcp { host, port } = &spec.address else { return Ok(()) };
        let config = self.config.load_full();
        let found = self.dns.address(host, *port, &config.settings, self.clock.now()).await;
        spec.resolved = Some(found.map_err(|_| ConnectError::NoSuchHost { host: host.clone() })?);
        Ok(())
    }

    /// Connects; where Howdah promotes, it is seen what sessions of this user begin with.
    async fn connect(
        &self,
        entry: &Entry,
        spec: &ConnectSpec,
    ) -> Result<(Server, Option<Guards>), ConnectError> {
        let mut server = howdah_backend::connect(spec).await?;
        if self.config.load().managed(&entry.database()).is_none() {
            return Ok((server, None));
        }
        let limit = if spec.timeout.is_zero() { LOOK_TIMEOUT } else { spec.timeout };
        let row = tokio::time::timeout(limit, howdah_backend::ask(&mut server.stream, GUARDS_SQL)).await;
        let row = row.map_err(|_| ConnectError::Timeout)??;
        let word = |column: usize| {
            row.get(column).and_then(|word| std::str::from_utf8(word.as_deref()?).ok()).unwrap_or_default()
        };
        // A word that is not known is one of a later PostgreSQL: then the strictest is safe.
        let guards = Guards {
            level: Level::read(word(0)).unwrap_or(Level::Error),
            commit: Commit::read(word(1)).unwrap_or(Commit::On),
        };
        Ok((server, Some(guards)))
    }

    /// The secret of a server user: `auth_file`'s, else the one that `auth_query` has found for this entry.
    fn kept_secret(&self, config: &Config, entry: &Entry, user: &Arc<str>) -> Option<Kept> {
        config.auth_users.get(user).cloned().or_else(|| self.found.secret(&entry.name, user))
    }

    /// A client has logged in: what logs the servers of its pool in from now on.
    pub(crate) fn learn_credential(
        &self,
        entry: &Entry,
        (user, server_user): (&Arc<str>, &Arc<str>),
        identity: Identity,
    ) {
        if let Some(secret) = identity.found {
            self.found.remember(&entry.name, user, secret);
        }
        let config = self.config.load();
        let kept = self.kept_secret(&config, entry, server_user);
        let credential = credential(&entry.database(), kept, Some(&identity.proved));
        self.credentials.lock().insert((Arc::clone(&entry.name), Arc::clone(server_user)), credential);
    }

    pub(crate) fn connect_spec(&self, entry: &Entry, key: &PoolKey) -> ConnectSpec {
        let config = self.config.load();
        let database = entry.database();
        let credential = self
            .credentials
            .lock()
            .get(&(Arc::clone(&key.entry), Arc::clone(&key.user)))
            .cloned()
            .unwrap_or_else(|| credential(&database, self.kept_secret(&config, entry, &key.user), None));
        ConnectSpec {
            address: self.address(entry, key),
            resolved: None,
            user: key.user.to_string(),
            credential,
            database: database.dbname.clone().unwrap_or_else(|| entry.name.to_string()),
            parameters: startup_parameters(&database),
            connect_query: database.connect_query.clone().filter(|query| !query.is_empty()),
            timeout: config.settings.server_connect_timeout,
            tcp: tcp_options(&config.settings),
            tls: self.tls.load().server.clone(),
        }
    }

    fn address(&self, entry: &Entry, key: &PoolKey) -> Address {
        let database = entry.database();
        if let (Some(node), Some(cluster)) = (key.node, &entry.cluster) {
            let topology = cluster.handle.topology();
            if let Some(node) = topology.node(node) {
                return Address::new(&node.host, node.port);
            }
        }
        let turn = match database.load_balance_hosts {
            // Stays where it is until a connect fails, which moves the turn on.
            Some(LoadBalanceHosts::Disable) => entry.host_turn.load(Ordering::Relaxed),
            _ => entry.host_turn.fetch_add(1, Ordering::Relaxed),
        };
        let default = self.config.load().settings.unix_socket_dir.clone();
        let host = match database.host.len() {
            0 => default.as_str(),
            hosts => &database.host[turn % hosts],
        };
        Address::new(host, database.port)
    }

    fn logged_in(
        self: &Arc<Self>,
        entry: &Entry,
        (key, login, id): (&PoolKey, LoginId, u64),
        spec: &ConnectSpec,
        (server, guards): (Server, Option<Guards>),
    ) {
        let info = ServerInfo::new((id, &key.entry, &key.user), spec.address.clone(), key.node, &server);
        let from = info.local.map(|local| format!(" (from {local})")).unwrap_or_default();
        tracing::info!("{} new connection to server{from}", info.log_name());
        let reported = server.parameters.iter().map(|(name, value)| (&**name, &**value));
        let side = ServerSide::new(&self.session.tracked, reported, false);
        let side = side.with_node(key.node, self.clock.now());
        let side = if let Some(guards) = guards { side.with_guards(guards) } else { side };
        entry.learn_welcome(&key.user, &server.parameters);
        let info = Arc::new(info);
        self.roll.add(login.server(), &info);
        let (input, output) = (Vec::new(), Vec::new());
        let conn = ServerConn { stream: server.stream, side, info, input, output };
        self.account(|account, now| account.login_succeeded(now, login, Box::new(conn)));
    }

    fn login_refused(self: &Arc<Self>, entry: &Entry, key: &PoolKey, login: LoginId, error: &ConnectError) {
        if let ConnectError::Auth(howdah_protocol::auth::AuthError::WrongPasswordType { detail }) = error {
            tracing::error!("{}/{}: {detail}", key.entry, key.user);
        }
        let kind = failure_kind(entry, key, error);
        let failure = Arc::new(LoginFailure::from(error));
        self.account(|account, now| account.login_failed(now, login, failure, kind));
        self.roll.end(login.server());
    }
}
