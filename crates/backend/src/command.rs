//! Queries of our own on a connection that nobody else uses: `server_reset_query`, `server_check_query`,
//! `connect_query`, `auth_query`, and questions of which one row is the answer.

use howdah_protocol::read::TransactionStatus;
use howdah_protocol::write::WriteError;
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
    let mut out = Vec::new();
    write::query(&mut out, query)?;
    answer(stream, &out, Which::First).await.map(Option::unwrap_or_default)
}

/// Runs a query with one text parameter, `$1`, to its end and returns its last row, as PgBouncer takes the last one
/// of `auth_query`; `None`: there was no row.
///
/// # Errors
/// As [`run`].
pub async fn ask_about(
    stream: &mut Stream,
    query: &[u8],
    parameter: &[u8],
) -> Result<Option<Values>, RunError> {
    let mut out = Vec::new();
    write::parse(&mut out, b"", query, &0_u16.to_be_bytes())?;
    let max = i32::MAX.unsigned_abs() as usize;
    let length = i32::try_from(parameter.len()).map_err(|_| WriteError::TooMany {
        field: "parameter",
        count: parameter.len(),
        max,
    })?;
    let mut rest = Vec::new();
    // No format codes: all is text. One value, and results in text.
    rest.extend_from_slice(&0_u16.to_be_bytes());
    rest.extend_from_slice(&1_u16.to_be_bytes());
    rest.extend_from_slice(&length.to_be_bytes());
    rest.extend_from_slice(parameter);
    rest.extend_from_slice(&0_u16.to_be_bytes());
    write::bind(&mut out, b"", b"", &rest)?;
    write::execute(&mut out, b"", 0)?;
    write::sync(&mut out);
    answer(stream, &out, Which::Last).await
}

/// Which row is the answer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Which {
    First,
    Last,
}

/// Sends a whole request and reads all of its answer.
async fn answer(stream: &mut Stream, request: &[u8], which: Which) -> Result<Option<Values>, RunError> {
    let mut frames = Frames::new(stream);
    frames.send(request).await?;
    let (mut refused, mut found): (_, Option<Values>) = (None, None);
    loop {
        match frames.next().await? {
            (b'D', body) if found.is_none() || which == Which::Last => {
                let row = read::data_row(body)?;
                found = Some(row.values().map(|value| value.map(Box::from)).collect());
            }
            // The server would wait for data for ever.
            (b'G' | b'W', _) => return Err(RunError::Copies),
            (b'N', body) if is_unprotected(&read::error_or_notice(body)?) => {
                refused = Some(RunError::Unprotected)
            }
            (b'E', body) => refused = Some(RunError::Refused(read::error_or_notice(body)?.into())),
            (b'Z', body) => {
                let status = read::ready_for_query(body)?;
                return match refused {
                    Some(error) => Err(error),
                    None if status != TransactionStatus::Idle => Err(RunError::LeftTransaction),
                    None => Ok(found),
                };
            }
            _ => {}
        }
    }
}
