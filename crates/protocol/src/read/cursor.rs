//! A position in a body that only moves forward and never past the end; the readers are made of its steps.

use super::ReadError;

/// What is left of a body, with the message's name for the errors.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cursor<'a> {
    message: &'static str,
    left: &'a [u8],
}

impl<'a> Cursor<'a> {
    pub(super) const fn new(message: &'static str, body: &'a [u8]) -> Self {
        Self { message, left: body }
    }

    /// Text up to the next NUL, without it.
    pub(super) fn text(&mut self, field: &'static str) -> Result<&'a [u8], ReadError> {
        match memchr::memchr(0, self.left) {
            Some(end) => {
                let text = &self.left[..end];
                self.left = &self.left[end + 1..];
                Ok(text)
            }
            None => Err(ReadError::Unterminated { message: self.message, field }),
        }
    }

    /// The next `count` bytes.
    pub(super) fn take(&mut self, count: usize, field: &'static str) -> Result<&'a [u8], ReadError> {
        match self.left.split_at_checked(count) {
            Some((taken, left)) => {
                self.left = left;
                Ok(taken)
            }
            None => Err(ReadError::Truncated { message: self.message, field }),
        }
    }

    fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], ReadError> {
        match self.left.split_first_chunk() {
            Some((taken, left)) => {
                self.left = left;
                Ok(*taken)
            }
            None => Err(ReadError::Truncated { message: self.message, field }),
        }
    }

    pub(super) fn u8(&mut self, field: &'static str) -> Result<u8, ReadError> {
        self.array(field).map(u8::from_be_bytes)
    }

    pub(super) fn u16(&mut self, field: &'static str) -> Result<u16, ReadError> {
        self.array(field).map(u16::from_be_bytes)
    }

    pub(super) fn u32(&mut self, field: &'static str) -> Result<u32, ReadError> {
        self.array(field).map(u32::from_be_bytes)
    }

    /// Everything that is left.
    pub(super) fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.left)
    }

    /// A value with its length in front; `None` for the length -1, which stands for NULL.
    pub(super) fn value(&mut self, field: &'static str) -> Result<Option<&'a [u8]>, ReadError> {
        match self.u32(field)? {
            u32::MAX => Ok(None),
            length if length > i32::MAX as u32 => Err(self.invalid(field)),
            length => self.take(length as usize, field).map(Some),
        }
    }

    pub(super) const fn invalid(&self, field: &'static str) -> ReadError {
        ReadError::Invalid { message: self.message, field }
    }

    /// The message ends here.
    pub(super) fn end(self) -> Result<(), ReadError> {
        match self.left.len() {
            0 => Ok(()),
            left => Err(ReadError::Trailing { message: self.message, left }),
        }
    }
}
