//! Walks over the words of one statement: what `control.rs`, `settings.rs` and `command.rs` read with.

use std::ops::Range;

use crate::lexer::{Kind, Lexer, Token};
use crate::survey::{FOLDED_BYTES, fold};

/// A cursor over the significant tokens of one statement.
pub(crate) struct Words<'a> {
    text: &'a [u8],
    lexer: Lexer<'a>,
    next: Option<Token>,
    end: usize,
}

impl<'a> Words<'a> {
    /// Of the statement that ends at byte `end`; the lexer stands at its start.
    pub(crate) fn new(text: &'a [u8], lexer: Lexer<'a>, end: usize) -> Self {
        let mut words = Words { text, lexer, next: None, end };
        words.advance();
        words
    }

    fn advance(&mut self) {
        self.next = self.lexer.significant().filter(|token| token.start < self.end);
    }

    /// Takes the next token, whatever it is.
    pub(crate) fn token(&mut self) -> Option<Token> {
        let token = self.next;
        self.advance();
        token
    }

    /// Nothing is left.
    pub(crate) fn is_done(&self) -> bool {
        self.next.is_none()
    }

    /// Takes the next token if it is the key word `word`.
    pub(crate) fn eat(&mut self, word: &str) -> bool {
        let found = self.next.is_some_and(|token| token.is_word(self.text, word));
        if found {
            self.advance();
        }
        found
    }

    /// Takes the next token if it is one of `words`.
    pub(crate) fn eat_any(&mut self, words: &[&str]) -> bool {
        words.iter().any(|word| self.eat(word))
    }

    /// Takes the key words `words` if they come next; takes the first ones alone when a later one is missing.
    pub(crate) fn eat_all(&mut self, words: &[&str]) -> bool {
        words.iter().all(|word| self.eat(word))
    }

    /// Takes the next token if it is `symbol`.
    pub(crate) fn eat_symbol(&mut self, symbol: u8) -> bool {
        let found = self.next.is_some_and(|token| token.is(symbol));
        if found {
            self.advance();
        }
        found
    }

    /// Takes a name, folded as PostgreSQL does for parameters: without regard to case, dots included.
    pub(crate) fn parameter(&mut self) -> Option<String> {
        let mut name = self.name()?;
        while self.eat_symbol(b'.') {
            name.push('.');
            name.push_str(&self.name()?);
        }
        name.make_ascii_lowercase();
        Some(name)
    }

    fn name(&mut self) -> Option<String> {
        let mut folded = [0; FOLDED_BYTES];
        fold(self.token()?, self.text, &mut folded).map(str::to_owned)
    }

    /// Where the next token stands.
    pub(crate) fn ahead(&self) -> Range<usize> {
        self.next.map_or(self.end..self.end, |token| token.start..token.end)
    }

    /// Takes a plain string without escapes, in lower case, with where it stands; another token is taken, too.
    pub(crate) fn text(&mut self) -> Option<(String, Range<usize>)> {
        let token = self.token().filter(|token| token.kind == Kind::Text)?;
        let plain = token.bytes(self.text).strip_prefix(b"'")?.strip_suffix(b"'")?;
        let clean = !plain.iter().any(|byte| matches!(byte, b'\'' | b'\\' | b'\n'));
        clean.then(|| (String::from_utf8_lossy(plain).trim().to_ascii_lowercase(), token.start..token.end))
    }

    /// Takes a value: a plain string without escapes, a word or a number, in lower case. `None` for anything
    /// that this reader does not understand, and for lists.
    pub(crate) fn value(&mut self) -> Option<String> {
        let token = self.token()?;
        let bytes = token.bytes(self.text);
        let plain = match token.kind {
            Kind::Text => bytes.strip_prefix(b"'")?.strip_suffix(b"'")?,
            Kind::QuotedWord => bytes.strip_prefix(b"\"")?.strip_suffix(b"\"")?,
            Kind::Word | Kind::Number => bytes,
            _ => return None,
        };
        let clean = !plain.iter().any(|byte| matches!(byte, b'\'' | b'"' | b'\\' | b'\n'));
        (clean && self.is_done()).then(|| String::from_utf8_lossy(plain).trim().to_ascii_lowercase())
    }
}
