//! What a client gets as its cancel key, and what stands in it with peering.
//!
//! The layout is PgBouncer's since 1.21, so that both may be peers of each other. Of the eight bytes of BackendKeyData
//! (four of "process id", four of secret) with `peer_id` set:
//!
//! ```text
//!   byte      0          1           2         3 .. 6        7
//!         0rrrrrrr   id & 0xff   id >> 8      random      rrrrrrTT
//! ```
//!
//! `TT` is how many times the request may still be forwarded: 3 in the key that the client gets, one less each time
//! that a pooler sends it on. The first bit is 0 with and without peering: a process id of zero or below means something
//! else to kill(2), and some clients check. Without peering the rest is random, which 45 bits are with it.

/// How often a cancel request may be forwarded.
const HOPS: u8 = 3;

/// Where in the last byte the hops that are left stand.
const HOPS_MASK: u8 = 0b11;

/// A cancel key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CancelKey(pub(crate) [u8; 8]);

impl CancelKey {
    /// A new one, from random bytes; `peer_id` 0: without peering.
    pub(crate) fn new(random: [u8; 8], peer_id: u32) -> Self {
        let mut key = random;
        key[0] &= 0x7f;
        if peer_id > 0 {
            let [_, _, high, low] = peer_id.to_be_bytes();
            (key[1], key[2]) = (low, high);
            key[7] |= HOPS;
        }
        Self(key)
    }

    /// The one that a CancelRequest carries; `None`: it is none of ours, which have four bytes of secret.
    pub(crate) fn requested(pid: u32, secret: &[u8]) -> Option<Self> {
        let [e, f, g, h] = <[u8; 4]>::try_from(secret).ok()?;
        let [a, b, c, d] = pid.to_be_bytes();
        Some(Self([a, b, c, d, e, f, g, h]))
    }

    /// The two parts that a CancelRequest has.
    pub(crate) fn parts(self) -> (u32, [u8; 4]) {
        let [a, b, c, d, secret @ ..] = self.0;
        (u32::from_be_bytes([a, b, c, d]), secret)
    }

    /// Whose it is. Of a key that was made without peering this is random.
    pub(crate) fn peer_id(self) -> u32 {
        u32::from(self.0[1]) | (u32::from(self.0[2]) << 8)
    }

    /// As it was when its client got it, however often it has been forwarded.
    pub(crate) fn unforwarded(mut self) -> Self {
        self.0[7] |= HOPS_MASK;
        self
    }

    /// As it goes to the next pooler; `None`: it has been forwarded often enough.
    pub(crate) fn forwarded(mut self) -> Option<Self> {
        if self.0[7] & HOPS_MASK == 0 {
            return None;
        }
        self.0[7] -= 1;
        Some(self)
    }
}
