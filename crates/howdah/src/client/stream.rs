//! The socket of a client: TCP, Unix, or a pipe inside the process (`Handle::connect`).

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::pin::Pin;
use std::task::{Context, Poll};

use howdah_tls::{HandshakeError, Raw, ServerChannel};
use howdah_uring::Socket;
use rustix::net::AddressFamily;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, Interest, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

/// How long a socket that takes no descriptor at this moment is left alone (time).
const FULL: std::time::Duration = std::time::Duration::from_millis(1);

/// A connected client.
#[derive(Debug)]
pub(crate) enum ClientStream {
    Tcp(TcpStream),
    Unix(UnixStream),
    /// Either, over the thread's ring.
    Ring(Socket),
    /// The other end is in this process; boxed, since it is the rare one.
    Pipe(Box<DuplexStream>),
    /// TLS over one of the others; boxed, so that the others stay small.
    Tls(Box<TlsStream>),
}

/// TLS over a socket.
#[derive(Debug)]
pub(crate) struct TlsStream {
    pub(crate) raw: ClientStream,
    pub(crate) channel: ServerChannel,
}

impl TlsStream {
    pub(crate) fn poll_handshake(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), HandshakeError>> {
        self.channel.poll_handshake(cx, &mut self.raw)
    }
}

impl Drop for TlsStream {
    fn drop(&mut self) {
        let waker = futures_util::task::noop_waker();
        self.channel.close(&mut Context::from_waker(&waker), &mut self.raw);
    }
}

impl Raw for ClientStream {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        Self::poll_read(self, cx, buffer)
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Self::poll_write(self, cx, bytes)
    }
}

/// Who is at the other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Peer {
    Tcp {
        peer: SocketAddr,
        local: SocketAddr,
    },
    /// A Unix socket; the peer's process and user, and the port in the socket's name.
    Unix {
        pid: i32,
        uid: u32,
        port: u16,
    },
    /// This process.
    Pipe,
}

