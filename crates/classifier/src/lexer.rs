//! PostgreSQL's lexical rules over raw bytes (manual, section 4.1), as far as they decide where strings,
//! comments, names and statements begin and end. It never allocates and never fails: what is not
//! terminated becomes one `Broken` token up to the end. Next: `survey.rs`, which reads a text with it.

use memchr::{memchr, memchr2};

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A name or key word without quotes.
    Word,
    /// `"name"`.
    QuotedWord,
    /// `U&"name"`, whose escapes (and a later `UESCAPE`) this lexer does not decode.
    UnicodeWord,
    /// Any string constant: `'…'`, `E'…'`, `B'…'`, `X'…'`, `N'…'`, `U&'…'`, `$tag$…$tag$`.
    Text,
    /// A number.
    Number,
    /// `$1`.
    Param,
    /// One byte of an operator or of punctuation.
    Symbol(u8),
    /// `-- …` or `/* … */`.
    Comment,
    /// An unterminated string, name or comment.
    Broken,
}

/// A token: its kind and its place in the text, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

impl Token {
    pub(crate) fn is(&self, symbol: u8) -> bool {
        self.kind == Kind::Symbol(symbol)
    }

    pub(crate) fn bytes<'a>(&self, text: &'a [u8]) -> &'a [u8] {
        text.get(self.start..self.end).unwrap_or_default()
    }

    /// Whether this is the unquoted word `word` (given in lower case).
    pub(crate) fn is_word(&self, text: &[u8], word: &str) -> bool {
        self.kind == Kind::Word && self.bytes(text).eq_ignore_ascii_case(word.as_bytes())
    }
}

/// Reads tokens one by one.
#[derive(Debug, Clone)]
pub(crate) struct Lexer<'a> {
    text: &'a [u8],
    at: usize,
    /// `standard_conforming_strings` is off: a backslash escapes in plain strings too.
    backslashes: bool,
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}

pub(crate) fn is_name_start(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80
}

pub(crate) fn is_name_part(byte: u8) -> bool {
    is_name_start(byte) || byte.is_ascii_digit() || byte == b'$'
}

impl<'a> Lexer<'a> {
    pub(crate) fn new(text: &'a [u8], backslashes: bool) -> Self {
        Lexer { text, at: 0, backslashes }
    }

    /// A lexer of the same text and rules that begins at `at`, which must be the start of a token.
    pub(crate) fn at(&self, at: usize) -> Self {
        Lexer { at, ..self.clone() }
    }

    fn peek(&self, ahead: usize) -> u8 {
        self.text.get(self.at + ahead).copied().unwrap_or(0)
    }

    fn rest(&self) -> &'a [u8] {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// The next token without comments.
    pub(crate) fn significant(&mut self) -> Option<Token> {
        self.find(|token| token.kind != Kind::Comment)
    }

    fn scan(&mut self) -> Kind {
        let first = self.peek(0);
        match (first, self.peek(1)) {
            (b'-', b'-') => self.line_comment(),
            (b'/', b'*') => self.block_comment(),
            (b'\'', _) => self.string(1, self.backslashes),
            (b'e' | b'E', b'\'') => self.string(2, true),
            (b'n' | b'N', b'\'') => self.string(2, self.backslashes),
            (b'b' | b'B' | b'x' | b'X', b'\'') => self.string(2, false),
            (b'u' | b'U', b'&') if self.peek(2) == b'\'' => self.string(3, false),
            (b'u' | b'U', b'&') if self.peek(2) == b'"' => self.quoted_word(3, Kind::UnicodeWord),
            (b'"', _) => self.quoted_word(1, Kind::QuotedWord),
            (b'$', b'0'..=b'9') => {
                self.skip_while(1, |byte| byte.is_ascii_digit());
                Kind::Param
            }
            (b'$', _) => self.dollar(),
            (b'0'..=b'9', _) | (b'.', b'0'..=b'9') => self.number(),
            _ if is_name_start(first) => {
                self.skip_while(1, is_name_part);
                Kind::Word
            }
            _ => {
                self.at += 1;
                Kind::Symbol(first)
            }
        }
    }

    fn skip_while(&mut self, from: usize, part: impl Fn(u8) -> bool) {
        self.at += from;
        let run = self.rest().iter().position(|byte| !part(*byte));
        self.at += run.unwrap_or(self.rest().len());
    }

