//! Protocol-level prepared statements that outlive a server (PgBouncer: `max_prepared_statements`).
//!
//! Three books: the [`Registry`] of the process gives every different text one number; a client's
//! [`ClientNames`] map its own names to those; a server's [`ServerNames`] say which numbers it has prepared,
//! least recently used first to go. A book is written when the message is sent and put right when the server
//! answers otherwise (`request.rs`).

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use foldhash::fast::RandomState;
use howdah_classifier::{Reason, Route, Verdict};

/// One statement text with its parameter types, known to the whole process under one number.
#[derive(Debug)]
pub struct Statement {
    /// The number; unique in the process and never given to another text while somebody uses it.
    pub id: u64,
    /// The name it has on every server.
    pub name: Box<[u8]>,
    /// The SQL text, as the client sent it.
    pub query: Box<[u8]>,
    /// The parameter types: count and OIDs, as they stood in the Parse message.
    pub types: Box<[u8]>,
    /// For a session whose context is the usual one.
    verdict: OnceLock<Verdict>,
    proven: AtomicBool,
    refused: AtomicBool,
}

impl Statement {
    fn new(id: u64, query: &[u8], types: &[u8]) -> Arc<Self> {
        Arc::new(Self {
            id,
            name: format!("{NAME_PREFIX}{id}").into_bytes().into_boxed_slice(),
            query: query.into(),
            types: types.into(),
            verdict: OnceLock::new(),
            proven: AtomicBool::new(false),
            refused: AtomicBool::new(false),
        })
    }

    /// A server has accepted the text: a Parse of it alone needs no server any more.
    pub(crate) fn prove(&self) {
        self.proven.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_proven(&self) -> bool {
        self.proven.load(Ordering::Relaxed)
    }

    /// Where the text may run, for a session whose context is the usual one; asked for once.
    pub fn verdict(&self, classify: impl FnOnce(&[u8]) -> Verdict) -> Verdict {
        let verdict = *self.verdict.get_or_init(|| classify(&self.query));
        if self.refused.load(Ordering::Relaxed) {
            return Verdict { route: Route::Primary, reason: Reason::RefusedBefore, ..verdict };
        }
        verdict
    }

    /// A replica has refused the text: it goes to the primary from now on.
    pub(crate) fn refuse(&self) {
        self.refused.store(true, Ordering::Relaxed);
    }
}

/// Names on servers start as PgBouncer's do: people's views over `pg_prepared_statements` filter by it.
const NAME_PREFIX: &str = "PGBOUNCER_";

/// A sweep for texts that nobody uses any more starts at this many.
const SWEEP_AT_LEAST: usize = 1024;

/// A scope, a text and its parameter types.
type Text = (u64, Box<[u8]>, Box<[u8]>);

#[derive(Debug, Default)]
struct Inner {
    by_text: HashMap<Text, Arc<Statement>, RandomState>,
    sweep_at: usize,
}

/// All statement texts of the process.
#[derive(Debug, Default)]
pub struct Registry {
    inner: Mutex<Inner>,
    last_id: AtomicU64,
}

impl Registry {
    /// The statement of this text, made when it is new. `scope` is a number for the pools whose servers may
    /// share it: a text that one database accepts means nothing in another.
    pub fn intern(&self, scope: u64, query: &[u8], types: &[u8]) -> Arc<Statement> {
        let key = (scope, Box::from(query), Box::from(types));
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = inner.by_text.get(&key) {
            return Arc::clone(known);
        }
        if inner.by_text.len() >= inner.sweep_at.max(SWEEP_AT_LEAST) {
            inner.by_text.retain(|_, statement| Arc::strong_count(statement) > 1);
            inner.sweep_at = 2 * inner.by_text.len();
        }
        let id = self.last_id.fetch_add(1, Ordering::Relaxed) + 1;
        let statement = Statement::new(id, query, types);
        inner.by_text.insert(key, Arc::clone(&statement));
        statement
    }

    /// A statement that another process has given this number; no other text gets it from now on.
    pub(crate) fn adopt(&self, scope: u64, id: u64, (query, types): (&[u8], &[u8])) -> Arc<Statement> {
        self.last_id.fetch_max(id, Ordering::Relaxed);
        let key = (scope, Box::from(query), Box::from(types));
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(inner.by_text.entry(key).or_insert_with(|| Statement::new(id, query, types)))
    }

    /// The statement of this text, if it is known.
    pub(crate) fn find(&self, scope: u64, query: &[u8], types: &[u8]) -> Option<Arc<Statement>> {
        let key = (scope, Box::from(query), Box::from(types));
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).by_text.get(&key).cloned()
    }

    /// How many texts are known.
    pub fn len(&self) -> usize {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).by_text.len()
    }

    /// Whether no text is known.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A client's own names.
#[derive(Debug, Default)]
pub(crate) struct ClientNames {
    names: HashMap<Box<[u8]>, Arc<Statement>, RandomState>,
}

impl ClientNames {
    pub(crate) fn get(&self, name: &[u8]) -> Option<&Arc<Statement>> {
        self.names.get(name)
    }

    pub(crate) fn insert(&mut self, name: &[u8], statement: Arc<Statement>) {
        self.names.insert(name.into(), statement);
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], &Arc<Statement>)> {
        self.names.iter().map(|(name, statement)| (&**name, statement))
    }

    pub(crate) fn remove(&mut self, name: &[u8]) -> Option<Arc<Statement>> {
        self.names.remove(name)
    }

    pub(crate) fn len(&self) -> usize {
        self.names.len()
    }
}

/// Which statements a server has prepared, with the moment of their last use.
#[derive(Debug, Default)]
pub(crate) struct ServerNames {
    used: HashMap<u64, (Arc<Statement>, u64), RandomState>,
    tick: u64,
}

impl ServerNames {
    /// Whether the server has it.
    pub(crate) fn has(&self, id: u64) -> bool {
        self.used.contains_key(&id)
    }

    /// Whether the server has it; marks it as used.
    pub(crate) fn touch(&mut self, id: u64) -> bool {
        self.tick += 1;
        let tick = self.tick;
        self.used.get_mut(&id).map(|entry| entry.1 = tick).is_some()
    }

    /// The server has answered ParseComplete for it.
    pub(crate) fn prove(&self, id: u64) {
        if let Some((statement, _)) = self.used.get(&id) {
            statement.prove();
        }
    }

    pub(crate) fn insert(&mut self, statement: &Arc<Statement>) {
        self.tick += 1;
        self.used.insert(statement.id, (Arc::clone(statement), self.tick));
    }

    pub(crate) fn remove(&mut self, id: u64) {
        self.used.remove(&id);
    }

    /// All of them, the least recently used first.
    pub(crate) fn by_use(&self) -> Vec<&Arc<Statement>> {
        let mut all: Vec<_> = self.used.values().collect();
        all.sort_unstable_by_key(|(_, tick)| *tick);
        all.into_iter().map(|(statement, _)| statement).collect()
    }

    /// The least recently used one of those that need not stay.
    /// A scan, since it is paid only together with a Parse and a Close on the wire.
    pub(crate) fn oldest(&self, stays: impl Fn(u64) -> bool) -> Option<Arc<Statement>> {
        let may_go = self.used.iter().filter(|(id, _)| !stays(**id));
        may_go.min_by_key(|(_, (_, tick))| *tick).map(|(_, (statement, _))| Arc::clone(statement))
    }

    pub(crate) fn clear(&mut self) {
        self.used.clear();
    }

    pub(crate) fn len(&self) -> usize {
        self.used.len()
    }
}
