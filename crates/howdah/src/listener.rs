//! Where clients come in: TCP and Unix sockets, and the pipes of [`crate::Handle::connect`].

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use howdah_config::Settings;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, UnixListener};

use crate::client::accept;
use crate::client::stream::ClientStream;
use crate::connect::tcp_options;
use crate::error::StartError;
use crate::pooler::{Pooler, Stage};

/// After a failed accept (out of descriptors, say) the listener rests for so long (time).
const REST: Duration = Duration::from_millis(100);

/// The sockets that are listened on.
#[derive(Debug, Default)]
pub(crate) struct Listeners {
    tcp: Vec<TcpListener>,
    unix: Option<(UnixListener, PathBuf)>,
}

impl Listeners {
    /// Opens what the settings name.
    ///
    /// # Errors
    /// An address is taken or not ours.
    pub(crate) async fn open(settings: &Settings) -> Result<Self, StartError> {
        let mut listeners = Self::default();
        for host in settings.listen_addr.iter() {
            let host = if host == "*" { "0.0.0.0" } else { host };
            let named = format!("{host}:{}", settings.listen_port);
            let failed = |error| StartError::Listen { address: named.clone(), error };
            for address in tokio::net::lookup_host((host, settings.listen_port)).await.map_err(failed)? {
                listeners.tcp.push(open_tcp(address, settings).map_err(failed)?);
            }
        }
        if !settings.unix_socket_dir.is_empty() {
            listeners.unix = Some(open_unix(settings)?);
        }
        Ok(listeners)
    }

    /// The TCP addresses that are listened on.
    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        self.tcp.iter().filter_map(|listener| listener.local_addr().ok()).collect()
    }

    /// Lets clients in until the pooler stops. TCP closes as soon as a shutdown begins; the Unix socket stays for
    /// the console (PGBOUNCER_BEHAVIOUR.md section 14).
    pub(crate) fn start(self, pooler: &Arc<Pooler>) {
        for listener in self.tcp {
            tokio::spawn(accept_tcp(Arc::clone(pooler), listener));
        }
        if let Some((listener, path)) = self.unix {
            tokio::spawn(accept_unix(Arc::clone(pooler), listener, path));
        }
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
    TcpListener::from_std(socket.into())
}

fn open_unix(settings: &Settings) -> Result<(UnixListener, PathBuf), StartError> {
    let path = Path::new(&settings.unix_socket_dir).join(format!(".s.PGSQL.{}", settings.listen_port));
    if path.exists() {
        if std::os::unix::net::UnixStream::connect(&path).is_ok() {
            return Err(StartError::UnixSocketInUse);
        }
        // Left over from a process that is gone; if it cannot be removed, bind says why.
        let _ = std::fs::remove_file(&path);
    }
    let failed = |error| StartError::Listen { address: path.display().to_string(), error };
    let listener = UnixListener::bind(&path).map_err(failed)?;
    let mode = std::fs::Permissions::from_mode(settings.unix_socket_mode);
    std::fs::set_permissions(&path, mode).map_err(failed)?;
    Ok((listener, path))
}

async fn accept_tcp(pooler: Arc<Pooler>, listener: TcpListener) {
    let mut stage = pooler.stage.subscribe();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            begun = stage.wait_for(|stage| *stage > Stage::Running) => {
                drop(begun);
                return;
            }
        };
        match accepted {
            Ok((stream, _)) => {
                tcp_options(&pooler.config.load().settings).apply(&stream);
                tokio::spawn(accept(Arc::clone(&pooler), ClientStream::Tcp(stream), None));
            }
            Err(error) => rest(&error).await,
        }
    }
}

async fn accept_unix(pooler: Arc<Pooler>, listener: UnixListener, path: PathBuf) {
    let mut stage = pooler.stage.subscribe();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            stopped = stage.wait_for(|stage| *stage == Stage::Stopping) => {
                drop(stopped);
                break;
            }
        };
        match accepted {
            Ok((stream, _)) => {
                drop(tokio::spawn(accept(Arc::clone(&pooler), ClientStream::Unix(stream), None)))
            }
            Err(error) => rest(&error).await,
        }
    }
    // Another process may have put its own there by now, or somebody removed it: nothing to do about either.
    let _ = std::fs::remove_file(path);
}

async fn rest(error: &std::io::Error) {
    tracing::warn!("accept failed: {error}");
    tokio::time::sleep(REST).await;
}
