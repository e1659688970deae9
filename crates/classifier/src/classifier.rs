//! The classifier that a process shares: verdicts remembered by full text and by shape, and the session's
//! context applied to them. Next: `shape.rs`; `judge.rs`, which is asked when a text is new.

use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU32, Ordering};

use foldhash::fast::RandomState;
use quick_cache::{Weighter, sync::Cache};

use crate::verdict::Effect;
use crate::{Reason, Route, Verdict, judge, shape, tables};

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

/// Texts that were seen once, as fingerprints: a text with constants is kept by itself only when it comes again,
/// so that texts that never do cannot crowd out the others. Slots of 4 bytes; a lost mark costs one more look.
const SEEN_SLOTS: usize = 4_096;

/// Classifies texts and remembers the verdicts; one for the whole process, shared by reference.
pub struct Classifier {
    options: Options,
    /// By full text, and by [shape](crate::shape), whose first byte no text has.
    verdicts: Cache<Box<[u8]>, Verdict, TextWeight, RandomState>,
    seen: Box<[AtomicU32]>,
    seed: RandomState,
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
        let seed = RandomState::default();
        let verdicts = Cache::with(
            entries.max(1),
            options.cache_bytes as u64,
            TextWeight,
            seed.clone(),
            Default::default(),
        );
        let seen = (0..SEEN_SLOTS).map(|_| AtomicU32::new(0)).collect();
        Classifier { options, verdicts, seen, seed }
    }

    /// The verdict for `sql`, the text of one Query or Parse message without its final NUL.
    pub fn classify(&self, sql: &[u8], context: Context) -> Verdict {
        if !context.standard_conforming_strings || sql.len() > self.options.max_text_bytes {
            return judge::judge(sql, context, self.options.max_text_bytes).verdict;
        }
        let known = self.verdicts.get(sql).unwrap_or_else(|| self.unseen(sql));
        judge::narrow(known, sql, context)
    }

    /// The verdict, in the usual context, for a text that is not kept by itself.
    fn unseen(&self, sql: &[u8]) -> Verdict {
        let shape = shape::shape(sql);
        let by_shape = shape.as_ref().and_then(|shape| self.verdicts.get(shape.key.as_slice()));
        let verdict = by_shape
            .unwrap_or_else(|| judge::judge(sql, Context::default(), self.options.max_text_bytes).verdict);
        let constants = shape.as_ref().is_some_and(|shape| shape.has_constants);
        if let Some(shape) = shape.filter(|shape| shape.has_constants && by_shape.is_none()) {
            self.verdicts.insert(shape.key.into(), verdict);
        }
        if !constants || self.comes_again(sql) {
            self.verdicts.insert(sql.into(), verdict);
        }
        verdict
    }

    /// Whether the text was seen before, as far as is remembered.
    fn comes_again(&self, sql: &[u8]) -> bool {
        let hash = self.seed.hash_one(sql);
        // Two halves of one hash: the place and the mark.
        let (place, mark) = ((hash >> 32) as usize % SEEN_SLOTS, hash as u32);
        let slot = self.seen.get(place);
        slot.is_some_and(|slot| slot.swap(mark, Ordering::Relaxed) == mark)
    }

    /// Remembers that a replica refused `sql`, so that it (and any text of its shape) goes to the primary from
    /// now on, as long as the cache holds it; a text that is forgotten is refused and learnt once more.
    pub fn remember_refusal(&self, sql: &[u8], context: Context) {
        if sql.len() > self.options.max_text_bytes {
            return;
        }
        let mut verdict = self.classify(sql, context);
        verdict.effects.add(Effect::Writes);
        let refused = Verdict { route: Route::Primary, reason: Reason::RefusedBefore, ..verdict };
        self.verdicts.insert(sql.into(), refused);
        if let Some(shape) = shape::shape(sql).filter(|shape| shape.has_constants) {
            self.verdicts.insert(shape.key.into(), refused);
        }
    }
}
