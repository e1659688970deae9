//! A client that speaks bytes: what a driver would never send, and every message that comes back.

use std::net::SocketAddr;

use howdah_protocol::read;
use howdah_protocol::write;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::within;

/// Tag and body.
type Frame = (u8, Vec<u8>);

/// A connection.
pub(crate) struct Raw {
    pub(crate) stream: TcpStream,
    buffer: Vec<u8>,
    /// Of the login: process id and key.
    pub(crate) key: (u32, Vec<u8>),
}

impl Raw {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let stream = within("a connection", TcpStream::connect(address)).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, buffer: Vec::new(), key: (0, Vec::new()) }
    }

    /// Sends these bytes.
    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        within("sending", self.stream.write_all(bytes)).await.unwrap();
    }

    /// Sends these bytes; the other side may have closed already.
    pub(crate) async fn send_lossy(&mut self, bytes: &[u8]) {
        let _ = within("sending", self.stream.write_all(bytes)).await;
    }

    /// Sends a startup packet.
    pub(crate) async fn startup(&mut self, parameters: &[(&str, &str)]) {
        let mut out = Vec::new();
        let parameters = parameters.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
        write::startup_message(&mut out, (3, 0), parameters).unwrap();
        self.send(&out).await;
    }

    /// Logs in without a password; returns what was said up to ReadyForQuery.
    pub(crate) async fn log_in(&mut self, user: &str, database: &str) -> Vec<Frame> {
        self.startup(&[("user", user), ("database", database)]).await;
        let frames = self.until_ready().await;
        assert!(frames.iter().any(|(tag, _)| *tag == b'R'), "no login: {frames:?}");
        let key = frames.iter().find(|(tag, _)| *tag == b'K').expect("a cancel key");
        self.key = (u32::from_be_bytes(key.1[..4].try_into().unwrap()), key.1[4..].to_vec());
        frames
    }

    /// The next message; `None` when the other side has closed.
    pub(crate) async fn frame(&mut self) -> Option<Frame> {
        within("a message", async {
            loop {
                if let Some(frame) = self.take() {
                    return Some(frame);
                }
                let mut chunk = [0_u8; 16 * 1024];
                match self.stream.read(&mut chunk).await {
                    Ok(0) | Err(_) => {
                        assert!(self.buffer.is_empty(), "closed in the middle of a frame: {:?}", self.buffer);
                        return None;
                    }
                    Ok(read) => self.buffer.extend_from_slice(&chunk[..read]),
                }
            }
        })
        .await
    }

    fn take(&mut self) -> Option<Frame> {
        if self.buffer.len() < 5 {
            return None;
        }
        let length = u32::from_be_bytes(self.buffer[1..5].try_into().unwrap()) as usize;
        if self.buffer.len() <= length {
            return None;
        }
        let frame = (self.buffer[0], self.buffer[5..=length].to_vec());
        self.buffer.drain(..=length);
        Some(frame)
    }

    /// One byte that is not a message: the answer to a request for encryption.
    pub(crate) async fn byte(&mut self) -> u8 {
        within("a byte", self.stream.read_u8()).await.unwrap()
    }

    /// All messages up to ReadyForQuery, which is the last.
    pub(crate) async fn until_ready(&mut self) -> Vec<Frame> {
        let mut frames = Vec::new();
        while let Some(frame) = self.frame().await {
            let ready = frame.0 == b'Z';
            frames.push(frame);
            if ready {
                return frames;
            }
        }
        panic!("closed before ReadyForQuery: {:?}", shown(&frames));
    }

    /// All messages up to the close of the connection.
    pub(crate) async fn until_closed(&mut self) -> Vec<Frame> {
        let mut frames = Vec::new();
        while let Some(frame) = self.frame().await {
            frames.push(frame);
        }
        frames
    }

    /// The connection ends: after whole messages with an error as the last, or in the middle of a message and then
    /// with nothing behind it that could pass for its rest.
    pub(crate) async fn ends_properly(&mut self) {
        let mut bytes = std::mem::take(&mut self.buffer);
        let end = within("the end", self.stream.read_to_end(&mut bytes)).await;
        let mut at = 0;
        let mut last = 0;
        while let Some(&[tag, a, b, c, d]) = bytes[at..].first_chunk() {
            let length = u32::from_be_bytes([a, b, c, d]) as usize + 1;
            if bytes.len() - at < length {
                break;
            }
            last = tag;
            at += length;
        }
        let rest = &bytes[at..];
        let tail = &rest[rest.len().saturating_sub(200)..];
        let error_inside = tail.windows(6).any(|window| window == b"SFATAL");
        assert!(!error_inside, "an error inside of a message: {}", tail.escape_ascii());
        assert!(last == b'E' || !rest.is_empty() || end.is_err(), "closed without a word");
    }

    /// The other side says this as a FATAL error of the pooler, and closes.
    pub(crate) async fn is_refused(&mut self, sentence: &str) {
        let frames = self.until_closed().await;
        let last = frames.last().unwrap_or_else(|| panic!("closed without {sentence:?}"));
        assert_eq!(error_of(last), ("08P01".to_owned(), sentence.to_owned()), "{:?}", shown(&frames));
    }

    /// A simple query.
    pub(crate) async fn query(&mut self, sql: &str) -> Vec<Frame> {
        self.send_query(sql).await;
        self.until_ready().await
    }

    /// Sends a simple query without waiting for its answer.
    pub(crate) async fn send_query(&mut self, sql: &str) {
        let mut out = Vec::new();
        write::query(&mut out, sql.as_bytes()).unwrap();
        self.send(&out).await;
    }

    /// The first column of the first row of a simple query.
    pub(crate) async fn value(&mut self, sql: &str) -> String {
        let frames = self.query(sql).await;
        let row = frames.iter().find(|(tag, _)| *tag == b'D');
        let row = row.unwrap_or_else(|| panic!("{sql}: no row in {:?}", shown(&frames)));
        let length = u32::from_be_bytes(row.1[2..6].try_into().unwrap()) as usize;
        String::from_utf8(row.1[6..6 + length].to_vec()).unwrap()
    }
}

/// The tags of these messages, as text.
pub(crate) fn tags(frames: &[(u8, Vec<u8>)]) -> String {
    frames.iter().map(|(tag, _)| char::from(*tag)).collect()
}

/// SQLSTATE and sentence of an ErrorResponse or NoticeResponse.
pub(crate) fn error_of(frame: &(u8, Vec<u8>)) -> (String, String) {
    assert!(matches!(frame.0, b'E' | b'N'), "not an error: {:?}", shown(std::slice::from_ref(frame)));
    let fields = read::error_or_notice(&frame.1).unwrap();
    let text = |field: Option<&[u8]>| String::from_utf8_lossy(field.unwrap_or_default()).into_owned();
    (text(fields.code), text(fields.message))
}

fn shown(frames: &[Frame]) -> Vec<String> {
    let one = |(tag, body): &Frame| format!("{}:{}", char::from(*tag), body.escape_ascii());
    frames.iter().map(one).collect()
}
