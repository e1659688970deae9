//! The two parameters that say what an acknowledgement is worth, on a server of a cluster where Howdah promotes
//! (FAILOVER_PROTOCOL.md section 9).
//!
//! `client_min_messages`: the warning of an interrupted wait for a standby has to reach Howdah, so the server's level is
//! `warning` or lower, and the client's own level is applied here. `synchronous_commit`: whether a session's commits
//! wait for a standby at all. Both follow their client from server to server. What a text sets them to is read from the
//! text; after one that may have set anything (a function, DO, CALL) they are set anew before the next.

use std::borrow::Cow;

use howdah_classifier::{Assignment, Assignments, Discard, Effects, Guarded, Value, assignments};
use howdah_protocol::read::{ErrorFields, TransactionStatus};
use howdah_protocol::write;

use crate::error::Fatal;
use crate::prepared::Statement;
use crate::read_after::Refusal;
use crate::request::{Aside, Request};
use crate::server::ServerSide;
use crate::session::Session;
use crate::setting::{Change, Changed};
use crate::upstream::Turn;

/// `client_min_messages`, in PostgreSQL's order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "PostgreSQL's own words")]
pub enum Level {
    Debug5,
    Debug4,
    Debug3,
    Debug2,
    Debug1,
    Log,
    Info,
    Notice,
    Warning,
    Error,
}

impl Level {
    const WORDS: [(&'static str, Level); 11] = [
        ("debug5", Level::Debug5),
        ("debug4", Level::Debug4),
        ("debug3", Level::Debug3),
        ("debug2", Level::Debug2),
        ("debug1", Level::Debug1),
        ("log", Level::Log),
        ("info", Level::Info),
        ("notice", Level::Notice),
        ("warning", Level::Warning),
        ("error", Level::Error),
        // Shown as `debug2`, so behind it.
        ("debug", Level::Debug2),
    ];

    /// The level of this word; its case does not matter.
    #[must_use]
    pub fn read(word: &str) -> Option<Self> {
        Self::WORDS.iter().find(|(known, _)| known.eq_ignore_ascii_case(word)).map(|(_, level)| *level)
    }

    /// The word that PostgreSQL shows.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::WORDS.iter().find(|(_, level)| *level == self).map_or("", |(word, _)| word)
    }

    /// Whether a client at this level gets a message of this severity. Of debug messages the severity does not tell
    /// which of the five it is: the server has seen to that.
    fn admits(self, severity: &[u8]) -> bool {
        let least = match severity {
            b"DEBUG" => Level::Debug1,
            b"LOG" => Level::Log,
            b"NOTICE" => Level::Notice,
            b"WARNING" => Level::Warning,
            // INFO is for the client whatever its level.
            _ => return true,
        };
        self <= least
    }
}

/// `synchronous_commit`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "PostgreSQL's own words")]
pub enum Commit {
    Off,
    Local,
    RemoteWrite,
    On,
    RemoteApply,
}

impl Commit {
    const WORDS: [(&'static str, Commit); 11] = [
        ("off", Commit::Off),
        ("local", Commit::Local),
        ("remote_write", Commit::RemoteWrite),
        ("on", Commit::On),
        ("remote_apply", Commit::RemoteApply),
        ("false", Commit::Off),
        ("no", Commit::Off),
        ("0", Commit::Off),
        ("true", Commit::On),
        ("yes", Commit::On),
        ("1", Commit::On),
    ];

    /// The value of this word; its case does not matter.
    #[must_use]
    pub fn read(word: &str) -> Option<Self> {
        Self::WORDS.iter().find(|(known, _)| known.eq_ignore_ascii_case(word)).map(|(_, commit)| *commit)
    }

    fn as_str(self) -> &'static str {
        Self::WORDS.iter().find(|(_, commit)| *commit == self).map_or("", |(word, _)| word)
    }

    /// Whether commits wait for a standby.
    pub(crate) fn is_protected(self) -> bool {
        !matches!(self, Commit::Off | Commit::Local)
    }
}

/// A value of both parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guards {
    /// `client_min_messages`.
    pub level: Level,
    /// `synchronous_commit`.
    pub commit: Commit,
}

/// What is known of a server's two parameters.
#[derive(Debug)]
pub(crate) struct Guard {
    /// What a session of this user begins with.
    defaults: Guards,
    /// What is in force; `None`: not known.
    now: Option<Guards>,
    /// The level may be above `warning`.
    silent: bool,
    /// Texts sent that may have set something (count).
    touched: u64,
}

impl Guard {
    pub(crate) fn new(defaults: Guards) -> Self {
        Self { defaults, now: Some(defaults), silent: defaults.level > Level::Warning, touched: 0 }
    }

    /// All parameters are what they are at login.
    pub(crate) fn reset(&mut self) {
        *self = Self { touched: self.touched + 1, ..Self::new(self.defaults) };
    }

    /// A text goes out that may set something.
    fn touch(&mut self, touch: Touch) {
        if touch == Touch::Nothing {
            return;
        }
        self.now = None;
        self.touched += 1;
        let back = touch == Touch::Defaults && self.defaults.level > Level::Warning;
        self.silent |= touch == Touch::Anything || back;
    }

