//! From a new socket to a logged-in client: startup packet, authentication, limits, welcome
//! (PGBOUNCER_BEHAVIOUR.md sections 1, 5 and 6). Rare and large, so its future is boxed and gone afterwards.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use howdah_config::CONSOLE_DATABASE;
use howdah_protocol::startup::{self, Startup, StartupPacket};
use howdah_protocol::write;
use parking_lot::{Mutex, MutexGuard};

use super::authenticate::Identity;
use super::end::End;
use super::info::{ClientInfo, Phase};
use super::stream::{ClientStream, Peer};
use crate::cancel::key::CancelKey;
use crate::pooler::{Pooler, Stage};

/// The longest startup packet (bytes); PostgreSQL's own limit is 10,000.
const STARTUP_MAX: usize = 64 * 1024;

/// How long a client that finds no place is kept before it is refused (time): one who went before it came may not have
/// been seen yet, since sockets are heard of by two ways (io_uring and epoll), and its place counts.
const GRACE: Duration = Duration::from_millis(5);

/// Bytes asked for in one read.
const READ_SIZE: usize = 2048;

/// A client that is logging in.
pub(crate) struct Newcomer {
    pub(crate) pooler: Arc<Pooler>,
    pub(crate) stream: ClientStream,
    pub(crate) info: Arc<ClientInfo>,
    pub(crate) input: Vec<u8>,
    /// What is known of its TLS; `None`: it has none.
    pub(crate) secured: Option<super::secure::Secured>,
    /// Database and user that the program itself stands for; what the startup packet says of them is not looked at.
    vouched: Option<(String, String)>,
}

/// A session of the console in the counts of clients; given back when dropped.
#[derive(Debug)]
pub(crate) struct ConsolePlace {
    pooler: Arc<Pooler>,
    user: Arc<str>,
}

impl Drop for ConsolePlace {
    fn drop(&mut self) {
        self.pooler.console_clients.fetch_sub(1, Ordering::Relaxed);
        self.pooler.user_left(&self.user);
    }
}

/// A client that found no place under `max_client_conn` and is asked once more; out of the count when dropped.
struct SecondWord<'a> {
    waiting: &'a Mutex<u32>,
    is_over: bool,
}

impl<'a> SecondWord<'a> {
    /// It is its turn: it counts like anybody else from here on. While the books are open nobody else decides.
    fn say(mut self) -> MutexGuard<'a, u32> {
        let mut waiting = self.waiting.lock();
        *waiting -= 1;
        self.is_over = true;
        waiting
    }
}

impl Drop for SecondWord<'_> {
    fn drop(&mut self) {
        if !self.is_over {
            *self.waiting.lock() -= 1;
        }
    }
}

/// What a connection turns out to be for.
enum Entered {
    /// A session, whose user has proved who it is.
    Session(Asked, Identity),
    /// A cancel request: the key's two parts.
    Cancel(u32, Vec<u8>),
}

/// The packet that ends the preliminaries.
enum First {
    Startup(Startup),
    Cancel(u32, Vec<u8>),
}

/// Who the client is, when its startup packet has been read.
pub(crate) struct Asked {
    pub(crate) startup: Startup,
    pub(crate) user: String,
    pub(crate) database: String,
}

/// Serves a new connection to its end. `vouched`: the program itself has said which database and user it is.
pub(crate) async fn accept(pooler: Arc<Pooler>, stream: ClientStream, vouched: Option<(String, String)>) {
    let port = pooler.config.load().settings.listen_port;
    let Ok(peer) = stream.peer(port) else { return };
    let Ok(stream) = stream.over_ring() else { return };
    let mut random = [0_u8; 8];
    if getrandom::fill(&mut random).is_err() {
        return;
    }
    let cancel_key = CancelKey::new(random, pooler.config.load().settings.peer_id);
    let info = Arc::new(ClientInfo::new(pooler.next_id(), peer, cancel_key.0));
    pooler.clients.add(&info);
    if pooler.is_suspended() {
        info.hold(true);
        if !pooler.is_suspended() {
            // It ended between the two, and may not have seen this client.
            info.hold(false);
        }
    }
    let newcomer = Newcomer { pooler, stream, info, input: Vec::new(), secured: None, vouched };
    if let Some(client) = newcomer.enter().await {
        // A task of its own: the login's is large, and this one lives as long as the client.
        tokio::spawn(Box::new(client).serve());
    }
}

/// The log lines of an end.
pub(crate) fn log_end(pooler: &Pooler, info: &ClientInfo, end: &End) {
    let settings = &pooler.config.load().settings;
    let name = info.log_name();
    let age = info.connected.elapsed().unwrap_or_default().as_secs();
    if *end == End::UnexpectedEof && info.who.lock().1.is_empty() {
        // A load balancer that looks whether somebody listens fills no log, and counts in no alert.
        tracing::debug!("{name} failed connection attempt");
        return;
    }
    if settings.log_disconnections && *end != End::Silent {
        tracing::info!("{name} closing because: {} (age={age}s)", end.reason());
    }
    if end.is_ours() && settings.log_pooler_errors {
        tracing::warn!("{name} pooler error: {}", end.reason());
    }
}

