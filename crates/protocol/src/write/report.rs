//! Writers of errors and notices that we say ourselves. Those of a server are passed on as they came.

use crate::frame::tag::server as tag;

/// Most bytes of one field's text. What we say quotes names and texts of others, which may be of any length; past
/// this it ends in [`CUT`].
const FIELD_MAX: usize = 64 * 1024;

/// Stands at the end of a text that was longer than [`FIELD_MAX`].
const CUT: &[u8] = b"...";

/// An error or a notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Report<'a> {
    /// `ERROR`, `FATAL`, `NOTICE` and so on.
    pub severity: &'a str,
    /// Whether the field `V` repeats the severity. PgBouncer's own errors have none.
    pub nonlocalized: bool,
    /// The SQLSTATE.
    pub code: &'a str,
    /// One sentence.
    pub message: &'a str,
    /// What more there is to say.
    pub detail: Option<&'a str>,
    /// What to do about it.
    pub hint: Option<&'a str>,
}

impl<'a> Report<'a> {
    /// As PgBouncer ends a client: `FATAL`, 08P01, no field `V`.
    pub const fn fatal(message: &'a str) -> Self {
        Self::new("FATAL", crate::PROTOCOL_VIOLATION, message)
    }

    /// As PgBouncer's console refuses: `ERROR`, 08P01, no field `V`.
    pub const fn error(message: &'a str) -> Self {
        Self::new("ERROR", crate::PROTOCOL_VIOLATION, message)
    }

    /// A notice with SQLSTATE 00000.
    pub const fn notice(message: &'a str) -> Self {
        Self::new("NOTICE", "00000", message)
    }

    /// A report without field `V`, detail and hint.
    pub const fn new(severity: &'a str, code: &'a str, message: &'a str) -> Self {
        Self { severity, nonlocalized: false, code, message, detail: None, hint: None }
    }
}

/// ErrorResponse. It must not be able to fail, being what a failure is answered with: a NUL in a text becomes a
/// `?`, and a text of more than 64 KiB is cut and ends in `...`.
pub fn error_response(out: &mut Vec<u8>, report: &Report<'_>) {
    message(out, tag::ERROR_RESPONSE, report);
}

/// NoticeResponse; as [`error_response`].
pub fn notice_response(out: &mut Vec<u8>, report: &Report<'_>) {
    message(out, tag::NOTICE_RESPONSE, report);
}

fn message(out: &mut Vec<u8>, tag: u8, report: &Report<'_>) {
    out.push(tag);
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    let nonlocalized = report.nonlocalized.then_some(report.severity);
    let fields = [
        (b'S', Some(report.severity)),
        (b'V', nonlocalized),
        (b'C', Some(report.code)),
        (b'M', Some(report.message)),
        (b'D', report.detail),
        (b'H', report.hint),
    ];
    for (kind, text) in fields {
        if let Some(text) = text {
            field(out, kind, text);
        }
    }
    out.push(0);
    // Six fields of at most FIELD_MAX bytes: far from what the word can hold.
    let length = (out.len() - start) as u32;
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
}

fn field(out: &mut Vec<u8>, kind: u8, text: &str) {
    out.push(kind);
    let (kept, end) = if text.len() > FIELD_MAX {
        (&text.as_bytes()[..text.floor_char_boundary(FIELD_MAX)], CUT)
    } else {
        (text.as_bytes(), &[][..])
    };
    out.extend(kept.iter().map(|&byte| if byte == 0 { b'?' } else { byte }));
    out.extend_from_slice(end);
    out.push(0);
}
