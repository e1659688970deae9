//! One connection's TLS. It has no socket: its owner lends one ([`Raw`]) for each call. And it has no buffers of its
//! own while nothing is under way: what is read passes through a buffer of the thread, and only an incomplete record,
//! or what the socket did not take, is kept (an idle client must cost little, DESIGN.md section 11).
//!
//! A write that the socket does not take whole is kept as ciphertext and reported as pending; whoever writes must
//! come again with the same bytes, as a backlog of unsent bytes does by itself.

use std::cell::RefCell;
use std::io;
use std::task::{Context, Poll, ready};

use rustls::client::UnbufferedClientConnection;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{ConnectionState, EncodeError, ReadTraffic, UnbufferedStatus, WriteTraffic};

use crate::Negotiated;
use crate::end::{End, HandshakeError, Raw};

/// The end of a client's connection that is ours.
pub type ServerChannel = Channel<UnbufferedServerConnection>;

/// The end of a connection to a server that is ours.
pub type ClientChannel = Channel<UnbufferedClientConnection>;

/// Room for the longest handshake message (64 KiB) and a record behind it (bytes).
const SCRATCH: usize = 96 * 1024;

/// The least that is asked for in one read (bytes).
const READ_LEAST: usize = 4 * 1024;

/// Plaintext that is encrypted in one go (bytes); two records.
const WRITE_MOST: usize = 32 * 1024;

/// What the records of [`WRITE_MOST`] take up beyond it at most (bytes): header, tag, nonce, content type.
const OVERHEAD: usize = 3 * 64;

thread_local! {
    static INCOMING: RefCell<Box<[u8]>> = RefCell::new(vec![0; SCRATCH].into_boxed_slice());
    static OUTGOING: RefCell<Box<[u8]>> = RefCell::new(vec![0; WRITE_MOST + OVERHEAD].into_boxed_slice());
}

/// One connection's TLS.
pub struct Channel<C> {
    connection: C,
    /// Ciphertext of an incomplete record.
    sealed: Vec<u8>,
    /// Plaintext that the reader had no room for.
    opened: Vec<u8>,
    /// Ciphertext that the socket did not take.
    unsent: Vec<u8>,
    /// Plaintext bytes that went into `unsent` and have not been reported as written.
    owed: usize,
    /// The peer will send nothing more.
    ended: bool,
    /// TLS has failed, or its end has been said: nothing more is sent.
    over: bool,
}

impl<C> std::fmt::Debug for Channel<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Channel").field("ended", &self.ended).finish_non_exhaustive()
    }
}

/// Where plaintext goes: into the reader's buffer, and what does not fit behind it.
struct Sink<'a> {
    target: &'a mut [u8],
    filled: usize,
    opened: &'a mut Vec<u8>,
}

impl Sink<'_> {
    fn take(&mut self, payload: &[u8]) {
        let room = if self.opened.is_empty() { self.target.len() - self.filled } else { 0 };
        let (now, later) = payload.split_at(payload.len().min(room));
        self.target[self.filled..self.filled + now.len()].copy_from_slice(now);
        self.filled += now.len();
        self.opened.extend_from_slice(later);
    }
}

impl<C: End> Channel<C> {
    /// A connection before its handshake; `received` is what has come of it already.
    pub(crate) fn new(connection: C, received: Vec<u8>) -> Self {
        Self {
            connection,
            sealed: received,
            opened: Vec::new(),
            unsent: Vec::new(),
            owed: 0,
            ended: false,
            over: false,
        }
    }

    /// Shakes hands; ready when our last word of it is sent and the peer's has come.
    ///
    /// # Errors
    /// [`HandshakeError`]; what the peer is told of it has been sent as far as the socket took it.
    pub fn poll_handshake(
        &mut self,
        cx: &mut Context<'_>,
        raw: &mut impl Raw,
    ) -> Poll<Result<(), HandshakeError>> {
        loop {
            let worked = self.work_on_sealed();
            if worked.is_err() {
                // The alert; a peer that takes it not is not waited for.
                let _ = self.poll_flush(cx, raw);
            }
            worked?;
            ready!(self.poll_flush(cx, raw))?;
            if !self.connection.common().is_handshaking() {
                return Poll::Ready(Ok(()));
            }
            if self.ended || ready!(self.poll_fill(cx, raw))? == 0 {
                return Poll::Ready(Err(HandshakeError::Closed));
            }
        }
    }

