//! Messages of a client, written short, and the answers of a server, read short: `1 2 T D(x) C(SELECT 1) Z(I)`.
//! Next: `backend.rs`.

use howdah_protocol::read::{self, TargetKind};
use howdah_protocol::write;

/// Whole frames at the beginning of `bytes`: tag, body, and how much they take together.
pub(crate) fn frames(bytes: &[u8]) -> (Vec<(u8, &[u8])>, usize) {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(header) = bytes.get(at..at + 5) {
        let len = u32::from_be_bytes([header[1], header[2], header[3], header[4]]) as usize + 1;
        let Some(frame) = bytes.get(at..at + len) else { break };
        found.push((frame[0], &frame[5..]));
        at += len;
    }
    (found, at)
}

/// What a client says, one message after the other.
#[derive(Debug, Default, Clone)]
pub(crate) struct Say(pub(crate) Vec<u8>);

impl Say {
    pub(crate) fn query(mut self, text: &str) -> Self {
        write::query(&mut self.0, text.as_bytes()).unwrap();
        self
    }

    pub(crate) fn parse(mut self, name: &str, text: &str) -> Self {
        write::parse(&mut self.0, name.as_bytes(), text.as_bytes(), write::NO_TYPES).unwrap();
        self
    }

    /// Binds the unnamed portal with an empty value.
    pub(crate) fn bind(self, name: &str) -> Self {
        self.bind_value(name, &[])
    }

    /// The same without any value, as a statement without parameters is bound.
    pub(crate) fn bind_bare(mut self, name: &str) -> Self {
        write::bind(&mut self.0, b"", name.as_bytes(), &[0, 0, 0, 0, 0, 0]).unwrap();
        self
    }

    /// Parse, Bind without a value, Execute of the unnamed statement.
    pub(crate) fn run_bare(self, text: &str) -> Self {
        self.parse("", text).bind_bare("").execute()
    }

    /// Binds the unnamed portal with one value of any bytes.
    pub(crate) fn bind_value(mut self, name: &str, value: &[u8]) -> Self {
        let mut rest = vec![0, 0, 0, 1];
        rest.extend_from_slice(&u32::try_from(value.len()).unwrap().to_be_bytes());
        rest.extend_from_slice(value);
        rest.extend_from_slice(&[0, 0]);
        write::bind(&mut self.0, b"", name.as_bytes(), &rest).unwrap();
        self
    }

    pub(crate) fn describe(mut self, name: &str) -> Self {
        write::describe(&mut self.0, TargetKind::Statement, name.as_bytes()).unwrap();
        self
    }

    pub(crate) fn describe_portal(mut self) -> Self {
        write::describe(&mut self.0, TargetKind::Portal, b"").unwrap();
        self
    }

    pub(crate) fn execute(mut self) -> Self {
        write::execute(&mut self.0, b"", 0).unwrap();
        self
    }

    pub(crate) fn close(mut self, name: &str) -> Self {
        write::close(&mut self.0, TargetKind::Statement, name.as_bytes()).unwrap();
        self
    }

    pub(crate) fn sync(mut self) -> Self {
        write::sync(&mut self.0);
        self
    }

    pub(crate) fn flush(mut self) -> Self {
        write::flush(&mut self.0);
        self
    }

    pub(crate) fn copy_data(mut self, bytes: &[u8]) -> Self {
        write::copy_data(&mut self.0, bytes).unwrap();
        self
    }

    pub(crate) fn copy_done(mut self) -> Self {
        write::copy_done(&mut self.0);
        self
    }

    pub(crate) fn copy_fail(mut self) -> Self {
        write::copy_fail(&mut self.0, b"no").unwrap();
        self
    }

    pub(crate) fn function_call(mut self) -> Self {
        self.0.extend_from_slice(&[b'F', 0, 0, 0, 14, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
        self
    }

    /// Parse, Bind, Execute of the unnamed statement.
    pub(crate) fn run(self, text: &str) -> Self {
        self.parse("", text).bind("").execute()
    }

    /// Bind, Execute of a named one.
    pub(crate) fn run_named(self, name: &str) -> Self {
        self.bind(name).execute()
    }
}

fn text(bytes: &[u8]) -> String {
    if bytes.len() > 60 {
        return format!("{} bytes", bytes.len());
    }
    String::from_utf8_lossy(bytes).into_owned()
}

/// One answer.
pub(crate) fn short(tag: u8, body: &[u8]) -> String {
    match tag {
        b'Z' => format!("Z({})", body[0] as char),
        b'C' => format!("C({})", text(&body[..body.len() - 1])),
        b'E' | b'N' => {
            let fields = read::error_or_notice(body).expect("an error");
            format!("{}({})", tag as char, text(fields.code.expect("a code")))
        }
        b'S' => {
            let status = read::parameter_status(body).expect("a parameter");
            format!("S({}={})", text(status.name), text(status.value))
        }
        b'D' => {
            let row = read::data_row(body).expect("a row");
            let value = row.values().next().flatten().unwrap_or_default();
            format!("D({})", text(value))
        }
        b'd' => format!("d({})", text(body)),
        _ => (tag as char).to_string(),
    }
}

/// Answers, which must end with a whole frame.
pub(crate) fn answers(bytes: &[u8]) -> String {
    let (frames, length) = frames(bytes);
    assert_eq!(length, bytes.len(), "half a frame at the end: {:?}", &bytes[length..]);
    frames.iter().map(|(tag, body)| short(*tag, body)).collect::<Vec<_>>().join(" ")
}
