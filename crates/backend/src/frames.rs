//! Whole frames from a server, for the slow paths: login and queries of our own.

use std::future::poll_fn;
use std::io;

use howdah_protocol::frame::{self, Direction, FrameError, Limits, Step};

use crate::Stream;

/// The longest frame that a login or a query of our own may be answered with (bytes).
const FRAME_MAX: usize = 1024 * 1024;

/// Bytes asked for in one read.
const READ_SIZE: usize = 4096;

/// A stream with what was read beyond the last frame.
pub(crate) struct Frames<'a> {
    stream: &'a mut Stream,
    buffer: Vec<u8>,
    at: usize,
}

/// Why there is no next frame.
pub(crate) enum NoFrame {
    Io(io::Error),
    Frame(FrameError),
}

impl<'a> Frames<'a> {
    pub(crate) fn new(stream: &'a mut Stream) -> Self {
        Self { stream, buffer: Vec::new(), at: 0 }
    }

    /// The tag and body of the next frame.
    pub(crate) async fn next(&mut self) -> Result<(u8, &[u8]), NoFrame> {
        let limits = Limits { max_frame: FRAME_MAX };
        loop {
            let rest = &self.buffer[self.at..];
            if let Step::Complete(frame) =
                frame::next(Direction::FromServer, &limits, rest).map_err(NoFrame::Frame)?
            {
                let (tag, start, end) = (frame.tag, self.at + frame::HEADER_LEN, self.at + frame.bytes.len());
                self.at = end;
                return Ok((tag, &self.buffer[start..end]));
            }
            self.fill().await.map_err(NoFrame::Io)?;
        }
    }

    async fn fill(&mut self) -> io::Result<()> {
        self.buffer.drain(..self.at);
        self.at = 0;
        let start = self.buffer.len();
        self.buffer.resize(start + READ_SIZE, 0);
        let read = poll_fn(|cx| self.stream.poll_read(cx, &mut self.buffer[start..])).await;
        self.buffer.truncate(start + read.as_ref().copied().unwrap_or(0));
        match read? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        send(self.stream, bytes).await
    }

    /// Whether everything that was read has been handed out.
    pub(crate) fn is_drained(&self) -> bool {
        self.at == self.buffer.len()
    }
}

/// Writes all of it.
pub(crate) async fn send(stream: &mut Stream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let written = poll_fn(|cx| stream.poll_write(cx, bytes)).await?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        bytes = &bytes[written..];
    }
    Ok(())
}
