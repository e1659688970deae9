//! What a text means for the session and for a loss of the server, asked once for each text on its way out.
//!
//! A batch that was planned (`plan.rs`) has had its texts looked at; everything that follows on the same link,
//! on the primary and inside transactions, is looked at here. Next: `route.rs`, which keeps the result.

use howdah_classifier::{Context, Effects, Transaction, Verdict};
use howdah_protocol::frame::{self, Direction, Step};
use howdah_protocol::read;

use crate::guard::Touch;
use crate::own::Hint;
use crate::prepared::Statement;
use crate::server::ServerSide;
use crate::session::{Session, Shared};

/// SQLSTATEs by which a standby refuses what it can never do (ROUTING.md): the text is remembered.
const NEVER_ON_A_REPLICA: [&[u8; 5]; 3] = [b"25006", b"55000", b"0A000"];

/// Whether a transaction may be over after the text. Of several statements only the last word on transactions
/// is known, so any word counts.
pub(crate) fn may_end(effects: Effects) -> bool {
    match effects.transaction {
        None => false,
        Some(Transaction::Commit { .. } | Transaction::Rollback { .. } | Transaction::Prepare) => true,
        Some(_) => effects.is_many_statements(),
    }
}

/// Whether the server may forget its prepared statements by the text: `DISCARD …`, `DEALLOCATE …`.
fn forgets(text: &[u8]) -> bool {
    let text = text.trim_ascii_start();
    let starts = |word: &[u8]| text.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word));
    starts(b"discard") || starts(b"deallocate")
}

impl Session {
    pub(crate) fn classify(&self, shared: &Shared, text: &[u8]) -> Verdict {
        shared.classifier.classify(text, self.context())
    }

    fn context(&self) -> Context {
        self.routing.as_ref().map(|routing| routing.context).unwrap_or_default()
    }

    /// The verdict on a prepared statement. What is kept with the statement is every session's, so it is the
    /// one for the usual context.
    pub(crate) fn verdict_of(&self, shared: &Shared, statement: &Statement) -> Verdict {
        let context = self.context();
        if context == Context::default() {
            statement.verdict(|text| shared.classifier.classify(text, context))
        } else {
            shared.classifier.classify(&statement.query, context)
        }
    }

    /// A text is about to be sent. Returns whether a transaction may be over when it has run (DESIGN.md
    /// section 8: a commit whose answer never came is told apart from a transaction that is simply gone).
    pub(crate) fn note(&mut self, server: &mut ServerSide, shared: &Shared, text: &[u8]) -> bool {
        self.note_forgetting(server, text);
        if self.routing.is_none() {
            return false;
        }
        if self.is_planned(server) {
            server.wrote |= self.planned_writes;
            self.noted = self.planned_own;
            server.touch(self.noted.touch);
            return self.planned_ends;
        }
        let effects = self.classify(shared, text).effects;
        self.noted = Hint::of(effects);
        server.touch(self.noted.touch);
        server.wrote |= effects.is_write_possible();
        self.apply(effects);
        may_end(effects)
    }

    /// The same for a statement that was prepared by name.
    pub(crate) fn note_statement(
        &mut self,
        server: &mut ServerSide,
        shared: &Shared,
        statement: &Statement,
    ) -> bool {
        self.note_forgetting(server, &statement.query);
        if self.routing.is_none() {
            return false;
        }
        if self.is_planned(server) {
            server.wrote |= self.planned_writes;
            server.touch(self.planned_own.touch);
            return self.planned_ends;
        }
        let effects = self.verdict_of(shared, statement).effects;
        server.touch(Touch::of(effects));
        server.wrote |= effects.is_write_possible();
        self.apply(effects);
        may_end(effects)
    }

    /// A text of which only the beginning is there: it may do anything.
    pub(crate) fn note_unread(&mut self, server: &mut ServerSide) -> bool {
        server.wrote = true;
        server.touch(Touch::Anything);
        if let Some(routing) = &mut self.routing {
            routing.mark();
        }
        self.routing.is_some()
    }

    fn note_forgetting(&self, server: &mut ServerSide, text: &[u8]) {
        server.forgets |= self.options.max_prepared_statements > 0 && forgets(text);
    }

    /// Whether the plan has looked at the text already, and nothing is in flight whose end would matter.
    fn is_planned(&self, server: &ServerSide) -> bool {
        self.planned > 0 && server.is_between_transactions()
    }

    fn apply(&mut self, effects: Effects) {
        if let Some(routing) = &mut self.routing {
            routing.apply(effects);
        }
    }

    /// A replica has refused a batch with `code`. Where it never will do otherwise, the texts go to the primary
    /// from now on.
    pub(crate) fn remember_refusal(&self, shared: &Shared, code: &[u8], mut batch: &[u8]) {
        if !NEVER_ON_A_REPLICA.iter().any(|known| known.as_slice() == code) {
            return;
        }
        let remember = |text| shared.classifier.remember_refusal(text, self.context());
        while let Ok(Step::Complete(frame)) = frame::next(Direction::FromClient, &self.options.limits, batch)
        {
            batch = &batch[frame.bytes.len()..];
            match frame.tag {
                b'Q' => read::query(frame.body).map(remember).unwrap_or_default(),
                b'P' => read::parse(frame.body).map(|parse| remember(parse.query)).unwrap_or_default(),
                b'B' => {
                    let bind = read::bind(frame.body).ok();
                    if let Some(statement) = bind.and_then(|bind| self.names.get(bind.statement)) {
                        statement.refuse();
                        remember(&statement.query);
                    }
                }
                _ => {}
            }
        }
    }
}
