//! Readers of the short messages that a server sends; results are in `rows.rs`, errors in `fields.rs`.

use super::{ReadError, client::only_text, cursor::Cursor};

/// What ReadyForQuery says of the transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TransactionStatus {
    /// `I`: no transaction block.
    Idle,
    /// `T`: in a transaction block.
    InTransaction,
    /// `E`: in a failed transaction block; everything but its end is refused.
    Failed,
}

impl TransactionStatus {
    /// The byte that stands for it on the wire.
    pub const fn as_byte(self) -> u8 {
        match self {
            Self::Idle => b'I',
            Self::InTransaction => b'T',
            Self::Failed => b'E',
        }
    }
}

/// A ParameterStatus message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParameterStatus<'a> {
    /// The setting's name.
    pub name: &'a [u8],
    /// Its value now.
    pub value: &'a [u8],
}

/// A BackendKeyData message: what a CancelRequest for this session must hold.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct BackendKeyData<'a> {
    /// The session's process id.
    pub pid: u32,
    /// The secret, 4 to 256 bytes; 4 before protocol 3.2.
    pub key: &'a [u8],
}

impl std::fmt::Debug for BackendKeyData<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BackendKeyData").field("pid", &self.pid).finish_non_exhaustive()
    }
}

/// A NegotiateProtocolVersion message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Negotiation<'a> {
    /// The newest minor version of protocol 3 that the server speaks.
    pub newest_minor: u16,
    /// The `_pq_.` options that it does not know.
    pub unknown_options: Vec<&'a [u8]>,
}

/// A NotificationResponse message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Notification<'a> {
    /// The process id of the session that notified.
    pub pid: u32,
    /// The channel.
    pub channel: &'a [u8],
    /// The payload.
    pub payload: &'a [u8],
}

/// Reads a ReadyForQuery.
///
/// # Errors
/// The body is not one byte, or a status that does not exist.
pub fn ready_for_query(body: &[u8]) -> Result<TransactionStatus, ReadError> {
    let mut cursor = Cursor::new("ReadyForQuery", body);
    let status = match cursor.u8("status")? {
        b'I' => TransactionStatus::Idle,
        b'T' => TransactionStatus::InTransaction,
        b'E' => TransactionStatus::Failed,
        _ => return Err(cursor.invalid("status")),
    };
    cursor.end()?;
    Ok(status)
}

/// Reads a ParameterStatus.
///
/// # Errors
/// A text does not end, or the value ends before the body does.
pub fn parameter_status(body: &[u8]) -> Result<ParameterStatus<'_>, ReadError> {
    let mut cursor = Cursor::new("ParameterStatus", body);
    let name = cursor.text("name")?;
    let value = cursor.text("value")?;
    cursor.end()?;
    Ok(ParameterStatus { name, value })
}

/// The tag of a CommandComplete, without its NUL.
///
/// # Errors
/// The tag does not end, or ends before the body does.
pub fn command_complete(body: &[u8]) -> Result<&[u8], ReadError> {
    only_text("CommandComplete", "tag", body)
}

/// Reads a BackendKeyData.
///
/// # Errors
/// The key is shorter than 4 or longer than 256 bytes.
pub fn backend_key_data(body: &[u8]) -> Result<BackendKeyData<'_>, ReadError> {
    let mut cursor = Cursor::new("BackendKeyData", body);
    let pid = cursor.u32("process id")?;
    let key = cursor.rest();
    if !(4..=256).contains(&key.len()) {
        return Err(cursor.invalid("key"));
    }
    Ok(BackendKeyData { pid, key })
}

/// Reads a NegotiateProtocolVersion. Servers send the whole version (`3 << 16 | minor`) where the manual once
/// said the minor alone; both are taken.
///
/// # Errors
/// The version is not one of protocol 3, or the options are not exactly as many as their count.
pub fn negotiate_protocol_version(body: &[u8]) -> Result<Negotiation<'_>, ReadError> {
    let mut cursor = Cursor::new("NegotiateProtocolVersion", body);
    let version = cursor.u32("version")?;
    if !matches!(version >> 16, 0 | 3) {
        return Err(cursor.invalid("version"));
    }
    let count = cursor.u32("count of options")?;
    let mut unknown_options = Vec::new();
    // Each turn takes at least one byte of the body, so a false count ends in an error, not in memory.
    for _ in 0..count {
        unknown_options.push(cursor.text("option name")?);
    }
    cursor.end()?;
    Ok(Negotiation { newest_minor: (version & 0xffff) as u16, unknown_options })
}

/// Reads a NotificationResponse.
///
/// # Errors
/// A text does not end, or the payload ends before the body does.
pub fn notification(body: &[u8]) -> Result<Notification<'_>, ReadError> {
    let mut cursor = Cursor::new("NotificationResponse", body);
    let pid = cursor.u32("process id")?;
    let channel = cursor.text("channel")?;
    let payload = cursor.text("payload")?;
    cursor.end()?;
    Ok(Notification { pid, channel, payload })
}
