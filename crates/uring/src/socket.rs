//! What a task has of a socket.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::net::{TcpStream, UnixStream};

use crate::driver::{self, Home};

/// A connected stream socket whose reads and writes go through the thread's ring. Polled, not awaited.
///
/// It is of use on the thread that made it only: elsewhere every call fails. Dropping it closes the socket, after
/// what was written has been handed to the kernel.
#[derive(Debug)]
pub struct Socket {
    key: u32,
    home: Arc<Home>,
}

impl Socket {
    /// Takes over a connected socket.
    ///
    /// # Errors
    /// The socket itself, when the thread has no ring ([`crate::install`]).
    pub fn adopt(fd: OwnedFd) -> Result<Self, OwnedFd> {
        driver::add(fd).map(|(home, key)| Self { key: key as u32, home })
    }

    /// Takes a socket out of the runtime's hands into the thread's ring.
    ///
    /// # Errors
    /// As epoll_ctl(2); `NotConnected` when the thread has no ring.
    pub fn from_tcp(stream: TcpStream) -> io::Result<Self> {
        Self::owned(stream.into_std()?.into())
    }

    /// The same of a Unix socket.
    ///
    /// # Errors
    /// As [`Socket::from_tcp`].
    pub fn from_unix(stream: UnixStream) -> io::Result<Self> {
        Self::owned(stream.into_std()?.into())
    }

    fn owned(fd: OwnedFd) -> io::Result<Self> {
        Self::adopt(fd).map_err(|_| io::ErrorKind::NotConnected.into())
    }

    /// Whether [`Socket::adopt`] works on this thread.
    #[must_use]
    pub fn is_possible() -> bool {
        driver::is_installed()
    }

    /// Reads into `buffer`; 0 bytes is the end.
    ///
    /// # Errors
    /// As recv(2); `NotConnected` on another thread.
    pub fn poll_read(&mut self, cx: &Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let read = driver::with(&self.home, |ring| ring.poll_read(self.key as usize, cx, buffer));
        // The waker of before is dropped out here, where the ring is not borrowed.
        read.map_or_else(elsewhere, |(read, _before)| read)
    }

    /// Takes some of `bytes` and sends them at the end of the turn. An error of an earlier write shows in a later
    /// one.
    ///
    /// # Errors
    /// As send(2); `NotConnected` on another thread.
    pub fn poll_write(&mut self, cx: &Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = driver::with(&self.home, |ring| ring.poll_write(self.key as usize, cx, bytes));
        written.map_or_else(elsewhere, |(written, _before)| written)
    }

    /// Whether there is something to read, the end and errors included. No system call but when the thread is out
    /// of buffers.
    #[must_use]
    pub fn has_unread(&self) -> bool {
        driver::with(&self.home, |ring| ring.has_unread(self.key as usize)).unwrap_or(true)
    }

    /// Ready when nothing is being received or sent for it, so that another process may have it. The next
    /// [`Socket::poll_read`], or [`Socket::listen_on`], begins again.
    pub fn poll_quiet(&self, cx: &Context<'_>) -> Poll<()> {
        let quiet = driver::with(&self.home, |ring| ring.poll_quiet(self.key as usize, cx));
        quiet.map_or(Poll::Ready(()), |(quiet, _before)| quiet)
    }

    /// Receives again after [`Socket::poll_quiet`], although nobody asks yet.
    pub fn listen_on(&self) {
        let _ = driver::with(&self.home, |ring| ring.loud(self.key as usize));
    }

    /// A copy of what has been received and not been read.
    #[must_use]
    pub fn unread(&self) -> Vec<u8> {
        driver::with(&self.home, |ring| ring.unread(self.key as usize)).unwrap_or_default()
    }

    /// The socket once more, and the number that it has here.
    ///
    /// # Errors
    /// As dup(2); `NotConnected` on another thread.
    pub fn duplicate(&self) -> io::Result<(OwnedFd, RawFd)> {
        let key = self.key as usize;
        let twin = driver::with(&self.home, |ring| Ok((ring.duplicate(key)?, ring.fd(key).as_raw_fd())));
        twin.unwrap_or_else(|| Err(io::ErrorKind::NotConnected.into()))
    }

    /// Sends bytes and a descriptor with them, behind what was written (Unix sockets).
    ///
    /// # Errors
    /// As sendmsg(2), `WouldBlock` when the socket takes nothing at this moment.
    pub fn poll_send_fd(
        &self,
        cx: &Context<'_>,
        bytes: &[u8],
        fd: BorrowedFd<'_>,
    ) -> Poll<io::Result<usize>> {
        let sent = driver::with(&self.home, |ring| ring.poll_send_fd(self.key as usize, cx, bytes, fd));
        sent.map_or_else(elsewhere, |(sent, _before)| sent)
    }

    /// The address at the other end.
    ///
    /// # Errors
    /// As getpeername(2); another family than IP.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        let peer = driver::with(&self.home, |ring| rustix::net::getpeername(ring.fd(self.key as usize)));
        let peer = peer.unwrap_or(Err(rustix::io::Errno::NOTCONN))?;
        Ok(peer.ok_or(rustix::io::Errno::NOTCONN)?.try_into()?)
    }

    /// Our own address.
    ///
    /// # Errors
    /// As getsockname(2); another family than IP.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        let local = driver::with(&self.home, |ring| rustix::net::getsockname(ring.fd(self.key as usize)));
        Ok(local.unwrap_or(Err(rustix::io::Errno::NOTCONN))?.try_into()?)
    }
}

fn elsewhere() -> Poll<io::Result<usize>> {
    Poll::Ready(Err(io::ErrorKind::NotConnected.into()))
}

impl Drop for Socket {
    fn drop(&mut self) {
        driver::close(&self.home, self.key);
    }
}
