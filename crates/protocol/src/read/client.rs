//! Readers of what a client sends.

use super::{ReadError, cursor::Cursor};

/// A Parse message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parse<'a> {
    /// The statement's name; empty for the unnamed one.
    pub name: &'a [u8],
    /// The text.
    pub query: &'a [u8],
    /// The parameter types as they came: a count and as many OIDs, checked against the body's length.
    pub types_raw: &'a [u8],
}

impl<'a> Parse<'a> {
    /// The OIDs of the parameter types that the client fixes; 0 leaves one to the server.
    pub fn parameter_types(&self) -> impl Iterator<Item = u32> + use<'a> {
        let oids = self.types_raw.get(2..).unwrap_or_default();
        oids.chunks_exact(4).map(|oid| u32::from_be_bytes([oid[0], oid[1], oid[2], oid[3]]))
    }
}

/// A Bind message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bind<'a> {
    /// The portal's name; empty for the unnamed one.
    pub portal: &'a [u8],
    /// The statement's name; empty for the unnamed one.
    pub statement: &'a [u8],
    /// Formats and values as they came. Not looked into: they go to the server whole.
    pub rest: &'a [u8],
}

/// The names at the beginning of a Bind whose body may not all be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BindNames<'a> {
    /// The portal's name.
    pub portal: &'a [u8],
    /// The statement's name.
    pub statement: &'a [u8],
    /// Bytes of the body that the names take, with their NULs.
    pub len: usize,
}

/// What Describe and Close speak of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetKind {
    /// `S`, a prepared statement.
    Statement,
    /// `P`, a portal.
    Portal,
}

impl TargetKind {
    /// The byte that stands for it on the wire.
    pub const fn as_byte(self) -> u8 {
        match self {
            Self::Statement => b'S',
            Self::Portal => b'P',
        }
    }
}

/// A Describe or Close message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target<'a> {
    /// Statement or portal.
    pub kind: TargetKind,
    /// Its name; empty for the unnamed one.
    pub name: &'a [u8],
}

/// An Execute message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Execute<'a> {
    /// The portal's name; empty for the unnamed one.
    pub portal: &'a [u8],
    /// Most rows to return, as it came; zero or less means all.
    pub max_rows: i32,
}

/// A SASLInitialResponse message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SaslInitialResponse<'a> {
    /// The mechanism's name.
    pub mechanism: &'a [u8],
    /// The client's first message, if it sent one.
    pub data: Option<&'a [u8]>,
}

/// The text of a Query, without its NUL.
///
/// # Errors
/// The text does not end, or ends before the body does.
pub fn query(body: &[u8]) -> Result<&[u8], ReadError> {
    only_text("Query", "text", body)
}

/// Reads a Parse.
///
/// # Errors
/// A text does not end, or the body is not as long as its count of parameter types says.
pub fn parse(body: &[u8]) -> Result<Parse<'_>, ReadError> {
    let mut cursor = Cursor::new("Parse", body);
    let name = cursor.text("statement name")?;
    let query = cursor.text("text")?;
    let types_raw = cursor.rest();
    let mut types = Cursor::new("Parse", types_raw);
    let count = types.u16("count of parameter types")?;
    types.take(usize::from(count) * 4, "parameter types")?;
    types.end()?;
    Ok(Parse { name, query, types_raw })
}

/// Reads a Bind.
///
/// # Errors
/// A name does not end, or nothing follows the names.
pub fn bind(body: &[u8]) -> Result<Bind<'_>, ReadError> {
    let mut cursor = Cursor::new("Bind", body);
    let portal = cursor.text("portal name")?;
    let statement = cursor.text("statement name")?;
    let rest = cursor.rest();
    // The three counts, the last of which can only be found by walking over the values.
    if rest.len() < 6 {
        return Err(ReadError::Truncated { message: "Bind", field: "counts" });
    }
    Ok(Bind { portal, statement, rest })
}

/// Reads the names of a Bind of whose body only the beginning may have arrived. `None` when the names are not
/// all there: wait for more, and when the body is whole [`bind`] says what is wrong with it.
pub fn bind_names_prefix(prefix: &[u8]) -> Option<BindNames<'_>> {
    let portal = &prefix[..memchr::memchr(0, prefix)?];
    let after = &prefix[portal.len() + 1..];
    let statement = &after[..memchr::memchr(0, after)?];
    Some(BindNames { portal, statement, len: portal.len() + statement.len() + 2 })
}

/// Reads a Describe.
///
/// # Errors
/// The kind is neither `S` nor `P`, the name does not end, or ends before the body does.
pub fn describe(body: &[u8]) -> Result<Target<'_>, ReadError> {
    target("Describe", body)
}

/// Reads a Close.
///
/// # Errors
/// As [`describe`].
pub fn close(body: &[u8]) -> Result<Target<'_>, ReadError> {
    target("Close", body)
}

fn target<'a>(message: &'static str, body: &'a [u8]) -> Result<Target<'a>, ReadError> {
    let mut cursor = Cursor::new(message, body);
    let kind = match cursor.u8("kind")? {
        b'S' => TargetKind::Statement,
        b'P' => TargetKind::Portal,
        _ => return Err(cursor.invalid("kind")),
    };
    let name = cursor.text("name")?;
    cursor.end()?;
    Ok(Target { kind, name })
}

/// Reads an Execute.
///
/// # Errors
/// The name does not end, or the row count is not exactly what follows it.
pub fn execute(body: &[u8]) -> Result<Execute<'_>, ReadError> {
    let mut cursor = Cursor::new("Execute", body);
    let portal = cursor.text("portal name")?;
    let max_rows = cursor.u32("row limit")?.cast_signed();
    cursor.end()?;
    Ok(Execute { portal, max_rows })
}

/// The password of a PasswordMessage, without its NUL.
///
/// # Errors
/// The password does not end, or ends before the body does.
pub fn password(body: &[u8]) -> Result<&[u8], ReadError> {
    only_text("Password", "password", body)
}

/// Reads a SASLInitialResponse.
///
/// # Errors
/// The mechanism does not end, or the data is not exactly as long as it says.
pub fn sasl_initial_response(body: &[u8]) -> Result<SaslInitialResponse<'_>, ReadError> {
    let mut cursor = Cursor::new("SASLInitialResponse", body);
    let mechanism = cursor.text("mechanism")?;
    let data = cursor.value("data")?;
    cursor.end()?;
    Ok(SaslInitialResponse { mechanism, data })
}

/// The payload of a CopyData: the whole body.
pub const fn copy_data(body: &[u8]) -> &[u8] {
    body
}

/// The reason that a CopyFail gives, without its NUL.
///
/// # Errors
/// The text does not end, or ends before the body does.
pub fn copy_fail(body: &[u8]) -> Result<&[u8], ReadError> {
    only_text("CopyFail", "reason", body)
}

pub(super) fn only_text<'a>(
    message: &'static str,
    field: &'static str,
    body: &'a [u8],
) -> Result<&'a [u8], ReadError> {
    let mut cursor = Cursor::new(message, body);
    let text = cursor.text(field)?;
    cursor.end()?;
    Ok(text)
}
