//! A socket that is handed to another process: nothing is under way for it in this one, so that the other may read and
//! write it. What has been received already stays to be read, here or, as a copy, there.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::task::{Context, Poll, Waker};

use rustix::io::Errno;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};

use super::{NONE, Reading, Ring, wait};

impl Ring {
    /// Ready when nothing is being received or sent. Reading goes on with the next [`Ring::poll_read`].
    pub(crate) fn poll_quiet(&mut self, socket: usize, cx: &Context<'_>) -> (Poll<()>, Option<Waker>) {
        let entry = &mut self.sockets[socket];
        entry.quiet = true;
        if entry.reading == Reading::On {
            entry.reading = Reading::Ending;
            self.kernel.cancel_reading(socket);
        }
        let entry = &mut self.sockets[socket];
        if entry.reading != Reading::Off {
            return (Poll::Pending, wait(&mut entry.reader, cx.waker()));
        }
        if entry.sending.is_some() {
            return (Poll::Pending, wait(&mut entry.writer, cx.waker()));
        }
        (Poll::Ready(()), None)
    }

    /// Reading goes on although nobody asks for it: an idle server is listened to.
    pub(crate) fn loud(&mut self, socket: usize) {
        self.sockets[socket].quiet = false;
        self.read_on(socket);
    }

    /// A copy of what has been received and not been asked for.
    pub(crate) fn unread(&mut self, socket: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut id = self.sockets[socket].first;
        while id != NONE {
            let chunk = self.chunks[usize::from(id)];
            let start = bytes.len();
            bytes.resize(start + usize::from(chunk.length), 0);
            self.kernel.provided.copy(id, usize::from(chunk.from), &mut bytes[start..]);
            id = chunk.next;
        }
        bytes
    }

    /// The socket once more.
    pub(crate) fn duplicate(&self, socket: usize) -> io::Result<OwnedFd> {
        self.sockets[socket].fd.try_clone()
    }

    /// Sends bytes and a descriptor with them by a call of its own, behind what is under way.
    pub(crate) fn poll_send_fd(
        &mut self,
        socket: usize,
        cx: &Context<'_>,
        bytes: &[u8],
        fd: BorrowedFd<'_>,
    ) -> (Poll<io::Result<usize>>, Option<Waker>) {
        let entry = &mut self.sockets[socket];
        if entry.sending.is_some() {
            return (Poll::Pending, wait(&mut entry.writer, cx.waker()));
        }
        (Poll::Ready(send_fd(entry.fd.as_fd(), bytes, fd)), None)
    }
}

/// Sends bytes and a descriptor with them over a Unix socket, without waiting.
///
/// # Errors
/// As sendmsg(2).
pub fn send_fd(socket: BorrowedFd<'_>, bytes: &[u8], fd: BorrowedFd<'_>) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let fds = [fd];
    control.push(SendAncillaryMessage::ScmRights(&fds));
    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    loop {
        match sendmsg(socket, &[IoSlice::new(bytes)], &mut control, flags) {
            Err(Errno::INTR) => {}
            sent => return Ok(sent?),
        }
    }
}