    /// The statements that make it so, if any are needed.
    fn differences(&self, wanted: Guards, sql: &mut Vec<u8>) {
        if self.now.is_none_or(|now| now.level > wanted.level) {
            sql.extend_from_slice(format!("SET client_min_messages={};", wanted.level.as_str()).as_bytes());
        }
        if self.now.is_none_or(|now| now.commit != wanted.commit) {
            sql.extend_from_slice(format!("SET synchronous_commit={};", wanted.commit.as_str()).as_bytes());
        }
    }

    /// An aside has set them, as they were when so many texts had been sent.
    pub(crate) fn set(&mut self, wanted: Guards, touched: u64) {
        if self.touched == touched {
            (self.now, self.silent) = (Some(wanted), false);
        }
    }
}

/// What a text may do to the two parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) enum Touch {
    /// Nothing.
    #[default]
    Nothing,
    /// Set them to what the text says.
    Known,
    /// Set them back to their defaults.
    Defaults,
    /// Anything.
    Anything,
}

impl Touch {
    pub(crate) fn of(effects: Effects) -> Self {
        if effects.marks_session() || effects.executes() {
            return Touch::Anything;
        }
        match effects.discard {
            Some(Discard::All | Discard::Parameters) => Touch::Defaults,
            _ if effects.sets_guarded() => Touch::Known,
            _ => Touch::Nothing,
        }
    }
}

impl ServerSide {
    /// A server of a cluster where Howdah promotes, whose sessions begin with these values.
    #[must_use]
    pub fn with_guards(mut self, defaults: Guards) -> Self {
        self.guard = Some(Guard::new(defaults));
        self
    }

    pub(crate) fn touch(&mut self, touch: Touch) {
        if let Some(guard) = &mut self.guard {
            guard.touch(touch);
        }
    }

    /// A query of our own is answered.
    pub(crate) fn aside_ended(&mut self, aside: Aside) {
        if let (Aside::Guards { wanted, touched }, TransactionStatus::Idle) = (aside, self.status)
            && let Some(guard) = &mut self.guard
        {
            guard.set(wanted, touched);
        }
    }

    /// Before a text is noted: whether the level has to be seen to, and how many texts have touched it.
    pub(crate) fn guard_before(&self) -> (bool, u64) {
        self.guard.as_ref().map_or((false, 0), |guard| (guard.silent, guard.touched))
    }
}

impl Session {
    /// The client asked for this level when it logged in.
    #[must_use]
    pub fn with_level(mut self, level: Option<Level>) -> Self {
        if let Some(routing) = &mut self.routing {
            routing.level.set_default(level);
        }
        self
    }

    /// The values in force for the client.
    fn guards(&self, guard: &Guard) -> Guards {
        let own = self.routing.as_ref().map(|routing| (routing.level.value(), routing.commit.value()));
        let (level, commit) = own.unwrap_or_default();
        Guards {
            level: level.unwrap_or(guard.defaults.level),
            commit: commit.unwrap_or(guard.defaults.commit),
        }
    }

    /// The values that the server is to have for this client.
    fn wanted(&self, guard: &Guard) -> Guards {
        let own = self.guards(guard);
        Guards { level: own.level.min(Level::Warning), ..own }
    }

    /// Whether the client's commits on this server wait for no standby, where they should.
    pub fn is_unprotected(&self, server: &ServerSide) -> bool {
        let guard = server.guard.as_ref().filter(|_| !server.is_replica);
        guard.is_some_and(|guard| !self.guards(guard).commit.is_protected())
    }

    /// Whether what this group of requests commits waits for no standby, where it should.
    pub(crate) fn commits_unprotected(&self, server: &ServerSide, group: u64) -> bool {
        let set = server.changes.iter().any(|(of, changed)| match changed {
            Changed::Commit(change) if *of == group => change.value.is_some_and(|it| !it.is_protected()),
            _ => false,
        });
        server.guard.is_some() && (set || self.is_unprotected(server))
    }

    /// A server was checked out: what it needs to have the client's values.
    pub(crate) fn link_guards(&self, server: &mut ServerSide, sql: &mut Vec<u8>) {
        let Some(guard) = &mut server.guard else { return };
        let wanted = self.wanted(guard);
        if guard.now == Some(wanted) {
            return;
        }
        let before = sql.len();
        guard.differences(wanted, sql);
        if sql.len() > before {
            // A server that refuses it is closed.
            (guard.now, guard.silent) = (Some(wanted), false);
        }
    }

    /// Whether the client wants this notice.
    pub(crate) fn admits(&self, server: &ServerSide, fields: &ErrorFields<'_>) -> bool {
        let Some(guard) = &server.guard else { return true };
        let answering = server.requests.answering();
        // A text of several statements may set the level before the one that speaks.
        let pending = server.changes.iter().filter(|(group, _)| *group == answering);
        let pending = pending.filter_map(|(_, changed)| match changed {
            Changed::Level(change) => Some(change.value.unwrap_or(guard.defaults.level)),
            _ => None,
        });
        let level = pending.fold(self.guards(guard).level, Level::min);
        fields.severity_nonlocalized.or(fields.severity).is_none_or(|severity| level.admits(severity))
    }

