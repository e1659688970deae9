//! The path of one text that is not remembered: the lexer finds its statements, each statement is judged,
//! and the strictest judgement is the text's. Next: `survey.rs` and `control.rs`, then `walk.rs`.

use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::Parser;

use crate::lexer::{Kind, Token};
use crate::outcome::Outcome;
use crate::survey::{FOLDED_BYTES, Hint, Piece, Survey, fold};
use crate::verdict::Effect;
use crate::walk::{self, Walked};
use crate::words::Words;
use crate::{Context, Effects, Reason, Route, Verdict, command, control, settings};

/// A text above this is not even read by the lexer: it is a write of unknown effect. Bytes.
const LEXER_BYTES: usize = 16 * 1024 * 1024;
/// A statement with more operators and key words that nest is not parsed: freeing a syntax tree uses the
/// stack, about 200 bytes for each level, and a runtime's threads have 2 MiB. Tokens.
const JOINTS: usize = 2_000;

/// A verdict with the name that decided it.
pub(crate) struct Judgement {
    pub(crate) verdict: Verdict,
    pub(crate) detail: Option<Box<str>>,
}

/// Judges a text in the session's context. Longer ones than `max_text_bytes` are not parsed.
pub(crate) fn judge(sql: &[u8], context: Context, max_text_bytes: usize) -> Judgement {
    let Judgement { verdict, detail } = read(sql, context, max_text_bytes);
    Judgement { verdict: narrow(verdict, sql, context), detail }
}

/// Narrows a verdict made for the usual context to the session's.
pub(crate) fn narrow(verdict: Verdict, sql: &[u8], context: Context) -> Verdict {
    let primary = |reason| Verdict { route: Route::Primary, reason, ..verdict };
    if verdict.route == Route::Primary || verdict.reason == Reason::HintReplica {
        return verdict;
    }
    if verdict.rests_on_names && !context.search_path_untouched {
        return primary(Reason::SearchPath);
    }
    if !context.utf8 && !sql.is_ascii() {
        return primary(Reason::Encoding);
    }
    verdict
}

fn read(sql: &[u8], context: Context, max_text_bytes: usize) -> Judgement {
    if sql.len() > LEXER_BYTES {
        return finish(Outcome::write(Reason::TooLong).with(Effect::MarksSession), None);
    }
    let mut survey = Survey::new(sql, !context.standard_conforming_strings);
    let mut whole = Outcome::replica(Reason::Empty).with(Effect::Empty);
    let mut statements = 0_usize;
    while let Some(piece) = survey.next_piece() {
        let Some(first) = piece.first else { continue };
        let text = Text { sql, context, parses: sql.len() <= max_text_bytes };
        let outcome = text.statement(&survey, &piece, first).unless_opaque(&piece);
        whole = if statements == 0 { outcome } else { both(whole, outcome) };
        statements += 1;
    }
    if statements > 1 {
        whole.effects.add(Effect::ManyStatements);
    }
    finish(whole, survey.hint)
}

fn finish(outcome: Outcome, hint: Option<Hint>) -> Judgement {
    let Outcome { mut route, mut reason, effects, rests_on_names, mut detail } = outcome;
    if let Some(hint) = hint {
        (route, reason) = match hint {
            Hint::Primary => (Route::Primary, Reason::HintPrimary),
            Hint::Replica => (Route::Replica, Reason::HintReplica),
        };
        detail = None;
    }
    let rests_on_names = rests_on_names && route == Route::Replica && hint.is_none();
    Judgement { verdict: Verdict { route, reason, effects, rests_on_names }, detail }
}

/// Two statements of one text: the first one that needs the primary gives the reason.
fn both(first: Outcome, second: Outcome) -> Outcome {
    let mut effects: Effects = first.effects;
    effects.join(second.effects);
    let rests_on_names = first.rests_on_names || second.rests_on_names;
    // Of two that may run on a replica, what the text does says more than what it controls.
    let later =
        first.route == Route::Replica && (second.route == Route::Primary || second.reason == Reason::Read);
    let named = if later { second } else { first };
    Outcome { effects, rests_on_names, ..named }
}

/// A text and how it may be read.
struct Text<'a> {
    sql: &'a [u8],
    context: Context,
    parses: bool,
}

