//! Replication connections (PGBOUNCER_BEHAVIOUR.md section 15): a server of the client's own, opened with the client's own
//! startup parameters, counted like any other, never reused and closed with the client. What the two say to each other goes
//! through as it is: nothing of ours is ever put between, so frames need not be known.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use futures_util::future::{Either, select};
use howdah_backend::{ConnectError, ConnectSpec, Server, Stream};
use howdah_pool::FailureKind;
use howdah_protocol::read::TransactionStatus;
use howdah_protocol::startup::{Replication, Startup};
use howdah_protocol::write;
use howdah_topology::Time;

use super::acquire::wait_failed;
use super::end::End;
use super::info::{Order, Phase};
use super::login::Newcomer;
use super::stream::{flush, write_or_keep};
use crate::connect::{failure_kind, log_failure};
use crate::entry::Entry;
use crate::error::LoginFailure;
use crate::pooler::Pooler;
use crate::pools::{Own, PoolKey, Turn};
use crate::server::ServerInfo;

/// Bytes read at once.
const READ_SIZE: usize = 16 * 1024;

/// How long a wait for another topology is at most before it is looked at anew.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// The whole message Terminate.
const TERMINATE: [u8; 5] = [b'X', 0, 0, 0, 4];

/// Startup parameters that are not the client's to say to its server.
const NOT_PASSED: [&[u8]; 2] = [b"user", b"database"];

/// A replication client that has been let in.
pub(super) struct Wanted {
    pub(super) pooler: Arc<Pooler>,
    pub(super) entry: Arc<Entry>,
    pub(super) user: Arc<str>,
    pub(super) server_user: Arc<str>,
    pub(super) kind: Replication,
}

impl Drop for Wanted {
    fn drop(&mut self) {
        self.entry.clients.fetch_sub(1, Ordering::Relaxed);
        self.pooler.user_left(&self.user);
    }
}

/// Its server. Dropped, it is closed, and its place is free.
struct Dedicated {
    stream: Stream,
    info: Arc<ServerInfo>,
    /// What the server has not taken yet.
    output: Vec<u8>,
    _count: Own,
}

impl Newcomer {
    /// Serves a replication client to its end, which is what it returns.
    pub(super) async fn replicate(&mut self, wanted: Wanted, startup: &Startup) -> End {
        match self.own_server(&wanted, startup).await {
            Ok((parameters, server)) => self.serve_replication((&wanted, &parameters), server).await,
            Err(end) => end,
        }
    }

    /// A server within what is left of `client_login_timeout`, since the login is not over without it.
    async fn own_server(
        &mut self,
        wanted: &Wanted,
        startup: &Startup,
    ) -> Result<(Vec<howdah_backend::Parameter>, Dedicated), End> {
        let pooler = Arc::clone(&self.pooler);
        let parameters = passed_on(startup)?;
        let limit = pooler.config.load().settings.client_login_timeout;
        let left = limit.saturating_sub(self.info.connected.elapsed().unwrap_or_default());
        self.info.enter(Phase::Waiting, pooler.clock.now());
        let open = async {
            let opened = open(&pooler, wanted, &parameters);
            if limit.is_zero() {
                return opened.await;
            }
            let late = Err(End::refused("client_login_timeout (server down)"));
            tokio::time::timeout(left, opened).await.unwrap_or(late)
        };
        self.meanwhile(open).await?
    }

    /// Waits for `what`, and at the same time for orders and for the client to leave.
    async fn meanwhile<T>(&mut self, what: impl Future<Output = T>) -> Result<T, End> {
        let watch = async {
            loop {
                if let Err(end) = self.fill().await {
                    return end;
                }
                if self.input.len() > READ_SIZE {
                    return End::refused("too much was sent before the login was over");
                }
            }
        };
        match select(Box::pin(what), Box::pin(watch)).await {
            Either::Left((done, _)) => Ok(done),
            Either::Right((end, _)) => Err(end),
        }
    }

    /// The welcome, and then everything that the two have to say.
    async fn serve_replication(
        &mut self,
        (wanted, parameters): (&Wanted, &[howdah_backend::Parameter]),
        mut server: Dedicated,
    ) -> End {
        let pooler = Arc::clone(&self.pooler);
        let mut out = Vec::new();
        if let Err(error) = self.welcome_words(parameters, &mut out) {
            return End::refused(error.to_string());
        }
        wanted.entry.counters.logins.add(1);
        wanted.entry.counters.assignments.add(1);
        server.info.client.store(self.info.id, Ordering::Relaxed);
        *self.info.link.lock() = Some(Arc::clone(&server.info));
        self.info.enter(Phase::Replication, pooler.clock.now());
        let mut relay = Relay { to_client: out, tail: Vec::new(), entry: &wanted.entry };
        relay.note(&self.input);
        server.output.append(&mut self.input);
        let end = poll_fn(|cx| relay.poll(cx, self, &mut server)).await;
        *self.info.link.lock() = None;
        let age = age(server.info.connected);
        let reason = match &end {
            End::Refused(reason) if reason == "server conn crashed?" => reason,
            _ => "replication client was closed",
        };
        tracing::info!("{} closing because: {reason} (age={age}s)", server.info.log_name());
        end
    }

