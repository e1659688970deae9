//! The sockets of a thread: what each has received and not been asked for, what it still has to send, and who waits.

pub(crate) mod quiet;

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::task::{Context, Poll, Waker};

use rustix::io::Errno;
use rustix::net::RecvFlags;
use slab::Slab;

use crate::kernel::{Done, Kernel};

/// A socket with so many buffers that nobody has asked for is read from no further (count): its peer has to wait,
/// and the others' buffers stay theirs.
const UNREAD_MOST: u16 = 4;

/// With fewer free buffers than this a socket is polled and read from by a call of its own (count).
const FREE_LEAST: u16 = 16;

/// What a socket takes for sending beyond what is under way (bytes).
const QUEUE_MOST: usize = 64 * 1024;

/// No buffer.
const NONE: u16 = u16::MAX;

/// How a socket is being read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reading {
    /// Not at all.
    Off,
    /// The kernel receives, or polls, for it.
    On,
    /// That is being ended.
    Ending,
}

/// How the receiving side is over.
#[derive(Debug, Clone, Copy)]
enum Ended {
    Eof,
    Failed(Errno),
}

/// A filled buffer that waits to be read: the next one of the same socket, and what is left of this one.
#[derive(Debug, Clone, Copy)]
struct Chunk {
    next: u16,
    from: u16,
    length: u16,
}

struct Entry {
    fd: OwnedFd,
    reading: Reading,
    /// Something may be there that has to be read by a call of its own.
    readable: bool,
    closing: bool,
    /// It is about to be handed to another process.
    quiet: bool,
    ended: Option<Ended>,
    send_failed: Option<Errno>,
    /// The first and the last filled buffer, and how many there are.
    first: u16,
    last: u16,
    unread: u16,
    /// The buffer of the send under way.
    sending: Option<u32>,
    /// What follows it.
    queued: Vec<u8>,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Entry {
    fn new(fd: OwnedFd) -> Self {
        Self {
            fd,
            reading: Reading::Off,
            readable: false,
            closing: false,
            quiet: false,
            ended: None,
            send_failed: None,
            first: NONE,
            last: NONE,
            unread: 0,
            sending: None,
            queued: Vec::new(),
            reader: None,
            writer: None,
        }
    }
}

/// All of a thread.
pub(crate) struct Ring {
    kernel: Kernel,
    sockets: Slab<Entry>,
    /// By the buffer's number.
    chunks: Vec<Chunk>,
    /// Who is to be woken when the ring is not borrowed any more.
    woken: Vec<Waker>,
}

/// Lets `waker` be woken later. The one before it comes back: dropping it may run anything.
fn wait(place: &mut Option<Waker>, waker: &Waker) -> Option<Waker> {
    match place {
        Some(known) if known.will_wake(waker) => None,
        _ => place.replace(waker.clone()),
    }
}

impl Ring {
    pub(crate) fn new() -> io::Result<Self> {
        let nothing = Chunk { next: NONE, from: 0, length: 0 };
        Ok(Self {
            kernel: Kernel::new()?,
            sockets: Slab::new(),
            chunks: vec![nothing; usize::from(crate::provided::BUFFERS)],
            woken: Vec::new(),
        })
    }

    pub(crate) fn kernel(&self) -> &Kernel {
        &self.kernel
    }

    /// A socket of its own from now on.
    pub(crate) fn add(&mut self, fd: OwnedFd) -> usize {
        let socket = self.sockets.insert(Entry::new(fd));
        self.read_on(socket);
        socket
    }

    pub(crate) fn fd(&self, socket: usize) -> BorrowedFd<'_> {
        self.sockets[socket].fd.as_fd()
    }

    /// The user of a socket is gone. What was written goes out as far as the socket takes it at once, as with close(2);
    /// then it is closed.
    pub(crate) fn close(&mut self, socket: usize) {
        let entry = &mut self.sockets[socket];
        entry.closing = true;
        let (reader, writer) = (entry.reader.take(), entry.writer.take());
        self.woken.extend(reader);
        self.woken.extend(writer);
        if entry.reading == Reading::On {
            entry.reading = Reading::Ending;
            self.kernel.cancel_reading(socket);
        }
        if let Some(sending) = entry.sending {
            self.kernel.cancel_send(socket, sending as usize);
        }
        while self.drop_chunk(socket) {}
        self.free(socket);
    }

    /// A socket that is closed and has nothing under way is no more.
    fn free(&mut self, socket: usize) {
        let entry = &self.sockets[socket];
        if entry.closing && entry.reading == Reading::Off && entry.sending.is_none() {
            drop(self.sockets.remove(socket));
        }
    }

