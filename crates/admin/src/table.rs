//! Rows as a table: columns with their wire types, and cells. Next: [`crate::rows`] for the tables there are.

use std::borrow::Cow;
use std::fmt::Write as _;

use howdah_protocol::write::{self, WriteError};

use crate::time::UnixMicros;

/// A column of a `SHOW`: its name and wire type. Client libraries turn `int4`, `int8` and `numeric` into numbers
/// and `text` into strings, and scripts compare with `==`: the type is part of the contract.
pub type Column = write::Column<'static>;

/// OID of `int4` in PostgreSQL's catalog.
const INT4: u32 = 23;
/// OID of `bytea`.
const BYTEA: u32 = 17;

/// A `text` column.
#[must_use]
pub const fn text(name: &'static str) -> Column {
    Column::text(name)
}

/// An `int4` column.
#[must_use]
pub const fn int4(name: &'static str) -> Column {
    Column::int4(name)
}

/// An `int8` column.
#[must_use]
pub const fn int8(name: &'static str) -> Column {
    Column::int8(name)
}

/// A `numeric` column.
#[must_use]
pub const fn numeric(name: &'static str) -> Column {
    Column::numeric(name)
}

/// A `bytea` column.
#[must_use]
pub const fn bytea(name: &'static str) -> Column {
    Column { name, type_oid: BYTEA, type_len: -1 }
}

/// A value of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cell<'a> {
    /// SQL NULL, which is not the empty string.
    Null,
    /// Text as it is.
    Text(Cow<'a, str>),
    /// A number. In an `int4` column it is capped at `i32::MAX`, so that no driver fails to read it.
    Number(u64),
    /// Raw bytes, shown as `\x…`.
    Bytes(&'a [u8]),
}

impl<'a> From<&'a str> for Cell<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl From<String> for Cell<'_> {
    fn from(text: String) -> Self {
        Self::Text(Cow::Owned(text))
    }
}

impl<'a> From<&'a String> for Cell<'a> {
    fn from(text: &'a String) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl From<u64> for Cell<'_> {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

impl From<u32> for Cell<'_> {
    fn from(number: u32) -> Self {
        Self::Number(number.into())
    }
}

impl From<u16> for Cell<'_> {
    fn from(number: u16) -> Self {
        Self::Number(number.into())
    }
}

impl From<bool> for Cell<'_> {
    /// The console's flags are the integers 0 and 1.
    fn from(flag: bool) -> Self {
        Self::Number(flag.into())
    }
}

impl From<UnixMicros> for Cell<'_> {
    fn from(at: UnixMicros) -> Self {
        Self::Text(Cow::Owned(at.local()))
    }
}

impl<'a, T: Into<Cell<'a>>> From<Option<T>> for Cell<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// Something that a `SHOW` lists.
pub trait Row {
    /// The columns in their order.
    const COLUMNS: &'static [Column];

    /// The row's values, one a column.
    fn cells(&self) -> Vec<Cell<'_>>;
}

impl<R: Row> Row for &R {
    const COLUMNS: &'static [Column] = R::COLUMNS;

    fn cells(&self) -> Vec<Cell<'_>> {
        R::cells(self)
    }
}

/// The cell in PostgreSQL's text format, `None` for NULL.
fn in_text<'a>(cell: Cell<'a>, column: &Column) -> Option<Cow<'a, [u8]>> {
    Some(match cell {
        Cell::Null => return None,
        Cell::Text(Cow::Borrowed(text)) => Cow::Borrowed(text.as_bytes()),
        Cell::Text(Cow::Owned(text)) => Cow::Owned(text.into_bytes()),
        Cell::Number(number) => {
            let most = if column.type_oid == INT4 { i32::MAX.unsigned_abs().into() } else { u64::MAX };
            Cow::Owned(number.min(most).to_string().into_bytes())
        }
        Cell::Bytes(bytes) => {
            let mut hex = String::with_capacity(2 + 2 * bytes.len());
            hex.push_str("\\x");
            for byte in bytes {
                // proof: writing to a String cannot fail.
                let _ = write!(hex, "{byte:02x}");
            }
            Cow::Owned(hex.into_bytes())
        }
    })
}

/// Appends RowDescription and the rows; CommandComplete is the caller's.
///
/// # Errors
/// A value too large for a message; `out` then holds a part of the result and the caller must truncate it.
pub fn encode<R: Row>(out: &mut Vec<u8>, rows: impl IntoIterator<Item = R>) -> Result<(), WriteError> {
    write::row_description(out, R::COLUMNS)?;
    append(out, rows)
}

/// Appends DataRows behind a RowDescription with the same columns.
///
/// # Errors
/// As [`encode`].
pub fn append<R: Row>(out: &mut Vec<u8>, rows: impl IntoIterator<Item = R>) -> Result<(), WriteError> {
    for row in rows {
        let cells: Vec<_> = row.cells().into_iter().zip(R::COLUMNS).map(|(c, col)| in_text(c, col)).collect();
        debug_assert_eq!(cells.len(), R::COLUMNS.len(), "a cell for each column");
        let values: Vec<_> = cells.iter().map(Option::as_deref).collect();
        write::data_row(out, &values)?;
    }
    Ok(())
}
