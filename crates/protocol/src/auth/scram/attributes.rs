//! Pieces of SCRAM messages: `letter=value`, separated by commas (RFC 5802 §7).

/// Bytes of randomness in a nonce; 24 characters in base64, as many as PostgreSQL's.
pub(super) const NONCE_BYTES: usize = 18;

/// Takes the attribute `letter` from the beginning of `left`, with the comma behind it.
pub(super) fn take<'a>(left: &mut &'a str, letter: char) -> Option<&'a str> {
    let value = left.strip_prefix(letter)?.strip_prefix('=')?;
    let (value, after) = value.split_once(',').unwrap_or((value, ""));
    *left = after;
    Some(value)
}

/// A nonce may hold every printable character but the comma, and must hold one.
pub(super) fn is_nonce(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b',')
}
