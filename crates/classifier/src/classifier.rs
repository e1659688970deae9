//! The classifier that a process shares: verdicts remembered by full text, and the session's context
//! applied to them. Next: `judge.rs`, which is asked when a text is new.

use foldhash::fast::RandomState;
use quick_cache::{Weighter, sync::Cache};

use crate::verdict::Effect;
use crate::{Reason, Route, Verdict, judge, tables};

/// Limits of a [`Classifier`].
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Bound of the remembered texts together, in bytes (keys, verdicts and the cache's own bookkeeping).
    pub cache_bytes: usize,
    /// A longer text is not parsed (sqlparser needs up to 300 ns a byte): it goes to the primary. Bytes.
    pub max_text_bytes: usize,
}

impl Default for Options {
    fn default() -> Self {
        Options { cache_bytes: 16 * 1024 * 1024, max_text_bytes: 64 * 1024 }
    }
}

/// What the session knows that changes how a text is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Context {
    /// The session has not changed its `search_path` (nor its role): an unqualified name of a built-in is
    /// that built-in. Otherwise a text that names any function or type unqualified goes to the primary.
    pub search_path_untouched: bool,
    /// `standard_conforming_strings` is on, as it is by default; otherwise a backslash quotes inside every
    /// string and the text goes to the primary.
    pub standard_conforming_strings: bool,
    /// The client's encoding is UTF-8 (or plain ASCII text is all that is sent).
    pub utf8: bool,
}

impl Default for Context {
    fn default() -> Self {
        Context { search_path_untouched: true, standard_conforming_strings: true, utf8: true }
    }
}

/// Bytes that an entry costs beside its text: verdict, key header, slab links and hash slot.
const ENTRY_OVERHEAD_BYTES: u64 = 96;
/// The estimate by which the cache sizes its table; texts of applications are this long, in bytes.
const TYPICAL_TEXT_BYTES: usize = 256;

#[derive(Debug, Clone, Copy)]
struct TextWeight;

impl Weighter<Box<[u8]>, Verdict> for TextWeight {
    fn weight(&self, text: &Box<[u8]>, _verdict: &Verdict) -> u64 {
        text.len() as u64 + ENTRY_OVERHEAD_BYTES
    }
}

/// Classifies texts and remembers the verdicts; one for the whole process, shared by reference.
pub struct Classifier {
    options: Options,
    by_text: Cache<Box<[u8]>, Verdict, TextWeight, RandomState>,
}

impl std::fmt::Debug for Classifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Classifier").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Classifier {
    /// A classifier with an empty memory. The hash is seeded by the process, so that clients cannot
    /// choose texts that collide; a hit compares the full text anyway.
    pub fn new(options: Options) -> Self {
        tables::load();
        let entries = options.cache_bytes / (TYPICAL_TEXT_BYTES + ENTRY_OVERHEAD_BYTES as usize);
        let by_text = Cache::with(
            entries.max(1),
            options.cache_bytes as u64,
            TextWeight,
            RandomState::default(),
            Default::default(),
        );
        Classifier { options, by_text }
    }

    /// The verdict for `sql`, the text of one Query or Parse message without its final NUL.
    pub fn classify(&self, sql: &[u8], context: Context) -> Verdict {
        if !context.standard_conforming_strings || sql.len() > self.options.max_text_bytes {
            return judge::judge(sql, context, self.options.max_text_bytes).verdict;
        }
        if let Some(known) = self.by_text.get(sql) {
            return judge::narrow(known, sql, context);
        }
        let usual = Context::default();
        let verdict = judge::judge(sql, usual, self.options.max_text_bytes).verdict;
        self.by_text.insert(sql.into(), verdict);
        judge::narrow(verdict, sql, context)
    }

    /// Remembers that a replica refused `sql`, so that it goes to the primary from now on (as long as the
    /// cache holds it; a text that is forgotten is refused and learnt once more).
    pub fn remember_refusal(&self, sql: &[u8], context: Context) {
        if sql.len() > self.options.max_text_bytes {
            return;
        }
        let mut verdict = self.classify(sql, context);
        verdict.effects.add(Effect::Writes);
        let refused = Verdict { route: Route::Primary, reason: Reason::RefusedBefore, ..verdict };
        self.by_text.insert(sql.into(), refused);
    }
}
