//! The new side: a client of the running process's console that receives its sockets.

use std::collections::{HashMap, VecDeque};
use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{OwnedFd, RawFd};
use std::os::linux::net::SocketAddrExt;
use std::time::Duration;

use howdah_config::{CONSOLE_DATABASE, Settings};
use howdah_protocol::frame::{self, Direction, Limits, Step};
use howdah_protocol::{read, write};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use tokio::io::{AsyncWriteExt, Interest};
use tokio::net::UnixStream;

use super::Document;
use super::give::HANDOVER;
use crate::listener::Inherited;

/// How long one answer may take beyond `suspend_timeout` (time).
const ANSWER: Duration = Duration::from_secs(30);

/// Descriptors that may come with one read (count): each row has one.
const FDS: usize = 8;

/// Bytes asked for in one read.
const READ_SIZE: usize = 64 * 1024;

/// The longest message of the running process (bytes): one client with all that it has not been sent yet.
const FRAME_MAX: usize = 1 << 30;

/// Why the running process could not be taken over.
#[derive(Debug, thiserror::Error)]
pub enum TakeoverError {
    /// The connection to it broke, or it is too slow.
    #[error("takeover: {0}")]
    Io(#[from] io::Error),
    /// It refused.
    #[error("takeover: the running process says: {0}")]
    Refused(String),
    /// It speaks otherwise than a Howdah.
    #[error("takeover: the running process cannot be understood: {0}")]
    Misunderstood(String),
}

/// A running process that holds still, and what it has handed over. Dropped before the old process is ended, it goes on by
/// itself.
pub struct Takeover {
    console: Console,
    pub(crate) listening: Vec<OwnedFd>,
    pub(crate) sockets: HashMap<RawFd, OwnedFd>,
    documents: Vec<String>,
}

/// The documents have secrets.
impl std::fmt::Debug for Takeover {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Takeover").field("sockets", &self.sockets.len()).finish_non_exhaustive()
    }
}

/// A row of an answer; NULL is empty.
pub(super) type Row = Vec<String>;

#[derive(Debug)]
struct Console {
    stream: UnixStream,
    input: Vec<u8>,
    fds: VecDeque<OwnedFd>,
}

impl Takeover {
    /// Finds the process that has the Unix socket of these settings, makes it hold still, and receives what it has;
    /// `None` when there is none.
    ///
    /// # Errors
    /// [`TakeoverError`]; the running process goes on.
    pub async fn begin(settings: &Settings) -> Result<Option<Self>, TakeoverError> {
        let Some(stream) = connect(settings)? else { return Ok(None) };
        let mut console = Console { stream, input: Vec::new(), fds: VecDeque::new() };
        console.log_in().await?;
        console.ask("SUSPEND;").await?;
        let rows = console.ask("SHOW FDS;").await?;
        let (mut listening, mut sockets) = (Vec::new(), HashMap::new());
        for row in rows {
            let fd = console.fds.pop_front().ok_or_else(|| misunderstood("a socket is missing"))?;
            let [number, task, ..] = &row[..] else { return Err(misunderstood("a row is short")) };
            match task.as_str() {
                "pooler" => listening.push(fd),
                _ => drop(sockets.insert(number.parse().map_err(|_| misunderstood(number))?, fd)),
            }
        }
        let documents = console.ask(HANDOVER).await?;
        let documents = documents.into_iter().filter_map(|row| row.into_iter().next()).collect();
        Ok(Some(Self { console, listening, sockets, documents }))
    }

    /// What is listened on.
    ///
    /// # Errors
    /// As fcntl(2).
    pub(crate) fn inherited(&mut self) -> io::Result<Inherited> {
        let mut inherited = Inherited::default();
        for fd in self.listening.drain(..) {
            match rustix::net::sockopt::socket_domain(&fd)? {
                rustix::net::AddressFamily::UNIX => inherited.unix.push(fd.into()),
                _ => inherited.tcp.push(fd.into()),
            }
        }
        Ok(inherited)
    }

    /// What else there is to know of them.
    ///
    /// # Errors
    /// Another version's.
    pub(crate) fn documents(&mut self) -> Result<Vec<Document>, TakeoverError> {
        let documents = std::mem::take(&mut self.documents);
        let read =
            |text: &String| serde_json::from_str(text).map_err(|error| misunderstood(&error.to_string()));
        documents.iter().map(read).collect()
    }

    /// Ends the old process; ready when it is gone, and with it its hold on everything.
    ///
    /// # Errors
    /// It does not go.
    pub(crate) async fn finish(mut self) -> Result<(), TakeoverError> {
        self.console.send("SHUTDOWN;").await?;
        let gone = async {
            loop {
                if self.console.fill().await? == 0 {
                    return Ok::<(), io::Error>(());
                }
            }
        };
        tokio::time::timeout(ANSWER, gone).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))?;
        Ok(())
    }
}

fn misunderstood(what: &str) -> TakeoverError {
    TakeoverError::Misunderstood(what.to_owned())
}