impl ClientStream {
    pub(crate) fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut read = ReadBuf::new(&mut *buffer);
        let done = match self {
            Self::Ring(socket) => return socket.poll_read(cx, buffer),
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, &mut read),
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, &mut read),
            Self::Pipe(stream) => Pin::new(stream.as_mut()).poll_read(cx, &mut read),
            Self::Tls(tls) => return tls.channel.poll_read(cx, &mut tls.raw, buffer),
        };
        done.map_ok(|()| read.filled().len())
    }

    pub(crate) fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Unix(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Ring(socket) => socket.poll_write(cx, bytes),
            Self::Pipe(stream) => Pin::new(stream.as_mut()).poll_write(cx, bytes),
            Self::Tls(tls) => tls.channel.poll_write(cx, &mut tls.raw, bytes),
        }
    }

    /// The same socket over the thread's ring, where there is one.
    pub(crate) fn over_ring(self) -> io::Result<Self> {
        match self {
            Self::Tcp(stream) if Socket::is_possible() => Socket::from_tcp(stream).map(Self::Ring),
            Self::Unix(stream) if Socket::is_possible() => Socket::from_unix(stream).map(Self::Ring),
            other => Ok(other),
        }
    }

    /// Ready when nothing is being received or sent for it behind our back; a read begins again.
    pub(crate) fn poll_quiet(&self, cx: &Context<'_>) -> Poll<()> {
        match self {
            Self::Ring(socket) => socket.poll_quiet(cx),
            Self::Tls(tls) => tls.raw.poll_quiet(cx),
            Self::Tcp(_) | Self::Unix(_) | Self::Pipe(_) => Poll::Ready(()),
        }
    }

    /// A copy of what was received behind our back and not read.
    pub(crate) fn unread(&self) -> Vec<u8> {
        match self {
            Self::Ring(socket) => socket.unread(),
            _ => Vec::new(),
        }
    }

    /// The socket once more, for another process, and the number that it has here.
    ///
    /// # Errors
    /// As dup(2); a pipe has no socket, and what TLS knows of a connection does not leave the process.
    pub(crate) fn duplicate(&self) -> io::Result<(OwnedFd, RawFd)> {
        match self {
            Self::Tcp(stream) => Ok((stream.as_fd().try_clone_to_owned()?, stream.as_raw_fd())),
            Self::Unix(stream) => Ok((stream.as_fd().try_clone_to_owned()?, stream.as_raw_fd())),
            Self::Ring(socket) => socket.duplicate(),
            Self::Pipe(_) | Self::Tls(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// A stream that is at its end: what is left behind when a socket is taken over.
    pub(crate) fn closed() -> Self {
        Self::Pipe(Box::new(tokio::io::duplex(1).0))
    }

    /// A connected socket that another process has handed over.
    pub(crate) fn adopt(fd: OwnedFd) -> io::Result<Self> {
        match rustix::net::sockopt::socket_domain(&fd)? {
            AddressFamily::INET | AddressFamily::INET6 => {
                let stream = std::net::TcpStream::from(fd);
                stream.set_nonblocking(true)?;
                Ok(Self::Tcp(TcpStream::from_std(stream)?))
            }
            AddressFamily::UNIX => {
                let stream = std::os::unix::net::UnixStream::from(fd);
                stream.set_nonblocking(true)?;
                Ok(Self::Unix(UnixStream::from_std(stream)?))
            }
            _ => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// Sends bytes and a descriptor with them, over a Unix socket.
    pub(crate) async fn send_fd(&self, bytes: &[u8], fd: BorrowedFd<'_>) -> io::Result<usize> {
        loop {
            let sent = match self {
                Self::Unix(stream) => {
                    stream.writable().await?;
                    stream.try_io(Interest::WRITABLE, || howdah_uring::send_fd(stream.as_fd(), bytes, fd))
                }
                Self::Ring(socket) => std::future::poll_fn(|cx| socket.poll_send_fd(cx, bytes, fd)).await,
                _ => return Err(io::ErrorKind::Unsupported.into()),
            };
            match sent {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    tokio::time::sleep(FULL).await;
                }
                sent => return sent,
            }
        }
    }

    /// Who is at the other end.
    pub(crate) fn peer(&self, listen_port: u16) -> io::Result<Peer> {
        Ok(match self {
            Self::Tcp(stream) => Peer::Tcp { peer: stream.peer_addr()?, local: stream.local_addr()? },
            Self::Unix(stream) => {
                let credentials = stream.peer_cred()?;
                let pid = credentials.pid().unwrap_or(0);
                Peer::Unix { pid, uid: credentials.uid(), port: listen_port }
            }
            Self::Ring(socket) => Peer::Tcp { peer: socket.peer_addr()?, local: socket.local_addr()? },
            Self::Pipe(_) => Peer::Pipe,
            Self::Tls(tls) => tls.raw.peer(listen_port)?,
        })
    }
}

/// Writes `bytes` behind what waits in `backlog` already; what the socket does not take at once waits there.
pub(crate) fn write_or_keep(
    backlog: &mut Vec<u8>,
    mut bytes: &[u8],
    mut write: impl FnMut(&[u8]) -> Poll<io::Result<usize>>,
) -> io::Result<()> {
    if backlog.is_empty() {
        while !bytes.is_empty() {
            match write(bytes) {
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(written)) => bytes = &bytes[written..],
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Pending => break,
            }
        }
    }
    backlog.extend_from_slice(bytes);
    Ok(())
}

/// Writes what waits in `backlog`; ready when it is empty, and then it holds no memory.
pub(crate) fn flush(
    backlog: &mut Vec<u8>,
    mut write: impl FnMut(&[u8]) -> Poll<io::Result<usize>>,
) -> Poll<io::Result<()>> {
    let mut done = 0;
    while done < backlog.len() {
        match write(&backlog[done..]) {
            Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            Poll::Ready(Ok(written)) => done += written,
            Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            Poll::Pending => {
                backlog.drain(..done);
                return Poll::Pending;
            }
        }
    }
    *backlog = Vec::new();
    Poll::Ready(Ok(()))
}