    fn welcome_words(
        &self,
        parameters: &[howdah_backend::Parameter],
        out: &mut Vec<u8>,
    ) -> Result<(), write::WriteError> {
        write::authentication_ok(out);
        for (name, value) in parameters {
            write::parameter_status(out, name, value)?;
        }
        self.info.write_cancel_key(out)?;
        write::ready_for_query(out, TransactionStatus::Idle);
        Ok(())
    }
}

fn age(since: SystemTime) -> u64 {
    since.elapsed().unwrap_or_default().as_secs()
}

/// The client's own startup parameters, untouched, `options` and `replication` among them.
fn passed_on(startup: &Startup) -> Result<Vec<(String, String)>, End> {
    let text = |bytes: &[u8]| {
        String::from_utf8(bytes.to_vec()).map_err(|_| End::refused("invalid startup parameter"))
    };
    let passed = startup.parameters.iter().filter(|(name, _)| {
        let name = name.as_slice();
        !NOT_PASSED.contains(&name) && !name.starts_with(b"_pq_.")
    });
    passed.map(|(name, value)| Ok((text(name)?, text(value)?))).collect()
}

/// Waits for a place, and connects; again while the server cannot be reached.
async fn open(
    pooler: &Arc<Pooler>,
    wanted: &Wanted,
    parameters: &[(String, String)],
) -> Result<(Vec<howdah_backend::Parameter>, Dedicated), End> {
    let since = pooler.clock.now();
    loop {
        let node = primary(pooler, &wanted.entry, since).await?;
        let key =
            PoolKey { entry: Arc::clone(&wanted.entry.name), user: Arc::clone(&wanted.server_user), node };
        let pool = pooler.pool(&wanted.entry, &wanted.server_user, node);
        let turn = pooler.checkout_own(pool, since).await.map_err(|error| wait_failed(&error))?;
        let spec = pooler.connect_spec(&wanted.entry, &key);
        // `connect_query` is SQL, which a walsender does not know.
        let mut spec = ConnectSpec { parameters: parameters.to_vec(), connect_query: None, ..spec };
        let id = pooler.next_id();
        if let Some(server) = turn.server() {
            pooler.roll.begin(server, id, &spec.address);
        }
        let connected = match pooler.resolve(&mut spec).await {
            Ok(()) => howdah_backend::connect(&spec).await,
            Err(error) => Err(error),
        };
        match connected {
            Ok(server) => return enter_books(pooler, (&key, wanted.kind), (turn, id), (spec, server)),
            Err(error) => refused((&wanted.entry, &key), (turn, id), &spec, &error)?,
        }
    }
}

/// The node to ask, in a cluster: its primary, which is waited for as any client's request waits.
async fn primary(
    pooler: &Pooler,
    entry: &Entry,
    since: Time,
) -> Result<Option<howdah_topology::NodeId>, End> {
    let Some(cluster) = &entry.cluster else { return Ok(None) };
    let hold = pooler.config.load().clusters.get(&cluster.name).map_or(Duration::ZERO, |c| c.failover_hold);
    loop {
        let now = pooler.clock.now();
        if let Some(node) = cluster.handle.topology().writable_primary(now) {
            return Ok(Some(node.id));
        }
        if now.since(since) >= hold {
            return Err(End::refused("no server of the cluster can be reached"));
        }
        let mut changed = cluster.handle.changed();
        // An error means that the controller is gone with the whole pooler.
        drop(tokio::time::timeout(LOOK_AGAIN, changed.changed()).await);
    }
}

fn enter_books(
    pooler: &Pooler,
    (key, kind): (&PoolKey, Replication),
    (turn, id): (Turn, u64),
    (spec, server): (ConnectSpec, Server),
) -> Result<(Vec<howdah_backend::Parameter>, Dedicated), End> {
    let place = turn.server();
    let info =
        ServerInfo::new((id, &key.entry, &key.user), spec.address, key.node, &server).replicating(kind);
    let info = Arc::new(info);
    let count = turn.succeeded().map_err(|reason| {
        tracing::info!("{} closing because: {reason} (age=0s)", info.log_name());
        End::refused(reason.to_string())
    })?;
    let from = info.local.map(|local| format!(" (from {local})")).unwrap_or_default();
    tracing::info!("{} new connection to server{from}", info.log_name());
    if let Some(place) = place {
        pooler.roll.add(place, &info);
    }
    let dedicated = Dedicated { stream: server.stream, info, output: Vec::new(), _count: count };
    Ok((server.parameters, dedicated))
}

/// A login that failed: where nobody answered it is tried again, else the client is told, and the log what the server said.
fn refused(
    (entry, key): (&Entry, &PoolKey),
    (turn, id): (Turn, u64),
    spec: &ConnectSpec,
    error: &ConnectError,
) -> Result<(), End> {
    let name = format!("S-0x{id:x}: {}/{}@{}", key.entry, key.user, spec.address);
    if failure_kind(entry, key, error) == FailureKind::Unreachable {
        log_failure(&name, error, Duration::ZERO);
        turn.unreachable(LoginFailure::from(error));
        return Ok(());
    }
    tracing::warn!("{name} {error}");
    tracing::info!("{name} closing because: login failed (age=0s)");
    drop(turn);
    Err(End::refused("login failed"))
}

