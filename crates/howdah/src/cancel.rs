//! CancelRequest: found by its key, sent to the server that the client has at this moment, and held until it has
//! arrived so that it never hits somebody else (PGBOUNCER_BEHAVIOUR.md section 11).
//!
//! Where Howdah promotes, a commit that waits for a standby is not interrupted: the server would answer it as a success
//! that no standby has (FAILOVER_PROTOCOL.md section 9). Such a request is dropped, since when the wait is over there is
//! nothing left that it was meant for. Between the look at the server and the request's arrival the wait may begin;
//! then the client is told 08007, as whenever that wait is interrupted.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use howdah_backend::{ConnectError, ConnectSpec, RunError};
use howdah_config::Failover;
use howdah_protocol::auth::Credential;

use crate::connect::tcp_options;
use crate::pooler::Pooler;
use crate::server::ServerInfo;

/// How long a cancel request may take to arrive (time); the server it is meant for is held back meanwhile.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(10);

/// How long it may take to see what the server waits for (time); a server that cannot be asked gets no cancel request.
const LOOK_TIMEOUT: Duration = Duration::from_secs(2);

/// The pause before another look at a server that writes its log, as each commit does before it waits for a standby.
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// A server that writes its log for so long is at something larger than a commit.
const LONGEST_COMMIT: Duration = Duration::from_millis(500);

/// Holds a server back from reuse.
struct Held(Arc<ServerInfo>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.cancel_ends();
    }
}

/// Cancels what the owner of this key is doing. An unknown key and an idle client are nothing to do.
pub(crate) async fn cancel(pooler: &Pooler, pid: u32, key: &[u8]) {
    let Ok(secret) = <[u8; 4]>::try_from(key) else { return };
    let mut whole = [0_u8; 8];
    whole[..4].copy_from_slice(&pid.to_be_bytes());
    whole[4..].copy_from_slice(&secret);
    let Some(client) = pooler.clients.by_key(&whole) else { return };
    if client.console.load(Ordering::Relaxed) {
        return pooler.consoles.cancel(client.id);
    }
    let held = {
        // Under the client's lock: it lets go of its server under the same one, so the count is up before the
        // server can be given back.
        let link = client.link.lock();
        let Some(server) = &*link else { return };
        server.cancel_begins();
        Held(Arc::clone(server))
    };
    let options = tcp_options(&pooler.config.load().settings);
    let server = &held.0;
    if let Err(why) = may_be_canceled(pooler, server).await {
        tracing::warn!("{} cancel request of {} dropped: {why}", server.log_name(), client.log_name());
        return;
    }
    // The very machine that the server is on: its name may stand for several.
    let address = server.peer.map_or_else(
        || server.address.clone(),
        |peer| howdah_backend::Address::Tcp { host: peer.ip().to_string(), port: peer.port() },
    );
    let tls = pooler.tls.load_full();
    // Certificates are for the name.
    let how = (&options, tls.server.as_ref().map(|tls| (tls, &server.address)));
    let sent = howdah_backend::cancel(&address, (server.pid, &server.key), how, CANCEL_TIMEOUT).await;
    if let Err(error) = sent {
        tracing::warn!("{} cancel request failed: {error}", server.log_name());
    }
}

/// Whether what the server does may be interrupted, or why not, one sentence.
async fn may_be_canceled(pooler: &Pooler, server: &ServerInfo) -> Result<(), String> {
    let Some(spec) = observer(pooler, server) else { return Ok(()) };
    let look = async {
        let mut observer = howdah_backend::connect(&spec).await.map_err(Unseen::Connect)?;
        let begun = Instant::now();
        loop {
            match wait_of(&mut observer.stream, server.pid).await.map_err(Unseen::Run)? {
                Wait::Standby => return Ok::<bool, Unseen>(false),
                Wait::Log if begun.elapsed() < LONGEST_COMMIT => tokio::time::sleep(LOOK_AGAIN).await,
                Wait::Log | Wait::Other => return Ok(true),
            }
        }
    };
    match tokio::time::timeout(LOOK_TIMEOUT, look).await {
        Ok(Ok(true)) => Ok(()),
        Ok(Ok(false)) => Err("its commit waits for synchronous replication".to_owned()),
        Ok(Err(unseen)) => Err(format!("what it waits for cannot be seen: {unseen}")),
        Err(_) => Err("what it waits for could not be seen in time".to_owned()),
    }
}

/// Why a server could not be looked at.
#[derive(Debug, thiserror::Error)]
enum Unseen {
    #[error("{0}")]
    Connect(ConnectError),
    #[error("{0}")]
    Run(RunError),
}

/// What a backend waits for.
enum Wait {
    /// For a standby to have its commit.
    Standby,
    /// For its own log: a commit may go on to wait for a standby.
    Log,
    /// For something else, or for nothing.
    Other,
}

async fn wait_of(stream: &mut howdah_backend::Stream, pid: u32) -> Result<Wait, RunError> {
    let sql = format!(
        "SELECT pg_catalog.lower(wait_event) FROM pg_catalog.pg_stat_activity WHERE pid = {pid}::pg_catalog.int4"
    );
    let row = howdah_backend::ask(stream, sql.as_bytes()).await?;
    Ok(match row.first().and_then(|event| event.as_deref()) {
        Some(b"syncrep") => Wait::Standby,
        // LWLocks and events of input and output have the same names here, with other capitals since 17.
        Some(b"walsync" | b"walwrite" | b"walwritelock") => Wait::Log,
        _ => Wait::Other,
    })
}

/// How Howdah's own role looks at the server's node, where Howdah promotes.
fn observer(pooler: &Pooler, server: &ServerInfo) -> Option<ConnectSpec> {
    server.node?;
    let config = pooler.config.load();
    let entry = pooler.entry(&server.entry)?;
    let cluster = config.clusters.get(&entry.cluster.as_ref()?.name)?;
    (cluster.failover == Failover::Manage).then(|| ConnectSpec {
        address: server.address.clone(),
        resolved: server.peer,
        user: cluster.user.clone().unwrap_or_else(|| "postgres".to_owned()),
        credential: match &cluster.password {
            Some(password) => Credential::Password(password.expose().into()),
            None => Credential::None,
        },
        database: cluster.dbname.clone(),
        parameters: vec![("application_name".to_owned(), "howdah".to_owned())],
        connect_query: None,
        timeout: LOOK_TIMEOUT,
        tcp: tcp_options(&config.settings),
        tls: pooler.tls.load().server.clone(),
    })
}