    fn read_on(&mut self, socket: usize) {
        let entry = &mut self.sockets[socket];
        if entry.closing
            || entry.quiet
            || entry.readable
            || entry.ended.is_some()
            || entry.reading != Reading::Off
        {
            return;
        }
        entry.reading = Reading::On;
        if self.kernel.provided.free() >= FREE_LEAST {
            self.kernel.receive(socket, entry.fd.as_fd());
        } else {
            self.kernel.poll(socket, entry.fd.as_fd());
        }
    }

    pub(crate) fn poll_read(
        &mut self,
        socket: usize,
        cx: &Context<'_>,
        target: &mut [u8],
    ) -> (Poll<io::Result<usize>>, Option<Waker>) {
        let entry = &mut self.sockets[socket];
        entry.quiet = false;
        if entry.first != NONE {
            return (Poll::Ready(Ok(self.take_bytes(socket, target))), None);
        }
        if entry.readable {
            match rustix::net::recv(&entry.fd, &mut *target, RecvFlags::DONTWAIT) {
                Err(Errno::AGAIN | Errno::INTR) => entry.readable = false,
                Err(error) => return (Poll::Ready(Err(error.into())), None),
                Ok((read, _)) => return (Poll::Ready(Ok(read)), None),
            }
        }
        match entry.ended {
            Some(Ended::Eof) => return (Poll::Ready(Ok(0)), None),
            Some(Ended::Failed(error)) => return (Poll::Ready(Err(error.into())), None),
            None => {}
        }
        let before = wait(&mut entry.reader, cx.waker());
        self.read_on(socket);
        (Poll::Pending, before)
    }

    /// From the first filled buffer, as much as there is room for.
    fn take_bytes(&mut self, socket: usize, target: &mut [u8]) -> usize {
        let id = self.sockets[socket].first;
        let chunk = &mut self.chunks[usize::from(id)];
        let length = usize::from(chunk.length).min(target.len());
        self.kernel.provided.copy(id, usize::from(chunk.from), &mut target[..length]);
        // At most a buffer's size, which fits.
        chunk.from += length as u16;
        chunk.length -= length as u16;
        if chunk.length == 0 {
            self.drop_chunk(socket);
        }
        length
    }

    /// The first filled buffer goes back; whether there was one.
    fn drop_chunk(&mut self, socket: usize) -> bool {
        let entry = &mut self.sockets[socket];
        let id = entry.first;
        if id == NONE {
            return false;
        }
        entry.first = self.chunks[usize::from(id)].next;
        entry.unread -= 1;
        if entry.first == NONE {
            entry.last = NONE;
        }
        self.kernel.provided.give_back(id);
        true
    }

    /// Whether there is anything to read, the end included.
    pub(crate) fn has_unread(&mut self, socket: usize) -> bool {
        let entry = &mut self.sockets[socket];
        if entry.first != NONE || entry.ended.is_some() {
            return true;
        }
        if entry.readable {
            let flags = RecvFlags::DONTWAIT | RecvFlags::PEEK;
            match rustix::net::recv(&entry.fd, &mut [0_u8; 1], flags) {
                Err(Errno::AGAIN | Errno::INTR) => entry.readable = false,
                _ => return true,
            }
            self.read_on(socket);
        }
        false
    }

    pub(crate) fn poll_write(
        &mut self,
        socket: usize,
        cx: &Context<'_>,
        bytes: &[u8],
    ) -> (Poll<io::Result<usize>>, Option<Waker>) {
        let entry = &mut self.sockets[socket];
        if let Some(error) = entry.send_failed {
            return (Poll::Ready(Err(error.into())), None);
        }
        let room = QUEUE_MOST - entry.queued.len();
        let taken = &bytes[..bytes.len().min(room)];
        if taken.is_empty() && !bytes.is_empty() {
            return (Poll::Pending, wait(&mut entry.writer, cx.waker()));
        }
        if entry.sending.is_some() {
            entry.queued.extend_from_slice(taken);
        } else if !taken.is_empty() {
            entry.sending = Some(self.kernel.send(socket, entry.fd.as_fd(), taken) as u32);
        }
        (Poll::Ready(Ok(taken.len())), None)
    }

    /// Hands over and takes in until nothing is left to hand over, without waiting. Afterwards the bell is on, also
    /// when somebody is to be woken: whoever that is may be gone, and then the runtime parks all the same.
    pub(crate) fn turn(&mut self) {
        self.kernel.ring_bell(false);
        while self.kernel.has_work() && self.exchange() {}
        self.kernel.ring_bell(true);
        // What came before the bell was on. An exchange that brings nothing is the last one: the kernel may set its
        // mark after the work that it stands for was done, and from here on the bell tells.
        while self.kernel.has_work() && self.exchange() {}
    }

