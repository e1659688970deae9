//! Readers of results: RowDescription and DataRow. Both are checked whole first, so that their iterators cannot
//! fail half-way.

use super::{ReadError, cursor::Cursor};

/// A RowDescription message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowDescription<'a> {
    /// Number of columns.
    pub count: u16,
    checked: &'a [u8],
}

/// One column of a RowDescription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column<'a> {
    /// The name.
    pub name: &'a [u8],
    /// OID of the table that it is a column of, or 0.
    pub table_oid: u32,
    /// Its number in that table, or 0.
    pub attribute: i16,
    /// OID of its type.
    pub type_oid: u32,
    /// The type's size in bytes; negative when it varies.
    pub type_len: i16,
    /// The type's modifier; -1 without one.
    pub type_modifier: i32,
    /// 0 for text, 1 for binary.
    pub format: u16,
}

/// The iterator of [`RowDescription::columns`].
#[derive(Debug, Clone)]
pub struct Columns<'a> {
    cursor: Cursor<'a>,
}

/// A DataRow message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DataRow<'a> {
    /// Number of values.
    pub count: u16,
    checked: &'a [u8],
}

/// The iterator of [`DataRow::values`].
#[derive(Debug, Clone)]
pub struct Values<'a> {
    cursor: Cursor<'a>,
}

impl<'a> RowDescription<'a> {
    /// The columns in their order.
    pub const fn columns(&self) -> Columns<'a> {
        Columns { cursor: Cursor::new("RowDescription", self.checked) }
    }
}

impl<'a> Iterator for Columns<'a> {
    type Item = Column<'a>;

    fn next(&mut self) -> Option<Column<'a>> {
        column(&mut self.cursor).ok()
    }
}

impl<'a> DataRow<'a> {
    /// The values in their order; `None` for NULL.
    pub const fn values(&self) -> Values<'a> {
        Values { cursor: Cursor::new("DataRow", self.checked) }
    }
}

impl<'a> Iterator for Values<'a> {
    type Item = Option<&'a [u8]>;

    fn next(&mut self) -> Option<Option<&'a [u8]>> {
        self.cursor.value("value").ok()
    }
}

/// Reads a RowDescription.
///
/// # Errors
/// The columns are not exactly as many as their count, or one of them is not whole.
pub fn row_description(body: &[u8]) -> Result<RowDescription<'_>, ReadError> {
    let mut cursor = Cursor::new("RowDescription", body);
    let count = cursor.u16("count of columns")?;
    let mut walk = cursor;
    for _ in 0..count {
        column(&mut walk)?;
    }
    walk.end()?;
    Ok(RowDescription { count, checked: cursor.rest() })
}

/// Reads a DataRow.
///
/// # Errors
/// The values are not exactly as many as their count, or one of them is not whole.
pub fn data_row(body: &[u8]) -> Result<DataRow<'_>, ReadError> {
    let mut cursor = Cursor::new("DataRow", body);
    let count = cursor.u16("count of values")?;
    let mut walk = cursor;
    for _ in 0..count {
        walk.value("value")?;
    }
    walk.end()?;
    Ok(DataRow { count, checked: cursor.rest() })
}

fn column<'a>(cursor: &mut Cursor<'a>) -> Result<Column<'a>, ReadError> {
    Ok(Column {
        name: cursor.text("column name")?,
        table_oid: cursor.u32("table")?,
        attribute: cursor.u16("attribute number")?.cast_signed(),
        type_oid: cursor.u32("type")?,
        type_len: cursor.u16("type size")?.cast_signed(),
        type_modifier: cursor.u32("type modifier")?.cast_signed(),
        format: cursor.u16("format")?,
    })
}
