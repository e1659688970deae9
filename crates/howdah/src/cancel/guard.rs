//! Where Howdah promotes, a commit that waits for a standby is not interrupted: the server would answer it as a success
//! that no standby has (FAILOVER_PROTOCOL.md section 9). Such a request is dropped, since when the wait is over there is
//! nothing left that it was meant for. Between the look at the server and the request's arrival the wait may begin;
//! then the client is told 08007, as whenever that wait is interrupted.

use std::time::{Duration, Instant};

use howdah_backend::{ConnectError, ConnectSpec, RunError};
use howdah_config::Failover;
use howdah_protocol::auth::Credential;

use crate::connect::tcp_options;
use crate::pooler::Pooler;
use crate::server::ServerInfo;

/// How long it may take to see what the server waits for (time); a server that cannot be asked gets no cancel request.
const LOOK_TIMEOUT: Duration = Duration::from_secs(2);

/// The pause before another look at a server that writes its log, as each commit does before it waits for a standby.
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// A server that writes its log for so long is at something larger than a commit.
const LONGEST_COMMIT: Duration = Duration::from_millis(500);

/// Whether what the server does may be interrupted, or why not, one sentence.
pub(super) async fn may_be_canceled(pooler: &Pooler, server: &ServerInfo) -> Result<(), String> {
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
