//! The console of a running pooler, asked through real sockets, with a real PostgreSQL behind it
//! (PGBOUNCER_BEHAVIOUR.md sections 3 and 4). `rows.rs` is about SHOW, `commands.rs` and `settings.rs` about the rest.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod commands;
mod nodes;
mod rows;
mod settings;

use std::collections::BTreeMap;
use std::path::PathBuf;

use howdah::{Handle, Howdah};
use howdah_testkit::{Options, PortLease, Postgres, WorkDir};
use tokio::task::JoinHandle;
use tokio_postgres::{Client, Config, Error, NoTls, SimpleQueryMessage};

/// A pooler before a PostgreSQL, and the files of both.
pub(crate) struct Site {
    pub(crate) postgres: Postgres,
    pub(crate) howdah: Handle,
    work: WorkDir,
    lease: PortLease,
}

/// One row of an answer, by column.
pub(crate) type Row = BTreeMap<String, Option<String>>;

/// A connection whose end can be asked for.
pub(crate) struct Connected {
    pub(crate) client: Client,
    pub(crate) end: JoinHandle<Result<(), Error>>,
}

impl Site {
    /// Entries `p0` (forced user) and `p1`, users `adm` (admin), `stat`, `bob` and `eve`, transaction pooling.
    pub(crate) async fn start(extra: &str) -> Self {
        let options =
            Options::default().hba_line("host all bob 127.0.0.1/32 trust").sql("CREATE ROLE bob LOGIN");
        let postgres = Postgres::single(options).await.unwrap();
        let (work, lease) = (WorkDir::new().unwrap(), PortLease::reserve().unwrap());
        let users = "\"adm\" \"\"\n\"stat\" \"\"\n\"bob\" \"\"\n\"eve\" \"\"\n";
        std::fs::write(work.path().join("users.txt"), users).unwrap();
        let port = postgres.port();
        let databases = format!(
            "p0 = host=127.0.0.1 port={port} dbname=postgres user=postgres pool_size=2\n\
             p1 = host=127.0.0.1 port={port} dbname=postgres\n"
        );
        let file = work.path().join("howdah.ini");
        std::fs::write(&file, ini(&work, &lease, &databases, extra)).unwrap();
        let loaded = howdah::config::load(&file).unwrap();
        let howdah = Howdah::builder().config(loaded.config).config_file(&file).start().await.unwrap();
        Self { postgres, howdah, work, lease }
    }

    pub(crate) fn dir(&self) -> PathBuf {
        self.work.path().to_owned()
    }

    /// Writes the file anew, for RELOAD.
    pub(crate) fn rewrite(&self, databases: &str, extra: &str) {
        std::fs::write(self.work.path().join("howdah.ini"), ini(&self.work, &self.lease, databases, extra))
            .unwrap();
    }

    pub(crate) async fn try_connect(&self, database: &str, user: &str) -> Result<Connected, Error> {
        let mut config = Config::new();
        config.host("127.0.0.1").port(self.lease.port()).dbname(database).user(user);
        config.application_name(format!("{user}-app"));
        connect(&config).await
    }

    pub(crate) async fn connect(&self, database: &str, user: &str) -> Connected {
        self.try_connect(database, user).await.unwrap()
    }

    /// A console of an admin.
    pub(crate) async fn console(&self) -> Connected {
        self.connect("pgbouncer", "adm").await
    }

    pub(crate) fn port(&self) -> u16 {
        self.lease.port()
    }
}

fn ini(work: &WorkDir, lease: &PortLease, databases: &str, extra: &str) -> String {
    let (dir, port) = (work.path().display(), lease.port());
    format!(
        "[databases]\n{databases}\n[users]\nbob = pool_size=3 max_user_connections=7\n[pgbouncer]\n\
         listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir = {dir}\nauth_type = trust\n\
         auth_file = {dir}/users.txt\nadmin_users = adm\nstats_users = stat\npool_mode = transaction\n{extra}\n"
    )
}

pub(crate) async fn connect(config: &Config) -> Result<Connected, Error> {
    let (client, connection) = config.connect(NoTls).await?;
    Ok(Connected { client, end: tokio::spawn(connection) })
}

impl Connected {
    /// The rows of an answer.
    pub(crate) async fn rows(&self, sql: &str) -> Vec<Row> {
        let messages = self.client.simple_query(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        let row = |message: &SimpleQueryMessage| match message {
            SimpleQueryMessage::Row(row) => Some(
                row.columns()
                    .iter()
                    .enumerate()
                    .map(|(at, column)| (column.name().to_owned(), row.get(at).map(str::to_owned)))
                    .collect(),
            ),
            _ => None,
        };
        messages.iter().filter_map(row).collect()
    }

    /// The row in which a column has this value.
    pub(crate) async fn row(&self, sql: &str, column: &str, value: &str) -> Row {
        let rows = self.rows(sql).await;
        let found = rows.iter().find(|row| row[column].as_deref() == Some(value)).cloned();
        found.unwrap_or_else(|| panic!("{sql}: no {column} = {value} in {rows:#?}"))
    }

    /// The one value of an answer.
    pub(crate) async fn value(&self, sql: &str) -> String {
        let rows = self.rows(sql).await;
        rows[0].values().next().unwrap().clone().unwrap()
    }

    pub(crate) async fn run(&self, sql: &str) {
        self.client.simple_query(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    }

    /// SQLSTATE and text of the error that a command gives.
    pub(crate) async fn error(&self, sql: &str) -> (String, String) {
        database_error(&self.client.simple_query(sql).await.expect_err(sql))
    }

    /// SQLSTATE and text with which the other side closed the connection.
    pub(crate) async fn fate(self) -> (String, String) {
        database_error(&self.end.await.unwrap().expect_err("it was closed without a word"))
    }
}

pub(crate) fn database_error(error: &Error) -> (String, String) {
    let error = error.as_db_error().unwrap_or_else(|| panic!("{error:?}"));
    (error.code().code().to_owned(), error.message().to_owned())
}

/// PgBouncer's SQLSTATE with a text.
pub(crate) fn refused(text: &str) -> (String, String) {
    ("08P01".to_owned(), text.to_owned())
}

/// The cell of a row, which must not be NULL.
pub(crate) fn cell<'a>(row: &'a Row, column: &str) -> &'a str {
    row[column].as_deref().unwrap_or_else(|| panic!("{column} is NULL in {row:#?}"))
}

/// Several cells of a row.
pub(crate) fn cells<'a>(row: &'a Row, columns: &[&str]) -> Vec<&'a str> {
    columns.iter().map(|column| cell(row, column)).collect()
}
