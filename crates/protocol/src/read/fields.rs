//! The reader of ErrorResponse and NoticeResponse, which share their form: a letter and a text for each field
//! ("Error and Notice Message Fields" in the protocol chapter).

use super::{ReadError, cursor::Cursor};

/// One field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field<'a> {
    /// The letter that says what it is.
    pub kind: u8,
    /// Its text.
    pub value: &'a [u8],
}

/// The fields that are acted on; the others are found with [`ErrorFields::fields`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ErrorFields<'a> {
    /// `S`: the severity, in the server's language.
    pub severity: Option<&'a [u8]>,
    /// `V`: the severity, never translated. Absent from what PgBouncer says itself.
    pub severity_nonlocalized: Option<&'a [u8]>,
    /// `C`: the SQLSTATE.
    pub code: Option<&'a [u8]>,
    /// `M`: the message.
    pub message: Option<&'a [u8]>,
    /// `D`: the detail.
    pub detail: Option<&'a [u8]>,
    /// `H`: the hint.
    pub hint: Option<&'a [u8]>,
    /// `R`: the function in the server's source.
    pub routine: Option<&'a [u8]>,
    body: &'a [u8],
}

impl<'a> ErrorFields<'a> {
    /// All fields in the order they came, those without a name of their own here too.
    pub const fn fields(&self) -> Fields<'a> {
        Fields { left: self.body }
    }
}

/// The iterator of [`ErrorFields::fields`].
#[derive(Debug, Clone)]
pub struct Fields<'a> {
    /// Checked by [`error_or_notice`].
    left: &'a [u8],
}

impl<'a> Iterator for Fields<'a> {
    type Item = Field<'a>;

    fn next(&mut self) -> Option<Field<'a>> {
        let (&kind, after) = self.left.split_first().filter(|&(&kind, _)| kind != 0)?;
        let end = memchr::memchr(0, after)?;
        self.left = &after[end + 1..];
        Some(Field { kind, value: &after[..end] })
    }
}

/// Reads an ErrorResponse or a NoticeResponse. A field that comes twice counts the first time.
///
/// # Errors
/// A field's text does not end, or the list of fields has no end or ends before the body does.
pub fn error_or_notice(body: &[u8]) -> Result<ErrorFields<'_>, ReadError> {
    let mut cursor = Cursor::new("ErrorResponse", body);
    let mut read = ErrorFields { body, ..ErrorFields::default() };
    loop {
        let kind = cursor.u8("list of fields")?;
        if kind == 0 {
            break;
        }
        let value = cursor.text("field")?;
        let slot = match kind {
            b'S' => &mut read.severity,
            b'V' => &mut read.severity_nonlocalized,
            b'C' => &mut read.code,
            b'M' => &mut read.message,
            b'D' => &mut read.detail,
            b'H' => &mut read.hint,
            b'R' => &mut read.routine,
            _ => continue,
        };
        slot.get_or_insert(value);
    }
    cursor.end()?;
    Ok(read)
}