    /// Whether anything went or came.
    fn exchange(&mut self) -> bool {
        let mut moved = match self.kernel.enter() {
            Ok(submitted) => submitted > 0,
            // EINTR and EBUSY pass; what is wrong with one request shows in its answer.
            Err(error) => {
                if error.kind() != io::ErrorKind::Interrupted {
                    std::thread::yield_now();
                }
                true
            }
        };
        while let Some(done) = self.kernel.completion() {
            self.done(done);
            moved = true;
        }
        moved
    }

    /// Who is to be woken now; the vector comes back by [`Ring::spare`].
    pub(crate) fn woken(&mut self) -> Vec<Waker> {
        std::mem::take(&mut self.woken)
    }

    /// Keeps an emptied vector for the next turn.
    pub(crate) fn spare(&mut self, woken: Vec<Waker>) {
        if self.woken.is_empty() {
            self.woken = woken;
        }
    }

    fn done(&mut self, done: Done) {
        match done {
            Done::Received { socket, result, buffer, more } => self.received(socket, result, buffer, more),
            Done::Readable { socket } => {
                let entry = &mut self.sockets[socket];
                entry.reading = Reading::Off;
                entry.readable = true;
                self.woken.extend(entry.reader.take());
                self.free(socket);
            }
            Done::Sent { socket, result, sending } => self.sent(socket, result, sending),
            Done::Canceled => {}
        }
    }

    fn received(&mut self, socket: usize, result: i32, buffer: Option<u16>, more: bool) {
        let entry = &mut self.sockets[socket];
        if !more {
            entry.reading = Reading::Off;
        }
        match (buffer, result) {
            (Some(id), 1..) => self.keep(socket, id, result),
            (buffer, _) => {
                match result {
                    0 => entry.ended = Some(Ended::Eof),
                    1.. => {}
                    _ => match Errno::from_raw_os_error(-result) {
                        // Every buffer is in use: a call of its own looks.
                        Errno::NOBUFS => entry.readable = true,
                        Errno::CANCELED | Errno::INTR | Errno::AGAIN => {}
                        error => entry.ended = Some(Ended::Failed(error)),
                    },
                }
                if let Some(id) = buffer {
                    self.kernel.provided.give_back(id);
                }
            }
        }
        let entry = &mut self.sockets[socket];
        if entry.unread >= UNREAD_MOST {
            if entry.reading == Reading::On {
                entry.reading = Reading::Ending;
                self.kernel.cancel_reading(socket);
            }
        } else {
            // A server that nobody reads from is listened to all the same: its end must not be missed.
            self.read_on(socket);
        }
        let entry = &mut self.sockets[socket];
        self.woken.extend(entry.reader.take());
        self.free(socket);
    }

    fn keep(&mut self, socket: usize, id: u16, length: i32) {
        let entry = &mut self.sockets[socket];
        if entry.closing {
            return self.kernel.provided.give_back(id);
        }
        // A buffer's size fits.
        self.chunks[usize::from(id)] = Chunk { next: NONE, from: 0, length: length as u16 };
        if entry.last == NONE {
            entry.first = id;
        } else {
            self.chunks[usize::from(entry.last)].next = id;
        }
        entry.last = id;
        entry.unread += 1;
    }

    fn sent(&mut self, socket: usize, result: i32, sending: usize) {
        let entry = &mut self.sockets[socket];
        let failed = (result < 0).then(|| Errno::from_raw_os_error(-result));
        let again = matches!(failed, Some(Errno::INTR | Errno::AGAIN));
        if failed.is_none() || again {
            let sent = usize::try_from(result).unwrap_or(0);
            if self.kernel.go_on(socket, entry.fd.as_fd(), sending, sent) {
                entry.sending = None;
            }
        } else {
            self.kernel.forget(sending);
            entry.sending = None;
            entry.send_failed = failed;
            entry.queued = Vec::new();
            self.woken.extend(entry.reader.take());
        }
        if entry.sending.is_none() && !entry.queued.is_empty() {
            entry.sending = Some(self.kernel.send(socket, entry.fd.as_fd(), &entry.queued) as u32);
            entry.queued = Vec::new();
        }
        match entry.sending {
            // What the socket of somebody who is gone does not take at once is lost.
            Some(sending) if entry.closing => self.kernel.cancel_send(socket, sending as usize),
            _ => self.woken.extend(entry.writer.take()),
        }
        self.free(socket);
    }
}
