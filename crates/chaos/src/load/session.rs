//! One client session: it knows where its books are, and opens a new connection only when its own has ended.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio_postgres::{Client, Error};

use super::PACE;
use crate::Failure;
use crate::books::{Books, Kind};
use crate::direct;

/// The pause before a lost connection is opened again (time).
const RECONNECT: Duration = Duration::from_millis(20);

/// What an error says about the statement or transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It certainly did not happen, and may be sent again.
    Not,
    /// It may have happened.
    Doubt,
}

/// A client session.
#[derive(Debug)]
pub(crate) struct Session {
    /// Its number, which its rows carry.
    pub(crate) number: i64,
    pub(crate) client: Client,
    pub(crate) books: Arc<Books>,
    place: usize,
    conninfo: String,
    stop: Arc<AtomicBool>,
}

impl Session {
    /// Opens it.
    pub(crate) async fn open(
        conninfo: &str,
        kind: Kind,
        number: i64,
        (books, stop): (&Arc<Books>, &Arc<AtomicBool>),
    ) -> Result<Self, Failure> {
        let client = direct::connect(conninfo).await?;
        let (place, conninfo) = (books.open(kind), conninfo.to_owned());
        Ok(Self { number, client, books: Arc::clone(books), place, conninfo, stop: Arc::clone(stop) })
    }

    /// Waits a moment; whether the session is to go on.
    pub(crate) async fn pause(&self) -> bool {
        tokio::time::sleep(PACE).await;
        !self.stop.load(Ordering::Relaxed)
    }

    /// Its place in the books.
    pub(crate) fn place(&self) -> usize {
        self.place
    }

    /// Writes an error into the books, and opens a new connection when this one has ended. Whether the connection
    /// is the same.
    pub(crate) async fn failed(&mut self, error: &Error) -> Outcome {
        let code = error.code().map_or_else(|| "connection".to_owned(), |code| code.code().to_owned());
        self.books.error(self.place, &code);
        if self.client.is_closed() || error.is_closed() {
            self.books.broken(direct::sentence(error));
            self.reconnect().await;
            return Outcome::Doubt;
        }
        if code == "40001" { Outcome::Not } else { Outcome::Doubt }
    }

    async fn reconnect(&mut self) {
        while !self.stop.load(Ordering::Relaxed) {
            if let Ok(client) = direct::connect(&self.conninfo).await {
                self.client = client;
                return;
            }
            tokio::time::sleep(RECONNECT).await;
        }
    }
}
