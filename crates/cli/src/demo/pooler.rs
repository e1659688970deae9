//! Howdah itself, inside the demo's process, from a `pgbouncer.ini` as anybody would write it.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use howdah::{Handle, Howdah};
use howdah_testkit::{Node, WorkDir};
use tokio_postgres::{Client, NoTls};

use super::Broken;
use super::nodes::PASSWORD;
use crate::table::{self, Row, Table, chosen};

/// How often the console is asked while something is waited for (time).
const ASK_INTERVAL: Duration = Duration::from_millis(10);

/// The file's text. The port 0 leaves the choice to the system.
fn ini(nodes: &[Node], workdir: &Path, port: u16) -> String {
    let mut list = String::new();
    for node in nodes {
        let comma = if list.is_empty() { "" } else { "," };
        // Writing to a String cannot fail.
        let _ = write!(list, "{comma}{}@{}", node.name(), node.address());
    }
    let workdir = workdir.display();
    format!(
        "[clusters]
; a read waits for a replica that has what its session wrote, so that replicas answer all reads
main = nodes={list} user=howdah password={PASSWORD} failover=manage balance=round_robin causal_wait=5s

[databases]
app = cluster=main dbname=app

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {workdir}/userlist.txt
admin_users = howdah
pool_mode = transaction
default_pool_size = 10
logfile = {workdir}/howdah.log
http_listen = 127.0.0.1:0
"
    )
}

/// A running Howdah.
#[derive(Debug)]
pub(crate) struct Pooler {
    handle: Handle,
    console: Client,
    port: u16,
}

impl Pooler {
    /// Writes its files and starts it.
    ///
    /// # Errors
    /// An address is taken, a file cannot be written.
    pub(crate) async fn start(nodes: &[Node], workdir: &WorkDir, port: Option<u16>) -> Result<Self, Broken> {
        let port = match port {
            Some(port) => port,
            None => free_port()?,
        };
        let file = workdir.path().join("pgbouncer.ini");
        let users = format!("\"app\" \"{PASSWORD}\"\n\"howdah\" \"{PASSWORD}\"\n");
        let written = workdir
            .write(&file, &ini(nodes, workdir.path(), port))
            .and_then(|()| workdir.write(&workdir.path().join("userlist.txt"), &users));
        written.map_err(|error| Broken::new(error.to_string()))?;
        let loaded = howdah_config::load(&file).map_err(|mistakes| {
            let lines: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
            Broken::new(format!("the demo's own settings are wrong: {}", lines.join("; ")))
        })?;
        crate::logs::Logs::start(&loaded.config.settings, false, 0)
            .map(drop)
            .map_err(|error| Broken::new(format!("the log cannot be opened: {error}")))?;
        let started = Howdah::builder().config(loaded.config).config_file(&file).start().await;
        let handle = started.map_err(|error| Broken::new(error.to_string()))?;
        let console = console(&handle).await?;
        Ok(Self { handle, console, port })
    }

    /// What an application is given.
    pub(crate) fn conninfo(&self) -> String {
        format!("host=127.0.0.1 port={} user=app password={PASSWORD} dbname=app", self.port)
    }

    /// The dashboard's address.
    pub(crate) fn dashboard(&self) -> String {
        self.handle.http_address().map_or_else(String::new, |address| format!("http://{address}/"))
    }

    /// The port for clients.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// An answer of the console: its rows, each a cell by its column's name.
    ///
    /// # Errors
    /// The console refuses.
    pub(crate) async fn show(&self, what: &str) -> Result<Vec<Row>, Broken> {
        let answer = table::show(&self.console, what).await;
        answer.map_err(|error| Broken::new(format!("SHOW {what}: {error}")))
    }

    /// A command of the console, until it is done.
    ///
    /// # Errors
    /// The console refuses, in its own words.
    pub(crate) async fn command(&self, command: &str) -> Result<(), Broken> {
        let done = self.console.simple_query(command).await;
        done.map(drop).map_err(|error| {
            let told =
                error.as_db_error().map_or_else(|| error.to_string(), |told| told.message().to_owned());
            Broken::new(format!("{command}: {told}"))
        })
    }

    /// Waits until the rows of a SHOW are as wanted, and gives them.
    ///
    /// # Errors
    /// They are not within the limit; the last rows are in the sentence.
    pub(crate) async fn until(
        &self,
        what: &str,
        limit: Duration,
        wanted: impl Fn(&[Row]) -> bool,
    ) -> Result<Vec<Row>, Broken> {
        let began = tokio::time::Instant::now();
        loop {
            let rows = self.show(what).await?;
            if wanted(&rows) {
                return Ok(rows);
            }
            if began.elapsed() > limit {
                let limit = limit.as_secs();
                return Err(Broken::new(format!("SHOW {what} still says after {limit} s: {rows:?}")));
            }
            tokio::time::sleep(ASK_INTERVAL).await;
        }
    }

    /// SHOW NODES, in the columns that a person looks at.
    ///
    /// # Errors
    /// The console refuses.
    pub(crate) async fn nodes(&self) -> Result<Table, Broken> {
        const COLUMNS: [&str; 9] =
            ["node", "host", "port", "role", "state", "sync", "timeline", "lag_bytes", "reason"];
        Ok(chosen(&self.show("NODES").await?, &COLUMNS))
    }

    /// Stops it. Our own session goes first: a shutdown waits for its clients.
    pub(crate) async fn stop(self) {
        drop(self.console);
        self.handle.shutdown().await;
    }
}

/// The console, without a socket.
async fn console(handle: &Handle) -> Result<Client, Broken> {
    let mut config = tokio_postgres::Config::new();
    config.user("howdah").dbname(howdah_config::CONSOLE_DATABASE);
    let broken = |error: &dyn std::fmt::Display| Broken::new(format!("the console: {error}"));
    let pipe =
        handle.connect(howdah_config::CONSOLE_DATABASE, "howdah").await.map_err(|error| broken(&error))?;
    let (client, connection) = config.connect_raw(pipe, NoTls).await.map_err(|error| broken(&error))?;
    tokio::spawn(connection);
    Ok(client)
}

/// A port that nobody has at this moment.
fn free_port() -> Result<u16, Broken> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0");
    let address = listener.and_then(|listener| listener.local_addr());
    Ok(address.map_err(|error| Broken::new(format!("no free port: {error}")))?.port())
}
