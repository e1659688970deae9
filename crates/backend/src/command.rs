//! Queries of our own on a connection that nobody else uses: `server_reset_query`, `server_check_query`,
//! `connect_query`. Results are thrown away.

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

/// Runs a simple query to its end.
///
/// # Errors
/// It failed, or the connection did; either way the connection is not to be used again.
pub async fn run(stream: &mut Stream, query: &[u8]) -> Result<(), RunError> {
    let mut frames = Frames::new(stream);
    let mut out = Vec::new();
    write::query(&mut out, query)?;
    frames.send(&out).await?;
    let mut refused = None;
    loop {
        match frames.next().await? {
            (b'E', body) => refused = Some(RunError::Refused(read::error_or_notice(body)?.into())),
            (b'Z', body) => {
                let status = read::ready_for_query(body)?;
                return match refused {
                    Some(error) => Err(error),
                    None if status != TransactionStatus::Idle => Err(RunError::LeftTransaction),
                    None => Ok(()),
                };
            }
            _ => {}
        }
    }
}
