//! A server connection as the pool keeps it, and what others may know of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::SystemTime;

use howdah_backend::{Address, Stream};
use howdah_protocol::startup::Replication;
use howdah_session::ServerSide;
use howdah_topology::NodeId;
use tokio::sync::Notify;

use crate::takeover::CarriedConn;

/// What SHOW SERVERS and a cancel need to know.
#[derive(Debug)]
pub(crate) struct ServerInfo {
    /// Its number in SHOW SERVERS; shared counter with clients.
    pub(crate) id: u64,
    /// Its database entry.
    pub(crate) entry: Arc<str>,
    /// The server user.
    pub(crate) user: Arc<str>,
    pub(crate) address: Address,
    /// The node of a cluster.
    pub(crate) node: Option<NodeId>,
    pub(crate) local: Option<std::net::SocketAddr>,
    pub(crate) peer: Option<std::net::SocketAddr>,
    pub(crate) connected: SystemTime,
    /// What the server and we have agreed on; `None` without TLS.
    pub(crate) tls: Option<howdah_tls::Negotiated>,
    /// The backend's process id.
    pub(crate) pid: u32,
    /// What a CancelRequest needs.
    pub(crate) key: Box<[u8]>,
    /// The client that it serves; 0: none.
    pub(crate) client: AtomicU64,
    pub(crate) prepared: AtomicU32,
    /// A replication client's own server, of this kind.
    pub(crate) replication: Replication,
    /// Cancel requests under way: until they have arrived the server serves nobody else
    /// (PGBOUNCER_BEHAVIOUR.md section 11).
    cancels: AtomicU32,
    canceled: Notify,
    /// How often a client has given it back.
    releases: AtomicU64,
}

impl ServerInfo {
    pub(crate) fn new(
        (id, entry, user): (u64, &Arc<str>, &Arc<str>),
        address: Address,
        node: Option<NodeId>,
        server: &howdah_backend::Server,
    ) -> Self {
        Self {
            id,
            entry: Arc::clone(entry),
            user: Arc::clone(user),
            address,
            node,
            local: server.stream.local(),
            peer: server.stream.peer(),
            connected: SystemTime::now(),
            tls: server.stream.negotiated(),
            pid: server.pid,
            key: server.key.clone(),
            client: AtomicU64::new(0),
            prepared: AtomicU32::new(0),
            replication: Replication::None,
            cancels: AtomicU32::new(0),
            canceled: Notify::new(),
            releases: AtomicU64::new(0),
        }
    }

    /// The same, for a replication client of this kind.
    pub(crate) fn replicating(self, replication: Replication) -> Self {
        Self { replication, ..self }
    }

    /// What another process knew of it.
    pub(crate) fn carried(carried: &CarriedConn, address: Address, stream: &Stream) -> Self {
        Self {
            id: carried.id,
            entry: carried.entry.as_str().into(),
            user: carried.user.as_str().into(),
            address,
            node: None,
            local: stream.local(),
            peer: stream.peer(),
            connected: crate::takeover::wall(carried.connected),
            // A connection over TLS cannot be handed over.
            tls: None,
            pid: carried.pid,
            key: carried.key.0[..].into(),
            client: AtomicU64::new(0),
            prepared: AtomicU32::new(carried.prepared),
            replication: Replication::None,
            cancels: AtomicU32::new(0),
            canceled: Notify::new(),
            releases: AtomicU64::new(0),
        }
    }

    /// How a log line about it begins (PGBOUNCER_BEHAVIOUR.md section 1).
    pub(crate) fn log_name(&self) -> String {
        format!("S-0x{:x}: {}/{}@{}", self.id, self.entry, self.user, self.address)
    }

    /// A client gives it back: what it did for that client is over.
    pub(crate) fn release(&self) {
        self.client.store(0, Ordering::Relaxed);
        self.releases.fetch_add(1, Ordering::AcqRel);
    }

    /// How often that was.
    pub(crate) fn releases(&self) -> u64 {
        self.releases.load(Ordering::Acquire)
    }

    /// A cancel request goes out.
    pub(crate) fn cancel_begins(&self) {
        self.cancels.fetch_add(1, Ordering::AcqRel);
    }

    /// It has arrived, or failed.
    pub(crate) fn cancel_ends(&self) {
        if self.cancels.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.canceled.notify_waiters();
        }
    }

    /// Cancel requests under way.
    pub(crate) fn cancels(&self) -> u32 {
        self.cancels.load(Ordering::Acquire)
    }

    /// Whether cancel requests are under way.
    pub(crate) fn is_being_canceled(&self) -> bool {
        self.cancels() > 0
    }

    /// Waits until none is.
    pub(crate) async fn canceled(&self) {
        loop {
            let notified = self.canceled.notified();
            tokio::pin!(notified);
            notified.as_mut().enable();
            if !self.is_being_canceled() {
                return;
            }
            notified.await;
        }
    }
}

/// A server connection.
#[derive(Debug)]
pub(crate) struct ServerConn {
    pub(crate) stream: Stream,
    pub(crate) side: ServerSide,
    pub(crate) info: Arc<ServerInfo>,
    /// An incomplete frame from the server.
    pub(crate) input: Vec<u8>,
    /// What the socket did not take yet.
    pub(crate) output: Vec<u8>,
}

impl ServerConn {
    /// Whether it could serve somebody right now: nothing half read or written, and the server is still there.
    pub(crate) fn is_fresh(&mut self) -> bool {
        self.input.is_empty() && self.output.is_empty() && !self.stream.is_disturbed()
    }

    /// Says goodbye if the socket takes it at once, and closes. Nothing is sent behind half a frame
    /// (PGBOUNCER_BEHAVIOUR.md section 17, fault 1).
    pub(crate) fn close(mut self, clean: bool) {
        if clean && self.output.is_empty() {
            let mut out = Vec::new();
            howdah_protocol::write::terminate(&mut out);
            let waker = futures_util::task::noop_waker();
            let _ = self.stream.poll_write(&mut std::task::Context::from_waker(&waker), &out);
        }
    }
}
