//! A parameter whose value Howdah keeps itself, with the life of a setting of PostgreSQL (manual, SET: undone with its
//! transaction, LOCAL until its end). Next: `own.rs` and `guard.rs`, where such parameters are set.

use howdah_topology::Token;

use crate::guard::{Commit, Level};

/// A new value of a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Change<T> {
    /// Until the end of the transaction only.
    pub(crate) local: bool,
    /// `None`: what it is by default.
    pub(crate) value: Option<T>,
}

impl<T> Default for Change<T> {
    /// RESET.
    fn default() -> Self {
        Self { local: false, value: None }
    }
}

/// A new value of one of the settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Changed {
    /// `howdah.read_after`.
    ReadAfter(Change<Token>),
    /// `client_min_messages`.
    Level(Change<Level>),
    /// `synchronous_commit`.
    Commit(Change<Commit>),
}

impl Changed {
    /// What `RESET ALL` does.
    pub(crate) fn reset_all() -> [Self; 3] {
        [Self::ReadAfter(Change::default()), Self::Level(Change::default()), Self::Commit(Change::default())]
    }
}

/// What the open transaction has changed.
#[derive(Debug)]
struct Open<T> {
    session: Option<Option<T>>,
    local: Option<Option<T>>,
}

/// The setting of one session.
#[derive(Debug)]
pub(crate) struct Setting<T> {
    default: Option<T>,
    session: Option<T>,
    open: Option<Box<Open<T>>>,
}

impl<T> Default for Setting<T> {
    fn default() -> Self {
        Self { default: None, session: None, open: None }
    }
}

impl<T: Copy> Setting<T> {
    /// The value in force; `None` when the session has never said one.
    pub(crate) fn value(&self) -> Option<T> {
        let open = self.open.as_ref().and_then(|open| open.local.or(open.session));
        open.unwrap_or(self.session).or(self.default)
    }

    /// What the session began with.
    pub(crate) fn set_default(&mut self, value: Option<T>) {
        self.default = value;
    }

    /// `DISCARD ALL`, which no transaction takes back.
    pub(crate) fn reset(&mut self) {
        (self.session, self.open) = (None, None);
    }

    /// A statement has set it; `open` says that its transaction goes on.
    pub(crate) fn change(&mut self, change: Change<T>, open: bool) {
        match (open, change.local) {
            (true, true) => self.opened().local = Some(change.value),
            (true, false) => *self.opened() = Open { session: Some(change.value), local: None },
            (false, false) => self.session = change.value,
            // Without a transaction block SET LOCAL has no effect.
            (false, true) => {}
        }
    }

    fn opened(&mut self) -> &mut Open<T> {
        self.open.get_or_insert_with(|| Box::new(Open { session: None, local: None }))
    }

    /// The transaction has ended. `ROLLBACK TO SAVEPOINT` does not come here: what was set behind the savepoint stays
    /// until the transaction ends.
    pub(crate) fn ended(&mut self, committed: bool) {
        if let Some(open) = self.open.take().filter(|_| committed) {
            self.session = open.session.unwrap_or(self.session);
        }
    }
}