/// Holds still, as every client does (`client/park.rs`); to another process it is not handed over: its server belongs to
/// this stream alone, and the standby connects again.
fn park(cx: &Context<'_>, client: &Newcomer, server: &Dedicated) {
    let is_quiet = client.stream.poll_quiet(cx).is_ready() & server.stream.poll_quiet(cx).is_ready();
    if is_quiet {
        client.info.parked.store(true, Ordering::Release);
        if let Some(inquiry) = client.info.inquiry.lock().take() {
            // Whoever asked may have gone.
            let _ = inquiry.send(None);
        }
    }
}

/// Bytes in both directions.
struct Relay<'a> {
    /// What the client has not taken yet.
    to_client: Vec<u8>,
    /// The last bytes that the client has sent: whether it has said goodbye.
    tail: Vec<u8>,
    entry: &'a Entry,
}

impl Relay<'_> {
    /// Until one of them is gone. Whoever has something waiting is read from no further.
    fn poll(&mut self, cx: &mut Context<'_>, client: &mut Newcomer, server: &mut Dedicated) -> Poll<End> {
        let mut buffer = [0_u8; READ_SIZE];
        loop {
            match client.info.poll_order(cx.waker()) {
                Some(Order::Close(reason)) => return Poll::Ready(End::refused(reason)),
                Some(Order::ServerLost) => return Poll::Ready(End::refused("server conn crashed?")),
                Some(Order::Park) => {
                    park(cx, client, server);
                    return Poll::Pending;
                }
                None => {}
            }
            let up = self.upward(cx, client, server, &mut buffer);
            let down = self.downward(cx, client, server, &mut buffer);
            match (up, down) {
                (Err(end), _) | (_, Err(end)) => return Poll::Ready(end),
                (Ok(false), Ok(false)) => return Poll::Pending,
                _ => {}
            }
        }
    }

    /// From the client to the server; says whether anything moved.
    fn upward(
        &mut self,
        cx: &mut Context<'_>,
        client: &mut Newcomer,
        server: &mut Dedicated,
        buffer: &mut [u8],
    ) -> Result<bool, End> {
        let waited = !server.output.is_empty();
        if waited {
            let stream = &mut server.stream;
            match flush(&mut server.output, |bytes| stream.poll_write(cx, bytes)) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(_)) => return Err(self.server_gone()),
                Poll::Pending => return Ok(false),
            }
        }
        let read = match client.stream.poll_read(cx, buffer) {
            Poll::Pending => return Ok(waited),
            Poll::Ready(Ok(0) | Err(_)) if self.has_said_goodbye() => return Err(End::CloseRequest),
            Poll::Ready(Ok(0) | Err(_)) => return Err(End::UnexpectedEof),
            Poll::Ready(Ok(read)) => read,
        };
        self.entry.counters.received.add(read as u64);
        self.note(&buffer[..read]);
        let stream = &mut server.stream;
        let written =
            write_or_keep(&mut server.output, &buffer[..read], |bytes| stream.poll_write(cx, bytes));
        written.map(|()| true).map_err(|_| self.server_gone())
    }

    /// From the server to the client; says whether anything moved.
    fn downward(
        &mut self,
        cx: &mut Context<'_>,
        client: &mut Newcomer,
        server: &mut Dedicated,
        buffer: &mut [u8],
    ) -> Result<bool, End> {
        let waited = !self.to_client.is_empty();
        let stream = &mut client.stream;
        if waited {
            match flush(&mut self.to_client, |bytes| stream.poll_write(cx, bytes)) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(_)) => return Err(End::UnexpectedEof),
                Poll::Pending => return Ok(false),
            }
        }
        let read = match server.stream.poll_read(cx, buffer) {
            Poll::Pending => return Ok(waited),
            Poll::Ready(Ok(0) | Err(_)) => return Err(self.server_gone()),
            Poll::Ready(Ok(read)) => read,
        };
        self.entry.counters.sent.add(read as u64);
        let written =
            write_or_keep(&mut self.to_client, &buffer[..read], |bytes| stream.poll_write(cx, bytes));
        written.map(|()| true).map_err(|_| End::UnexpectedEof)
    }

    /// The client has sent these.
    fn note(&mut self, bytes: &[u8]) {
        self.tail.extend_from_slice(&bytes[bytes.len().saturating_sub(TERMINATE.len())..]);
        let surplus = self.tail.len().saturating_sub(TERMINATE.len());
        self.tail.drain(..surplus);
    }

    fn has_said_goodbye(&self) -> bool {
        self.tail == TERMINATE
    }

    /// A server that ends at the client's word has done what it was asked.
    fn server_gone(&self) -> End {
        if self.has_said_goodbye() { End::CloseRequest } else { End::refused("server conn crashed?") }
    }
}
