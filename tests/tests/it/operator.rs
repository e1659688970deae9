//! The real program as an operator's scripts use it: they act on the console, then read the log file, SHOW and the next
//! query (PGBOUNCER_BEHAVIOUR.md sections 1 to 4).

mod console;
mod life;
mod settings;

use tokio_postgres::{Client, SimpleQueryMessage};

use crate::support::{Binary, connect, sentence, until};

/// A session over the Unix socket, which is there a moment after the TCP port.
async fn over_unix(conninfo: &str) -> Client {
    let session = std::sync::Mutex::new(None);
    until("a login over the Unix socket", || async {
        let opened = connect(conninfo).await.ok();
        let is_there = opened.is_some();
        *session.lock().unwrap() = opened;
        is_there
    })
    .await;
    session.into_inner().unwrap().unwrap()
}

/// The admin's session on the Unix socket.
async fn admin(binary: &Binary) -> Client {
    let (host, port) = (binary.dir().display(), binary.port());
    over_unix(&format!("host={host} port={port} user=pgbouncer dbname=pgbouncer")).await
}

/// The rows of an answer, each as its cells; NULL is `~`.
async fn rows(client: &Client, sql: &str) -> Vec<Vec<String>> {
    let answer = client.simple_query(sql).await.unwrap_or_else(|error| panic!("{sql}: {}", sentence(&error)));
    let row = |message: &SimpleQueryMessage| match message {
        SimpleQueryMessage::Row(row) => {
            Some((0..row.len()).map(|at| row.get(at).unwrap_or("~").to_owned()).collect())
        }
        _ => None,
    };
    answer.iter().filter_map(row).collect()
}

async fn value(client: &Client, sql: &str) -> String {
    rows(client, sql).await.remove(0).remove(0)
}

/// What the log file has behind this many bytes.
fn log(binary: &Binary, from: usize) -> String {
    std::fs::read_to_string(binary.dir().join("log")).unwrap().split_off(from)
}

fn log_end(binary: &Binary) -> usize {
    log(binary, 0).len()
}

/// The last columns of SHOW CLIENTS and SERVERS.
async fn ids(console: &Client, of: &str) -> Vec<u64> {
    rows(console, of).await.iter().map(|row| row.last().unwrap().parse().unwrap()).collect()
}
