//! The ring itself: what is asked of the kernel, and what it answers. Buffers that the kernel reads from or writes to
//! are owned here until it has said that it is done with them.
#![allow(unsafe_code, reason = "pushing an entry promises that its memory lives; it is owned by this type")]

use std::io;
use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{Ordering, fence};
use std::time::Duration;

use io_uring::{IoUring, cqueue, opcode, squeue, types};
use rustix::event::EventfdFlags;
use slab::Slab;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::provided::{GROUP, Provided};

/// Entries of the submission queue (count); more in one turn are submitted on the way.
const SUBMISSIONS: u32 = 256;

/// Entries of the completion queue (count): a turn with thousands of clients; the kernel keeps what does not fit.
const COMPLETIONS: u32 = 4096;

/// Send buffers kept for reuse (count).
const SPARE_BUFFERS: usize = 64;

/// A send buffer larger than this is not kept (bytes).
const SPARE_SIZE: usize = 64 * 1024;

/// What the kernel has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Done {
    /// A receive brought `result` bytes in the buffer `buffer`, the end (0), or an error (negative). `more`: the
    /// receive goes on.
    Received { socket: usize, result: i32, buffer: Option<u16>, more: bool },
    /// The socket has something to read, or an error.
    Readable { socket: usize },
    /// A send took `result` bytes of buffer `sending`, or an error (negative).
    Sent { socket: usize, result: i32, sending: usize },
    /// A request to cancel was heard: its target says the rest.
    Canceled,
}

/// Kinds of requests, as they stand in the two upper bits of the user data.
const RECEIVE: u64 = 0;
const POLL: u64 = 1 << 62;
const SEND: u64 = 2 << 62;
const CANCEL: u64 = 3 << 62;
const KIND: u64 = 3 << 62;
/// Bits of a socket's number; the buffer of a send stands above.
const SOCKET_BITS: u32 = 31;

pub(crate) struct Kernel {
    /// Torn down before the buffers that it uses; see `drop`.
    ring: ManuallyDrop<IoUring>,
    pub(crate) provided: Provided,
    /// What is being sent: not moved and not freed until the kernel has answered. Each with how much of it is sent.
    sending: ManuallyDrop<Slab<(Vec<u8>, usize)>>,
    spare: Vec<Vec<u8>>,
}

impl Kernel {
    /// # Errors
    /// A kernel without io_uring, before 6.1, or one that forbids it.
    pub(crate) fn new() -> io::Result<Self> {
        let ring = IoUring::builder()
            .setup_single_issuer()
            // Completions are worked off when we ask for them, in one go, and not whenever something comes.
            .setup_defer_taskrun()
            .setup_taskrun_flag()
            .setup_submit_all()
            .setup_cqsize(COMPLETIONS)
            .build(SUBMISSIONS)?;
        let provided = Provided::register(&ring.submitter())?;
        Ok(Self {
            ring: ManuallyDrop::new(ring),
            provided,
            sending: ManuallyDrop::new(Slab::new()),
            spare: Vec::new(),
        })
    }

    /// Lets the ring wake the runtime that this is called in, for as long as what is returned lives. The ring's own
    /// descriptor would not do: with deferred work it polls as readable only once somebody has entered.
    ///
    /// # Errors
    /// As eventfd(2), epoll_ctl(2) and io_uring_register(2).
    pub(crate) fn register(&self) -> io::Result<AsyncFd<OwnedFd>> {
        let bell = rustix::event::eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        self.ring.submitter().register_eventfd(bell.as_raw_fd())?;
        // SAFETY: the descriptor is owned by what it is registered with, always the same, and closed after it.
        Ok(unsafe { AsyncFd::register_with_interest(bell, Interest::READABLE)? })
    }

    /// Whether the bell of [`Kernel::register`] is rung when something comes. While we look ourselves it need not be.
    pub(crate) fn ring_bell(&mut self, on: bool) {
        let completion = self.ring.completion();
        if on {
            completion.enable_eventfd();
            // Before the last look at what has come: the kernel marks that first and looks at this afterwards.
            fence(Ordering::SeqCst);
        } else {
            completion.disable_eventfd();
        }
    }

    /// Receives until told otherwise, each time into one of the provided buffers.
    pub(crate) fn receive(&mut self, socket: usize, fd: BorrowedFd<'_>) {
        let entry = opcode::RecvMulti::new(types::Fd(fd.as_raw_fd()), GROUP).build();
        self.push(&entry.user_data(RECEIVE | socket as u64));
    }

    /// Says once when there is something to read.
    pub(crate) fn poll(&mut self, socket: usize, fd: BorrowedFd<'_>) {
        let interest = (rustix::event::PollFlags::IN | rustix::event::PollFlags::RDHUP).bits();
        let entry = opcode::PollAdd::new(types::Fd(fd.as_raw_fd()), interest.into()).build();
        self.push(&entry.user_data(POLL | socket as u64));
    }

    /// Ends what [`Kernel::receive`] or [`Kernel::poll`] began; they still answer.
    pub(crate) fn cancel_reading(&mut self, socket: usize) {
        for kind in [RECEIVE, POLL] {
            self.push(&opcode::AsyncCancel::new(kind | socket as u64).build().user_data(CANCEL));
        }
    }

