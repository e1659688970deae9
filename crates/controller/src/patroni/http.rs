//! One GET by HTTP/1.1, of a body that is bounded. The caller bounds the time.

use std::convert::Infallible;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, HOST};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::config::RestAddress;

/// Largest answer read (bytes): a member takes some 300.
pub(crate) const BODY_MAX: usize = 256 * 1024;

/// Largest head of an answer (bytes); hyper wants at least 8 KiB.
const HEAD_MAX: usize = 16 * 1024;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HttpError {
    /// It cannot be reached.
    #[error("{0}")]
    Connect(#[from] std::io::Error),
    /// It does not speak HTTP, or hangs up.
    #[error("{0}")]
    Talk(#[from] hyper::Error),
    /// The request cannot be made: the host is no host name.
    #[error("{0}")]
    Request(#[from] hyper::http::Error),
    /// It answers, and not with what was asked for.
    #[error("it answers {0}")]
    Status(StatusCode),
    /// The body is longer than `BODY_MAX`, or breaks off.
    #[error("{0}")]
    Body(Box<dyn std::error::Error + Send + Sync>),
}

/// The body of `path`, if the answer is 200.
pub(crate) async fn get(address: &RestAddress, path: &str) -> Result<Bytes, HttpError> {
    let stream = TcpStream::connect((address.host.as_str(), address.port)).await?;
    let mut builder = http1::Builder::new();
    let handshake = builder.max_buf_size(HEAD_MAX).handshake(TokioIo::new(stream));
    let (mut sender, connection) = handshake.await?;
    let request = Request::get(path)
        .header(HOST, address.to_string())
        .header(CONNECTION, "close")
        .body(Empty::<Bytes>::new())?;
    let answer = async {
        let response = sender.send_request(request).await?;
        if response.status() != StatusCode::OK {
            return Err(HttpError::Status(response.status()));
        }
        let body = Limited::new(response.into_body(), BODY_MAX).collect().await;
        body.map(|body| body.to_bytes()).map_err(HttpError::Body)
    };
    // How the connection ends is told by the answer, which may still have something to read then.
    let connection = async {
        let _ = connection.await;
        std::future::pending::<Infallible>().await
    };
    tokio::select! {
        answer = answer => answer,
        never = connection => match never {},
    }
}
