//! Writers of what a client sends, to a server.

use super::{
    WriteError,
    builder::{empty, frame, with_length},
};
use crate::{
    frame::tag::client as tag,
    read::{Target, TargetKind},
    startup_codes,
};

/// The `types_raw` of a Parse that fixes no parameter type.
pub const NO_TYPES: &[u8] = &[0, 0];

/// Query.
///
/// # Errors
/// A NUL in the text, or it is longer than a message can be.
pub fn query(out: &mut Vec<u8>, text: &[u8]) -> Result<(), WriteError> {
    frame(out, tag::QUERY, |body| body.text("text", text))
}

/// Parse. `types_raw` is what [`crate::read::Parse::types_raw`] holds, or [`NO_TYPES`].
///
/// # Errors
/// A NUL in a text, or the message is longer than a message can be.
pub fn parse(out: &mut Vec<u8>, name: &[u8], query: &[u8], types_raw: &[u8]) -> Result<(), WriteError> {
    frame(out, tag::PARSE, |body| {
        body.text("statement name", name)?;
        body.text("text", query)?;
        body.raw(types_raw);
        Ok(())
    })
}

/// Bind. `rest_raw` is what [`crate::read::Bind::rest`] holds.
///
/// # Errors
/// A NUL in a name, or the message is longer than a message can be.
pub fn bind(out: &mut Vec<u8>, portal: &[u8], statement: &[u8], rest_raw: &[u8]) -> Result<(), WriteError> {
    frame(out, tag::BIND, |body| {
        body.text("portal name", portal)?;
        body.text("statement name", statement)?;
        body.raw(rest_raw);
        Ok(())
    })
}

/// Describe.
///
/// # Errors
/// A NUL in the name, or it is longer than a message can be.
pub fn describe(out: &mut Vec<u8>, kind: TargetKind, name: &[u8]) -> Result<(), WriteError> {
    target(out, tag::DESCRIBE, Target { kind, name })
}

/// Close.
///
/// # Errors
/// As [`describe`].
pub fn close(out: &mut Vec<u8>, kind: TargetKind, name: &[u8]) -> Result<(), WriteError> {
    target(out, tag::CLOSE, Target { kind, name })
}

fn target(out: &mut Vec<u8>, tag: u8, target: Target<'_>) -> Result<(), WriteError> {
    frame(out, tag, |body| {
        body.u8(target.kind.as_byte());
        body.text("name", target.name)
    })
}

/// Execute; `max_rows` 0 for all rows.
///
/// # Errors
/// A NUL in the name, or it is longer than a message can be.
pub fn execute(out: &mut Vec<u8>, portal: &[u8], max_rows: i32) -> Result<(), WriteError> {
    frame(out, tag::EXECUTE, |body| {
        body.text("portal name", portal)?;
        body.i32(max_rows);
        Ok(())
    })
}

/// Sync.
pub fn sync(out: &mut Vec<u8>) {
    empty(out, tag::SYNC);
}

/// Flush.
pub fn flush(out: &mut Vec<u8>) {
    empty(out, tag::FLUSH);
}

/// Terminate.
pub fn terminate(out: &mut Vec<u8>) {
    empty(out, tag::TERMINATE);
}

/// CopyData.
///
/// # Errors
/// The payload is longer than a message can be.
pub fn copy_data(out: &mut Vec<u8>, payload: &[u8]) -> Result<(), WriteError> {
    frame(out, tag::COPY_DATA, |body| {
        body.raw(payload);
        Ok(())
    })
}

/// CopyDone.
pub fn copy_done(out: &mut Vec<u8>) {
    empty(out, tag::COPY_DONE);
}

/// CopyFail.
///
/// # Errors
/// A NUL in the reason, or it is longer than a message can be.
pub fn copy_fail(out: &mut Vec<u8>, reason: &[u8]) -> Result<(), WriteError> {
    frame(out, tag::COPY_FAIL, |body| body.text("reason", reason))
}

/// PasswordMessage.
///
/// # Errors
/// A NUL in the password, or it is longer than a message can be.
pub fn password(out: &mut Vec<u8>, password: &[u8]) -> Result<(), WriteError> {
    frame(out, tag::PASSWORD, |body| body.text("password", password))
}

/// SASLInitialResponse.
///
/// # Errors
/// A NUL in the mechanism, or the data are longer than a message can be.
pub fn sasl_initial_response(
    out: &mut Vec<u8>,
    mechanism: &[u8],
    data: Option<&[u8]>,
) -> Result<(), WriteError> {
    frame(out, tag::PASSWORD, |body| {
        body.text("mechanism", mechanism)?;
        body.value("data", data)
    })
}

/// SASLResponse.
///
/// # Errors
/// The data are longer than a message can be.
pub fn sasl_response(out: &mut Vec<u8>, data: &[u8]) -> Result<(), WriteError> {
    frame(out, tag::PASSWORD, |body| {
        body.raw(data);
        Ok(())
    })
}

/// StartupMessage. `version` is (major, minor), as (3, 0); the parameters go out in the order given.
///
/// # Errors
/// A NUL in a parameter, a parameter without a name (it would end the list), or more than a message can hold.
pub fn startup_message<'p>(
    out: &mut Vec<u8>,
    (major, minor): (u16, u16),
    parameters: impl IntoIterator<Item = (&'p [u8], &'p [u8])>,
) -> Result<(), WriteError> {
    with_length(out, |body| {
        body.u32(u32::from(major) << 16 | u32::from(minor));
        for (name, value) in parameters {
            if name.is_empty() {
                return Err(WriteError::Nul { field: "parameter name" });
            }
            body.text("parameter name", name)?;
            body.text("parameter value", value)?;
        }
        body.u8(0);
        Ok(())
    })
}

/// CancelRequest with the key that the server gave, 4 bytes or more.
///
/// # Errors
/// The key is longer than the 256 bytes that protocol 3.2 allows.
pub fn cancel_request(out: &mut Vec<u8>, pid: u32, key: &[u8]) -> Result<(), WriteError> {
    let max = startup_codes::CANCEL_KEY_MAX;
    if key.len() > max {
        return Err(WriteError::TooMany { field: "cancel key", count: key.len(), max });
    }
    with_length(out, |body| {
        body.u32(startup_codes::CANCEL);
        body.u32(pid);
        body.raw(key);
        Ok(())
    })
}

/// SSLRequest.
pub fn ssl_request(out: &mut Vec<u8>) {
    request(out, startup_codes::SSL);
}

/// GSSENCRequest.
pub fn gss_request(out: &mut Vec<u8>) {
    request(out, startup_codes::GSS);
}

fn request(out: &mut Vec<u8>, code: u32) {
    out.extend_from_slice(&8_u32.to_be_bytes());
    out.extend_from_slice(&code.to_be_bytes());
}
