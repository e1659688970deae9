//! The first reading of a text, by the lexer alone: where its statements begin and end, which hint its
//! comments give, and which functions each statement calls. It decides what a write means for the session
//! and is the second opinion on every read. Next: `judge.rs`, which uses it.

use crate::lexer::{Kind, Lexer, Token};
use crate::tables::{self, Known, Refusal};

/// A hint in a comment (DESIGN.md section 5). The primary wins when a text has both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Hint {
    Replica,
    Primary,
}

/// Unknown calls kept for the second opinion; a statement with more is not a known read anyway. Calls.
const UNKNOWN_CALLS: usize = 8;

/// What the lexer sees of one statement.
#[derive(Debug, Clone, Default)]
pub(crate) struct Piece {
    /// From its first token to the end of its last, in bytes.
    pub(crate) start: usize,
    pub(crate) end: usize,
    /// Its first token; none for an empty statement.
    pub(crate) first: Option<Token>,
    /// Names before a parenthesis that are no known function: user functions, or aliases with columns.
    pub(crate) unknown_calls: Vec<(usize, usize)>,
    /// More of them than are kept.
    pub(crate) many_unknown_calls: bool,
    /// A built-in function that must not run on a replica, and where its name is.
    pub(crate) refused: Option<(Refusal, Token)>,
    /// `set_config(…)`.
    pub(crate) sets: bool,
    /// A function that asks for the server's role.
    pub(crate) asks_role: bool,
    /// A built-in that runs the text that it is given.
    pub(crate) runs_text: bool,
    /// `CREATE TEMP …`, `INTO TEMP …`, or the schema `pg_temp`.
    pub(crate) temporary: bool,
    /// A key word of a query stands somewhere: `CREATE TABLE … AS SELECT` runs its functions.
    pub(crate) has_query: bool,
    /// Tokens that can deepen a syntax tree: operators, casts, key words such as OR and UNION.
    pub(crate) joints: usize,
    /// Something is not terminated or closed, or `U&"…"` hides a name.
    pub(crate) opaque: bool,
}

/// The last significant tokens, the newest first.
const LAST: usize = 6;

/// Reads a text statement by statement.
pub(crate) struct Survey<'a> {
    text: &'a [u8],
    lexer: Lexer<'a>,
    last: [Option<Token>; LAST],
    /// The hint found so far; complete after the last piece.
    pub(crate) hint: Option<Hint>,
}

impl<'a> Survey<'a> {
    pub(crate) fn new(text: &'a [u8], backslashes: bool) -> Self {
        Survey { text, lexer: Lexer::new(text, backslashes), last: [None; LAST], hint: None }
    }

