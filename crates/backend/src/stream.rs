//! The socket of a server: TCP or Unix, over epoll or io_uring. Polled, not awaited, so that one task can own it
//! together with the client's (DESIGN.md section 4; PERFORMANCE.md: `poll_read` clears readiness after a short read).

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::pin::Pin;
use std::task::{Context, Poll};

use howdah_tls::Negotiated;
use howdah_uring::Socket;
use rustix::net::AddressFamily;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

use crate::tls::TlsStream;

/// A connected socket.
#[derive(Debug)]
pub enum Stream {
    /// Over TCP.
    Tcp(TcpStream),
    /// Over a Unix socket.
    Unix(UnixStream),
    /// Either, over the thread's ring.
    Ring(Socket),
    /// TLS over one of the others; boxed, so that the others stay small.
    Tls(Box<TlsStream>),
}

impl Stream {
    /// The same socket over the thread's ring, where there is one.
    ///
    /// # Errors
    /// As epoll_ctl(2), which takes the socket out of the runtime's hands.
    pub fn over_ring(self) -> io::Result<Self> {
        match self {
            Self::Tcp(stream) if Socket::is_possible() => Socket::from_tcp(stream).map(Self::Ring),
            Self::Unix(stream) if Socket::is_possible() => Socket::from_unix(stream).map(Self::Ring),
            other => Ok(other),
        }
    }

    /// Reads into `buffer`; 0 bytes is the end.
    ///
    /// # Errors
    /// As the socket says.
    pub fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        match self {
            Self::Tcp(stream) => read_into(stream, cx, buffer),
            Self::Unix(stream) => read_into(stream, cx, buffer),
            Self::Ring(socket) => socket.poll_read(cx, buffer),
            Self::Tls(stream) => stream.poll_read(cx, buffer),
        }
    }

    /// Writes some of `bytes`.
    ///
    /// # Errors
    /// As the socket says.
    pub fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Unix(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Ring(socket) => socket.poll_write(cx, bytes),
            Self::Tls(stream) => stream.poll_write(cx, bytes),
        }
    }

    /// Ready when nothing is being received or sent for it behind our back; a read begins again.
    pub fn poll_quiet(&self, cx: &Context<'_>) -> Poll<()> {
        match self {
            Self::Ring(socket) => socket.poll_quiet(cx),
            _ => Poll::Ready(()),
        }
    }

    /// A copy of what was received behind our back and not read.
    pub fn unread(&self) -> Vec<u8> {
        match self {
            Self::Ring(socket) => socket.unread(),
            _ => Vec::new(),
        }
    }

    /// The socket once more, for another process, and the number that it has here.
    ///
    /// # Errors
    /// As dup(2).
    pub fn duplicate(&self) -> io::Result<(OwnedFd, RawFd)> {
        match self {
            Self::Tcp(stream) => Ok((stream.as_fd().try_clone_to_owned()?, stream.as_raw_fd())),
            Self::Unix(stream) => Ok((stream.as_fd().try_clone_to_owned()?, stream.as_raw_fd())),
            Self::Ring(socket) => socket.duplicate(),
            Self::Tls(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// An idle connection is listened to again after [`Stream::poll_quiet`].
    pub fn listen_on(&self) {
        if let Self::Ring(socket) = self {
            socket.listen_on();
        }
    }

    /// A connected socket that another process has handed over.
    ///
    /// # Errors
    /// As fcntl(2) and epoll_ctl(2); a socket that is neither TCP nor Unix.
    pub fn adopt(fd: OwnedFd) -> io::Result<Self> {
        let stream = match rustix::net::sockopt::socket_domain(&fd)? {
            AddressFamily::INET | AddressFamily::INET6 => {
                let stream = std::net::TcpStream::from(fd);
                stream.set_nonblocking(true)?;
                Self::Tcp(TcpStream::from_std(stream)?)
            }
            AddressFamily::UNIX => {
                let stream = std::os::unix::net::UnixStream::from(fd);
                stream.set_nonblocking(true)?;
                Self::Unix(UnixStream::from_std(stream)?)
            }
            _ => return Err(io::ErrorKind::Unsupported.into()),
        };
        stream.over_ring()
    }

    /// Whether the server has said something, or has gone, while nobody listened; for an idle connection either
    /// means that it is not to be used as it is. No system call unless the socket is marked as readable.
    pub fn is_disturbed(&self) -> bool {
        let mut byte = [0_u8; 1];
        let read = match self {
            Self::Tcp(stream) => stream.try_read(&mut byte),
            Self::Unix(stream) => stream.try_read(&mut byte),
            Self::Ring(socket) => return socket.has_unread(),
            Self::Tls(stream) => return stream.is_disturbed(),
        };
        !matches!(read, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }

    /// The server's address; `None` for a Unix socket.
    pub fn peer(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(stream) => stream.peer_addr().ok(),
            Self::Unix(_) => None,
            Self::Ring(socket) => socket.peer_addr().ok(),
            Self::Tls(stream) => stream.raw().peer(),
        }
    }

    /// Our own address; `None` for a Unix socket.
    pub fn local(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(stream) => stream.local_addr().ok(),
            Self::Unix(_) => None,
            Self::Ring(socket) => socket.local_addr().ok(),
            Self::Tls(stream) => stream.raw().local(),
        }
    }

    /// What was agreed on with the server; `None` without TLS.
    pub fn negotiated(&self) -> Option<Negotiated> {
        match self {
            Self::Tls(stream) => stream.negotiated(),
            _ => None,
        }
    }

    /// Whether it is TLS, and what SCRAM may bind to then.
    pub(crate) fn end_point(&self) -> Option<Option<Box<[u8]>>> {
        match self {
            Self::Tls(stream) => Some(stream.end_point()),
            _ => None,
        }
    }
}

/// Reads from a socket of the runtime's.
fn read_into(
    stream: &mut (impl AsyncRead + Unpin),
    cx: &mut Context<'_>,
    buffer: &mut [u8],
) -> Poll<io::Result<usize>> {
    let mut read = ReadBuf::new(buffer);
    Pin::new(stream).poll_read(cx, &mut read).map_ok(|()| read.filled().len())
}
