//! The clients: sessions that write and read through the pooler without pause, in every protocol.

mod appends;
mod bank;
mod counters;
mod readers;
mod session;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::Failure;
use crate::books::{ACCOUNTS, Books, DEPOSIT};
use crate::direct;
use session::Session;

/// The pause between a session's statements (time): two cores shall not be busy with the clients alone.
const PACE: Duration = Duration::from_millis(4);

/// How many sessions there are of each kind.
const EACH: i64 = 4;

/// How often a condition is looked at (time).
const LOOK: Duration = Duration::from_millis(5);

const TABLES: [&str; 4] = [
    "CREATE TABLE appends (session bigint, number bigint)",
    "CREATE TABLE accounts (id bigint PRIMARY KEY, balance bigint NOT NULL)",
    "CREATE TABLE transfers (session bigint, number bigint, source bigint, target bigint, amount bigint)",
    "CREATE TABLE counters (session bigint PRIMARY KEY, number bigint NOT NULL)",
];

/// The running sessions. Dropping it ends them.
#[derive(Debug)]
pub(crate) struct Load {
    pub(crate) books: Arc<Books>,
    stop: Arc<AtomicBool>,
    tasks: JoinSet<()>,
}

/// Makes the tables, through the pooler.
///
/// # Errors
/// The pooler or the server says one.
pub(crate) async fn make_tables(conninfo: &str) -> Result<(), Failure> {
    let client = direct::connect(conninfo).await?;
    for sql in TABLES {
        direct::rows(&client, sql).await?;
    }
    let accounts =
        format!("INSERT INTO accounts SELECT n, {DEPOSIT} FROM generate_series(0, {ACCOUNTS} - 1) n");
    direct::rows(&client, &accounts).await?;
    Ok(())
}

impl Load {
    /// Opens the sessions; they work from now on. `first` is the number of the first one: two loads on one cluster
    /// must not share numbers.
    ///
    /// # Errors
    /// A session cannot be opened.
    pub(crate) async fn start(conninfo: &str, first: i64) -> Result<Self, Failure> {
        let books = Arc::new(Books::default());
        let stop = Arc::new(AtomicBool::new(false));
        let mut tasks = JoinSet::new();
        for number in first..first + EACH {
            let session = |kind| Session::open(conninfo, kind, number, (&books, &stop));
            tasks.spawn(appends::work(session(appends::KIND).await?));
            tasks.spawn(bank::work(session(bank::KIND).await?));
            tasks.spawn(counters::work(session(counters::KIND).await?));
            tasks.spawn(readers::work(session(readers::KIND).await?));
        }
        Ok(Self { books, stop, tasks })
    }

    /// Waits until every session was answered `more` times from now on.
    ///
    /// # Errors
    /// One was not, within the limit.
    pub(crate) async fn advance(&self, more: u64, limit: Duration) -> Result<(), Failure> {
        let (before, began) = (self.books.beats(), Instant::now());
        loop {
            let now = self.books.beats();
            let waiting = now.iter().zip(&before).filter(|(now, before)| **now < **before + more).count();
            if waiting == 0 {
                return Ok(());
            }
            if began.elapsed() > limit {
                let (errors, _) = self.books.errors();
                return Err(format!(
                    "{waiting} of {} sessions were not answered {more} times within {limit:?}; errors so far: {errors:?}",
                    now.len()
                )
                .into());
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Lets every session finish what it is at, and ends it.
    ///
    /// # Errors
    /// One does not finish within the limit: its statement was never answered.
    pub(crate) async fn stop(&mut self, limit: Duration) -> Result<(), Failure> {
        self.stop.store(true, Ordering::Relaxed);
        let all = async { while self.tasks.join_next().await.is_some() {} };
        tokio::time::timeout(limit, all)
            .await
            .map_err(|_| format!("a session's statement was not answered within {limit:?}").into())
    }
}
