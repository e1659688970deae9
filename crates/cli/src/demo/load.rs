//! Sessions that write without pause through the failover, and remember what was acknowledged to them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio_postgres::{Client, NoTls, Statement};

use super::Broken;
use super::show::millis;

/// Sessions that write.
pub(crate) const WRITERS: usize = 4;

/// The pause between a session's rows (time): a machine with two cores shall not be busy with this alone.
const PACE: Duration = Duration::from_millis(5);

const TABLE: &str = "CREATE TABLE IF NOT EXISTS ledger (
    writer int, number bigint, PRIMARY KEY (writer, number))";

/// Written twice, a row is there once: whether an interrupted write happened need not be known.
const WRITE: &str = "INSERT INTO ledger VALUES ($1, $2) ON CONFLICT DO NOTHING";

/// Counted on the primary.
const COUNT: &str = "/* howdah:primary */ SELECT count(*) FROM ledger WHERE writer = $1 AND number <= $2";

/// What one session has seen.
#[derive(Debug, Clone, Default)]
struct Book {
    /// Its rows 1 to this number were acknowledged.
    acknowledged: i64,
    /// Statements that ended with an error, and were tried again in the same session.
    interrupted: Vec<String>,
    /// The longest time from one acknowledgement to the next since the last look.
    gap: Duration,
    /// Why its session ended, if it did.
    lost: Option<String>,
}

/// The sessions' books together.
#[derive(Debug, Clone, Default)]
pub(crate) struct Report {
    /// Acknowledged rows.
    pub(crate) acknowledged: i64,
    /// Errors that the sessions got.
    pub(crate) interrupted: Vec<String>,
    /// The longest time that a session had no write acknowledged.
    pub(crate) gap: Duration,
    /// Sessions that ended, with their reasons.
    pub(crate) lost: Vec<String>,
}

/// The writing sessions. Dropping it ends them.
#[derive(Debug)]
pub(crate) struct Load {
    books: Arc<[Mutex<Book>]>,
    conninfo: String,
    _tasks: JoinSet<()>,
}

fn book(books: &[Mutex<Book>], writer: usize) -> MutexGuard<'_, Book> {
    books[writer].lock().unwrap_or_else(PoisonError::into_inner)
}

async fn connect(conninfo: &str) -> Result<Client, Broken> {
    let connected = tokio_postgres::connect(conninfo, NoTls).await;
    let (client, connection) = connected.map_err(|error| Broken::new(format!("a writer: {error}")))?;
    tokio::spawn(connection);
    Ok(client)
}

impl Load {
    /// Opens the sessions; they write from now on.
    ///
    /// # Errors
    /// A session cannot be opened, or the table not be made.
    pub(crate) async fn start(conninfo: &str) -> Result<Self, Broken> {
        let said = |error: tokio_postgres::Error| Broken::new(format!("a writer: {}", sentence(&error)));
        let books: Arc<[Mutex<Book>]> = (0..WRITERS).map(|_| Mutex::default()).collect();
        connect(conninfo).await?.batch_execute(TABLE).await.map_err(said)?;
        let mut tasks = JoinSet::new();
        for writer in 0..WRITERS {
            let client = connect(conninfo).await?;
            let write = client.prepare(WRITE).await.map_err(said)?;
            let books = Arc::clone(&books);
            tasks.spawn(async move { work(&client, &write, writer, &books).await });
        }
        Ok(Self { books, conninfo: conninfo.to_owned(), _tasks: tasks })
    }

    /// What the sessions have seen since the last look.
    pub(crate) fn look(&self) -> Report {
        let mut report = Report::default();
        for writer in 0..WRITERS {
            let mut book = book(&self.books, writer);
            report.acknowledged += book.acknowledged;
            report.interrupted.append(&mut book.interrupted);
            report.gap = report.gap.max(std::mem::take(&mut book.gap));
            report.lost.extend(book.lost.clone());
        }
        report
    }

    /// Waits until every session has had a row acknowledged after this moment.
    ///
    /// # Errors
    /// One has not, within the limit.
    pub(crate) async fn advance(&self, limit: Duration) -> Result<(), Broken> {
        let numbers =
            || (0..WRITERS).map(|writer| book(&self.books, writer).acknowledged).collect::<Vec<_>>();
        let (before, began) = (numbers(), Instant::now());
        while numbers().iter().zip(&before).any(|(now, then)| now <= then) {
            if began.elapsed() > limit {
                let lost = self.look().lost;
                return Err(Broken::new(format!(
                    "a writer had nothing acknowledged for {}; sessions lost: {lost:?}",
                    millis(limit)
                )));
            }
            tokio::time::sleep(PACE).await;
        }
        Ok(())
    }

    /// Acknowledged rows that are not there, counted on the primary.
    ///
    /// # Errors
    /// The primary does not answer.
    pub(crate) async fn missing(&self) -> Result<i64, Broken> {
        let client = connect(&self.conninfo).await?;
        let mut missing = 0;
        for writer in 0..WRITERS {
            let acknowledged = book(&self.books, writer).acknowledged;
            let counted = client.query_one(COUNT, &[&number(writer), &acknowledged]).await;
            let counted = counted.and_then(|row| row.try_get::<_, i64>(0));
            missing += acknowledged - counted.map_err(|error| Broken::new(sentence(&error)))?;
        }
        Ok(missing)
    }
}

fn number(writer: usize) -> i32 {
    i32::try_from(writer).unwrap_or(i32::MAX)
}

/// One session's life: the next row, again and again, until the session ends.
async fn work(client: &Client, write: &Statement, writer: usize, books: &[Mutex<Book>]) {
    let mut next = 1_i64;
    let mut last = Instant::now();
    loop {
        match client.execute(write, &[&number(writer), &next]).await {
            Ok(_) => {
                let mut book = book(books, writer);
                book.acknowledged = next;
                book.gap = book.gap.max(last.elapsed());
                next += 1;
                last = Instant::now();
            }
            Err(error) if client.is_closed() => {
                book(books, writer).lost = Some(sentence(&error));
                return;
            }
            Err(error) => book(books, writer).interrupted.push(sentence(&error)),
        }
        tokio::time::sleep(PACE).await;
    }
}

fn sentence(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(told) => format!("{}: {}", told.code().code(), told.message()),
        None => error.to_string(),
    }
}
