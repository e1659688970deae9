//! Where clients come in: TCP and Unix sockets. [`crate::Handle::connect`] has pipes beside them.

use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use howdah_config::Settings;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, UnixListener};

use crate::client::accept;
use crate::client::stream::ClientStream;
use crate::connect::tcp_options;
use crate::error::StartError;
use crate::pooler::{Hold, Pooler, Stage};
use crate::unix::UnixSocket;

/// After a failed accept (out of descriptors, say) the listener rests for so long (time).
const REST: Duration = Duration::from_millis(100);

/// How long a connection that says nothing is kept from us with `tcp_defer_accept` (time); as PgBouncer's.
const DEFER: Duration = Duration::from_secs(45);

/// Sockets that somebody else has opened: systemd's socket activation. With any of them the addresses and the
/// directory of the settings are not opened.
#[derive(Debug, Default)]
pub struct Inherited {
    /// Listening TCP sockets.
    pub tcp: Vec<std::net::TcpListener>,
    /// Listening Unix sockets.
    pub unix: Vec<std::os::unix::net::UnixListener>,
}

impl Inherited {
    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tcp.is_empty() && self.unix.is_empty()
    }
}

/// A socket that is listened on.
#[derive(Debug)]
pub(crate) enum Listening {
    Tcp(TcpListener),
    Unix(UnixSocket),
}

impl Listening {
    /// Its address; `None` for a Unix socket.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(listener) => listener.local_addr().ok(),
            Self::Unix(_) => None,
        }
    }

    async fn accept(&self) -> std::io::Result<ClientStream> {
        match self {
            Self::Tcp(listener) => listener.accept().await.map(|(stream, _)| ClientStream::Tcp(stream)),
            Self::Unix(socket) => {
                socket.listener.accept().await.map(|(stream, _)| ClientStream::Unix(stream))
            }
        }
    }

    /// The stage of a shutdown in which it closes: TCP as soon as one begins, the Unix socket stays for the console
    /// (PGBOUNCER_BEHAVIOUR.md section 14).
    fn closes_at(&self) -> Stage {
        match self {
            Self::Tcp(_) => Stage::WaitForClients,
            Self::Unix(_) => Stage::Stopping,
        }
    }

    /// What keeps it from accepting: the console must be reachable while everything is suspended.
    fn rests_at(&self) -> Hold {
        match self {
            Self::Tcp(_) => Hold::Suspended,
            Self::Unix(_) => Hold::HandingOver,
        }
    }
}

impl AsFd for Listening {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(listener) => listener.as_fd(),
            Self::Unix(socket) => socket.listener.as_fd(),
        }
    }
}

/// The sockets that are listened on.
#[derive(Debug, Default)]
pub(crate) struct Listeners {
    tcp: Vec<TcpListener>,
    unix: Vec<UnixSocket>,
}

impl Listeners {
    /// Opens what the settings name. As with PgBouncer an address that cannot be had is left out, with a warning.
    ///
    /// # Errors
    /// None of them can be had; another process has the Unix socket.
    pub(crate) async fn open(settings: &Settings) -> Result<Self, StartError> {
        let mut listeners = Self::default();
        // First, so that whoever is let in by TCP finds it as well, with its group and mode.
        if !settings.unix_socket_dir.is_empty() {
            listeners.unix.extend(UnixSocket::open(settings)?);
        }
        for host in settings.listen_addr.iter() {
            let hosts: &[&str] = if host == "*" { &["0.0.0.0", "::"] } else { &[host] };
            for host in hosts {
                listeners.open_host(host, settings).await;
            }
        }
        listeners.announced()
    }

    /// Takes over what is open already; `is_ours`: nobody else removes the file of a Unix socket.
    ///
    /// # Errors
    /// One of them cannot be used.
    pub(crate) fn inherit(
        inherited: Inherited,
        settings: &Settings,
        is_ours: bool,
    ) -> Result<Self, StartError> {
        let failed = |error| StartError::Listen { address: "a socket that was passed".to_owned(), error };
        let mut listeners = Self::default();
        for listener in inherited.tcp {
            defer(&listener, settings);
            listener.set_nonblocking(true).map_err(failed)?;
            listeners.tcp.push(TcpListener::from_std(listener).map_err(failed)?);
        }
        for listener in inherited.unix {
            listener.set_nonblocking(true).map_err(failed)?;
            let listener = UnixListener::from_std(listener).map_err(failed)?;
            listeners.unix.push(UnixSocket::inherited(listener, is_ours));
        }
        listeners.announced()
    }

