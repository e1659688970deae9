//! PostgreSQL's MD5 passwords: `md5` and the hex of md5(password + user), salted once more on the wire.

use md5::{Digest, Md5};

/// Length of an MD5 in hex, in bytes.
pub(super) const HEX_LEN: usize = 32;

/// The hex digits that are kept in place of the password.
pub(super) fn stored(password: &[u8], user: &[u8]) -> [u8; HEX_LEN] {
    hex(Md5::new().chain_update(password).chain_update(user).finalize().into())
}

/// What goes over the wire, without its NUL: `md5` and 32 hex digits.
pub(super) fn answer(stored: &[u8; HEX_LEN], salt: [u8; 4]) -> [u8; 3 + HEX_LEN] {
    let digits = hex(Md5::new().chain_update(stored).chain_update(salt).finalize().into());
    let mut answer = *b"md5xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";
    answer[3..].copy_from_slice(&digits);
    answer
}

fn hex(digest: [u8; 16]) -> [u8; HEX_LEN] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut hex = [0; HEX_LEN];
    for (pair, byte) in hex.chunks_exact_mut(2).zip(digest) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
    hex
}
