//! The login to a server: startup message, authentication, parameters, ready (manual 55.2.1).

use howdah_protocol::auth::{Progress, ServerLogin};
use howdah_protocol::{read, write};

use crate::connect::{ConnectSpec, Parameter, Server};
use crate::error::ConnectError;
use crate::frames::{Frames, NoFrame};
use crate::stream::Stream;

/// Protocol 3.0, which every supported PostgreSQL speaks.
const PROTOCOL_3_0: (u16, u16) = (3, 0);

impl From<NoFrame> for ConnectError {
    fn from(error: NoFrame) -> Self {
        match error {
            NoFrame::Io(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Self::Closed,
            NoFrame::Io(error) => Self::Unreachable(error),
            NoFrame::Frame(error) => Self::Frame(error),
        }
    }
}

pub(crate) async fn login(mut stream: Stream, spec: &ConnectSpec) -> Result<Server, ConnectError> {
    let end_point = stream.end_point();
    let mut frames = Frames::new(&mut stream);
    let mut out = Vec::new();
    startup(&mut out, spec)?;
    frames.send(&out).await.map_err(ConnectError::Unreachable)?;
    authenticate(&mut frames, spec, end_point).await?;
    let (pid, key, parameters) = until_ready(&mut frames).await?;
    if !frames.is_drained() {
        // A server says nothing after ReadyForQuery unless it is asked.
        return Err(ConnectError::Unexpected { tag: b'Z' });
    }
    Ok(Server { stream, pid, key, parameters })
}

fn startup(out: &mut Vec<u8>, spec: &ConnectSpec) -> Result<(), ConnectError> {
    let mut parameters: Vec<(&[u8], &[u8])> =
        vec![(b"user", spec.user.as_bytes()), (b"database", spec.database.as_bytes())];
    parameters.extend(spec.parameters.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())));
    write::startup_message(out, PROTOCOL_3_0, parameters)?;
    Ok(())
}

async fn authenticate(
    frames: &mut Frames<'_>,
    spec: &ConnectSpec,
    end_point: Option<Option<Box<[u8]>>>,
) -> Result<(), ConnectError> {
    let mut nonce = [0_u8; 32];
    getrandom::fill(&mut nonce)
        .map_err(|error| ConnectError::Unreachable(std::io::Error::other(error.to_string())))?;
    let mut login = ServerLogin::new(spec.user.as_bytes(), spec.credential.clone(), nonce);
    if let Some(end_point) = end_point {
        login = login.over_tls(end_point);
    }
    loop {
        let mut out = Vec::new();
        let progress = match frames.next().await? {
            (b'R', body) => login.message(read::authentication(body)?, &mut out)?,
            (b'E', body) => return Err(ConnectError::Refused(read::error_or_notice(body)?.into())),
            (b'N' | b'v', _) => continue,
            (tag, _) => return Err(ConnectError::Unexpected { tag }),
        };
        if !out.is_empty() {
            frames.send(&out).await.map_err(ConnectError::Unreachable)?;
        }
        if matches!(progress, Progress::Done(_)) {
            return Ok(());
        }
    }
}

type Ready = (u32, Box<[u8]>, Vec<Parameter>);

async fn until_ready(frames: &mut Frames<'_>) -> Result<Ready, ConnectError> {
    let mut parameters: Vec<Parameter> = Vec::new();
    let mut key_data = (0, Box::default());
    loop {
        match frames.next().await? {
            (b'S', body) => {
                let status = read::parameter_status(body)?;
                parameters.push((status.name.into(), status.value.into()));
            }
            (b'K', body) => {
                let key = read::backend_key_data(body)?;
                key_data = (key.pid, key.key.into());
            }
            (b'Z', _) => return Ok((key_data.0, key_data.1, parameters)),
            (b'E', body) => return Err(ConnectError::Refused(read::error_or_notice(body)?.into())),
            (b'N', _) => {}
            (tag, _) => return Err(ConnectError::Unexpected { tag }),
        }
    }
}