    /// A lexer at the start of `piece`.
    pub(crate) fn lexer_of(&self, piece: &Piece) -> Lexer<'a> {
        self.lexer.at(piece.start)
    }

    /// The next statement, up to its semicolon or the end; empty ones too.
    pub(crate) fn next_piece(&mut self) -> Option<Piece> {
        let mut piece = Piece::default();
        let mut seen = false;
        let mut depth = 0_usize;
        let mut whole = false;
        self.last = [None; LAST];
        while let Some(token) = self.lexer.next() {
            seen = true;
            match token.kind {
                Kind::Comment => {
                    self.hint = self.hint.max(hint(token.bytes(self.text)));
                    continue;
                }
                Kind::Symbol(b';') if depth == 0 && !whole => return Some(piece),
                Kind::Symbol(b'(') => depth += 1,
                Kind::Symbol(b')') => {
                    piece.opaque |= depth == 0;
                    depth = depth.saturating_sub(1);
                }
                _ => {}
            }
            self.take(&mut piece, token);
            // The body of a SQL-standard function has statements of its own.
            whole |= token.is_word(self.text, "atomic") && self.before(0, "begin");
            self.remember(token);
        }
        piece.opaque |= depth > 0;
        seen.then_some(piece)
    }

    fn remember(&mut self, token: Token) {
        self.last.rotate_right(1);
        self.last[0] = Some(token);
    }

    fn before(&self, ago: usize, word: &str) -> bool {
        self.last_token(ago).is_some_and(|token| token.is_word(self.text, word))
    }

    fn symbol_before(&self, ago: usize, symbol: u8) -> bool {
        self.last_token(ago).is_some_and(|token| token.is(symbol))
    }

    fn last_token(&self, ago: usize) -> Option<Token> {
        self.last.get(ago).copied().flatten()
    }

    fn take(&self, piece: &mut Piece, token: Token) {
        if piece.first.is_none() {
            piece.start = token.start;
            piece.first = Some(token);
        }
        piece.end = token.end;
        match token.kind {
            Kind::Broken | Kind::UnicodeWord => piece.opaque = true,
            Kind::Symbol(b'(') => self.call(piece),
            Kind::Symbol(b',' | b')') => {}
            Kind::Symbol(_) => piece.joints += 1,
            Kind::Word => self.word(piece, token),
            _ => {}
        }
    }

    fn word(&self, piece: &mut Piece, token: Token) {
        let mut folded = [0; FOLDED_BYTES];
        let Some(word) = fold(token, self.text, &mut folded) else { return };
        match word {
            "temp" | "temporary" => {
                let after = ["create", "into", "local", "global", "replace"];
                piece.temporary |= after.iter().any(|word| self.before(0, word));
            }
            "select" | "values" | "execute" => {
                piece.has_query = true;
                piece.joints += 1;
            }
            "or" | "and" | "union" | "except" | "intersect" | "is" | "isnull" | "notnull" | "not"
            | "like" | "ilike" | "in" | "between" | "collate" | "at" | "join" | "case" | "similar"
            | "overlaps" => piece.joints += 1,
            _ => piece.temporary |= word.starts_with("pg_temp"),
        }
    }

    /// A parenthesis opens: is the name before it a function?
    fn call(&self, piece: &mut Piece) {
        let Some(name) = self.last_token(0) else { return };
        if !matches!(name.kind, Kind::Word | Kind::QuotedWord | Kind::UnicodeWord) {
            return;
        }
        let qualified = self.symbol_before(1, b'.');
        if self.declares(if qualified { 3 } else { 1 }) {
            return;
        }
        match self.known(name, qualified) {
            Some(Known::Safe | Known::GrammarCall | Known::GrammarWord) => {}
            Some(Known::Refused(refusal)) => refuse(piece, refusal, name),
            None if self.is_clause(name) => {}
            None if piece.unknown_calls.len() < UNKNOWN_CALLS => {
                piece.unknown_calls.push((name.start, name.end))
            }
            None => piece.many_unknown_calls = true,
        }
    }

    fn known(&self, name: Token, qualified: bool) -> Option<Known> {
        let mut folded = [0; FOLDED_BYTES];
        let word = fold(name, self.text, &mut folded)?;
        let known = tables::function(word);
        let grammar = matches!(known, Some(Known::GrammarCall | Known::GrammarWord));
        if !qualified {
            return known.filter(|_| !(grammar && name.kind != Kind::Word));
        }
        let mut folded = [0; FOLDED_BYTES];
        let schema = fold(self.last_token(2)?, self.text, &mut folded)?;
        match schema {
            _ if self.symbol_before(3, b'.') => None,
            "pg_catalog" => known.filter(|_| !grammar),
            "information_schema" => word.starts_with("_pg_").then_some(Known::Safe),
            _ => None,
        }
    }

    /// Whether the token before the name says that the name is being given, not called: `AS t(a, b)`,
    /// `INTO t(a)`, `COPY t(a)`, `WITH t(a)`, `) t(a)`.
    fn declares(&self, ago: usize) -> bool {
        let words = ["as", "into", "with", "recursive", "copy"];
        self.symbol_before(ago, b')') || words.iter().any(|word| self.before(ago, word))
    }

    /// Clauses whose last word could also name a function, known by what stands before it.
    fn is_clause(&self, name: Token) -> bool {
        let is = |word| name.is_word(self.text, word);
        let first = self.last_token(1).is_none();
        (first && (is("copy") || is("explain")))
            || (self.before(1, "fetch") && (is("first") || is("next")))
            || (self.before(1, "on") && is("conflict"))
            || (self.before(1, "as") || self.before(1, "not")) && is("materialized")
    }
}

fn refuse(piece: &mut Piece, refusal: Refusal, name: Token) {
    piece.sets |= refusal == Refusal::Sets;
    piece.runs_text |= refusal == Refusal::RunsText;
    piece.asks_role |= refusal == Refusal::Role;
    // A function that writes says more than one that asks.
    let stronger = piece.refused.is_none_or(|(known, _)| !known.may_write() && refusal.may_write());
    if stronger {
        piece.refused = Some((refusal, name));
    }
}

/// PostgreSQL keeps 63 bytes of a name; one more tells a longer one.
pub(crate) const FOLDED_BYTES: usize = 64;

/// A name as PostgreSQL folds it; `None` for one that no built-in can have.
pub(crate) fn fold<'b>(token: Token, text: &[u8], into: &'b mut [u8; FOLDED_BYTES]) -> Option<&'b str> {
    let name = match token.kind {
        Kind::Word => token.bytes(text),
        Kind::QuotedWord => text.get(token.start + 1..token.end - 1)?,
        _ => return None,
    };
    let folded = into.get_mut(..name.len())?;
    folded.copy_from_slice(name);
    if token.kind == Kind::Word {
        folded.make_ascii_lowercase();
    }
    std::str::from_utf8(folded).ok()
}

fn hint(comment: &[u8]) -> Option<Hint> {
    let mut found = None;
    let mut rest = comment;
    while let Some(at) = memchr::memmem::find(rest, b"howdah:") {
        rest = rest.get(at + b"howdah:".len()..).unwrap_or_default();
        found = found.max(hint_word(rest));
    }
    found
}

fn hint_word(after: &[u8]) -> Option<Hint> {
    let end = after.iter().position(|byte| !byte.is_ascii_alphanumeric() && *byte != b'_');
    match after.get(..end.unwrap_or(after.len()))? {
        b"primary" => Some(Hint::Primary),
        b"replica" => Some(Hint::Replica),
        _ => None,
    }
}
