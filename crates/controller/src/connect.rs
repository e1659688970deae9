//! Opens Howdah's own sessions on a node: every wait bounded, and the end of a session told at once.
//!
//! A killed server's kernel closes its sockets in a millisecond; the task that drives a session sees that long
//! before the next probe would. It reports the node, which is the fast path of detection. Read next: `control.rs`.

use std::error::Error as _;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use deadpool_postgres::Connect;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, StreamExt as _, stream};
use howdah_failover::{ProbeFailure, Report};
use howdah_topology::NodeId;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_postgres::config::SslMode;
use tokio_postgres::error::SqlState;
use tokio_postgres::{AsyncMessage, Client, Config, NoTls};

use crate::config::{ControllerConfig, NodeConfig};
use crate::tls::ControlTls;

/// The database of the votes: the space of advisory locks is one a database (FAILOVER_PROTOCOL.md §4).
pub(crate) const VOTE_DATABASE: &str = "postgres";

/// `application_name` of every session of the control plane.
pub(crate) const APPLICATION_NAME: &str = "howdah";

/// Where the data path and our own sessions report nodes; bounded, and a report that finds it full is dropped.
pub(crate) type ReportSender = mpsc::Sender<(NodeId, Report)>;

/// How long an answer is waited for (`probe_timeout`): may change while it runs. Microseconds.
#[derive(Debug)]
struct Limit(AtomicU64);

impl Limit {
    fn new(limit: Duration) -> Self {
        let this = Self(AtomicU64::new(0));
        this.set(limit);
        this
    }

