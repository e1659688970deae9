//! Queries of our own on a connection that nobody else uses: `server_reset_query`, `server_check_query`,
//! `connect_query`, and questions of which the first row is the answer.

use howdah_protocol::read::TransactionStatus;
use howdah_protocol::{read, write};

use crate::error::RunError;
use crate::frames::{Frames, NoFrame};
use crate::stream::Stream;

impl From<NoFrame> for RunError {
    fn from(error: NoFrame) -> Self {
        match error {
            NoFrame::Io(error) => Self::Io(error),
            NoFrame::Frame(error) => Self::Frame(error),
        }
    }
}

/// Whether the server says that its commit is on no standby (FAILOVER_PROTOCOL.md section 9).
fn is_unprotected(fields: &read::ErrorFields<'_>) -> bool {
    fields.code == Some(b"01000") && fields.routine == Some(b"SyncRepWaitForLSN")
}

/// The values of a row, as text; `None` for NULL.
pub type Values = Vec<Option<Box<[u8]>>>;

/// Runs a simple query to its end.
///
/// # Errors
/// It failed, or the connection did; either way the connection is not to be used again.
pub async fn run(stream: &mut Stream, query: &[u8]) -> Result<(), RunError> {
    ask(stream, query).await.map(drop)
}

/// Runs a simple query to its end and returns its first row; none, and it is empty.
///
/// # Errors
/// As [`run`].
pub async fn ask(stream: &mut Stream, query: &[u8]) -> Result<Values, RunError> {
    let mut frames = Frames::new(stream);
    let mut out = Vec::new();
    write::query(&mut out, query)?;
    frames.send(&out).await?;
    let (mut refused, mut first) = (None, None);
    loop {
        match frames.next().await? {
            (b'D', body) if first.is_none() => {
                let row = read::data_row(body)?;
                first = Some(row.values().map(|value| value.map(Box::from)).collect());
            }
            (b'N', body) if is_unprotected(&read::error_or_notice(body)?) => {
                refused = Some(RunError::Unprotected)
            }
            (b'E', body) => refused = Some(RunError::Refused(read::error_or_notice(body)?.into())),
            (b'Z', body) => {
                let status = read::ready_for_query(body)?;
                return match refused {
                    Some(error) => Err(error),
                    None if status != TransactionStatus::Idle => Err(RunError::LeftTransaction),
                    None => Ok(first.unwrap_or_default()),
                };
            }
            _ => {}
        }
    }
}
