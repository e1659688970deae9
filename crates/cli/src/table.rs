//! What the console answers, as rows and as a table on a terminal. Used by `demo` and `top`.

use tokio_postgres::{Client, Error, SimpleQueryMessage};

/// A table of texts; the first row is the heading.
pub(crate) type Table = Vec<Vec<String>>;

/// The rows of a SHOW.
///
/// # Errors
/// The console refuses, or the session has ended.
pub(crate) async fn show(console: &Client, what: &str) -> Result<Vec<Row>, Error> {
    let answer = console.simple_query(&format!("SHOW {what}")).await?;
    Ok(answer.iter().filter_map(Row::of).collect())
}

/// These columns of the rows, with their names above.
pub(crate) fn chosen(rows: &[Row], columns: &[&str]) -> Table {
    let line = |row: &Row| columns.iter().map(|column| row.get(column).to_owned()).collect();
    let heading = columns.iter().map(|column| (*column).to_owned()).collect();
    std::iter::once(heading).chain(rows.iter().map(line)).collect()
}

/// A row of the console.
#[derive(Debug, Clone)]
pub(crate) struct Row(Vec<(String, String)>);

impl Row {
    /// The row in a message, if it is one.
    pub(crate) fn of(message: &SimpleQueryMessage) -> Option<Self> {
        let SimpleQueryMessage::Row(row) = message else { return None };
        let name = |at: usize| row.columns().get(at).map(|column| column.name().to_owned());
        let cell = |at: usize| Some((name(at)?, row.get(at).unwrap_or_default().to_owned()));
        Some(Self((0..row.len()).filter_map(cell).collect()))
    }

    /// A cell; NULL and a column that there is not are empty.
    pub(crate) fn get(&self, column: &str) -> &str {
        self.0.iter().find(|(name, _)| name == column).map_or("", |(_, cell)| cell.as_str())
    }
}

/// A table in columns.
pub(crate) fn text_of(table: &Table) -> String {
    let columns = table.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column: usize| {
        table
            .iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or_default()
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in table {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}", width = *width));
        let line = cells.collect::<Vec<_>>().join("  ");
        text.push_str("  ");
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}