    /// The lines that scripts wait for.
    fn announced(self) -> Result<Self, StartError> {
        if self.tcp.is_empty() && self.unix.is_empty() {
            return Err(StartError::Nowhere);
        }
        for address in self.addresses() {
            tracing::info!("listening on {address}");
        }
        for socket in &self.unix {
            tracing::info!("listening on {socket}");
        }
        Ok(self)
    }

    async fn open_host(&mut self, host: &str, settings: &Settings) {
        let port = settings.listen_port;
        match tokio::net::lookup_host((host, port)).await {
            Err(error) => tracing::warn!("cannot listen on {host}:{port}: {error}"),
            Ok(addresses) => {
                for address in addresses {
                    match open_tcp(address, settings) {
                        Ok(listener) => self.tcp.push(listener),
                        Err(error) => tracing::warn!("cannot listen on {address}: {error}"),
                    }
                }
            }
        }
    }

    /// The TCP addresses that are listened on.
    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        self.tcp.iter().filter_map(|listener| listener.local_addr().ok()).collect()
    }

    /// Lets clients in until the pooler stops.
    pub(crate) fn start(self, pooler: &Arc<Pooler>) {
        let tcp = self.tcp.into_iter().map(Listening::Tcp);
        for listening in tcp.chain(self.unix.into_iter().map(Listening::Unix)) {
            let listening = Arc::new(listening);
            pooler.listeners.lock().push(Arc::downgrade(&listening));
            tokio::spawn(accept_on(Arc::clone(pooler), listening));
        }
    }
}

impl Pooler {
    /// Whether clients can come in by TCP.
    pub(crate) fn listens_on_tcp(&self) -> bool {
        let listeners = self.listeners.lock();
        let is_tcp = |listening: Arc<Listening>| matches!(*listening, Listening::Tcp(_));
        listeners.iter().any(|listening| listening.upgrade().is_some_and(is_tcp))
    }
}

fn open_tcp(address: SocketAddr, settings: &Settings) -> std::io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if settings.so_reuseport {
        socket.set_reuse_port(true)?;
    }
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(i32::try_from(settings.listen_backlog).unwrap_or(i32::MAX))?;
    defer(&socket, settings);
    TcpListener::from_std(socket.into())
}

/// `tcp_defer_accept`: a connection is seen when it has said something. A system that cannot goes on without it.
fn defer(socket: &impl AsFd, settings: &Settings) {
    let time = if settings.tcp_defer_accept == 0 { Duration::ZERO } else { DEFER };
    if let Err(error) = howdah_uring::defer_accept(socket, time) {
        tracing::debug!("tcp_defer_accept cannot be set: {error}");
    }
}

async fn accept_on(pooler: Arc<Pooler>, listening: Arc<Listening>) {
    let mut stage = pooler.stage.subscribe();
    let (mut hold, mut held) = (pooler.hold.subscribe(), pooler.hold.subscribe());
    let (closes_at, rests_at) = (listening.closes_at(), listening.rests_at());
    let mut generation = 0;
    loop {
        let now = pooler.generation.load(Ordering::Relaxed);
        if let Listening::Tcp(listener) = &*listening
            && std::mem::replace(&mut generation, now) != now
        {
            defer(listener, &pooler.config.load().settings);
        }
        let next = async {
            loop {
                // The sender is in the pooler that we hold.
                let _ = hold.wait_for(|hold| *hold < rests_at).await;
                tokio::select! {
                    biased;
                    // Who comes from now on is the next process's.
                    rests = held.wait_for(|hold| *hold >= rests_at) => drop(rests),
                    accepted = listening.accept() => break accepted,
                }
            }
        };
        let accepted = tokio::select! {
            accepted = next => accepted,
            closed = stage.wait_for(|stage| *stage >= closes_at) => {
                drop(closed);
                break;
            }
        };
        match accepted {
            Ok(stream) => {
                if let ClientStream::Tcp(stream) = &stream {
                    tcp_options(&pooler.config.load().settings).apply(stream);
                }
                tokio::spawn(accept(Arc::clone(&pooler), stream, None));
            }
            Err(error) => rest(&error).await,
        }
    }
    // A process that has taken over has the file too.
    if let Listening::Unix(socket) = &*listening
        && !pooler.is_handed_over()
    {
        socket.remove_file();
    }
}

async fn rest(error: &std::io::Error) {
    tracing::warn!("accept failed: {error}");
    tokio::time::sleep(REST).await;
}
