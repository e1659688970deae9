//! Statements about Howdah's own parameters, while the session has a server: another text goes in their place, so that
//! the server answers in either protocol, with its own transaction status (DESIGN.md section 6).
//!
//! A change of `howdah.read_after` counts once its group of messages is answered without an error, as on a server.
//! Next: `read_after.rs`.

use std::borrow::Cow;
use std::sync::Arc;

use howdah_classifier::{Discard, Effects, Own, own};
use howdah_protocol::read::TransactionStatus;
use howdah_topology::{Token, TokenFault, Topology};

use crate::guard::{GuardedText, Touch};
use crate::prepared::Statement;
use crate::read_after::{self, Refusal};
use crate::server::ServerSide;
use crate::session::Session;
use crate::setting::{Change, Changed};
use crate::upstream::Turn;

/// What a text may mean for Howdah's own parameters.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Hint {
    /// It is to be read whether it is a statement about them.
    pub(crate) own: bool,
    /// `RESET ALL`.
    pub(crate) resets: bool,
    /// It may assign `client_min_messages` or `synchronous_commit`.
    pub(crate) guarded: bool,
    /// What it may do to these.
    pub(crate) touch: Touch,
}

impl Hint {
    pub(crate) fn of(effects: Effects) -> Self {
        Self {
            own: effects.shows_howdah() || effects.sets_read_after() || effects.shows_level(),
            resets: effects.discard == Some(Discard::Parameters),
            guarded: effects.sets_guarded(),
            touch: Touch::of(effects),
        }
    }
}

/// The text that gives a token. All that was acknowledged before it runs lies before the insert position. An idle
/// primary at the start of a page counts the page's header, which is no record and which a standby never replays: then
/// the flush position is the end. A standby gives what it has replayed; its timeline may be read as too old, never as
/// too new, and `known` is the newest one that is known to be its history's.
fn token_sql(known: u32) -> String {
    format!(
        "SELECT pg_catalog.concat_ws(':', c.system_identifier, w.timeline, \
         CASE WHEN w.reached - w.flushed IN (24, 40) AND (w.flushed - '0/0'::pg_catalog.pg_lsn) % 8192 = 0 \
         THEN w.flushed ELSE w.reached END) AS \"howdah.causal_token\" FROM pg_catalog.pg_control_system() c, \
         (SELECT CASE WHEN r THEN GREATEST({known}, (SELECT timeline_id FROM pg_catalog.pg_control_checkpoint()), \
         (SELECT min_recovery_end_timeline FROM pg_catalog.pg_control_recovery())) ELSE ('x' || pg_catalog.substr(\
         pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 1, 8))::pg_catalog.bit(32)::pg_catalog.int4 END AS timeline, \
         CASE WHEN r THEN pg_catalog.pg_last_wal_replay_lsn() ELSE pg_catalog.pg_current_wal_insert_lsn() END AS reached, \
         CASE WHEN NOT r THEN pg_catalog.pg_current_wal_flush_lsn() END AS flushed \
         FROM (SELECT pg_catalog.pg_is_in_recovery() AS r) n) w"
    )
}

/// A text that a server refuses with these words, on a standby and inside a transaction too, which fails by it.
fn refusing_sql(refusal: &Refusal) -> String {
    let message = refusal.message.replace('\'', "''");
    format!(
        "DO $howdah$BEGIN RAISE EXCEPTION USING ERRCODE = '{}', MESSAGE = '{message}'; END$howdah$",
        refusal.code
    )
}

/// Whether the server of this link is behind the token.
fn check(server: &ServerSide, topology: &Topology, token: &Token) -> Result<(), Refusal> {
    let position = topology.position_after(token).map_err(|fault| {
        let refusal = read_after::fault(token, fault);
        // Nobody can wait here, and 57P03 of a server says that its connection ends.
        let code = if fault == TokenFault::Ahead { "55000" } else { refusal.code };
        Refusal { code, ..refusal }
    })?;
    if !server.is_replica {
        return Ok(());
    }
    let node = server.node.and_then(|node| topology.node(node));
    let proven = node.is_some_and(|node| {
        node.replayed_lsn.is_some_and(|at| at >= position)
            && node.asked_at.is_some_and(|at| at >= server.since)
    });
    if proven {
        return Ok(());
    }
    Err(Refusal::new(
        "55000",
        "the replica that this transaction reads is not shown to be behind howdah.read_after: set it before the \
         transaction begins",
    ))
}

