//! Startup packets: what a client sends before the first frame. They have a length word and no tag.
//!
//! [`read`] takes one packet at a time, because after SSLRequest and GSSENCRequest the answer is awaited before
//! anything else may come: bytes that are already there then are for the caller to refuse
//! ([`StartupError::UnencryptedAfterSsl`], [`StartupError::UnencryptedAfterGss`]). What is in a startup message's
//! `options` is read by [`options`].
//! "Start-up" and "Message Formats" in PostgreSQL's protocol chapter; PGBOUNCER_BEHAVIOUR.md §1.

use std::fmt;

use crate::startup_codes as codes;

pub mod options;

/// The newest minor version of protocol 3 that we speak.
pub const NEWEST_MINOR: u16 = 0;

/// PostgreSQL's own limit of a startup packet, in bytes: what to give [`read`] without a reason for another.
pub const DEFAULT_MAX: usize = 10_000;

/// Name prefix of options of the protocol itself.
const PROTOCOL_OPTION: &[u8] = b"_pq_.";

/// A packet before the first frame.
#[derive(Clone, PartialEq, Eq)]
pub enum StartupPacket {
    /// SSLRequest: to be answered with one byte, `S` or `N`.
    Ssl,
    /// GSSENCRequest: to be answered with one byte, `N`.
    Gss,
    /// CancelRequest: never answered.
    Cancel {
        /// The process id of the session whose query to cancel.
        pid: u32,
        /// The secret that was given out with it, 4 to 256 bytes.
        key: Vec<u8>,
    },
    /// StartupMessage.
    Startup(Startup),
}

impl fmt::Debug for StartupPacket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ssl => f.write_str("Ssl"),
            Self::Gss => f.write_str("Gss"),
            Self::Cancel { pid, .. } => f.debug_struct("Cancel").field("pid", pid).finish_non_exhaustive(),
            Self::Startup(startup) => f.debug_tuple("Startup").field(startup).finish(),
        }
    }
}

/// A StartupMessage of protocol 3, with a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Startup {
    /// Major version of the protocol; 3.
    pub major: u16,
    /// Minor version that the client would like.
    pub minor: u16,
    /// Names and values as they came, in their order, duplicates kept.
    pub parameters: Vec<(Vec<u8>, Vec<u8>)>,
}

/// What the parameter `replication` asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Replication {
    /// An ordinary session.
    #[default]
    None,
    /// A walsender without a database.
    Physical,
    /// A walsender of one database.
    Logical,
}

/// What a NegotiateProtocolVersion has to say to this client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Negotiation<'a> {
    /// The newest minor version of protocol 3 that we speak.
    pub newest_minor: u16,
    /// The `_pq_.` options that we do not know, in their order.
    pub unknown_options: Vec<&'a [u8]>,
}

/// A packet that is refused. Where PgBouncer has a text for it, the text is PgBouncer's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StartupError {
    /// A length word that the packet cannot have.
    #[error("startup packet of {len} bytes is too short")]
    TooShort {
        /// The length announced, in bytes with the length word.
        len: usize,
    },
    /// Longer than we take. A client that speaks another protocol shows up here too.
    #[error("startup packet of {len} bytes is longer than the {max} that are allowed")]
    TooLong {
        /// The length announced, in bytes with the length word.
        len: usize,
        /// The limit.
        max: usize,
    },
    /// Protocol 2.
    #[error("old V2 protocol not supported")]
    OldProtocol,
    /// A protocol that is neither 2 nor 3.
    #[error("unsupported frontend protocol {major}.{minor}: server supports 3.0 to 3.{NEWEST_MINOR}")]
    UnsupportedProtocol {
        /// Major version.
        major: u16,
        /// Minor version.
        minor: u16,
    },
    /// SSLRequest or GSSENCRequest with a body.
    #[error("encryption request of {len} bytes instead of 8")]
    BadRequest {
        /// The length announced, in bytes with the length word.
        len: usize,
    },
    /// A cancel key that is too short or too long.
    #[error("cancel request with a key of {len} bytes")]
    BadCancelKey {
        /// Length of the key in bytes.
        len: usize,
    },
    /// The list of parameters is not a list of names and values with an end.
    #[error("invalid startup packet layout: {0}")]
    Layout(&'static str),
    /// No user name, or an empty one.
    #[error("no username supplied")]
    NoUser,
    /// `replication` is neither a boolean nor `database`.
    #[error("invalid value for parameter \"replication\": \"{0}\"")]
    Replication(String),
    /// Bytes behind an SSLRequest, before it is answered. Never given by [`read`].
    #[error("received unencrypted data after SSL request")]
    UnencryptedAfterSsl,
    /// Bytes behind a GSSENCRequest, before it is answered. Never given by [`read`].
    #[error("received unencrypted data after GSSAPI encryption request")]
    UnencryptedAfterGss,
}

impl StartupError {
    /// What the client is told. Of a header that makes no sense PgBouncer shows the bytes, in hexadecimal; `input`
    /// begins with it.
    #[must_use]
    pub fn sentence(&self, input: &[u8]) -> String {
        match self {
            Self::TooShort { .. } | Self::UnsupportedProtocol { .. } | Self::BadRequest { .. } => {
                let header = &input[..input.len().min(8)];
                let hex: String = header.iter().map(|byte| format!("{byte:02x}")).collect();
                format!("bad packet header: '{hex}'")
            }
            _ => self.to_string(),
        }
    }
}

impl StartupError {
    /// `protocol_violation`, for the ErrorResponse that says so.
    pub const fn sqlstate(&self) -> &'static str {
        crate::PROTOCOL_VIOLATION
    }
}

