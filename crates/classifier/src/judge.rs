//! The path of one text that is not remembered: lexer, then syntax tree.

use crate::{Context, Effects, Reason, Route, Verdict};

/// A verdict with what `explain` says of it.
pub(crate) struct Judgement {
    pub(crate) verdict: Verdict,
    /// The name or words that decided, and where they are.
    pub(crate) detail: Option<Box<str>>,
}

pub(crate) fn judge(_sql: &[u8], _context: Context, _max_text_bytes: usize) -> Judgement {
    let verdict = Verdict {
        route: Route::Primary,
        reason: Reason::UnknownStatement,
        effects: Effects::default(),
        rests_on_names: false,
    };
    Judgement { verdict, detail: None }
}