impl Turn<'_, '_, '_> {
    /// What goes to the server in the place of a text, which has been noted; the change that it makes is kept.
    pub(crate) fn own_text(&mut self, text: &[u8]) -> Option<Vec<u8>> {
        let hint = self.session.noted;
        if !hint.own && !hint.resets && !hint.guarded {
            return None;
        }
        let (text, changes) = self.replacement(hint, text);
        self.keep_changes(changes);
        text
    }

    /// What goes in the place of a text, if another one does, and the changes that it makes.
    fn replacement(&mut self, hint: Hint, text: &[u8]) -> (Option<Vec<u8>>, Vec<Changed>) {
        let mut changes = if hint.resets { Changed::reset_all().to_vec() } else { Vec::new() };
        let mut replaced = None;
        if hint.guarded {
            match self.session.guarded(self.server, text) {
                GuardedText::Goes(text, more) => {
                    changes.extend(more);
                    replaced = if let Cow::Owned(text) = text { Some(text) } else { None };
                }
                GuardedText::Refused(refusal) => return (Some(refusing_sql(&refusal).into()), Vec::new()),
            }
        }
        if !hint.own {
            return (replaced, changes);
        }
        match own(text) {
            Some(own) => {
                let (text, change) = self.translate(&own);
                changes.extend(change);
                (text.map(String::into_bytes).or(replaced), changes)
            }
            None => (self.refused_text(text).map(String::into_bytes).or(replaced), changes),
        }
    }

    /// A token that is set among other statements is read by nobody: the text is refused rather than half obeyed. The
    /// hint may be that of the whole batch, so the text is asked itself.
    fn refused_text(&self, text: &[u8]) -> Option<String> {
        let sets = self.session.classify(self.shared, text).effects.sets_read_after();
        sets.then(|| {
            let message = "SET howdah.read_after has to be the only statement of its message";
            refusing_sql(&Refusal::new("0A000", message))
        })
    }

    /// The statement that the server is to have in the place of the client's, and the change that binding it makes.
    pub(crate) fn own_statement(&mut self, statement: &Arc<Statement>) -> (Arc<Statement>, Vec<Changed>) {
        if self.session.routing.is_none() {
            return (Arc::clone(statement), Vec::new());
        }
        // The verdict is remembered; the text is read only where it says that there may be something in it.
        let hint = Hint::of(self.session.verdict_of(self.shared, statement).effects);
        if !hint.own && !hint.resets && !hint.guarded {
            return (Arc::clone(statement), Vec::new());
        }
        let (text, changes) = self.replacement(hint, &statement.query);
        let Some(text) = text else { return (Arc::clone(statement), changes) };
        (self.shared.registry.intern(self.session.scope, &text, &statement.types), changes)
    }

    /// Changes that count when the group that the client's next message belongs to was answered.
    pub(crate) fn keep_changes(&mut self, changes: Vec<Changed>) {
        let group = self.server.requests.next_group();
        self.server.changes.extend(changes.into_iter().map(|change| (group, change)));
    }

    /// The text that goes in the place of the statement, if another one does, and the change that it makes.
    fn translate(&self, own: &Own) -> (Option<String>, Option<Changed>) {
        let read_after = |local, value| Some(Changed::ReadAfter(Change { local, value }));
        let (text, change) = match own {
            Own::ShowLevel => {
                let shown = self.session.shown_level(self.server);
                let text = shown.map(|level| {
                    format!("SELECT '{}'::pg_catalog.text AS client_min_messages", level.as_str())
                });
                return (text, None);
            }
            Own::ShowToken => {
                let epoch = (self.look)().and_then(|topology| topology.epoch);
                (token_sql(epoch.map_or(1, |epoch| epoch.timeline)), None)
            }
            Own::ShowReadAfter => {
                let token = self.session.routing.as_ref().and_then(|routing| routing.read_after.value());
                let shown = token.map(|token| token.to_string()).unwrap_or_default();
                (format!("SELECT '{shown}'::pg_catalog.text AS \"howdah.read_after\""), None)
            }
            Own::ResetReadAfter => ("RESET howdah.read_after".to_owned(), read_after(false, None)),
            Own::SetReadAfter { local, value } => match self.checked(value) {
                // Nothing of it stays on the server, which others will use.
                Ok(token) => {
                    let local_word = if *local { "LOCAL " } else { "" };
                    let text = format!("SET {local_word}howdah.read_after TO DEFAULT");
                    (text, read_after(*local, token))
                }
                Err(refusal) => (refusing_sql(&refusal), None),
            },
        };
        (Some(text), change)
    }

    /// The token of a value, if what this link goes on to read is behind it.
    fn checked(&self, value: &howdah_classifier::Value) -> Result<Option<Token>, Refusal> {
        let Some(token) = read_after::read(value)? else { return Ok(None) };
        if let Some(topology) = (self.look)() {
            check(self.server, &topology, &token)?;
        }
        Ok(Some(token))
    }
}

impl Session {
    /// A group of messages is answered: its changes count now, or never.
    pub(crate) fn settle_changes(
        &mut self,
        server: &mut ServerSide,
        (group, failed): (u64, bool),
        status: TransactionStatus,
    ) {
        let Some(routing) = &mut self.routing else { return };
        let idle = status == TransactionStatus::Idle;
        let undone = failed || idle && server.rolled_back;
        for (_, change) in server.changes.extract_if(.., |(of, _)| *of <= group) {
            if !undone {
                routing.change(change, !idle);
            }
        }
        if idle {
            routing.transaction_ended(!server.rolled_back);
            server.rolled_back = false;
        }
    }
}