    /// Reads more ciphertext behind what is kept of it.
    fn poll_fill(&mut self, cx: &mut Context<'_>, raw: &mut impl Raw) -> Poll<io::Result<usize>> {
        let start = self.sealed.len();
        if start + READ_LEAST > SCRATCH {
            return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
        }
        self.sealed.resize(start + READ_LEAST, 0);
        let read = raw.poll_read(cx, &mut self.sealed[start..]);
        let length = match &read {
            Poll::Ready(Ok(length)) => *length,
            _ => 0,
        };
        self.sealed.truncate(start + length);
        read
    }

    /// The handshake's step; plaintext that comes along waits for the first read.
    fn work_on_sealed(&mut self) -> Result<(), rustls::Error> {
        let mut sealed = std::mem::take(&mut self.sealed);
        let (done, _) = self.work(&mut sealed, &mut [])?;
        self.keep_sealed_from(sealed, done);
        Ok(())
    }

    /// Keeps what is left of the beginning of a record; holds no memory where nothing is.
    fn keep_sealed_from(&mut self, mut sealed: Vec<u8>, done: usize) {
        sealed.drain(..done);
        self.sealed = if sealed.is_empty() { Vec::new() } else { sealed };
    }

    /// Reads plaintext into `target`; 0 bytes is the end, whether the peer said so or just left.
    ///
    /// # Errors
    /// The socket's, and `InvalidData` for what is no TLS.
    pub fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        raw: &mut impl Raw,
        target: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        // Answers of TLS itself go out whenever the socket takes them.
        if let Poll::Ready(Err(error)) = self.poll_flush(cx, raw) {
            return Poll::Ready(Err(error));
        }
        if !self.opened.is_empty() {
            return Poll::Ready(Ok(self.take_opened(target)));
        }
        if self.ended || target.is_empty() {
            return Poll::Ready(Ok(0));
        }
        INCOMING.with_borrow_mut(|scratch| self.poll_open(cx, raw, (scratch, target)))
    }

    fn take_opened(&mut self, target: &mut [u8]) -> usize {
        let length = self.opened.len().min(target.len());
        target[..length].copy_from_slice(&self.opened[..length]);
        if length == self.opened.len() {
            self.opened = Vec::new();
        } else {
            self.opened.drain(..length);
        }
        length
    }

    fn poll_open(
        &mut self,
        cx: &mut Context<'_>,
        raw: &mut impl Raw,
        (scratch, target): (&mut [u8], &mut [u8]),
    ) -> Poll<io::Result<usize>> {
        let mut filled = self.sealed.len();
        scratch[..filled].copy_from_slice(&self.sealed);
        // What is kept may be whole already: a handshake that read more than its own.
        let mut fresh = filled > 0;
        loop {
            if fresh {
                let (done, opened) = self.work(&mut scratch[..filled], target).map_err(broken)?;
                scratch.copy_within(done..filled, 0);
                filled -= done;
                if opened > 0 || self.ended {
                    self.keep_sealed(&scratch[..filled]);
                    // What TLS has to say to what has come.
                    return match self.poll_flush(cx, raw) {
                        Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
                        _ => Poll::Ready(Ok(opened)),
                    };
                }
            }
            // Not more than there is room for as plaintext, unless it takes more to have a record whole.
            let most = scratch.len().min(filled + target.len().max(READ_LEAST));
            if most == filled {
                return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
            }
            match raw.poll_read(cx, &mut scratch[filled..most]) {
                Poll::Pending => {
                    self.keep_sealed(&scratch[..filled]);
                    return Poll::Pending;
                }
                Poll::Ready(Ok(0)) => {
                    self.ended = true;
                    return Poll::Ready(Ok(0));
                }
                Poll::Ready(Ok(read)) => filled += read,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            }
            fresh = true;
        }
    }

    /// Keeps the beginning of a record; holds no memory where there is none.
    fn keep_sealed(&mut self, rest: &[u8]) {
        if rest.is_empty() {
            self.sealed = Vec::new();
        } else {
            self.sealed.clear();
            self.sealed.extend_from_slice(rest);
        }
    }

    /// Works through whole records: how many bytes of `input` are done with, and how many of `target` are filled.
    fn work(&mut self, input: &mut [u8], target: &mut [u8]) -> Result<(usize, usize), rustls::Error> {
        let mut sink = Sink { target, filled: 0, opened: &mut self.opened };
        let mut done = 0;
        loop {
            let UnbufferedStatus { mut discard, state } = self.connection.process(&mut input[done..]);
            let more = match state {
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    discard += open(&mut traffic, |payload| sink.take(payload))?;
                    true
                }
                Ok(ConnectionState::EncodeTlsData(mut data)) => {
                    encode(|out| data.encode(out), &mut self.unsent)?;
                    true
                }
                // `unsent` goes out before anything else does.
                Ok(ConnectionState::TransmitTlsData(data)) => {
                    data.done();
                    true
                }
                Ok(ConnectionState::PeerClosed | ConnectionState::Closed) => {
                    self.ended = true;
                    false
                }
                Ok(_) => false,
                Err(error) => {
                    self.fail(&mut input[done + discard..]);
                    return Err(error);
                }
            };
            done += discard;
            if !more {
                return Ok((done, sink.filled));
            }
        }
    }

    /// After an error: what the peer is to be told of it. `rest` is what has not been done with: rustls keeps its
    /// place in it, and must not be shown less.
    fn fail(&mut self, rest: &mut [u8]) {
        self.over = true;
        if let Ok(ConnectionState::EncodeTlsData(mut data)) = self.connection.process(rest).state {
            // Without it the peer sees the end alone.
            let _ = encode(|out| data.encode(out), &mut self.unsent);
        }
    }

    /// Sends what waits; ready when nothing does, and then it holds no memory.
    fn poll_flush(&mut self, cx: &mut Context<'_>, raw: &mut impl Raw) -> Poll<io::Result<()>> {
        let mut sent = 0;
        while sent < self.unsent.len() {
            match raw.poll_write(cx, &self.unsent[sent..]) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(written)) => sent += written,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => {
                    self.unsent.drain(..sent);
                    return Poll::Pending;
                }
            }
        }
        if sent > 0 {
            self.unsent = Vec::new();
        }
        Poll::Ready(Ok(()))
    }

    /// Writes some of `bytes`. After `Pending` the next call must begin with the same bytes.
    ///
    /// # Errors
    /// The socket's; `InvalidInput` for other bytes than those; `BrokenPipe` when TLS is over.
    pub fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        raw: &mut impl Raw,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_flush(cx, raw))?;
        if self.owed > 0 {
            let owed = std::mem::take(&mut self.owed);
            let same = owed <= bytes.len();
            return Poll::Ready(if same { Ok(owed) } else { Err(io::ErrorKind::InvalidInput.into()) });
        }
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let chunk = &bytes[..bytes.len().min(WRITE_MOST)];
        let sent = OUTGOING.with_borrow_mut(|scratch| {
            let length = self.seal(chunk, scratch)?;
            self.send_or_keep(cx, raw, &scratch[..length])
        });
        if sent? {
            return Poll::Ready(Ok(chunk.len()));
        }
        self.owed = chunk.len();
        Poll::Pending
    }

    /// Encrypts into `scratch`, behind what TLS itself has to say; the length of it.
    fn seal(&mut self, plain: &[u8], scratch: &mut [u8]) -> io::Result<usize> {
        if self.over {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        self.with_traffic(|traffic| traffic.encrypt(plain, scratch).map_err(io::Error::other))
    }

    /// Does something in the state in which data may be sent.
    fn with_traffic<R>(
        &mut self,
        mut what: impl FnMut(&mut WriteTraffic<'_, C::Data>) -> io::Result<R>,
    ) -> io::Result<R> {
        // What is kept of an incomplete message is shown again: rustls keeps its place in it.
        let mut sealed = std::mem::take(&mut self.sealed);
        let mut done = 0;
        let outcome = loop {
            let UnbufferedStatus { mut discard, state } = self.connection.process(&mut sealed[done..]);
            let outcome = match state {
                Ok(ConnectionState::WriteTraffic(mut traffic)) => Some(what(&mut traffic)),
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    let opened = &mut self.opened;
                    match open(&mut traffic, |payload| opened.extend_from_slice(payload)) {
                        Ok(more) => {
                            discard += more;
                            None
                        }
                        Err(error) => Some(Err(broken(error))),
                    }
                }
                Ok(ConnectionState::EncodeTlsData(mut data)) => {
                    encode(|out| data.encode(out), &mut self.unsent).err().map(|error| Err(broken(error)))
                }
                Ok(ConnectionState::TransmitTlsData(data)) => {
                    data.done();
                    None
                }
                Ok(ConnectionState::PeerClosed) => {
                    self.ended = true;
                    None
                }
                Ok(_) => Some(Err(io::ErrorKind::BrokenPipe.into())),
                Err(error) => {
                    self.fail(&mut sealed[done + discard..]);
                    Some(Err(broken(error)))
                }
            };
            done += discard;
            if let Some(outcome) = outcome {
                break outcome;
            }
        };
        self.keep_sealed_from(sealed, done);
        outcome
    }

    /// Whether the socket took all of it; what it did not is kept.
    fn send_or_keep(
        &mut self,
        cx: &mut Context<'_>,
        raw: &mut impl Raw,
        mut sealed: &[u8],
    ) -> io::Result<bool> {
        // A key update that came up while sealing goes first.
        if !self.unsent.is_empty() {
            self.unsent.extend_from_slice(sealed);
            return match self.poll_flush(cx, raw) {
                Poll::Ready(flushed) => flushed.map(|()| true),
                Poll::Pending => Ok(false),
            };
        }
        while !sealed.is_empty() {
            match raw.poll_write(cx, sealed) {
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(written)) => sealed = &sealed[written..],
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Pending => {
                    self.unsent.extend_from_slice(sealed);
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// Says the end of TLS, if the socket takes it at once. Nothing is said behind half a record.
    pub fn close(&mut self, cx: &mut Context<'_>, raw: &mut impl Raw) {
        if self.over || !self.unsent.is_empty() || self.connection.common().is_handshaking() {
            return;
        }
        self.over = true;
        let mut alert = [0_u8; 64];
        let sealed =
            self.with_traffic(|traffic| traffic.queue_close_notify(&mut alert).map_err(io::Error::other));
        if let Ok(length) = sealed {
            // Whoever has gone already does not hear it.
            let _ = raw.poll_write(cx, &alert[..length]);
        }
    }

    /// Whether something has come that nobody has read.
    #[must_use]
    pub fn has_unread(&self) -> bool {
        !self.opened.is_empty() || !self.sealed.is_empty() || self.ended
    }

    /// Memory of its buffers (bytes).
    #[cfg(test)]
    pub(crate) fn buffered(&self) -> usize {
        self.sealed.capacity() + self.opened.capacity() + self.unsent.capacity()
    }

    /// What was agreed on; `None` before the handshake is done.
    #[must_use]
    pub fn negotiated(&self) -> Option<Negotiated> {
        Negotiated::of(self.connection.common())
    }

    /// Whether the two sides have agreed to speak PostgreSQL's protocol (ALPN).
    #[must_use]
    pub fn is_postgresql(&self) -> bool {
        self.connection.common().alpn_protocol() == Some(crate::ALPN)
    }

    /// The peer's certificate, in DER.
    #[must_use]
    pub fn peer_certificate(&self) -> Option<&[u8]> {
        self.connection.common().peer_certificates()?.first().map(AsRef::as_ref)
    }
}

fn broken(error: rustls::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

/// Hands out the plaintext of each record; how much more of the input is done with.
fn open<Data>(
    traffic: &mut ReadTraffic<'_, '_, Data>,
    mut take: impl FnMut(&[u8]),
) -> Result<usize, rustls::Error> {
    let mut discard = 0;
    while let Some(record) = traffic.next_record() {
        let record = record?;
        discard += record.discard;
        take(record.payload);
    }
    Ok(discard)
}

/// Appends what TLS itself has to say.
fn encode(
    mut write: impl FnMut(&mut [u8]) -> Result<usize, EncodeError>,
    out: &mut Vec<u8>,
) -> Result<(), rustls::Error> {
    let start = out.len();
    let written = match write(&mut []) {
        Err(EncodeError::InsufficientSize(need)) => {
            out.resize(start + need.required_size, 0);
            write(&mut out[start..])
        }
        other => other,
    };
    out.truncate(start + written.as_ref().copied().unwrap_or(0));
    written.map(drop).map_err(|error| rustls::Error::General(error.to_string()))
}

const _: () = assert!(OVERHEAD >= (WRITE_MOST / 16_384 + 1) * 64);