    fn set(&self, limit: Duration) {
        self.0.store(u64::try_from(limit.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

/// What a session needs to be opened.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) node: NodeId,
    pub(crate) config: Config,
    /// Shared by everything that opens sessions there.
    limit: Arc<Limit>,
    tls: ControlTls,
    pub(crate) reports: ReportSender,
}

/// An open session and, once it has ended, how.
pub(crate) struct Session {
    pub(crate) client: Arc<Client>,
    pub(crate) ended: Arc<OnceLock<ProbeFailure>>,
}

impl Session {
    /// How it ended; `None` while it stands.
    pub(crate) fn failure(&self) -> Option<ProbeFailure> {
        self.ended.get().copied().or_else(|| self.client.is_closed().then_some(ProbeFailure::Eof))
    }
}

impl Target {
    /// The target of a node's control-plane sessions.
    pub(crate) fn new(
        settings: &ControllerConfig,
        node: NodeId,
        at: &NodeConfig,
        reports: ReportSender,
    ) -> Self {
        let limit = Arc::new(Limit::new(settings.probe_timeout));
        let second = Duration::from_secs(1);
        let mut config = Config::new();
        config.user(&settings.user).dbname(VOTE_DATABASE).application_name(APPLICATION_NAME);
        if let Some(password) = &settings.password {
            config.password(password);
        }
        if at.host.starts_with('/') {
            config.host_path(&at.host);
        } else {
            config.host(&at.host);
        }
        config.port(at.port).ssl_mode(SslMode::Disable);
        // No limit of the driver's: `open` and the pool limit the whole handshake.
        config.tcp_user_timeout(second * 3);
        config.keepalives(true).keepalives_idle(second).keepalives_interval(second).keepalives_retries(2);
        // Dropping a query of ours does not end it on the server: the server does it itself. Its own keepalives
        // find out when we are cut off, so that our vote does not outlive us.
        config.options(format!(
            "-c statement_timeout={} -c client_min_messages=warning -c synchronous_commit=local \
             -c tcp_keepalives_idle=1 -c tcp_keepalives_interval=1 -c tcp_keepalives_count=2 \
             -c tcp_user_timeout=3000",
            settings.action_timeout.as_millis()
        ));
        Self { node, config, limit, tls: settings.tls.clone(), reports }
    }

    /// How long an answer is waited for.
    pub(crate) fn limit(&self) -> Duration {
        Duration::from_micros(self.limit.0.load(Ordering::Relaxed))
    }

    /// Another limit from now on.
    pub(crate) fn set_limit(&self, limit: Duration) {
        self.limit.set(limit);
    }

    /// The same node in another database.
    pub(crate) fn in_database(&self, dbname: &str) -> Self {
        let mut other = self.clone();
        other.config.dbname(dbname);
        other
    }

    /// Opens a session within the limit. When it ends without our doing, the node is reported.
    pub(crate) async fn open(&self) -> Result<Session, ProbeFailure> {
        let ended = Arc::new(OnceLock::new());
        let begun = self.begin(&self.config, Arc::clone(&ended));
        match tokio::time::timeout(self.limit(), begun).await {
            Err(_) => Err(ProbeFailure::Silent),
            Ok(Err(e)) => Err(failure_of(&e)),
            Ok(Ok((client, _))) => Ok(Session { client: Arc::new(client), ended }),
        }
    }

    /// Logs in, with TLS as it is in force, and lets a task drive the session.
    async fn begin(
        &self,
        config: &Config,
        ended: Arc<OnceLock<ProbeFailure>>,
    ) -> Result<(Client, JoinHandle<()>), tokio_postgres::Error> {
        let (node, reports) = (self.node, self.reports.clone());
        let Some((mode, tls)) = self.tls.of(config) else {
            let (client, connection) = config.connect(NoTls).await?;
            return Ok((client, tokio::spawn(drive(connection, node, reports, ended))));
        };
        let mut config = config.clone();
        config.ssl_mode(mode);
        let (client, connection) = config.connect(tls).await?;
        Ok((client, tokio::spawn(drive(connection, node, reports, ended))))
    }
}

impl Connect for Target {
    fn connect(
        &self,
        config: &Config,
    ) -> BoxFuture<'_, Result<(Client, JoinHandle<()>), tokio_postgres::Error>> {
        let config = config.clone();
        async move { self.begin(&config, Arc::default()).await }.boxed()
    }
}

/// Drives a session to its end, keeps how it ended, and reports the node.
async fn drive<S, T>(
    mut connection: tokio_postgres::Connection<S, T>,
    node: NodeId,
    reports: ReportSender,
    ended: Arc<OnceLock<ProbeFailure>>,
) where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let mut failure = None;
    {
        let mut messages = stream::poll_fn(|cx| connection.poll_message(cx));
        while let Some(message) = messages.next().await {
            match message {
                // An immediate shutdown and the crash of another backend announce themselves as warnings.
                Ok(AsyncMessage::Notice(notice)) if is_going_down(notice.code()) => {
                    failure = Some(ProbeFailure::StartingOrStopping);
                }
                Ok(_) => {}
                Err(e) => {
                    failure = Some(failure.unwrap_or_else(|| failure_of(&e)));
                    break;
                }
            }
        }
    }
    // Without an error it is our own doing: the client was dropped.
    if let Some(failure) = failure {
        // Set before the connection is dropped, which is what fails the queries that wait.
        let _ = ended.set(failure);
        let _ = reports.try_send((node, Report::Eof));
    }
    drop(connection);
}

/// Codes with which a server that is going down or coming up answers.
fn is_going_down(code: &SqlState) -> bool {
    [SqlState::ADMIN_SHUTDOWN, SqlState::CRASH_SHUTDOWN, SqlState::CANNOT_CONNECT_NOW].contains(code)
}

/// What an error says of the node.
pub(crate) fn failure_of(error: &tokio_postgres::Error) -> ProbeFailure {
    if let Some(code) = error.code() {
        return if is_going_down(code) { ProbeFailure::StartingOrStopping } else { ProbeFailure::Rejected };
    }
    if error.is_closed() {
        return ProbeFailure::Eof;
    }
    let Some(io) = error.source().and_then(|source| source.downcast_ref::<io::Error>()) else {
        // Neither the server's word nor the network's: a password that is missing, a protocol violation.
        return ProbeFailure::Rejected;
    };
    match io.kind() {
        io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => ProbeFailure::Refused,
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::UnexpectedEof => ProbeFailure::Eof,
        _ => ProbeFailure::Silent,
    }
}
