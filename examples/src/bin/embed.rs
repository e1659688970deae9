//! Howdah inside a program: no second process, no port, no socket between the driver and the pooler.
//!
//! ```text
//! embed "host=127.0.0.1 port=5432 user=app password=app dbname=app"
//! ```
//!
//! Twelve sessions, as a program's tasks would each have one, share two connections to that server. For a cluster of
//! several nodes, fill in `Config::clusters` as well: reads are then split and failovers handled, in this process.

use std::collections::BTreeSet;
use std::io::Write as _;

use howdah::config::{Config, Database, PoolMode, Secret};
use howdah::{Handle, Howdah};
use tokio::task::JoinSet;
use tokio_postgres::config::Host;
use tokio_postgres::{Client, NoTls};

type Error = Box<dyn std::error::Error + Send + Sync>;

/// Sessions of the program.
const SESSIONS: i32 = 12;
/// Connections to the server that they share.
const SERVERS: u32 = 2;
/// Transactions of each session.
const TRANSACTIONS: i32 = 10;

#[tokio::main]
async fn main() -> Result<(), Error> {
    let conninfo = std::env::args().nth(1).ok_or("usage: embed CONNECTION_STRING")?;
    let server: tokio_postgres::Config = conninfo.parse()?;
    let howdah = Howdah::builder().config(configure(&server)?).without_listeners().start().await?;

    let mut sessions = JoinSet::new();
    for number in 1..=SESSIONS {
        let howdah = howdah.clone();
        let user = server.get_user().unwrap_or("postgres").to_owned();
        sessions.spawn(async move { work(&howdah, &user, number).await });
    }
    let mut total = 0;
    let mut servers = BTreeSet::new();
    while let Some(done) = sessions.join_next().await {
        let (sum, seen) = done??;
        total += sum;
        servers.extend(seen);
    }
    howdah.shutdown().await;

    let mut out = std::io::stdout().lock();
    writeln!(out, "{SESSIONS} sessions shared {} server connections; their sum is {total}", servers.len())?;
    Ok(())
}

/// One entry, `app`, that leads to the server of the connection string.
fn configure(server: &tokio_postgres::Config) -> Result<Config, Error> {
    let mut entry = Database::new("app");
    let Some(Host::Tcp(host)) = server.get_hosts().first() else {
        return Err("the connection string names no TCP host".into());
    };
    entry.host = vec![host.clone()];
    entry.port = server.get_ports().first().copied().unwrap_or(5432);
    entry.dbname = server.get_dbname().map(str::to_owned);
    entry.user = server.get_user().map(str::to_owned);
    entry.password = server.get_password().map(|word| Secret::new(String::from_utf8_lossy(word)));
    entry.pool_size = Some(SERVERS);
    entry.pool_mode = Some(PoolMode::Transaction);
    let mut config = Config::default();
    config.databases.insert(entry.name.clone(), entry);
    Ok(config)
}

/// One session's work: each transaction may run on another connection. Gives a sum, and the servers' process ids.
async fn work(howdah: &Handle, user: &str, number: i32) -> Result<(i64, BTreeSet<i32>), Error> {
    let client = connect(howdah, user).await?;
    // A statement that takes a moment, as real ones do: one connection alone is not enough for all.
    let add = client.prepare("SELECT $1::int + $2::int, pg_backend_pid() FROM pg_sleep(0.01)").await?;
    let (mut sum, mut servers) = (0, BTreeSet::new());
    for round in 1..=TRANSACTIONS {
        let row = client.query_one(&add, &[&number, &round]).await?;
        sum += i64::from(row.try_get::<_, i32>(0)?);
        servers.insert(row.try_get(1)?);
    }
    Ok((sum, servers))
}

/// A client of the driver whose other end is the pooler in this process. It gives no password: the program vouches
/// for its user.
async fn connect(howdah: &Handle, user: &str) -> Result<Client, Error> {
    let mut config = tokio_postgres::Config::new();
    config.user(user).dbname("app");
    let (client, connection) = config.connect_raw(howdah.connect("app", user).await?, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}