    /// What `SHOW client_min_messages` says; `None` where the server knows.
    pub(crate) fn shown_level(&self, server: &ServerSide) -> Option<Level> {
        server.guard.as_ref().map(|guard| self.guards(guard).level)
    }
}

/// The text that a group of messages begins with.
#[derive(Clone, Copy)]
pub(crate) enum GroupText<'t> {
    /// Of a Query or Parse message.
    Text(&'t [u8]),
    /// Of a statement that is bound by its name.
    Named(&'t Statement),
}

/// A text with what it assigns, as the server is to have it.
pub(crate) enum GuardedText<'t> {
    /// Like this, with these changes.
    Goes(Cow<'t, [u8]>, Vec<Changed>),
    /// Not at all.
    Refused(Refusal),
}

impl Session {
    /// Reads what a text assigns.
    pub(crate) fn guarded<'t>(&self, server: &mut ServerSide, text: &'t [u8]) -> GuardedText<'t> {
        let Some(guard) = &mut server.guard else {
            return GuardedText::Goes(Cow::Borrowed(text), Vec::new());
        };
        let Assignments { known, unknown } = assignments(text);
        let defaults = known.iter().any(|assignment| assignment.value == Value::Default);
        guard.silent |= unknown || defaults && guard.defaults.level > Level::Warning;
        if self.options.acknowledgements.refuse_unsafe && known.iter().any(is_unsafe) {
            return GuardedText::Refused(Refusal::new("55P02", UNSAFE));
        }
        let changes = known.iter().filter_map(changed).collect();
        GuardedText::Goes(lowered(text, &known), changes)
    }
}

/// What a client is told that wants commits without protection.
const UNSAFE: &str = "synchronous_commit off and local are refused here (unsafe_commits = refuse): commits under them would \
     be lost with the primary";

fn is_unsafe(assignment: &Assignment) -> bool {
    assignment.parameter == Guarded::SynchronousCommit
        && matches!(&assignment.value, Value::Text(word) if Commit::read(word).is_some_and(|it| !it.is_protected()))
}

/// `None` for a value that the server will refuse, or that cannot be read.
fn changed(assignment: &Assignment) -> Option<Changed> {
    let local = assignment.local;
    let word = match &assignment.value {
        Value::Default => None,
        Value::Text(word) => Some(word.as_str()),
        Value::Unreadable => return None,
    };
    Some(match assignment.parameter {
        Guarded::ClientMinMessages => {
            let value = word.map(|word| Level::read(word).ok_or(())).transpose().ok()?;
            Changed::Level(Change { local, value })
        }
        Guarded::SynchronousCommit => {
            let value = word.map(|word| Commit::read(word).ok_or(())).transpose().ok()?;
            Changed::Commit(Change { local, value })
        }
    })
}

/// The text with every level above `warning` lowered to that.
fn lowered<'t>(text: &'t [u8], known: &[Assignment]) -> Cow<'t, [u8]> {
    let silent = |assignment: &&Assignment| {
        assignment.parameter == Guarded::ClientMinMessages
            && matches!(&assignment.value, Value::Text(word) if Level::read(word) > Some(Level::Warning))
    };
    let mut lowered = Vec::new();
    let mut done = 0;
    for assignment in known.iter().filter(silent) {
        lowered.extend_from_slice(&text[done..assignment.at.start]);
        lowered.extend_from_slice(b"'warning'");
        done = assignment.at.end;
    }
    if done == 0 {
        return Cow::Borrowed(text);
    }
    lowered.extend_from_slice(&text[done..]);
    Cow::Owned(lowered)
}

impl Turn<'_, '_, '_> {
    /// A group of messages begins. Where a text before it may have raised the level, it is lowered before anything can
    /// be committed: outside a transaction block, and where one ends.
    pub(crate) fn lower_level(&mut self, (silent, touched): (bool, u64), ends: bool) -> Result<(), Fatal> {
        let server = &*self.server;
        let commits = ends || server.status == TransactionStatus::Idle;
        if !silent || !(commits || server.requests.has_ended_group()) {
            return Ok(());
        }
        let Some(guard) = &server.guard else { return Ok(()) };
        let wanted = self.session.wanted(guard);
        let mut sql = Vec::new();
        guard.differences(wanted, &mut sql);
        if sql.is_empty() {
            return Ok(());
        }
        self.aside(&sql, Aside::Guards { wanted, touched })
    }

    /// A query of our own goes before the client's next message, which begins a group.
    pub(crate) fn aside(&mut self, sql: &[u8], aside: Aside) -> Result<(), Fatal> {
        self.run.cut(self.at, self.at, self.out.to_server);
        write::query(self.out.to_server, sql)?;
        self.server.requests.push(Request::Aside(aside));
        Ok(())
    }
}
