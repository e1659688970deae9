//! The shape of a text: the text without its constants, so that `… WHERE id = 1` and `… WHERE id = 2` are parsed
//! once. Programs that put constants into the text send a new text every time, and a parse costs 5 to 70 µs.
//!
//! Only for texts whose verdict no constant can change: one query or one INSERT, UPDATE or DELETE, where the
//! rules look at names and syntax alone. Everything else (`SET x = 'y'`, hints) has no shape.
//! Next: `classifier.rs`, which keeps the verdicts by shape.

use crate::lexer::{Kind, Lexer, Token};

/// First byte of every shape. No text of the protocol contains it, so that shapes and texts never meet.
const MARK: u8 = 0;

/// First words of statements that have a shape.
const WORDS: &[&str] = &["select", "insert", "update", "delete", "with", "values"];

/// A text without its constants.
pub(crate) struct Shape {
    pub(crate) key: Vec<u8>,
    /// The text has constants; otherwise the shape is as good as the text.
    pub(crate) has_constants: bool,
}

/// The shape of `sql`, or `None` if its verdict could depend on a constant.
pub(crate) fn shape(sql: &[u8]) -> Option<Shape> {
    let mut key = Vec::with_capacity(sql.len() + 1);
    key.push(MARK);
    let mut shape = Shape { key, has_constants: false };
    let mut end = 0;
    let mut ended = false;
    for token in Lexer::new(sql, false) {
        let first = shape.key.len() == 1 && !ended;
        match token.kind {
            // A hint decides alone.
            Kind::Comment if memchr::memmem::find(token.bytes(sql), b"howdah:").is_some() => return None,
            // Left out: it separates, as a space does.
            Kind::Comment => continue,
            _ if ended => return None,
            Kind::Symbol(b';') => {
                ended = true;
                continue;
            }
            _ if first && !WORDS.iter().any(|word| token.is_word(sql, word)) => return None,
            Kind::Broken | Kind::UnicodeWord => return None,
            _ => {}
        }
        // Two symbols in a row are one operator, two symbols apart are two.
        if token.start > end && !first {
            shape.key.push(b' ');
        }
        end = token.end;
        shape.add(sql, token);
    }
    (shape.key.len() > 1).then_some(shape)
}

impl Shape {
    fn add(&mut self, sql: &[u8], token: Token) {
        let bytes = token.bytes(sql);
        match token.kind {
            Kind::Number => {
                self.has_constants = true;
                self.key.push(b'0');
            }
            // The letters before the quote stay: they say which kind of constant it is.
            Kind::Text => {
                self.has_constants = true;
                let opening = bytes.iter().position(|byte| matches!(byte, b'\'' | b'$')).unwrap_or(0);
                self.key.extend_from_slice(bytes.get(..=opening).unwrap_or_default());
            }
            _ => self.key.extend_from_slice(bytes),
        }
    }
}
