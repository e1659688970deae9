//! The program's one session: opened once, never again. Whether it is still the same is what the demo is about.

use tokio::net::TcpStream;
use tokio_postgres::config::Host;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config, NoTls};

use crate::Error;

/// A session and the mark by which it is known.
pub(crate) struct Session {
    pub(crate) client: Client,
    /// Our end of the socket. A session that was opened anew would have another.
    local_port: u16,
}

impl Session {
    /// Connects to the first host of the connection string that answers.
    pub(crate) async fn open(conninfo: &str) -> Result<Self, Error> {
        let config: Config = conninfo.parse()?;
        let ports = config.get_ports();
        let mut last: Error = "the connection string names no TCP host".into();
        for (index, host) in config.get_hosts().iter().enumerate() {
            let Host::Tcp(name) = host else { continue };
            let port = ports.get(index).or(ports.first()).copied().unwrap_or(5432);
            match Self::open_at(&config, name, port).await {
                Ok(session) => return Ok(session),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    async fn open_at(config: &Config, host: &str, port: u16) -> Result<Self, Error> {
        let stream = TcpStream::connect((host, port)).await?;
        stream.set_nodelay(true)?;
        let local_port = stream.local_addr()?.port();
        let (client, connection) = config.connect_raw(stream, NoTls).await?;
        // It ends with the session; what ended it is in the error of the statement that noticed.
        tokio::spawn(connection);
        Ok(Self { client, local_port })
    }

    /// What the session is known by, here and in its rows.
    pub(crate) fn marker(&self) -> String {
        format!("from port {}", self.local_port)
    }

    /// Whether the connection has ended.
    pub(crate) fn is_lost(&self) -> bool {
        self.client.is_closed()
    }
}

/// Whether the same statement may succeed in a moment: it was rolled back, its outcome is not known (our rows bear
/// that), or nobody could run it. The rest says that something is wrong with the statement or with us.
pub(crate) fn may_try_again(error: &tokio_postgres::Error) -> bool {
    const PASSING: [SqlState; 5] = [
        SqlState::T_R_SERIALIZATION_FAILURE,
        SqlState::TRANSACTION_RESOLUTION_UNKNOWN,
        SqlState::CANNOT_CONNECT_NOW,
        SqlState::ADMIN_SHUTDOWN,
        SqlState::CRASH_SHUTDOWN,
    ];
    error.code().is_some_and(|code| PASSING.contains(code))
}

/// An error in one line, with its SQLSTATE where the server or the pooler gave one.
pub(crate) fn sentence(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(told) => format!("{}: {}", told.code().code(), told.message()),
        None => error.to_string(),
    }
}