impl Newcomer {
    /// The login, within `client_login_timeout`; tells a client that fails why.
    async fn enter(mut self) -> Option<super::Client> {
        let limit = self.pooler.config.load().settings.client_login_timeout;
        let outcome = if limit.is_zero() {
            self.log_in().await
        } else {
            tokio::time::timeout(limit, self.log_in())
                .await
                .unwrap_or_else(|_| Err(End::refused(self.late())))
        };
        let end = match outcome {
            Ok(Entered::Session(asked, identity)) => match self.greet(asked, identity).await {
                Ok(client) => return Some(client),
                Err(Some(end)) => end,
                // A client from here on, which has left the books itself.
                Err(None) => return None,
            },
            Ok(Entered::Cancel(pid, secret)) => {
                Box::pin(crate::cancel::serve(&self.pooler, &self.info, pid, &secret)).await
            }
            Err(end) => end,
        };
        log_end(&self.pooler, &self.info, &end);
        let mut out = Vec::new();
        end.tell(&mut out);
        // The client may be gone already.
        let _ = self.send(&out).await;
        self.pooler.clients.remove(&self.info);
        None
    }

    /// What `client_login_timeout` is called: while the client waits for a server that is to say who it is, the client
    /// is not to blame.
    fn late(&self) -> &'static str {
        match self.info.phase().0 {
            Phase::Waiting => "client_login_timeout (server down)",
            _ => "client_login_timeout",
        }
    }

    async fn log_in(&mut self) -> Result<Entered, End> {
        let startup = match self.startup().await? {
            First::Startup(startup) => startup,
            First::Cancel(pid, secret) => return Ok(Entered::Cancel(pid, secret)),
        };
        let text = |bytes: &[u8]| {
            String::from_utf8(bytes.to_vec()).map_err(|_| End::refused("invalid user or database name"))
        };
        let (database, user) = match self.vouched.take() {
            Some(vouched) => vouched,
            None => (text(startup.database())?, text(startup.user())?),
        };
        *self.info.who.lock() = (database.as_str().into(), user.as_str().into());
        let config = self.pooler.config.load_full();
        let replication = startup.replication();
        if config.settings.log_connections {
            let replication = match replication {
                Ok(startup::Replication::None) => "no",
                Ok(startup::Replication::Logical) => "logical",
                Ok(startup::Replication::Physical) | Err(_) => "physical",
            };
            tracing::info!(
                "{} login attempt: db={database} user={user} tls={} replication={replication}",
                self.info.log_name(),
                self.info.tls.get().map_or_else(|| "no".to_owned(), ToString::to_string)
            );
        }
        let replication = replication.map_err(|error| End::refused(error.to_string()))?;
        self.info.replication.get_or_init(|| replication);
        self.admit(&database).await?;
        if let Some(negotiation) = startup::negotiation(&startup) {
            let mut out = Vec::new();
            write::negotiate_protocol_version(
                &mut out,
                negotiation.newest_minor,
                &negotiation.unknown_options,
            )
            .map_err(|error| End::refused(error.to_string()))?;
            self.send(&out).await?;
        }
        let mut asked = Asked { startup, user, database };
        let identity = self.authenticate(&mut asked).await?;
        Ok(Entered::Session(asked, identity))
    }

    /// Whether there is room for one more, and the house is open. Those who wait for a second word take no place.
    async fn admit(&self, database: &str) -> Result<(), End> {
        if database == CONSOLE_DATABASE {
            return Ok(());
        }
        if self.pooler.stage() > Stage::Running {
            return Err(End::refused("pooler is shutting down"));
        }
        let is_full = |waiting: u32| {
            let most = u64::from(self.pooler.config.load().settings.max_client_conn);
            self.pooler.clients.len() as u64 > most + u64::from(waiting)
        };
        let second = {
            let mut waiting = self.pooler.second_words.lock();
            if !is_full(*waiting) {
                return Ok(());
            }
            *waiting += 1;
            SecondWord { waiting: &self.pooler.second_words, is_over: false }
        };
        tokio::time::sleep(GRACE).await;
        tokio::task::yield_now().await;
        if is_full(*second.say()) {
            return Err(End::refused("no more connections allowed (max_client_conn)"));
        }
        Ok(())
    }

    /// Requests for encryption are answered; a cancel request may come with or without TLS.
    async fn startup(&mut self) -> Result<First, End> {
        loop {
            if self.begins_with_tls() {
                self.direct_tls().await?;
            }
            let read = startup::read(&self.input, STARTUP_MAX);
            match read.map_err(|error| End::refused(error.sentence(&self.input)))? {
                None => self.fill().await?,
                Some((packet, length)) => {
                    let early = self.input.len() > length;
                    self.input.drain(..length);
                    match packet {
                        StartupPacket::Ssl if early => {
                            return Err(End::refused("received unencrypted data after SSL request"));
                        }
                        StartupPacket::Gss if early => {
                            return Err(End::refused(
                                "received unencrypted data after GSSAPI encryption request",
                            ));
                        }
                        StartupPacket::Ssl => self.answer_ssl_request().await?,
                        StartupPacket::Gss => self.send(b"N").await?,
                        StartupPacket::Cancel { pid, key } => return Ok(First::Cancel(pid, key)),
                        StartupPacket::Startup(startup) => {
                            self.is_secure_enough()?;
                            return Ok(First::Startup(startup));
                        }
                    }
                }
            }
        }
    }

    /// The user `pgbouncer` on the Unix socket, from a process of our own user (PGBOUNCER_BEHAVIOUR.md section 1).
    pub(crate) fn is_local_admin(&self, user: &str) -> bool {
        let own = rustix::process::geteuid().as_raw();
        user == "pgbouncer" && matches!(self.info.peer, Peer::Unix { uid, .. } if uid == own)
    }

    /// Reads more of what the client sends.
    pub(crate) async fn fill(&mut self) -> Result<(), End> {
        // What is dropped in the middle of a wait must leave nothing behind in the input.
        let (stream, input, info) = (&mut self.stream, &mut self.input, &self.info);
        let read = poll_fn(|cx| {
            if let Some(super::info::Order::Close(reason)) = info.poll_order(cx.waker()) {
                return std::task::Poll::Ready(Err(End::refused(reason)));
            }
            let mut buffer = [0_u8; READ_SIZE];
            let read = stream.poll_read(cx, &mut buffer);
            read.map(|read| {
                let read = read.map_err(|_| End::UnexpectedEof)?;
                input.extend_from_slice(&buffer[..read]);
                Ok(read)
            })
        })
        .await;
        match read? {
            0 => Err(End::UnexpectedEof),
            _ => Ok(()),
        }
    }

    pub(crate) async fn send(&mut self, mut bytes: &[u8]) -> Result<(), End> {
        while !bytes.is_empty() {
            let written =
                poll_fn(|cx| self.stream.poll_write(cx, bytes)).await.map_err(|_| End::UnexpectedEof)?;
            if written == 0 {
                return Err(End::UnexpectedEof);
            }
            bytes = &bytes[written..];
        }
        Ok(())
    }
}