/// Takes one packet from the beginning of `bytes`, with the number of bytes that it takes up. `None` when it is
/// not all there. `max` is the longest packet to take, in bytes; it is checked before the packet is waited for.
///
/// # Errors
/// The packet is too long, too short, or not what its code says; or its protocol is not 3; or it has no user.
pub fn read(bytes: &[u8], max: usize) -> Result<Option<(StartupPacket, usize)>, StartupError> {
    let Some((word, _)) = bytes.split_first_chunk::<4>() else { return Ok(None) };
    let len = u32::from_be_bytes(*word) as usize;
    if len < 8 {
        return Err(StartupError::TooShort { len });
    }
    if len > max {
        return Err(StartupError::TooLong { len, max });
    }
    let Some((code, body)) = bytes.get(4..len).and_then(|packet| packet.split_first_chunk::<4>()) else {
        return Ok(None);
    };
    let packet = match u32::from_be_bytes(*code) {
        codes::SSL | codes::GSS if !body.is_empty() => return Err(StartupError::BadRequest { len }),
        codes::SSL => StartupPacket::Ssl,
        codes::GSS => StartupPacket::Gss,
        codes::CANCEL => cancel(body)?,
        version => StartupPacket::Startup(startup(version, body)?),
    };
    Ok(Some((packet, len)))
}

fn cancel(body: &[u8]) -> Result<StartupPacket, StartupError> {
    let Some((pid, key)) = body.split_first_chunk::<4>() else {
        return Err(StartupError::BadCancelKey { len: 0 });
    };
    if !(4..=codes::CANCEL_KEY_MAX).contains(&key.len()) {
        return Err(StartupError::BadCancelKey { len: key.len() });
    }
    Ok(StartupPacket::Cancel { pid: u32::from_be_bytes(*pid), key: key.to_vec() })
}

fn startup(version: u32, body: &[u8]) -> Result<Startup, StartupError> {
    let (major, minor) = ((version >> 16) as u16, (version & 0xffff) as u16);
    match major {
        3 => {}
        2 => return Err(StartupError::OldProtocol),
        _ => return Err(StartupError::UnsupportedProtocol { major, minor }),
    }
    let mut parameters = Vec::new();
    let mut left = body;
    loop {
        let name = text(&mut left).ok_or(StartupError::Layout("expected terminator as last byte"))?;
        if name.is_empty() {
            break;
        }
        let value = text(&mut left).ok_or(StartupError::Layout("a parameter has no value"))?;
        parameters.push((name.to_vec(), value.to_vec()));
    }
    if !left.is_empty() {
        return Err(StartupError::Layout("bytes behind the terminator"));
    }
    let startup = Startup { major, minor, parameters };
    if startup.user().is_empty() {
        return Err(StartupError::NoUser);
    }
    Ok(startup)
}

/// Text up to the next NUL, without it.
fn text<'a>(left: &mut &'a [u8]) -> Option<&'a [u8]> {
    let end = memchr::memchr(0, left)?;
    let text = &left[..end];
    *left = &left[end + 1..];
    Some(text)
}

impl Startup {
    /// The value of a parameter; as in PostgreSQL the last one counts when it comes twice.
    pub fn get(&self, name: &[u8]) -> Option<&[u8]> {
        self.parameters.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value.as_slice())
    }

    /// The user name; never empty in what [`read`] gives.
    pub fn user(&self) -> &[u8] {
        self.get(b"user").unwrap_or_default()
    }

    /// The database; the user's name when the client names none.
    pub fn database(&self) -> &[u8] {
        self.get(b"database").filter(|name| !name.is_empty()).unwrap_or_else(|| self.user())
    }

    /// What kind of session is asked for.
    ///
    /// # Errors
    /// `replication` is neither a boolean as PostgreSQL reads it nor `database`.
    pub fn replication(&self) -> Result<Replication, StartupError> {
        let Some(value) = self.get(b"replication") else { return Ok(Replication::None) };
        if value == b"database" {
            return Ok(Replication::Logical);
        }
        match boolean(value) {
            Some(true) => Ok(Replication::Physical),
            Some(false) => Ok(Replication::None),
            None => Err(StartupError::Replication(String::from_utf8_lossy(value).into_owned())),
        }
    }

    /// Names of the options of the protocol itself (`_pq_.…`). We know none yet.
    pub fn protocol_options(&self) -> impl Iterator<Item = &[u8]> {
        self.parameters
            .iter()
            .map(|(name, _)| name.as_slice())
            .filter(|name| name.starts_with(PROTOCOL_OPTION))
    }
}

/// Whether the client must be told, once and before any authentication message, that it gets less than it asked
/// for: a newer minor version, or options of the protocol that we do not know.
pub fn negotiation(startup: &Startup) -> Option<Negotiation<'_>> {
    let unknown_options: Vec<_> = startup.protocol_options().collect();
    (startup.minor > NEWEST_MINOR || !unknown_options.is_empty())
        .then_some(Negotiation { newest_minor: NEWEST_MINOR, unknown_options })
}

/// A boolean as PostgreSQL reads one: a word or any beginning of it that is not ambiguous, in any case.
fn boolean(text: &[u8]) -> Option<bool> {
    let begins = |word: &str, least: usize| {
        text.len() >= least
            && word.as_bytes().get(..text.len()).is_some_and(|start| start.eq_ignore_ascii_case(text))
    };
    if begins("true", 1) || begins("yes", 1) || begins("on", 2) || text == b"1" {
        Some(true)
    } else if begins("false", 1) || begins("no", 1) || begins("off", 2) || text == b"0" {
        Some(false)
    } else {
        None
    }
}

#[cfg(test)]
mod startup_tests;
