//! Sessions with a node itself, past the pooler, and what they answer.

use std::time::Duration;

use tokio_postgres::{Client, NoTls, SimpleQueryMessage, SimpleQueryRow};

use crate::Failure;

/// The longest that a login or an answer may take: a node may be frozen or cut off (time).
const LIMIT: Duration = Duration::from_secs(3);

/// A row as text.
#[derive(Debug)]
pub(crate) struct Row(SimpleQueryRow);

impl Row {
    /// A cell; none for NULL.
    pub(crate) fn text(&self, column: usize) -> Option<&str> {
        self.0.get(column)
    }

    /// A cell by its column's name; empty for NULL and a column that there is not.
    pub(crate) fn named(&self, column: &str) -> &str {
        let place = self.0.columns().iter().position(|other| other.name() == column);
        place.and_then(|place| self.0.get(place)).unwrap_or_default()
    }

    /// Every cell with its column's name.
    pub(crate) fn describe(&self) -> String {
        let cells = self.0.columns().iter().enumerate();
        let cells = cells.filter_map(|(at, column)| Some(format!("{}={}", column.name(), self.text(at)?)));
        cells.collect::<Vec<_>>().join(" ")
    }

    /// A cell that is a number.
    ///
    /// # Errors
    /// It is none.
    pub(crate) fn number(&self, column: usize) -> Result<i64, Failure> {
        let text = self.text(column).unwrap_or_default();
        text.parse().map_err(|_| format!("{text:?} is no number").into())
    }
}

/// A session by a connection string.
///
/// # Errors
/// The login fails, or takes too long.
pub(crate) async fn connect(conninfo: &str) -> Result<Client, Failure> {
    let attempt = tokio::time::timeout(LIMIT, tokio_postgres::connect(conninfo, NoTls)).await;
    let (client, connection) = attempt.map_err(|_| format!("no login within {LIMIT:?}: {conninfo}"))??;
    // Ends with the client; what went wrong is seen by the client's calls.
    tokio::spawn(connection);
    Ok(client)
}

/// The rows that SQL gives, in the simple protocol.
///
/// # Errors
/// The server says one, or does not answer in time.
pub(crate) async fn rows(client: &Client, sql: &str) -> Result<Vec<Row>, Failure> {
    let answer = tokio::time::timeout(LIMIT * 5, client.simple_query(sql)).await;
    let answer = answer.map_err(|_| format!("no answer within {:?}: {sql}", LIMIT * 5))?;
    let answer = answer.map_err(|error| sentence(&error))?;
    Ok(answer
        .into_iter()
        .filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(Row(row)),
            _ => None,
        })
        .collect())
}

/// The first cell of the first row; empty when there is none.
///
/// # Errors
/// As [`connect`] and [`rows`].
pub(crate) async fn value(conninfo: &str, sql: &str) -> Result<String, Failure> {
    let client = connect(conninfo).await?;
    let rows = rows(&client, sql).await?;
    Ok(rows.first().and_then(|row| row.text(0)).unwrap_or_default().to_owned())
}

/// An error as `SQLSTATE: sentence`.
pub(crate) fn sentence(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(told) => format!("{}: {}", told.code().code(), told.message()),
        None => error.to_string(),
    }
}

/// A failure with its causes: a library's error often says only `db error`.
pub(crate) fn chain(failure: &(dyn std::error::Error + 'static)) -> String {
    let mut text = failure.to_string();
    let mut cause = failure.source();
    while let Some(next) = cause {
        text.push_str(": ");
        text.push_str(&next.to_string());
        cause = next.source();
    }
    text
}
