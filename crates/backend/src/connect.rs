//! From an address to a server that is ready for its first client: socket, login, `connect_query`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use howdah_protocol::auth::Credential;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpStream, ToSocketAddrs, UnixStream};

use crate::command::run;
use crate::error::ConnectError;
use crate::login::login;
use crate::stream::Stream;
use crate::tls::{ServerTls, secure};

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Address {
    /// Host name or address, and port.
    Tcp {
        /// Host name or address.
        host: String,
        /// Port.
        port: u16,
    },
    /// The socket file; a leading `@` is an abstract name.
    Unix(PathBuf),
}

impl Address {
    /// What `host` and `port` of a database entry mean: a directory or `@name` is a Unix socket.
    pub fn new(host: &str, port: u16) -> Self {
        if host.starts_with('/') || host.starts_with('@') {
            return Self::Unix(PathBuf::from(format!("{host}/.s.PGSQL.{port}")));
        }
        Self::Tcp { host: host.to_owned(), port }
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// Options of a TCP connection (PgBouncer's `tcp_*`).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TcpOptions {
    /// `tcp_keepalive`.
    pub keepalive: bool,
    /// `tcp_keepidle`; zero: the system's.
    pub keepalive_idle: Duration,
    /// `tcp_keepintvl`; zero: the system's.
    pub keepalive_interval: Duration,
    /// `tcp_keepcnt`; 0: the system's.
    pub keepalive_count: u32,
    /// `tcp_user_timeout`; zero: the system's.
    pub user_timeout: Duration,
    /// `tcp_socket_buffer`, in bytes; 0: the system's.
    pub buffer: usize,
}

impl TcpOptions {
    /// Sets them on a socket. A system that knows one of them not goes on without it.
    pub fn apply(&self, stream: &TcpStream) {
        let socket = SockRef::from(stream);
        let _ = socket.set_tcp_nodelay(true);
        if self.keepalive {
            let mut keepalive = TcpKeepalive::new();
            if !self.keepalive_idle.is_zero() {
                keepalive = keepalive.with_time(self.keepalive_idle);
            }
            if !self.keepalive_interval.is_zero() {
                keepalive = keepalive.with_interval(self.keepalive_interval);
            }
            if self.keepalive_count > 0 {
                keepalive = keepalive.with_retries(self.keepalive_count);
            }
            let _ = socket.set_tcp_keepalive(&keepalive);
        }
        if self.buffer > 0 {
            let _ = socket.set_send_buffer_size(self.buffer);
            let _ = socket.set_recv_buffer_size(self.buffer);
        }
        if !self.user_timeout.is_zero() {
            let _ = socket.set_tcp_user_timeout(Some(self.user_timeout));
        }
    }
}

/// What is needed to log in to a server.
#[derive(Debug, Clone)]
pub struct ConnectSpec {
    /// Where.
    pub address: Address,
    /// The address that its host's name stands for, when the caller has looked it up.
    pub resolved: Option<SocketAddr>,
    /// As whom.
    pub user: String,
    /// What proves it.
    pub credential: Credential,
    /// Into which database.
    pub database: String,
    /// Further startup parameters, in order.
    pub parameters: Vec<(String, String)>,
    /// `connect_query`, run once after the login.
    pub connect_query: Option<String>,
    /// `server_connect_timeout`: for all of it; zero: for ever.
    pub timeout: Duration,
    /// Socket options.
    pub tcp: TcpOptions,
    /// TLS; `None`: without. Unix sockets are without in any case.
    pub tls: Option<ServerTls>,
}

/// The name and value of a ParameterStatus message.
pub type Parameter = (Box<[u8]>, Box<[u8]>);

/// A server that is logged in and idle.
#[derive(Debug)]
pub struct Server {
    /// Its socket.
    pub stream: Stream,
    /// Its process id.
    pub pid: u32,
    /// What a CancelRequest needs.
    pub key: Box<[u8]>,
    /// The ParameterStatus messages of the login, in order.
    pub parameters: Vec<Parameter>,
}

/// Connects and logs in.
///
/// # Errors
/// [`ConnectError`] says who refused what.
pub async fn connect(spec: &ConnectSpec) -> Result<Server, ConnectError> {
    let all = async {
        let stream = match spec.resolved {
            Some(address) => open_tcp(address, &spec.tcp).await,
            None => open(&spec.address, &spec.tcp).await,
        };
        let stream = stream.and_then(Stream::over_ring);
        let stream = stream.map_err(ConnectError::Unreachable)?;
        let stream = secure(stream, &spec.address, spec.tls.as_ref()).await?;
        let mut server = login(stream, spec).await?;
        if let Some(query) = &spec.connect_query {
            run(&mut server.stream, query.as_bytes()).await?;
        }
        Ok(server)
    };
    if spec.timeout.is_zero() {
        return all.await;
    }
    tokio::time::timeout(spec.timeout, all).await.unwrap_or(Err(ConnectError::Timeout))
}

/// Opens a socket.
pub(crate) async fn open(address: &Address, options: &TcpOptions) -> std::io::Result<Stream> {
    match address {
        Address::Tcp { host, port } => open_tcp((host.as_str(), *port), options).await,
        Address::Unix(path) => Ok(Stream::Unix(open_unix(path).await?)),
    }
}

async fn open_tcp(at: impl ToSocketAddrs, options: &TcpOptions) -> std::io::Result<Stream> {
    let stream = TcpStream::connect(at).await?;
    options.apply(&stream);
    Ok(Stream::Tcp(stream))
}

async fn open_unix(path: &std::path::Path) -> std::io::Result<UnixStream> {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::ffi::OsStrExt;
    let Some(name) = path.as_os_str().as_bytes().strip_prefix(b"@") else {
        return UnixStream::connect(path).await;
    };
    let address = std::os::unix::net::SocketAddr::from_abstract_name(name)?;
    let stream = std::os::unix::net::UnixStream::connect_addr(&address)?;
    stream.set_nonblocking(true)?;
    UnixStream::from_std(stream)
}