impl Pooler {
    /// A client of this user has left.
    pub(crate) fn user_left(&self, user: &Arc<str>) {
        let mut users = self.user_clients.lock();
        if let Some(count) = users.get_mut(user) {
            *count = count.saturating_sub(1);
        }
    }

    /// A client that another process had let in.
    pub(crate) fn user_stays(&self, entry: &crate::entry::Entry, user: &Arc<str>) {
        *self.user_clients.lock().entry(Arc::clone(user)).or_insert(0) += 1;
        entry.clients.fetch_add(1, Ordering::Relaxed);
    }

    /// One more client of an entry and user, if the limits allow it.
    pub(crate) async fn user_enters(&self, entry: &crate::entry::Entry, user: &Arc<str>) -> Result<(), End> {
        let most = self.config.load().max_db_client_connections(&entry.database());
        self.entered(|| self.enters((&entry.clients, most), user, false)).await
    }

    /// A limit's second word, where its first is no.
    async fn entered(&self, enters: impl Fn() -> Result<(), End>) -> Result<(), End> {
        if enters().is_ok() {
            return Ok(());
        }
        tokio::time::sleep(GRACE).await;
        // Whoever woke together with this one goes first.
        tokio::task::yield_now().await;
        enters()
    }

    /// One more session of the console. Admins come in whatever the limits say, and are counted
    /// (PGBOUNCER_BEHAVIOUR.md section 6).
    pub(crate) async fn console_enters(
        self: &Arc<Self>,
        user: &Arc<str>,
        is_admin: bool,
    ) -> Result<ConsolePlace, End> {
        let most = self.config.load().settings.max_db_client_connections;
        self.entered(|| self.enters((&self.console_clients, most), user, is_admin)).await?;
        Ok(ConsolePlace { pooler: Arc::clone(self), user: Arc::clone(user) })
    }

    fn enters(
        &self,
        (present, most): (&AtomicU32, u32),
        user: &Arc<str>,
        is_exempt: bool,
    ) -> Result<(), End> {
        let over = |most: u32, present: u32| !is_exempt && most > 0 && present >= most;
        let most_of_user = self.config.load().max_user_client_connections(user);
        let mut users = self.user_clients.lock();
        let count = users.entry(Arc::clone(user)).or_insert(0);
        if over(most, present.load(Ordering::Relaxed)) {
            return Err(End::refused("client connections exceeded (max_db_client_connections)"));
        }
        if over(most_of_user, *count) {
            return Err(End::refused("client connections exceeded (max_user_client_connections)"));
        }
        *count += 1;
        present.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}
