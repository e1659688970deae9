//! What a program holds of a running pooler.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::client::accept;
use crate::client::stream::ClientStream;
use crate::pooler::{Pooler, Stage};

/// Bytes that one direction of a pipe holds.
const PIPE_SIZE: usize = 64 * 1024;

/// How long `shutdown` waits for clients and controllers to end (time).
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(10);

/// A client connection inside the process, without a socket; `tokio_postgres::Config::connect_raw` takes it.
pub type Pipe = tokio::io::DuplexStream;

/// Why there is no connection inside the process.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PipeError {
    /// No entry has this name, and there is no `*`.
    #[error("no such database: {0}")]
    NoSuchDatabase(String),
    /// The pooler takes no new clients.
    #[error("pooler is shutting down")]
    ShuttingDown,
}

/// A running pooler. Clones speak to the same one; it runs until [`Handle::shutdown`].
#[derive(Debug, Clone)]
pub struct Handle {
    pooler: Arc<Pooler>,
    addresses: Arc<[SocketAddr]>,
    http: Option<SocketAddr>,
}

impl Handle {
    pub(crate) fn new(pooler: Arc<Pooler>, addresses: Vec<SocketAddr>, http: Option<SocketAddr>) -> Self {
        Self { pooler, addresses: addresses.into(), http }
    }

    /// The TCP addresses that clients reach it under.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Where metrics, health and dashboard are, if `http_listen` is set.
    pub fn http_address(&self) -> Option<SocketAddr> {
        self.http
    }

    /// A client connection inside the process, to this database entry as this user. It speaks the wire protocol from
    /// the startup packet on, and is not asked for a password: the program vouches for its user.
    ///
    /// # Errors
    /// [`PipeError`]: there is no such entry, or the pooler shuts down.
    pub async fn connect(&self, database: &str, user: &str) -> Result<Pipe, PipeError> {
        if self.pooler.stage() > Stage::Running {
            return Err(PipeError::ShuttingDown);
        }
        if database != howdah_config::CONSOLE_DATABASE && self.pooler.find_entry(database).is_none() {
            return Err(PipeError::NoSuchDatabase(database.to_owned()));
        }
        let (ours, theirs) = tokio::io::duplex(PIPE_SIZE);
        let vouched = Some((database.to_owned(), user.to_owned()));
        tokio::spawn(accept(Arc::clone(&self.pooler), ClientStream::Pipe(Box::new(ours)), vouched));
        Ok(theirs)
    }

    /// Reads the configuration file again and puts it into force (RELOAD, SIGHUP). The error is the list of
    /// mistakes; the old configuration stays in force then.
    ///
    /// # Errors
    /// The file cannot be read, or has mistakes.
    pub fn reload(&self) -> Result<(), String> {
        self.pooler.reload_file().map(drop)
    }

    /// PAUSE (SIGUSR1): returns when every server is released.
    ///
    /// # Errors
    /// It is paused already.
    pub async fn pause(&self) -> Result<(), String> {
        crate::console::pause(&self.pooler, None).await.map_err(|error| error.to_string())
    }

    /// RESUME (SIGUSR2).
    ///
    /// # Errors
    /// It is not paused.
    pub fn resume(&self) -> Result<(), String> {
        crate::console::resume(&self.pooler, None).map_err(|error| error.to_string())
    }

    /// Whether a shutdown has begun.
    #[must_use]
    pub fn is_shutting_down(&self) -> bool {
        self.pooler.stage() > Stage::Running
    }

    /// Whether PAUSE of everything is in force.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.pooler.paused.load(std::sync::atomic::Ordering::SeqCst)
    }

    /// Whether SUSPEND is in force.
    #[must_use]
    pub fn is_suspended(&self) -> bool {
        self.pooler.is_suspended()
    }

    /// No new clients; ends when the last one has left (SIGTERM, SHUTDOWN WAIT_FOR_CLIENTS).
    pub fn stop_after_clients(&self) {
        self.pooler.enter(Stage::WaitForClients);
    }

    /// No new clients, no more servers; ends when the last server is released (SIGINT, SHUTDOWN WAIT_FOR_SERVERS).
    pub fn stop_after_servers(&self) {
        crate::console::wait_for_servers(&self.pooler);
    }

    /// Ready when the pooler has stopped, whoever ordered it.
    pub async fn stopped(&self) {
        let mut stage = self.pooler.stage.subscribe();
        // The sender is in the pooler that we hold.
        let _ = stage.wait_for(|stage| *stage == Stage::Stopping).await;
    }

    /// Stops at once: clients are told and closed, controllers let go of their votes. Returns when that is done,
    /// or after ten seconds.
    pub async fn shutdown(&self) {
        self.pooler.enter(Stage::Stopping);
        // Another process goes on with the clients and servers of this one: they must not hear anything from here.
        let is_handed_over = self.pooler.is_handed_over();
        if !is_handed_over {
            self.pooler.close_clients(None, "pooler is shutting down");
        }
        let all = async {
            for cluster in self.pooler.clusters.values() {
                cluster.handle.shutdown().await;
            }
            if is_handed_over {
                return;
            }
            while self.pooler.clients.len() > 0 {
                self.pooler.clients.left().await;
            }
            self.pooler.close_servers();
        };
        if tokio::time::timeout(SHUTDOWN_TIMEOUT, all).await.is_err() {
            tracing::warn!("some clients or controllers did not end in time");
        }
    }
}
