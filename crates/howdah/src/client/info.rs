//! What others may know of a client and do to it: SHOW CLIENTS, KILL, cancel, timeouts.
//!
//! The client's own task writes the figures as it goes; others read them, or leave an order and wake the task.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use futures_util::task::AtomicWaker;
use howdah_protocol::startup::Replication;
use howdah_protocol::write::{self, WriteError};
use howdah_topology::Time;
use parking_lot::Mutex;

use crate::client::stream::Peer;
use crate::pooler::Login;
use crate::server::ServerInfo;

/// What a client is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Phase {
    /// Not logged in yet.
    Login,
    /// Logged in, and nothing is asked.
    Idle,
    /// Waits for a server.
    Waiting,
    /// Has a server that works for it.
    Query,
    /// Has a server, in a transaction, and says nothing.
    IdleInTransaction,
    /// Has a server (session pooling), outside a transaction, and says nothing.
    Linked,
    /// A replication connection with its server; what it does there is not looked at.
    Replication,
    /// No session but a cancel request, which waits for a connection to carry it.
    WaitingCancel,
    /// A cancel request that is carried.
    ActiveCancel,
}

impl Phase {
    /// Whether it is nobody's session yet, or a cancel request, which will never be one.
    pub(crate) fn is_outside(self) -> bool {
        matches!(self, Self::Login | Self::WaitingCancel | Self::ActiveCancel)
    }

    /// The phase of this number; `Login` for one that there is not.
    pub(crate) fn from_u8(value: u8) -> Self {
        use Phase::{ActiveCancel, Idle, IdleInTransaction, Linked, Login, Query, Replication, Waiting};
        [
            Login,
            Idle,
            Waiting,
            Query,
            IdleInTransaction,
            Linked,
            Replication,
            Phase::WaitingCancel,
            ActiveCancel,
        ]
        .get(usize::from(value))
        .copied()
        .unwrap_or(Login)
    }
}

/// One connected client.
#[derive(Debug)]
pub(crate) struct ClientInfo {
    /// Its number in SHOW CLIENTS; shared counter with servers.
    pub(crate) id: u64,
    pub(crate) peer: Peer,
    pub(crate) connected: SystemTime,
    /// What the client got as its cancel key.
    pub(crate) cancel_key: [u8; 8],
    /// Entry and user, once they are known.
    pub(crate) who: Mutex<(Arc<str>, Arc<str>)>,
    /// While `auth_query` looks it up: the entry and user of the pool that is asked.
    pub(crate) looked_up_by: Mutex<Option<Login>>,
    /// What it and we have agreed on; empty without TLS.
    pub(crate) tls: OnceLock<howdah_tls::Negotiated>,
    /// What kind of session it asked for; empty before its startup packet was read.
    pub(crate) replication: OnceLock<Replication>,
    /// The console's own clients are spared by KILL and SHUTDOWN waits.
    pub(crate) console: AtomicBool,
    phase: AtomicU8,
    since: AtomicU64,
    /// When the last request began.
    requested: AtomicU64,
    transaction_since: AtomicU64,
    /// Since when it waits at the gate with a server; `u64::MAX`: it does not.
    held: AtomicU64,
    pub(crate) application_name: Mutex<Arc<[u8]>>,
    pub(crate) prepared: AtomicU32,
    /// Its commits wait for no standby, where they should.
    pub(crate) unprotected: AtomicBool,
    /// The server that it is linked to.
    pub(crate) link: Mutex<Option<Arc<ServerInfo>>>,
    order: Mutex<Option<Order>>,
    ordered: AtomicBool,
    /// Its task is to hold still.
    pub(crate) held_still: AtomicBool,
    /// Its task does.
    pub(crate) parked: AtomicBool,
    /// Whoever wants to know of a client that holds still what another process needs.
    pub(crate) inquiry: Mutex<Option<Inquiry>>,
    waker: AtomicWaker,
}

/// The way back of a question.
pub(crate) type Inquiry = tokio::sync::oneshot::Sender<Option<Box<super::park::Described>>>;

/// What somebody else wants of a client's task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Order {
    /// Close it, with this reason for the client and the log.
    Close(&'static str),
    /// Its server is of an epoch that has ended: treat it as lost.
    ServerLost,
    /// Hold still; stands until it is taken back.
    Park,
}

impl ClientInfo {
    pub(crate) fn new(id: u64, peer: Peer, cancel_key: [u8; 8]) -> Self {
        let nobody: Arc<str> = Arc::from("");
        Self {
            id,
            peer,
            connected: SystemTime::now(),
            cancel_key,
            who: Mutex::new((Arc::clone(&nobody), nobody)),
            looked_up_by: Mutex::new(None),
            tls: OnceLock::new(),
            replication: OnceLock::new(),
            console: AtomicBool::new(false),
            phase: AtomicU8::new(Phase::Login as u8),
            since: AtomicU64::new(0),
            requested: AtomicU64::new(0),
            transaction_since: AtomicU64::new(u64::MAX),
            held: AtomicU64::new(u64::MAX),
            application_name: Mutex::new(Arc::from(&b""[..])),
            prepared: AtomicU32::new(0),
            unprotected: AtomicBool::new(false),
            link: Mutex::new(None),
            order: Mutex::new(None),
            ordered: AtomicBool::new(false),
            held_still: AtomicBool::new(false),
            parked: AtomicBool::new(false),
            inquiry: Mutex::new(None),
            waker: AtomicWaker::new(),
        }
    }