    fn broken(&mut self) -> Kind {
        self.at = self.text.len();
        Kind::Broken
    }

    fn line_comment(&mut self) -> Kind {
        let end = memchr2(b'\n', b'\r', self.rest());
        self.at += end.unwrap_or(self.rest().len());
        Kind::Comment
    }

    /// Block comments nest.
    fn block_comment(&mut self) -> Kind {
        let mut depth = 0_usize;
        while let Some(step) = memchr2(b'*', b'/', self.rest()) {
            self.at += step;
            match (self.peek(0), self.peek(1)) {
                (b'/', b'*') => depth += 1,
                (b'*', b'/') => depth -= 1,
                _ => {
                    self.at += 1;
                    continue;
                }
            }
            self.at += 2;
            if depth == 0 {
                return Kind::Comment;
            }
        }
        self.broken()
    }

    /// A quoted string, with its continuations on later lines: those keep the rules of its first part.
    fn string(&mut self, opening: usize, backslashes: bool) -> Kind {
        self.at += opening;
        loop {
            let Some(step) = self.string_special(backslashes) else { return self.broken() };
            self.at += step;
            if self.peek(0) == b'\\' {
                self.at = (self.at + 2).min(self.text.len());
            } else if self.peek(1) == b'\'' {
                self.at += 2;
            } else {
                self.at += 1;
                match self.continuation() {
                    Some(next) => self.at = next,
                    None => return Kind::Text,
                }
            }
        }
    }

    fn string_special(&self, backslashes: bool) -> Option<usize> {
        if backslashes { memchr2(b'\'', b'\\', self.rest()) } else { memchr(b'\'', self.rest()) }
    }

    /// Behind the opening quote of a continuation: white space and `--` comments with a line break, then a quote.
    fn continuation(&self) -> Option<usize> {
        let mut at = self.at;
        let mut line_break = false;
        loop {
            match *self.text.get(at)? {
                b'\'' if line_break => return Some(at + 1),
                byte if is_space(byte) => {
                    line_break |= matches!(byte, b'\n' | b'\r');
                    at += 1;
                }
                b'-' if self.text.get(at + 1) == Some(&b'-') => {
                    at += memchr2(b'\n', b'\r', self.text.get(at..)?)?;
                }
                _ => return None,
            }
        }
    }

    fn quoted_word(&mut self, opening: usize, kind: Kind) -> Kind {
        self.at += opening;
        while let Some(step) = memchr(b'"', self.rest()) {
            self.at += step + 1;
            if self.peek(0) != b'"' {
                return kind;
            }
            self.at += 1;
        }
        self.broken()
    }

    /// `$tag$…$tag$`, or a lone dollar, which is an error to PostgreSQL.
    fn dollar(&mut self) -> Kind {
        let rest = self.rest();
        let tag = rest.iter().skip(1).position(|byte| !(is_name_part(*byte) && *byte != b'$'));
        let tag_end = tag.map_or(rest.len(), |length| length + 1);
        let named = rest.get(1).is_some_and(|byte| is_name_start(*byte));
        if rest.get(tag_end) != Some(&b'$') || !(named || tag_end == 1) {
            self.at += 1;
            return Kind::Symbol(b'$');
        }
        let delimiter = rest.get(..=tag_end).unwrap_or_default();
        let body = rest.get(tag_end + 1..).unwrap_or_default();
        match memchr::memmem::find(body, delimiter) {
            Some(length) => {
                self.at += tag_end + 1 + length + delimiter.len();
                Kind::Text
            }
            None => self.broken(),
        }
    }

    fn number(&mut self) -> Kind {
        self.skip_while(0, |byte| byte.is_ascii_digit());
        // `1..10` is two numbers around an operator of PL/pgSQL.
        if self.peek(0) == b'.' && self.peek(1) != b'.' {
            self.skip_while(1, |byte| byte.is_ascii_digit());
        }
        let sign = usize::from(matches!(self.peek(1), b'+' | b'-'));
        if matches!(self.peek(0), b'e' | b'E') && self.peek(1 + sign).is_ascii_digit() {
            self.skip_while(1 + sign, |byte| byte.is_ascii_digit());
        }
        Kind::Number
    }
}

impl Iterator for Lexer<'_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        self.skip_while(0, is_space);
        if self.at >= self.text.len() {
            return None;
        }
        let start = self.at;
        let kind = self.scan();
        Some(Token { kind, start, end: self.at })
    }
}
