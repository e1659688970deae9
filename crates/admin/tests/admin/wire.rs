//! Reads the console's answers, independently of howdah-protocol.

use howdah_admin::{Access, Console, ConsoleOutcome, Pooler};

/// A message: its tag and body.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Message {
    /// Columns with their type OIDs and lengths.
    Columns(Vec<(String, u32, i16)>),
    /// Values, `None` for NULL.
    Row(Vec<Option<String>>),
    Complete(String),
    Ready(char),
    /// Fields by their letter.
    Error(Vec<(char, String)>),
    Notice(Vec<(char, String)>),
}

struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn take(&mut self, n: usize) -> Vec<u8> {
        let (head, tail) = self.0.split_at(n);
        self.0 = tail;
        head.to_vec()
    }

    fn u16(&mut self) -> u16 {
        u16::from_be_bytes(self.take(2).try_into().unwrap())
    }

    fn u32(&mut self) -> u32 {
        u32::from_be_bytes(self.take(4).try_into().unwrap())
    }

    fn text(&mut self) -> String {
        let end = self.0.iter().position(|&byte| byte == 0).unwrap();
        let text = String::from_utf8(self.take(end)).unwrap();
        self.take(1);
        text
    }
}

fn column(body: &mut Bytes<'_>) -> (String, u32, i16) {
    let name = body.text();
    assert_eq!((body.u32(), body.u16()), (0, 0), "of no table");
    let (oid, length) = (body.u32(), body.u16().cast_signed());
    assert_eq!((body.u32().cast_signed(), body.u16()), (-1, 0), "no modifier, text");
    (name, oid, length)
}

fn value(body: &mut Bytes<'_>) -> Option<String> {
    let length = body.u32().cast_signed();
    (length >= 0).then(|| String::from_utf8(body.take(usize::try_from(length).unwrap())).unwrap())
}

fn fields(body: &mut Bytes<'_>) -> Vec<(char, String)> {
    let mut fields = Vec::new();
    while body.0[0] != 0 {
        let letter = char::from(body.take(1)[0]);
        fields.push((letter, body.text()));
    }
    body.take(1);
    fields
}

/// All messages; anything left over or cut short panics.
pub(crate) fn messages(mut bytes: &[u8]) -> Vec<Message> {
    let mut all = Vec::new();
    while !bytes.is_empty() {
        let length = u32::from_be_bytes(bytes[1..5].try_into().unwrap()) as usize;
        let mut body = Bytes(&bytes[5..=length]);
        all.push(match bytes[0] {
            b'T' => {
                let n = body.u16();
                Message::Columns((0..n).map(|_| column(&mut body)).collect())
            }
            b'D' => {
                let n = body.u16();
                Message::Row((0..n).map(|_| value(&mut body)).collect())
            }
            b'C' => Message::Complete(body.text()),
            b'Z' => Message::Ready(char::from(body.take(1)[0])),
            b'E' => Message::Error(fields(&mut body)),
            b'N' => Message::Notice(fields(&mut body)),
            other => panic!("unexpected message {}", char::from(other)),
        });
        assert!(body.0.is_empty(), "bytes left over in {:?}", all.last());
        bytes = &bytes[length + 1..];
    }
    all
}

/// The answer to one query in a session of its own.
pub(crate) async fn ask(pooler: &dyn Pooler, access: Access, query: &str) -> (Vec<Message>, ConsoleOutcome) {
    let mut out = Vec::new();
    let outcome = Console::new(access, 1).answer(pooler, query.as_bytes(), &mut out).await;
    (messages(&out), outcome)
}

/// An error as the console writes it, with ReadyForQuery.
pub(crate) fn error(code: &str, text: &str) -> Vec<Message> {
    let field = |letter, text: &str| (letter, text.to_owned());
    vec![Message::Error(vec![field('S', "ERROR"), field('C', code), field('M', text)]), Message::Ready('I')]
}

/// CommandComplete with ReadyForQuery.
pub(crate) fn done(tag: &str) -> Vec<Message> {
    vec![Message::Complete(tag.to_owned()), Message::Ready('I')]
}
