//! A pooler of the test's own, in this process.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

use howdah::{Handle, Howdah};
use howdah_config::Format;
use howdah_testkit::{Node, PortLease};
use tempfile::TempDir;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

use super::raw::Raw;
use super::{until, within};

/// Users that every test pooler knows; `postgres` has no password, for `auth_type = trust`.
const USERS: &str = "\"postgres\" \"\"\n\"alice\" \"secret\"\n\"bob\" \"hidden\"\n\"carol\" \"md5ac3b0845f15cb23ef81fad77828e8165\"\n";

/// A running pooler; its files go with it.
pub(crate) struct Bouncer {
    pub(crate) handle: Handle,
    port: PortLease,
    dir: TempDir,
}

/// A row of the console, by column.
pub(crate) type Row = BTreeMap<String, String>;

/// The definition of a database entry on this server; `more` are further keys.
pub(crate) fn entry(node: &Node, more: &str) -> String {
    format!("host={} port={} {more}", node.host(), node.port())
}

impl Bouncer {
    /// Starts with entry `postgres` on this server, `auth_type = trust`, transaction pooling, and more settings.
    pub(crate) async fn on(node: &Node, settings: &str) -> Self {
        Self::with(&format!("postgres = {}", entry(node, "")), settings).await
    }

    /// Starts with these lines of `[databases]` and `[pgbouncer]`; another section may follow in `settings`.
    pub(crate) async fn with(databases: &str, settings: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let port = PortLease::reserve().unwrap();
        let text = text(dir.path(), port.port(), databases, settings);
        let loaded = howdah_config::parse(dir.path().join("test.ini"), text.as_bytes(), Format::Ini)
            .unwrap_or_else(|mistakes| panic!("{mistakes:?}\n{text}"));
        let handle = Howdah::builder().config(loaded.config).start().await.unwrap();
        Self { handle, port, dir }
    }

    /// Where clients connect.
    pub(crate) fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port.port()))
    }

    /// A connection string for this user and database.
    pub(crate) fn conninfo(&self, user: &str, dbname: &str) -> String {
        format!("host=127.0.0.1 port={} user={user} dbname={dbname} connect_timeout=10", self.port.port())
    }

    /// A session of `postgres` in database `postgres`.
    pub(crate) async fn connect(&self) -> Client {
        self.try_connect("").await.unwrap()
    }

    /// The same with more in the connection string, which may not succeed.
    pub(crate) async fn try_connect(&self, more: &str) -> Result<Client, tokio_postgres::Error> {
        connect(&format!("{} {more}", self.conninfo("postgres", "postgres"))).await
    }

    /// A client that speaks bytes, not logged in.
    pub(crate) async fn raw(&self) -> Raw {
        Raw::connect(self.address()).await
    }

    /// A client that speaks bytes, logged in as `postgres` to database `postgres`.
    pub(crate) async fn raw_session(&self) -> Raw {
        let mut raw = self.raw().await;
        raw.log_in("postgres", "postgres").await;
        raw
    }

    /// A session of the console.
    pub(crate) async fn console(&self) -> Client {
        let host = self.dir.path().display();
        connect(&format!("host={host} port={} user=pgbouncer dbname=pgbouncer", self.port.port()))
            .await
            .unwrap()
    }

    /// The rows that a console command answers with.
    pub(crate) async fn show(&self, command: &str) -> Vec<Row> {
        rows(&self.console().await, command).await
    }

    /// A figure of SHOW POOLS for an entry, summed over its users.
    pub(crate) async fn pool(&self, database: &str, column: &str) -> i64 {
        let rows = self.show("SHOW POOLS").await;
        rows.iter()
            .filter(|row| row["database"] == database)
            .map(|row| row[column].parse::<i64>().unwrap())
            .sum()
    }

    /// Waits until a figure of SHOW POOLS of entry `postgres` has this value.
    pub(crate) async fn pool_becomes(&self, column: &str, value: i64) {
        let what = format!("SHOW POOLS {column} = {value}");
        until(&what, || async { self.pool("postgres", column).await == value }).await;
    }

    /// Waits until nobody uses or waits for a server of entry `postgres`, and that this many are idle.
    pub(crate) async fn pool_is_intact(&self, idle: i64) {
        let what = format!("the pool with {idle} idle servers and nothing else");
        until(&what, || async {
            let rows = self.show("SHOW POOLS").await;
            let sum = |column: &str| {
                rows.iter()
                    .filter(|row| row["database"] == "postgres")
                    .map(|row| row[column].parse::<i64>().unwrap())
                    .sum::<i64>()
            };
            let busy = [
                "cl_waiting",
                "sv_active",
                "sv_tested",
                "sv_login",
                "sv_used",
                "sv_active_cancel",
                "sv_being_canceled",
            ];
            busy.iter().all(|column| sum(column) == 0) && sum("sv_idle") == idle
        })
        .await;
    }
}

/// The rows that a console command answers with.
pub(crate) async fn rows(console: &Client, command: &str) -> Vec<Row> {
    let answer = within(command, console.simple_query(command)).await.unwrap();
    answer
        .iter()
        .filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        })
        .map(|row| {
            let cell = |(i, column): (usize, &tokio_postgres::SimpleColumn)| {
                (column.name().to_owned(), row.get(i).unwrap_or_default().to_owned())
            };
            row.columns().iter().enumerate().map(cell).collect()
        })
        .collect()
}

/// The configuration text; writes its user list.
pub(super) fn text(dir: &Path, port: u16, databases: &str, settings: &str) -> String {
    let users = dir.join("userlist.txt");
    std::fs::write(&users, USERS).unwrap();
    format!(
        "[databases]\n{databases}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
         unix_socket_dir = {}\nauth_file = {}\nauth_type = trust\npool_mode = transaction\n{settings}\n",
        dir.display(),
        users.display()
    )
}

/// A session by a connection string.
pub(crate) async fn connect(conninfo: &str) -> Result<Client, tokio_postgres::Error> {
    let (client, connection) = within("a login", tokio_postgres::connect(conninfo, NoTls)).await?;
    // Ends with the client; what went wrong is seen by the client's calls.
    tokio::spawn(connection);
    Ok(client)
}
