//! The body of a message under construction; the writers are made of its steps.

use super::WriteError;

/// Appends to a buffer and checks every count on the way.
pub(super) struct Body<'a> {
    out: &'a mut Vec<u8>,
}

/// Appends a message with a tag. When `build` fails the buffer is as before.
pub(super) fn frame(
    out: &mut Vec<u8>,
    tag: u8,
    build: impl FnOnce(&mut Body<'_>) -> Result<(), WriteError>,
) -> Result<(), WriteError> {
    let start = out.len();
    out.push(tag);
    let built = with_length(out, build);
    if built.is_err() {
        out.truncate(start);
    }
    built
}

/// Appends a length word that counts itself, and what `build` writes. When `build` fails the buffer is as before.
pub(super) fn with_length(
    out: &mut Vec<u8>,
    build: impl FnOnce(&mut Body<'_>) -> Result<(), WriteError>,
) -> Result<(), WriteError> {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    let built = build(&mut Body { out: &mut *out }).and_then(|()| length(out.len() - start, "length"));
    match built {
        Ok(word) => {
            out[start..start + 4].copy_from_slice(&word);
            Ok(())
        }
        Err(error) => {
            out.truncate(start);
            Err(error)
        }
    }
}

/// Appends a message of a tag alone.
pub(super) fn empty(out: &mut Vec<u8>, tag: u8) {
    out.extend_from_slice(&[tag, 0, 0, 0, 4]);
}

/// Appends a message with a tag and a body of fixed size, which no count can spoil.
pub(super) fn fixed<const N: usize>(out: &mut Vec<u8>, tag: u8, body: [u8; N]) {
    const { assert!(N < u16::MAX as usize) };
    out.push(tag);
    out.extend_from_slice(&(N as u32 + 4).to_be_bytes());
    out.extend_from_slice(&body);
}

/// A 32-bit length word, which is signed on the wire.
fn length(count: usize, field: &'static str) -> Result<[u8; 4], WriteError> {
    let max = i32::MAX as usize;
    match i32::try_from(count) {
        Ok(word) => Ok(word.to_be_bytes()),
        Err(_) => Err(WriteError::TooMany { field, count, max }),
    }
}

impl Body<'_> {
    pub(super) fn u8(&mut self, value: u8) {
        self.out.push(value);
    }

    pub(super) fn i16(&mut self, value: i16) {
        self.out.extend_from_slice(&value.to_be_bytes());
    }

    pub(super) fn i32(&mut self, value: i32) {
        self.out.extend_from_slice(&value.to_be_bytes());
    }

    pub(super) fn u32(&mut self, value: u32) {
        self.out.extend_from_slice(&value.to_be_bytes());
    }

    pub(super) fn raw(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    /// A text and the NUL that ends it.
    pub(super) fn text(&mut self, field: &'static str, text: &[u8]) -> Result<(), WriteError> {
        if memchr::memchr(0, text).is_some() {
            return Err(WriteError::Nul { field });
        }
        self.out.extend_from_slice(text);
        self.out.push(0);
        Ok(())
    }

    /// A count in 16 bits. PostgreSQL reads them unsigned where many are possible, and has fewer elsewhere.
    pub(super) fn count16(&mut self, field: &'static str, count: usize) -> Result<(), WriteError> {
        let max = usize::from(u16::MAX);
        let word = u16::try_from(count).map_err(|_| WriteError::TooMany { field, count, max })?;
        self.out.extend_from_slice(&word.to_be_bytes());
        Ok(())
    }

    /// A count in 32 bits.
    pub(super) fn count32(&mut self, field: &'static str, count: usize) -> Result<(), WriteError> {
        self.out.extend_from_slice(&length(count, field)?);
        Ok(())
    }

    /// A value with its length in front; -1 for NULL.
    pub(super) fn value(&mut self, field: &'static str, value: Option<&[u8]>) -> Result<(), WriteError> {
        match value {
            None => self.i32(-1),
            Some(bytes) => {
                self.count32(field, bytes.len())?;
                self.raw(bytes);
            }
        }
        Ok(())
    }
}