    /// Ends a send that waits for room in the socket; it still answers.
    pub(crate) fn cancel_send(&mut self, socket: usize, sending: usize) {
        let target = SEND | (sending as u64) << SOCKET_BITS | socket as u64;
        self.push(&opcode::AsyncCancel::new(target).build().user_data(CANCEL));
    }

    /// Sends a copy of `bytes`, all of them. The number stands for the buffer.
    pub(crate) fn send(&mut self, socket: usize, fd: BorrowedFd<'_>, bytes: &[u8]) -> usize {
        let mut buffer = self.spare.pop().unwrap_or_default();
        buffer.clear();
        buffer.extend_from_slice(bytes);
        let sending = self.sending.insert((buffer, 0));
        self.push_send(socket, fd, sending);
        sending
    }

    /// `sent` more bytes of a buffer are done: sends the rest if there is one; else whether all is done.
    pub(crate) fn go_on(&mut self, socket: usize, fd: BorrowedFd<'_>, sending: usize, sent: usize) -> bool {
        let (buffer, done) = &mut self.sending[sending];
        *done += sent;
        if *done >= buffer.len() {
            self.forget(sending);
            return true;
        }
        self.push_send(socket, fd, sending);
        false
    }

    /// A buffer whose send has answered for the last time.
    pub(crate) fn forget(&mut self, sending: usize) {
        let (buffer, _) = self.sending.remove(sending);
        if self.spare.len() < SPARE_BUFFERS && buffer.capacity() <= SPARE_SIZE {
            self.spare.push(buffer);
        }
    }

    fn push_send(&mut self, socket: usize, fd: BorrowedFd<'_>, sending: usize) {
        let (buffer, done) = &self.sending[sending];
        let rest = &buffer[*done..];
        let length = u32::try_from(rest.len()).unwrap_or(u32::MAX);
        let flags = rustix::net::SendFlags::NOSIGNAL.bits().cast_signed();
        let entry = opcode::Send::new(types::Fd(fd.as_raw_fd()), rest.as_ptr(), length).flags(flags).build();
        self.push(&entry.user_data(SEND | (sending as u64) << SOCKET_BITS | socket as u64));
    }

    fn push(&mut self, entry: &squeue::Entry) {
        // SAFETY: the only memory that an entry points to is a buffer of `sending`, whose bytes stay where they are
        // until its completion has been seen: nothing but `forget` and `go_on` touches it, which are called for a
        // completion. Receives use provided buffers, which are never freed.
        while unsafe { self.ring.submission().push(entry) }.is_err() {
            // Full: what is there goes to the kernel now. Its answers wait for the end of the turn.
            if self.ring.submit().is_err() {
                // Out of memory in the kernel, for a moment: there is nobody to tell, and nothing else to do.
                std::thread::yield_now();
            }
        }
    }

    /// Whether there is something to hand over or to fetch.
    pub(crate) fn has_work(&mut self) -> bool {
        let submission = self.ring.submission();
        !submission.is_empty() || submission.taskrun() || submission.cq_overflow()
    }

    /// Hands over and fetches, without waiting: how many requests the kernel took. Then [`Kernel::completion`] has
    /// the answers.
    ///
    /// # Errors
    /// As io_uring_enter(2); what is queued stays queued.
    pub(crate) fn enter(&mut self) -> io::Result<usize> {
        let submit = u32::try_from(self.ring.submission().len()).unwrap_or(u32::MAX);
        // SAFETY: no argument is passed, so there is none to be valid.
        unsafe { self.ring.submitter().enter::<()>(submit, 0, GETEVENTS, None) }
    }

    /// The next answer.
    pub(crate) fn completion(&mut self) -> Option<Done> {
        let entry = self.ring.completion().next()?;
        let socket = (entry.user_data() & ((1 << SOCKET_BITS) - 1)) as usize;
        Some(match entry.user_data() & KIND {
            RECEIVE => {
                let buffer = cqueue::buffer_select(entry.flags());
                if buffer.is_some() {
                    self.provided.take();
                }
                let more = cqueue::more(entry.flags());
                Done::Received { socket, result: entry.result(), buffer, more }
            }
            POLL => Done::Readable { socket },
            SEND => {
                let sending = ((entry.user_data() & !KIND) >> SOCKET_BITS) as usize;
                Done::Sent { socket, result: entry.result(), sending }
            }
            _ => Done::Canceled,
        })
    }
}

/// `IORING_ENTER_GETEVENTS`: work off what has come.
const GETEVENTS: u32 = 1;

impl Drop for Kernel {
    fn drop(&mut self) {
        // SAFETY: dropped once, here. The kernel cancels what is under way when the descriptor closes, but not at
        // once: what it may still read is left where it is.
        unsafe { ManuallyDrop::drop(&mut self.ring) };
    }
}

/// Lets a listening TCP socket tell of a connection only once that has sent something, or after `time` (in whole
/// seconds; zero: at once). Linux's TCP_DEFER_ACCEPT.
///
/// # Errors
/// As setsockopt(2).
pub fn defer_accept(socket: &impl AsFd, time: Duration) -> io::Result<()> {
    let seconds = libc::c_int::try_from(time.as_secs()).unwrap_or(libc::c_int::MAX);
    let size = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the value outlives the call, and its size is its own.
    let result = unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_DEFER_ACCEPT,
            (&raw const seconds).cast(),
            size,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
