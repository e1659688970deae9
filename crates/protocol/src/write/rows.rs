//! Writers of results: RowDescription and DataRow, for the console and for answers of our own. Values are text.

use super::{WriteError, builder::frame};
use crate::frame::tag::server as tag;

/// A column of a result that belongs to no table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column<'a> {
    /// The name.
    pub name: &'a str,
    /// OID of its type, such as 25 for `text`.
    pub type_oid: u32,
    /// The type's size in bytes; -1 when it varies.
    pub type_len: i16,
}

impl<'a> Column<'a> {
    /// A column of type `text`.
    pub const fn text(name: &'a str) -> Self {
        Self { name, type_oid: 25, type_len: -1 }
    }

    /// A column of type `integer`.
    pub const fn int4(name: &'a str) -> Self {
        Self { name, type_oid: 23, type_len: 4 }
    }

    /// A column of type `bigint`.
    pub const fn int8(name: &'a str) -> Self {
        Self { name, type_oid: 20, type_len: 8 }
    }

    /// A column of type `numeric`.
    pub const fn numeric(name: &'a str) -> Self {
        Self { name, type_oid: 1700, type_len: -1 }
    }
}

/// RowDescription.
///
/// # Errors
/// A NUL in a name, or more columns than a message can count.
pub fn row_description(out: &mut Vec<u8>, columns: &[Column<'_>]) -> Result<(), WriteError> {
    frame(out, tag::ROW_DESCRIPTION, |body| {
        body.count16("columns", columns.len())?;
        for column in columns {
            body.text("column name", column.name.as_bytes())?;
            // Of no table, without an attribute number.
            body.u32(0);
            body.i16(0);
            body.u32(column.type_oid);
            body.i16(column.type_len);
            // No modifier, format text.
            body.i32(-1);
            body.i16(0);
        }
        Ok(())
    })
}

/// DataRow; `None` for NULL.
///
/// # Errors
/// More values, or a longer value, than a message can hold.
pub fn data_row(out: &mut Vec<u8>, values: &[Option<&[u8]>]) -> Result<(), WriteError> {
    frame(out, tag::DATA_ROW, |body| {
        body.count16("values", values.len())?;
        for value in values {
            body.value("value", *value)?;
        }
        Ok(())
    })
}
