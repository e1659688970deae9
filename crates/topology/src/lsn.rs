//! A position in PostgreSQL's write-ahead log. Read next: [`crate::epoch`], which says when two positions may be
//! compared at all.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

/// A byte position in the write-ahead log. It orders within one history only: a diverged node may have a larger
/// one than the primary (FAILOVER_PROTOCOL.md §8). Written as PostgreSQL writes it: `0/16B3748`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Lsn(pub u64);

impl Lsn {
    /// No position: PostgreSQL's `InvalidXLogRecPtr`.
    pub const INVALID: Lsn = Lsn(0);

    /// Bytes from `earlier` to this position; zero when `earlier` is further.
    #[must_use]
    pub const fn bytes_since(self, earlier: Lsn) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:X}/{:X}", self.0 >> 32, self.0 & 0xFFFF_FFFF)
    }
}

/// The text is no position: not two hexadecimal numbers of at most eight digits with a slash between.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LsnError;

impl fmt::Display for LsnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a WAL position is two hexadecimal numbers with a slash between, such as 0/16B3748")
    }
}

impl std::error::Error for LsnError {}

impl FromStr for Lsn {
    type Err = LsnError;

    fn from_str(text: &str) -> Result<Lsn, LsnError> {
        let (high, low) = text.split_once('/').ok_or(LsnError)?;
        Ok(Lsn((half(high)? << 32) | half(low)?))
    }
}

/// One side of the slash: one to eight hexadecimal digits and nothing else (no sign, which the standard parser
/// would take).
fn half(text: &str) -> Result<u64, LsnError> {
    let digits = !text.is_empty() && text.len() <= 8 && text.bytes().all(|b| b.is_ascii_hexdigit());
    if !digits {
        return Err(LsnError);
    }
    u64::from_str_radix(text, 16).map_err(|_| LsnError)
}

impl Serialize for Lsn {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
