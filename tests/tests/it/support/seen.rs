//! The program as a script sees it: its log file, its console, and clients by a connection string.

use howdah_testkit::Node;
use tokio_postgres::Client;

use super::bouncer::{connect, rows};
use super::{Binary, Raw, Row, entry, sentence, until};

/// The program with a log file and a console session; lines are counted from where the test says.
pub(crate) struct Seen {
    pub(crate) binary: Binary,
    pub(crate) console: Client,
}

impl Seen {
    /// Starts with these lines of `[databases]` and `[pgbouncer]`.
    pub(crate) async fn with(databases: &str, settings: &str) -> Self {
        Self::with_files(databases, settings, &[]).await
    }

    /// The same with further files beside the configuration, which names them by `@DIR@`.
    pub(crate) async fn with_files(databases: &str, settings: &str, files: &[(&str, &str)]) -> Self {
        let settings = format!("logfile = @DIR@/log\n{settings}");
        let binary = Binary::start_with(databases, &settings, files).await;
        let local =
            format!("host={} port={} user=pgbouncer dbname=pgbouncer", binary.dir().display(), binary.port());
        // The Unix socket opens behind the TCP socket.
        let console = std::sync::Mutex::new(None);
        until("the Unix socket", || async {
            let session = connect(&local).await.ok();
            let is_there = session.is_some();
            *console.lock().unwrap() = session;
            is_there
        })
        .await;
        Self { binary, console: console.into_inner().unwrap().unwrap() }
    }

    /// With one entry `postgres` on this server.
    pub(crate) async fn on(node: &Node, settings: &str) -> Self {
        Self::with(&format!("postgres = {}", entry(node, "")), settings).await
    }

    /// The rows of a console command.
    pub(crate) async fn show(&self, command: &str) -> Vec<Row> {
        rows(&self.console, command).await
    }

    /// The row of a SHOW in which this column has this value.
    pub(crate) async fn row(&self, command: &str, (column, value): (&str, &str)) -> Row {
        let rows = self.show(command).await;
        let row = rows.iter().find(|row| row[column] == value);
        row.unwrap_or_else(|| panic!("{command}: no {value} in {rows:?}")).clone()
    }

    /// A figure of SHOW POOLS, summed over the users of an entry.
    pub(crate) async fn pool(&self, database: &str, column: &str) -> i64 {
        let rows = self.show("SHOW POOLS").await;
        let of_entry = rows.iter().filter(|row| row["database"] == database);
        of_entry.map(|row| row[column].parse::<i64>().unwrap()).sum()
    }

    /// Waits until a figure of SHOW POOLS has this value.
    pub(crate) async fn pool_becomes(&self, database: &str, column: &str, value: i64) {
        let what = format!("SHOW POOLS {database} {column} = {value}");
        until(&what, || async { self.pool(database, column).await == value }).await;
    }

    /// A client without a password.
    pub(crate) async fn connect(&self, user: &str, database: &str) -> Result<Client, String> {
        let conninfo = self.binary.conninfo(user, database);
        connect(&conninfo).await.map_err(|error| sentence(&error))
    }

    /// A client that speaks bytes.
    pub(crate) async fn raw(&self) -> Raw {
        Raw::connect(std::net::SocketAddr::from(([127, 0, 0, 1], self.binary.port()))).await
    }

    /// The same, logged in without a password.
    pub(crate) async fn raw_session(&self, user: &str, database: &str) -> Raw {
        let mut raw = self.raw().await;
        raw.log_in(user, database).await;
        raw
    }

    /// The log so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.binary.dir().join("log")).unwrap()
    }

    /// How many of its lines have this text.
    pub(crate) fn lines(&self, text: &str) -> usize {
        self.log().lines().filter(|line| line.contains(text)).count()
    }
}
