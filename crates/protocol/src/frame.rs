//! The frame scanner: the only code that touches bytes as they came from a socket.
//!
//! A frame is a tag, a length word and a body. Before anything else is done with it, and before a byte is
//! allocated for it, its tag must exist in the direction it travels, and its length must lie between the least
//! that such a message can have and the most that we take ([`Limits`]). Nothing here looks beyond the frame.
//! What a body holds is read by [`crate::read`], from the body's slice alone; the packets before the first
//! frame have no tag and are [`crate::startup`]'s.
//!
//! ```
//! use howdah_protocol::frame::{self, Direction, Limits, Step};
//! let bytes = b"Q\0\0\0\x0dSELECT 1\0S\0\0";
//! let Step::Complete(first) = frame::next(Direction::FromClient, &Limits::default(), bytes)? else { panic!() };
//! assert_eq!((first.tag, first.body), (b'Q', &b"SELECT 1\0"[..]));
//! let rest = &bytes[first.bytes.len()..];
//! assert_eq!(frame::next(Direction::FromClient, &Limits::default(), rest)?, Step::Partial(None));
//! # Ok::<(), frame::FrameError>(())
//! ```

use std::fmt;

mod table;
pub mod tag;

/// Bytes of a frame before its body: the tag and the length word.
pub const HEADER_LEN: usize = 5;

/// The largest frame that the length word can announce, in bytes with the tag: an `i32` plus one.
pub const WIRE_MAX: usize = i32::MAX as usize + 1;

/// Which way a frame travels; the same letter means different things in the two directions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From a client to us.
    FromClient,
    /// From a PostgreSQL server to us.
    FromServer,
}

/// How much of a frame we take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// `max_packet_size`: the largest frame, in bytes with tag and length word. Kinds of message that are
    /// never big have a smaller cap of their own.
    pub max_frame: usize,
}

impl Default for Limits {
    /// PgBouncer's default of `max_packet_size`.
    fn default() -> Self {
        Self { max_frame: i32::MAX as usize }
    }
}

/// A checked header: its frame may be read or passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The message's kind, see [`tag`].
    pub tag: u8,
    /// Bytes of the whole frame, with tag and length word; at least [`HEADER_LEN`].
    pub len: usize,
}

impl Header {
    /// Bytes of the body alone.
    pub const fn body_len(self) -> usize {
        self.len - HEADER_LEN
    }
}

/// One whole frame inside the scanned bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The message's kind, see [`tag`].
    pub tag: u8,
    /// What follows the length word.
    pub body: &'a [u8],
    /// The frame as it came, to be passed on.
    pub bytes: &'a [u8],
}

/// What the bytes begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step<'a> {
    /// A whole frame; the next one starts at `bytes.len()`.
    Complete(Frame<'a>),
    /// The beginning of a frame. Without a header fewer than [`HEADER_LEN`] bytes are there; with one the
    /// frame is acceptable and `header.len` bytes of it are expected.
    Partial(Option<Header>),
}

/// What is wrong with a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameFault {
    /// No message of that direction has this tag.
    UnknownTag,
    /// Shorter than the message can be; `min` is in bytes of the whole frame.
    TooShort {
        /// The least length, in bytes with tag and length word.
        min: usize,
    },
    /// Longer than the message can be or than we take.
    TooLong {
        /// The cap, in bytes with tag and length word.
        max: usize,
    },
}

/// A frame that is refused by its header. The stream has no known boundary after it, so the connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameError {
    /// Who sent it.
    pub direction: Direction,
    /// The tag as it came.
    pub tag: u8,
    /// The length that the header announces, in bytes with tag and length word.
    pub len: usize,
    /// What is wrong.
    pub fault: FrameFault,
}

impl FrameError {
    /// `protocol_violation`, for the ErrorResponse that says so.
    pub const fn sqlstate(&self) -> &'static str {
        crate::PROTOCOL_VIOLATION
    }
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let from = match self.direction {
            Direction::FromClient => "client",
            Direction::FromServer => "server",
        };
        let tag = self.tag.escape_ascii();
        match self.fault {
            FrameFault::UnknownTag => write!(f, "unknown message type '{tag}' from {from}"),
            FrameFault::TooShort { min } => write!(
                f,
                "message '{tag}' from {from} is {} bytes long, less than the {min} that it needs",
                self.len
            ),
            FrameFault::TooLong { max } => write!(
                f,
                "message '{tag}' from {from} is {} bytes long, more than the {max} that are allowed",
                self.len
            ),
        }
    }
}

impl std::error::Error for FrameError {}

/// Checks the header at the beginning of `bytes`. `None` when fewer than [`HEADER_LEN`] bytes are there.
///
/// # Errors
/// The tag does not exist in this direction, or the length is below the kind's minimum or above its cap.
#[inline]
pub fn header(direction: Direction, limits: &Limits, bytes: &[u8]) -> Result<Option<Header>, FrameError> {
    let Some(&[tag, a, b, c, d]) = bytes.first_chunk::<HEADER_LEN>() else { return Ok(None) };
    let rule = match direction {
        Direction::FromClient => &table::CLIENT[tag as usize],
        Direction::FromServer => &table::SERVER[tag as usize],
    };
    // On a 64-bit machine this cannot overflow; on a smaller one the cap refuses what saturates.
    let len = (u32::from_be_bytes([a, b, c, d]) as usize).saturating_add(1);
    if len < rule.min || len > rule.max.min(limits.max_frame) {
        return Err(refuse(direction, limits, tag, len));
    }
    Ok(Some(Header { tag, len }))
}

/// Takes one frame from the beginning of `bytes`, if it is all there.
///
/// # Errors
/// As [`header`].
#[inline]
pub fn next<'a>(direction: Direction, limits: &Limits, bytes: &'a [u8]) -> Result<Step<'a>, FrameError> {
    let Some(header) = header(direction, limits, bytes)? else { return Ok(Step::Partial(None)) };
    match bytes.get(..header.len) {
        Some(frame) => {
            Ok(Step::Complete(Frame { tag: header.tag, body: &frame[HEADER_LEN..], bytes: frame }))
        }
        None => Ok(Step::Partial(Some(header))),
    }
}

/// The slow path of [`header`]: says which of the checks failed.
#[cold]
fn refuse(direction: Direction, limits: &Limits, tag: u8, len: usize) -> FrameError {
    let rule = match direction {
        Direction::FromClient => table::CLIENT[tag as usize],
        Direction::FromServer => table::SERVER[tag as usize],
    };
    let fault = if rule.is_unknown() {
        FrameFault::UnknownTag
    } else if len < rule.min {
        FrameFault::TooShort { min: rule.min }
    } else {
        FrameFault::TooLong { max: rule.max.min(limits.max_frame) }
    };
    FrameError { direction, tag, len, fault }
}

#[cfg(test)]
mod frame_tests;
