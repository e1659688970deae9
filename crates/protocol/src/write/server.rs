//! Writers of the short messages that a server sends, to a client.

use super::{
    WriteError,
    builder::{empty, fixed, frame},
};
use crate::{frame::tag::server as tag, read::TransactionStatus, startup_codes};

/// AuthenticationOk.
pub fn authentication_ok(out: &mut Vec<u8>) {
    fixed(out, tag::AUTHENTICATION, 0_u32.to_be_bytes());
}

/// AuthenticationCleartextPassword.
pub fn authentication_cleartext_password(out: &mut Vec<u8>) {
    fixed(out, tag::AUTHENTICATION, 3_u32.to_be_bytes());
}

/// AuthenticationMD5Password with its salt.
pub fn authentication_md5(out: &mut Vec<u8>, salt: [u8; 4]) {
    let [a, b, c, d] = salt;
    fixed(out, tag::AUTHENTICATION, [0, 0, 0, 5, a, b, c, d]);
}

/// AuthenticationSASL with the mechanisms on offer, the preferred one first.
///
/// # Errors
/// A NUL in a mechanism's name, or a name that is empty (it would end the list).
pub fn authentication_sasl(out: &mut Vec<u8>, mechanisms: &[&str]) -> Result<(), WriteError> {
    frame(out, tag::AUTHENTICATION, |body| {
        body.u32(10);
        for mechanism in mechanisms {
            if mechanism.is_empty() {
                return Err(WriteError::Nul { field: "mechanism" });
            }
            body.text("mechanism", mechanism.as_bytes())?;
        }
        body.u8(0);
        Ok(())
    })
}

/// AuthenticationSASLContinue.
///
/// # Errors
/// The data are longer than a message can be.
pub fn authentication_sasl_continue(out: &mut Vec<u8>, data: &[u8]) -> Result<(), WriteError> {
    sasl(out, 11, data)
}

/// AuthenticationSASLFinal.
///
/// # Errors
/// The data are longer than a message can be.
pub fn authentication_sasl_final(out: &mut Vec<u8>, data: &[u8]) -> Result<(), WriteError> {
    sasl(out, 12, data)
}

fn sasl(out: &mut Vec<u8>, code: u32, data: &[u8]) -> Result<(), WriteError> {
    frame(out, tag::AUTHENTICATION, |body| {
        body.u32(code);
        body.raw(data);
        Ok(())
    })
}

/// NegotiateProtocolVersion: the newest minor version of protocol 3 that we speak, and the `_pq_.` options that
/// we do not know.
///
/// # Errors
/// A NUL in a name, or more names than a message can hold.
pub fn negotiate_protocol_version(
    out: &mut Vec<u8>,
    newest_minor: u16,
    unknown_options: &[&[u8]],
) -> Result<(), WriteError> {
    frame(out, tag::NEGOTIATE_PROTOCOL_VERSION, |body| {
        // PostgreSQL and libpq mean the whole version here, though the manual long said the minor alone.
        body.u32(3 << 16 | u32::from(newest_minor));
        body.count32("options", unknown_options.len())?;
        for name in unknown_options {
            body.text("option name", name)?;
        }
        Ok(())
    })
}

/// ParameterStatus.
///
/// # Errors
/// A NUL in a text, or one longer than a message can be.
pub fn parameter_status(out: &mut Vec<u8>, name: &[u8], value: &[u8]) -> Result<(), WriteError> {
    frame(out, tag::PARAMETER_STATUS, |body| {
        body.text("name", name)?;
        body.text("value", value)
    })
}

/// BackendKeyData.
///
/// # Errors
/// The key is longer than the 256 bytes that protocol 3.2 allows.
pub fn backend_key_data(out: &mut Vec<u8>, pid: u32, key: &[u8]) -> Result<(), WriteError> {
    let max = startup_codes::CANCEL_KEY_MAX;
    if key.len() > max {
        return Err(WriteError::TooMany { field: "cancel key", count: key.len(), max });
    }
    frame(out, tag::BACKEND_KEY_DATA, |body| {
        body.u32(pid);
        body.raw(key);
        Ok(())
    })
}

/// ReadyForQuery.
pub fn ready_for_query(out: &mut Vec<u8>, status: TransactionStatus) {
    fixed(out, tag::READY_FOR_QUERY, [status.as_byte()]);
}

/// CommandComplete.
///
/// # Errors
/// A NUL in the command's tag, or it is longer than a message can be.
pub fn command_complete(out: &mut Vec<u8>, command: &[u8]) -> Result<(), WriteError> {
    frame(out, tag::COMMAND_COMPLETE, |body| body.text("command tag", command))
}

/// NotificationResponse.
///
/// # Errors
/// A NUL in a text, or one longer than a message can be.
pub fn notification_response(
    out: &mut Vec<u8>,
    pid: u32,
    channel: &[u8],
    payload: &[u8],
) -> Result<(), WriteError> {
    frame(out, tag::NOTIFICATION_RESPONSE, |body| {
        body.u32(pid);
        body.text("channel", channel)?;
        body.text("payload", payload)
    })
}

/// EmptyQueryResponse.
pub fn empty_query_response(out: &mut Vec<u8>) {
    empty(out, tag::EMPTY_QUERY_RESPONSE);
}

/// ParseComplete.
pub fn parse_complete(out: &mut Vec<u8>) {
    empty(out, tag::PARSE_COMPLETE);
}

/// BindComplete.
pub fn bind_complete(out: &mut Vec<u8>) {
    empty(out, tag::BIND_COMPLETE);
}

/// CloseComplete.
pub fn close_complete(out: &mut Vec<u8>) {
    empty(out, tag::CLOSE_COMPLETE);
}

/// NoData.
pub fn no_data(out: &mut Vec<u8>) {
    empty(out, tag::NO_DATA);
}

/// PortalSuspended.
pub fn portal_suspended(out: &mut Vec<u8>) {
    empty(out, tag::PORTAL_SUSPENDED);
}
