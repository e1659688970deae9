//! A server that logs everybody in and then does what the test says.

use std::future::Future;

use howdah_protocol::read::TransactionStatus;
use howdah_protocol::write;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A listening fake.
pub(crate) struct Fake {
    pub(crate) port: u16,
    task: JoinHandle<()>,
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Fake {
    /// Every connection is logged in without a password and then handed to `talk`.
    pub(crate) async fn start<F, Fut>(talk: F) -> Self
    where
        F: Fn(TcpStream) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let task = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                if startup(&mut stream).await.is_some() {
                    tokio::spawn(talk(stream));
                }
            }
        });
        Self { port, task }
    }

    /// Lets nobody in from now on; who is in stays.
    pub(crate) async fn refuse(&self) {
        self.task.abort();
        super::until("the fake to listen no more", || async { self.task.is_finished() }).await;
    }

    /// The definition of an entry on it.
    pub(crate) fn entry(&self) -> String {
        format!("host=127.0.0.1 port={}", self.port)
    }
}

async fn startup(stream: &mut TcpStream) -> Option<()> {
    let mut packet = first_packet(stream).await?;
    // SSLRequest: it has no TLS.
    if packet.len() == 4 {
        stream.write_all(b"N").await.ok()?;
        packet = first_packet(stream).await?;
    }
    if packet.len() < 4 {
        return None;
    }
    let mut out = Vec::new();
    write::authentication_ok(&mut out);
    write::parameter_status(&mut out, b"server_version", b"15.0").unwrap();
    write::parameter_status(&mut out, b"client_encoding", b"UTF8").unwrap();
    write::backend_key_data(&mut out, 4711, &[1, 2, 3, 4]).unwrap();
    write::ready_for_query(&mut out, TransactionStatus::Idle);
    stream.write_all(&out).await.ok()
}

async fn first_packet(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let length = stream.read_u32().await.ok()? as usize;
    let mut packet = vec![0; length.checked_sub(4)?];
    stream.read_exact(&mut packet).await.ok()?;
    Some(packet)
}

/// The next message of a client: tag and body.
pub(crate) async fn message(stream: &mut TcpStream) -> Option<(u8, Vec<u8>)> {
    let tag = stream.read_u8().await.ok()?;
    let length = stream.read_u32().await.ok()? as usize;
    let mut body = vec![0; length.checked_sub(4)?];
    stream.read_exact(&mut body).await.ok()?;
    Some((tag, body))
}