fn connect(settings: &Settings) -> io::Result<Option<UnixStream>> {
    if settings.unix_socket_dir.is_empty() {
        return Ok(None);
    }
    let name = format!("{}/.s.PGSQL.{}", settings.unix_socket_dir, settings.listen_port);
    let connected = match name.strip_prefix('@') {
        Some(name) => std::os::unix::net::SocketAddr::from_abstract_name(name)
            .and_then(|address| std::os::unix::net::UnixStream::connect_addr(&address)),
        None => std::os::unix::net::UnixStream::connect(&name),
    };
    match connected {
        Ok(stream) => {
            stream.set_nonblocking(true)?;
            let stream = UnixStream::from_std(stream)?;
            // The directory may be one where anybody makes files: only a process of our own user is believed.
            if stream.peer_cred()?.uid() != rustix::process::geteuid().as_raw() {
                let sentence = format!("{name} belongs to a process of another user");
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, sentence));
            }
            Ok(Some(stream))
        }
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

impl Console {
    async fn log_in(&mut self) -> Result<(), TakeoverError> {
        let mut out = Vec::new();
        let parameters: [(&[u8], &[u8]); 2] =
            [(b"user", CONSOLE_DATABASE.as_bytes()), (b"database", CONSOLE_DATABASE.as_bytes())];
        write::startup_message(&mut out, (3, 0), parameters)
            .map_err(|error| misunderstood(&error.to_string()))?;
        self.stream.write_all(&out).await?;
        self.rows().await.map(drop)
    }

    async fn send(&mut self, command: &str) -> Result<(), TakeoverError> {
        let mut out = Vec::new();
        write::query(&mut out, command.as_bytes()).map_err(|error| misunderstood(&error.to_string()))?;
        self.stream.write_all(&out).await?;
        Ok(())
    }

    async fn ask(&mut self, command: &str) -> Result<Vec<Row>, TakeoverError> {
        self.send(command).await?;
        self.rows().await
    }

    /// The rows up to ReadyForQuery.
    async fn rows(&mut self) -> Result<Vec<Row>, TakeoverError> {
        let all = async {
            let mut rows = Vec::new();
            loop {
                match self.frame().await? {
                    (b'D', body) => rows.push(row(&body)?),
                    (b'Z', _) => return Ok(rows),
                    (b'E', body) => {
                        let fields = read::error_or_notice(&body)
                            .map_err(|error| misunderstood(&error.to_string()))?;
                        let message = fields.message.unwrap_or_default();
                        return Err(TakeoverError::Refused(String::from_utf8_lossy(message).into_owned()));
                    }
                    (b'R', body) if body[..] != [0; 4] => {
                        return Err(TakeoverError::Refused("it runs as another user".to_owned()));
                    }
                    _ => {}
                }
            }
        };
        tokio::time::timeout(ANSWER, all)
            .await
            .unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into()))
    }

    async fn frame(&mut self) -> Result<(u8, Vec<u8>), TakeoverError> {
        let limits = Limits { max_frame: FRAME_MAX };
        loop {
            let step = frame::next(Direction::FromServer, &limits, &self.input);
            if let Step::Complete(frame) = step.map_err(|error| misunderstood(&error.to_string()))? {
                let (tag, body, length) = (frame.tag, frame.body.to_vec(), frame.bytes.len());
                self.input.drain(..length);
                return Ok((tag, body));
            }
            if self.fill().await? == 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
        }
    }

    /// Reads bytes and the sockets that come with them.
    async fn fill(&mut self) -> io::Result<usize> {
        let mut bytes = vec![0; READ_SIZE];
        let stream = &self.stream;
        let (read, fds) = stream.async_io(Interest::READABLE, || receive(stream, &mut bytes)).await?;
        self.input.extend_from_slice(&bytes[..read]);
        self.fds.extend(fds);
        Ok(read)
    }
}

fn receive(stream: &UnixStream, bytes: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FDS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
    let received = recvmsg(stream, &mut [IoSliceMut::new(bytes)], &mut control, flags)?;
    let mut fds = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            fds.extend(rights);
        }
    }
    Ok((received.bytes, fds))
}

/// A DataRow: a count, then for each column a length (-1: NULL) and as many bytes (manual 55.7).
pub(super) fn row(body: &[u8]) -> Result<Row, TakeoverError> {
    let short = || misunderstood("a row is cut short");
    let (count, mut rest) = body.split_first_chunk::<2>().ok_or_else(short)?;
    let mut row = Row::new();
    for _ in 0..u16::from_be_bytes(*count) {
        let (length, after) = rest.split_first_chunk::<4>().ok_or_else(short)?;
        let length = usize::try_from(i32::from_be_bytes(*length)).unwrap_or(0);
        let (cell, after) = after.split_at_checked(length).ok_or_else(short)?;
        row.push(String::from_utf8(cell.to_vec()).map_err(|_| misunderstood("a cell is no text"))?);
        rest = after;
    }
    Ok(row)
}