    /// Appends BackendKeyData: the first half of the cancel key stands where a server has its process id.
    ///
    /// # Errors
    /// None in practice: the key has a length that the message can hold.
    pub(crate) fn write_cancel_key(&self, out: &mut Vec<u8>) -> Result<(), WriteError> {
        let [a, b, c, d, secret @ ..] = &self.cancel_key;
        write::backend_key_data(out, u32::from_be_bytes([*a, *b, *c, *d]), secret)
    }

    /// How a log line about it begins (PGBOUNCER_BEHAVIOUR.md section 1).
    pub(crate) fn log_name(&self) -> String {
        let (database, user) = self.who.lock().clone();
        let named =
            |name: Arc<str>, nobody: &str| if name.is_empty() { nobody.to_owned() } else { name.to_string() };
        let (database, user) = (named(database, "(nodb)"), named(user, "(nouser)"));
        match self.peer {
            Peer::Tcp { peer, .. } => format!("C-0x{:x}: {database}/{user}@{peer}", self.id),
            Peer::Unix { pid, port, .. } => {
                format!("C-0x{:x}: {database}/{user}@unix({pid}):{port}", self.id)
            }
            Peer::Pipe => format!("C-0x{:x}: {database}/{user}@pipe", self.id),
        }
    }

    /// `application_name` as servers see it with `application_name_add_host`: where the client comes from stands behind
    /// its own name, or behind `app`.
    pub(crate) fn name_with_host(&self, name: &[u8]) -> Vec<u8> {
        let host = match self.peer {
            Peer::Tcp { peer, .. } => peer.to_string(),
            Peer::Unix { pid, port, .. } => {
                format!("unix({pid}@{}):{port}", rustix::system::uname().nodename().to_string_lossy())
            }
            Peer::Pipe => "pipe".to_owned(),
        };
        let mut whole = if name.is_empty() { b"app".to_vec() } else { name.to_vec() };
        whole.extend_from_slice(format!(" - {host}").as_bytes());
        whole
    }

    /// The client is in this phase from now on.
    pub(crate) fn enter(&self, phase: Phase, now: Time) {
        self.phase.store(phase as u8, Ordering::Relaxed);
        self.since.store(now.0, Ordering::Relaxed);
        if matches!(phase, Phase::Waiting | Phase::Query) {
            self.ask(now);
        }
    }

    /// A request begins.
    pub(crate) fn ask(&self, now: Time) {
        self.requested.store(now.0, Ordering::Relaxed);
    }

    /// When the last request began; `None`: there was none.
    pub(crate) fn requested(&self) -> Option<Time> {
        Some(self.requested.load(Ordering::Relaxed)).filter(|at| *at > 0).map(Time)
    }

    /// The phase, and since when.
    pub(crate) fn phase(&self) -> (Phase, Time) {
        let phase = Phase::from_u8(self.phase.load(Ordering::Relaxed));
        (phase, Time(self.since.load(Ordering::Relaxed)))
    }

    /// A transaction begins, or ends with `None`.
    pub(crate) fn transaction(&self, since: Option<Time>) {
        self.transaction_since.store(since.map_or(u64::MAX, |time| time.0), Ordering::Relaxed);
    }

    /// Since when the client is in a transaction.
    pub(crate) fn transaction_since(&self) -> Option<Time> {
        Some(self.transaction_since.load(Ordering::Relaxed)).filter(|since| *since != u64::MAX).map(Time)
    }

    /// The client waits at the gate with its server, or does so no longer.
    pub(crate) fn wait_at_gate(&self, since: Option<Time>) {
        self.held.store(since.map_or(u64::MAX, |time| time.0), Ordering::Relaxed);
    }

    /// Since when it waits there.
    pub(crate) fn held(&self) -> Option<Time> {
        Some(self.held.load(Ordering::Relaxed)).filter(|since| *since != u64::MAX).map(Time)
    }

    /// Lets the task look at the state of things again.
    pub(crate) fn wake(&self) {
        self.waker.wake();
    }

    /// Leaves an order; a close is not taken back by anything.
    pub(crate) fn give(&self, order: Order) {
        let mut present = self.order.lock();
        if !matches!(*present, Some(Order::Close(_))) {
            *present = Some(order);
        }
        self.ordered.store(true, Ordering::Release);
        drop(present);
        self.waker.wake();
    }

    /// Wakes the task when an order comes; returns the order if one is there.
    pub(crate) fn poll_order(&self, waker: &std::task::Waker) -> Option<Order> {
        self.waker.register(waker);
        let order = self.ordered.load(Ordering::Acquire).then(|| self.take_order()).flatten();
        order.or_else(|| self.held_still.load(Ordering::Acquire).then_some(Order::Park))
    }

    fn take_order(&self) -> Option<Order> {
        let mut order = self.order.lock();
        self.ordered.store(false, Ordering::Release);
        order.take()
    }
}