impl Text<'_> {
    fn statement(&self, survey: &Survey<'_>, piece: &Piece, first: Token) -> Outcome {
        let mut folded = [0; FOLDED_BYTES];
        let word = fold(first, self.sql, &mut folded).filter(|_| first.kind == Kind::Word).unwrap_or("");
        if first.is(b'(') || matches!(word, "select" | "with" | "values" | "table" | "explain" | "copy") {
            return self.query(piece).with_if(calls_unknown(piece), Effect::MarksSession).asking(piece);
        }
        let mut words = Words::new(self.sql, survey.lexer_of(piece), piece.end);
        words.token();
        if let Some(outcome) =
            control::control(word, &mut words).or_else(|| settings::settings(word, &mut words))
        {
            return outcome;
        }
        let mut outcome = command::command(word, piece);
        if command::runs_functions(word, piece, &mut words) {
            outcome = outcome.with_if(calls_unknown(piece), Effect::MarksSession).asking(piece);
        }
        let detail = outcome.detail.take().unwrap_or_else(|| word.to_ascii_uppercase().into());
        outcome.about(detail)
    }

    /// A statement that may be a read: the syntax tree decides, and the lexer must agree.
    fn query(&self, piece: &Piece) -> Outcome {
        if !self.parses || piece.joints > JOINTS {
            return Outcome::write(Reason::TooLong);
        }
        if !self.context.standard_conforming_strings {
            return Outcome::write(Reason::StringSyntax);
        }
        if piece.opaque {
            return Outcome::write(Reason::NotParsed)
                .about("something is not terminated or closed, or a U& name");
        }
        let Some(text) = self.sql.get(piece.start..piece.end).and_then(|text| std::str::from_utf8(text).ok())
        else {
            return Outcome::write(Reason::Encoding);
        };
        match parse(text) {
            Ok(walked) => self.agreed(piece, walked),
            Err(outcome) => outcome.with_if(piece.temporary, Effect::MarksSession),
        }
    }

    /// The tree is a read. The lexer must have seen the same calls: where the two read a text differently,
    /// neither is trusted.
    fn agreed(&self, piece: &Piece, walked: Walked) -> Outcome {
        let disagree = piece.many_unknown_calls
            || piece.refused.is_some_and(|(refusal, _)| refusal.may_write())
            || piece.unknown_calls.iter().any(|call| !self.is_alias(*call, &walked.aliases));
        if disagree {
            return Outcome::write(Reason::ReadersDisagree);
        }
        match (walked.ask, piece.refused) {
            (Some(blame), _) => Outcome::primary(blame.reason).about(blame.detail),
            (None, Some((refusal, _))) => Outcome::primary(refusal.reason()),
            (None, None) => {
                let rests_on_names = walked.rests_on_names;
                Outcome { rests_on_names, ..Outcome::replica(Reason::Read) }
            }
        }
    }

    fn is_alias(&self, (start, end): (usize, usize), aliases: &[String]) -> bool {
        let name = self.sql.get(start..end).unwrap_or_default();
        let name = name.strip_prefix(b"\"").and_then(|name| name.strip_suffix(b"\"")).unwrap_or(name);
        aliases.iter().any(|alias| alias.as_bytes().eq_ignore_ascii_case(name))
    }
}

fn calls_unknown(piece: &Piece) -> bool {
    piece.many_unknown_calls || piece.runs_text || piece.opaque || !piece.unknown_calls.is_empty()
}

/// Parses one statement and walks it. It counts as a write unless the walk ended.
fn parse(text: &str) -> Result<Walked, Outcome> {
    let statements = Parser::parse_sql(&PostgreSqlDialect {}, text)
        .map_err(|error| Outcome::write(Reason::NotParsed).about(error.to_string()))?;
    let [statement] = statements.as_slice() else {
        return Err(Outcome::write(Reason::ReadersDisagree));
    };
    walk::walk(statement).map_err(|blame| Outcome::write(blame.reason).about(blame.detail))
}

impl Outcome {
    /// Nothing with an unterminated string or comment in it runs anywhere: the primary says so.
    fn unless_opaque(self, piece: &Piece) -> Outcome {
        if !piece.opaque || self.route == Route::Primary {
            return self;
        }
        let refused = Outcome::write(Reason::NotParsed).about("something is not terminated or closed");
        Outcome { effects: both(refused.clone(), self).effects, ..refused }
    }

    /// Adds what the functions of the statement mean for the session.
    fn asking(self, piece: &Piece) -> Outcome {
        let asks = self.with_if(piece.asks_role, Effect::AsksRole);
        // The parameter that is set may be any.
        let sets = [Effect::SetsParameter, Effect::SetsSearchPath, Effect::SetsGuarded];
        sets.into_iter().fold(asks, |asks, effect| asks.with_if(piece.sets, effect))
    }
}
