//! What the sessions were told, and its comparison with what the primary has.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio_postgres::Client;

use crate::Failure;
use crate::direct::{Row, rows};
use crate::gauge::Gauge;

/// The accounts of the bank, and what each of them has at the beginning.
pub(crate) const ACCOUNTS: i64 = 20;
/// What each account has at the beginning.
pub(crate) const DEPOSIT: i64 = 1000;

/// What a session does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It writes a statement at a time: the time between two acknowledgements is a write gap.
    Writer,
    /// It writes a transaction of several statements at a time: the time between two commits is a transfer gap.
    Transfer,
    /// It reads only: the time between two answers is a read gap.
    Reader,
}

/// A statement or transaction of a table with a number of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Entry {
    /// Whether it is a row of `appends` or of `transfers`.
    pub(crate) table: Table,
    /// The session that wrote it.
    pub(crate) session: i64,
    /// Its number within the session.
    pub(crate) number: i64,
}

/// The tables whose rows are compared with what was acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Table {
    Appends,
    Transfers,
}

#[derive(Debug)]
struct Session {
    kind: Kind,
    gauge: Gauge,
    /// Errors since the last reset.
    errors: u32,
}

#[derive(Debug, Default)]
struct Inner {
    sessions: Vec<Session>,
    acknowledged: Vec<Entry>,
    /// The greatest number that was acknowledged to each session of counters.
    counters: HashMap<i64, i64>,
    errors: BTreeMap<String, u64>,
    broken: Vec<String>,
    stale: Vec<String>,
    /// The most errors that one session had between two resets.
    most_errors: u32,
}

/// The sessions' common memory.
#[derive(Debug, Default)]
pub(crate) struct Books(Mutex<Inner>);

/// What is wrong with the primary's tables, compared with the books.
#[derive(Debug, Default)]
pub(crate) struct Balance {
    /// Acknowledged and not there.
    pub(crate) lost: Vec<String>,
    /// There more than once.
    pub(crate) duplicated: Vec<String>,
    /// Acknowledged in all.
    pub(crate) acknowledged: usize,
}

/// The longest gaps since the last reset.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Gaps {
    pub(crate) write: Duration,
    pub(crate) transfer: Duration,
    pub(crate) read: Duration,
}

impl Books {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens an account for a session; gives its place.
    pub(crate) fn open(&self, kind: Kind) -> usize {
        let mut inner = self.inner();
        inner.sessions.push(Session { kind, gauge: Gauge::new(), errors: 0 });
        inner.sessions.len() - 1
    }

    /// A session's statement was answered.
    pub(crate) fn beat(&self, place: usize) {
        self.inner().sessions[place].gauge.beat();
    }

    /// A row was acknowledged.
    pub(crate) fn acknowledge(&self, place: usize, entry: Entry) {
        let mut inner = self.inner();
        inner.sessions[place].gauge.beat();
        inner.acknowledged.push(entry);
    }

    /// A counter was acknowledged.
    pub(crate) fn count(&self, place: usize, session: i64, number: i64) {
        let mut inner = self.inner();
        inner.sessions[place].gauge.beat();
        inner.counters.insert(session, number);
    }

    /// A session was told an error, and goes on.
    pub(crate) fn error(&self, place: usize, sentence: &str) {
        let mut inner = self.inner();
        *inner.errors.entry(sentence.to_owned()).or_default() += 1;
        inner.sessions[place].errors += 1;
        inner.most_errors = inner.most_errors.max(inner.sessions[place].errors);
    }

    /// A session ended.
    pub(crate) fn broken(&self, sentence: String) {
        self.inner().broken.push(sentence);
    }

    /// A read gave something that cannot have been.
    pub(crate) fn stale(&self, sentence: String) {
        self.inner().stale.push(sentence);
    }

    /// Gaps and errors a session are counted from now.
    pub(crate) fn reset(&self) {
        for session in &mut self.inner().sessions {
            session.gauge.reset();
            session.errors = 0;
        }
    }

    /// The longest gaps since the reset.
    pub(crate) fn gaps(&self) -> Gaps {
        let inner = self.inner();
        let longest = |kind: Kind| {
            let own = inner.sessions.iter().filter(|session| session.kind == kind);
            own.map(|session| session.gauge.longest()).max().unwrap_or_default()
        };
        Gaps { write: longest(Kind::Writer), transfer: longest(Kind::Transfer), read: longest(Kind::Reader) }
    }

    /// How often each session was answered.
    pub(crate) fn beats(&self) -> Vec<u64> {
        self.inner().sessions.iter().map(|session| session.gauge.beats()).collect()
    }

    /// The errors so far, by SQLSTATE, and the most that one session had between two resets.
    pub(crate) fn errors(&self) -> (BTreeMap<String, u64>, u32) {
        let inner = self.inner();
        (inner.errors.clone(), inner.most_errors)
    }

    /// The sessions that ended, with their reasons.
    pub(crate) fn ended(&self) -> Vec<String> {
        self.inner().broken.clone()
    }

    /// The reads that gave something that cannot have been.
    pub(crate) fn stale_reads(&self) -> Vec<String> {
        self.inner().stale.clone()
    }

    /// Compares with what a primary has. The sessions must have stopped.
    ///
    /// # Errors
    /// The primary does not answer.
    pub(crate) async fn compare(&self, primary: &Client) -> Result<Balance, Failure> {
        let mut there: HashMap<Entry, i64> = HashMap::new();
        for (table, name) in [(Table::Appends, "appends"), (Table::Transfers, "transfers")] {
            let sql = format!("SELECT session, number, count(*) FROM {name} GROUP BY 1, 2");
            for row in rows(primary, &sql).await? {
                let entry = Entry { table, session: row.number(0)?, number: row.number(1)? };
                there.insert(entry, row.number(2)?);
            }
        }
        let mut balance = Balance::default();
        let (acknowledged, counters) = {
            let inner = self.inner();
            (inner.acknowledged.clone(), inner.counters.clone())
        };
        balance.acknowledged = acknowledged.len() + counters.len();
        let missing = acknowledged.iter().filter(|entry| !there.contains_key(entry));
        balance.lost.extend(missing.map(|entry| format!("{entry:?}")));
        let twice = there.iter().filter(|(_, count)| **count > 1);
        balance.duplicated.extend(twice.map(|(entry, count)| format!("{entry:?}: {count} times")));
        for row in rows(primary, "SELECT session, number FROM counters").await? {
            let (session, number) = (row.number(0)?, row.number(1)?);
            if counters.get(&session).is_some_and(|acknowledged| number < *acknowledged) {
                balance.lost.push(format!("counter {session} is {number}, acknowledged was {counters:?}"));
            }
        }
        balance.lost.extend(bank_errors(primary).await?);
        Ok(balance)
    }
}

/// Each account must have what the transfers that are there make of it.
async fn bank_errors(primary: &Client) -> Result<Vec<String>, Failure> {
    let sql = format!(
        "SELECT a.id, a.balance, {DEPOSIT} + coalesce((SELECT sum(amount) FROM transfers WHERE target = a.id), 0)
            - coalesce((SELECT sum(amount) FROM transfers WHERE source = a.id), 0) FROM accounts a"
    );
    let describe =
        |row: &Row| Some(format!("account {} has {}, not {}", row.text(0)?, row.text(1)?, row.text(2)?));
    let all = rows(primary, &sql).await?;
    if i64::try_from(all.len())? != ACCOUNTS {
        return Ok(vec![format!("{} of {ACCOUNTS} accounts are there", all.len())]);
    }
    Ok(all.iter().filter(|row| row.text(1) != row.text(2)).filter_map(describe).collect())
}
