//! Parse, Bind, Describe and Close of prepared statements: the client's names become the process's, and what a
//! server lacks is prepared on it first (PGBOUNCER_BEHAVIOUR.md section 10).
//!
//! The books say what will be there when everything sent has been answered. Within a group that is certain,
//! since the server skips the rest of a group after an error; what an earlier, unanswered group has written is
//! a guess, and whoever needs it waits. Next: `prepared.rs`.

use std::sync::Arc;

use howdah_protocol::frame::{HEADER_LEN, Header};
use howdah_protocol::read::{TargetKind, TransactionStatus};
use howdah_protocol::{read, write};

use crate::error::Fatal;
use crate::guard::GroupText;
use crate::prepared::Statement;
use crate::request::{Request, Undo};
use crate::setting::Changed;
use crate::upstream::{Next, Turn};

/// What a client's name means.
struct Named {
    /// As the client has it.
    clients: Arc<Statement>,
    /// As the server has it: the same, but for statements about Howdah's own parameters (`own.rs`).
    servers: Arc<Statement>,
    /// What binding it changes.
    changes: Vec<Changed>,
}

impl Turn<'_, '_, '_> {
    fn tracks_names(&self) -> bool {
        self.session.options.max_prepared_statements > 0
    }

    /// Whether what the client's name means hangs on an answer that has not come.
    fn is_name_unsettled(&mut self, name: &[u8]) -> bool {
        let server = &mut *self.server;
        server.forgets &= !server.requests.is_empty();
        server.forgets || server.requests.is_unsettled(|undo| undo.is_of_client(name))
    }

    pub(crate) fn parse(&mut self, header: Header, body: &[u8], whole: bool) -> Result<Next, Fatal> {
        let unnamed = body.first() == Some(&0);
        if unnamed || !self.tracks_names() {
            return self.pass_parse(header, body, (unnamed, whole));
        }
        if !whole {
            return Ok(Next::NeedMore);
        }
        let parse = read::parse(body)?;
        if self.is_name_unsettled(parse.name) {
            return Ok(self.stall());
        }
        if self.session.names.get(parse.name).is_some() {
            // An earlier message of the pipeline may still fail and free the name.
            let waits = !self.server.requests.is_empty();
            return if waits {
                Ok(self.stall())
            } else {
                Err(Fatal::StatementInUse { name: parse.name.into() })
            };
        }
        self.begin_group(GroupText::Text(parse.query), self.server.guard_before())?;
        let clients = self.shared.registry.intern(self.session.scope, parse.query, parse.types_raw);
        let (statement, _) = self.own_statement(&clients);
        if !self.is_settled(&statement) || !self.make_room(&statement)? {
            return Ok(self.stall());
        }
        self.session.note(self.server, self.shared, parse.query);
        self.session.names.insert(parse.name, clients);
        self.session.tally.client_parses += 1;
        let mut undo = vec![Undo::Client { name: parse.name.into(), before: None }];
        self.replace(header);
        if self.server.names.touch(statement.id) {
            if !self.may_fail() {
                self.server.requests.push(Request::Reply { tag: b'1', undo });
                return Ok(Next::Go);
            }
            self.unprepare(&statement)?;
        }
        undo.push(Undo::ServerAdded(statement.id));
        self.prepare(&statement, false, undo)?;
        Ok(Next::Go)
    }

    /// Whether a Parse of a good text may fail nevertheless, because the transaction has: only the server's own
    /// answer is right then.
    fn may_fail(&self) -> bool {
        self.server.status == TransactionStatus::Failed || self.server.requests.has_ended_group()
    }

    /// Closes a statement on the server.
    fn unprepare(&mut self, statement: &Arc<Statement>) -> Result<(), Fatal> {
        write::close(self.out.to_server, TargetKind::Statement, &statement.name)?;
        self.server.names.remove(statement.id);
        let undo = vec![Undo::ServerRemoved(Arc::clone(statement))];
        self.server.requests.push(Request::Close { hidden: true, undo });
        self.server.batch_open = true;
        Ok(())
    }

    /// The client's frame is left out, and what is written next stands in its place.
    pub(crate) fn replace(&mut self, header: Header) {
        self.run.cut(self.at, self.at + header.len, self.out.to_server);
        self.at += header.len;
        self.server.batch_open = true;
    }

    /// Whether it is certain that the server has the statement, or that it has not.
    fn is_settled(&self, statement: &Statement) -> bool {
        !self.server.requests.is_unsettled(|undo| undo.is_of_server(statement.id))
    }

    /// Closes least recently used statements until the server can take one more, if it needs to. False when
    /// all that could go are not certain to be there.
    fn make_room(&mut self, wanted: &Statement) -> Result<bool, Fatal> {
        if self.server.names.has(wanted.id) {
            return Ok(true);
        }
        while self.server.names.len() >= self.session.options.max_prepared_statements {
            let server = &*self.server;
            let requests = &server.requests;
            let stays = |id| requests.is_unsettled(|undo| undo.is_of_server(id));
            let Some(old) = server.names.oldest(stays) else { return Ok(false) };
            self.run.cut(self.at, self.at, self.out.to_server);
            self.unprepare(&old)?;
        }
        Ok(true)
    }

    /// Prepares the statement on the server.
    fn prepare(&mut self, statement: &Arc<Statement>, hidden: bool, undo: Vec<Undo>) -> Result<(), Fatal> {
        write::parse(self.out.to_server, &statement.name, &statement.query, &statement.types)?;
        self.server.names.insert(statement);
        self.server.requests.push(Request::Parse { hidden, undo });
        self.server.batch_open = true;
        self.session.tally.server_parses += 1;
        Ok(())
    }

    /// Makes sure that the server has the statement of this name of the client's; `None` when that has to wait.
    fn statement(&mut self, name: &[u8]) -> Result<Option<Named>, Fatal> {
        if self.is_name_unsettled(name) {
            return Ok(None);
        }
        let clients = Arc::clone(self.session.names.get(name).ok_or(Fatal::UnknownStatement)?);
        let (statement, changes) = self.own_statement(&clients);
        if !self.is_settled(&statement) || !self.make_room(&statement)? {
            return Ok(None);
        }
        self.run.cut(self.at, self.at, self.out.to_server);
        if !self.server.names.touch(statement.id) {
            self.prepare(&statement, true, vec![Undo::ServerAdded(statement.id)])?;
        }
        Ok(Some(Named { clients, servers: statement, changes }))
    }

    pub(crate) fn bind(&mut self, header: Header, body: &[u8], whole: bool) -> Result<Next, Fatal> {
        let Some(read::BindNames { portal, statement: name, len: names }) = read::bind_names_prefix(body)
        else {
            return if whole {
                Err(read::bind(body).map_or_else(Fatal::Body, |_| Fatal::UnknownStatement))
            } else {
                Ok(Next::NeedMore)
            };
        };
        if name.is_empty() || !self.tracks_names() {
            self.server.portal_ends |= self.server.unnamed_ends;
            self.server.wrote |= self.server.unnamed_writes;
            return Ok(self.extended(header, Request::Bind));
        }
        // Looked up here only where something may have to go ahead of it: most servers have no guard.
        if self.server.guard.is_some()
            && let Some(clients) = self.session.names.get(name).map(Arc::clone)
        {
            self.begin_group(GroupText::Named(&clients), self.server.guard_before())?;
        }
        let Some(Named { clients, servers: statement, changes }) = self.statement(name)? else {
            return Ok(self.stall());
        };
        let ends = self.session.note_statement(self.server, self.shared, &clients);
        self.keep_changes(changes);
        self.server.portal_ends |= ends;
        self.session.tally.binds += 1;
        let length = header.len - 1 - name.len() + statement.name.len();
        let out = &mut *self.out.to_server;
        out.push(b'B');
        // proof: not longer than the client's own frame plus our short name, both far below u32::MAX.
        out.extend_from_slice(&(length as u32).to_be_bytes());
        for part in [portal, &statement.name] {
            out.extend_from_slice(part);
            out.push(0);
        }
        let resume = HEADER_LEN + names;
        self.run.cut(self.at, self.at + resume, self.out.to_server);
        self.at += resume;
        self.server.batch_open = true;
        self.server.requests.push(Request::Bind);
        self.session.stream_left = header.len - resume;
        self.rest_of_frame();
        Ok(Next::Go)
    }

    pub(crate) fn describe(&mut self, header: Header, body: &[u8], whole: bool) -> Result<Next, Fatal> {
        if !whole {
            return Ok(Next::NeedMore);
        }
        let describe = read::describe(body)?;
        if describe.kind != TargetKind::Statement || describe.name.is_empty() || !self.tracks_names() {
            return Ok(self.extended(header, Request::Describe { kind: describe.kind }));
        }
        let Some(Named { servers, .. }) = self.statement(describe.name)? else { return Ok(self.stall()) };
        self.replace(header);
        write::describe(self.out.to_server, TargetKind::Statement, &servers.name)?;
        self.server.requests.push(Request::Describe { kind: describe.kind });
        Ok(Next::Go)
    }

    pub(crate) fn close(&mut self, header: Header, body: &[u8], whole: bool) -> Result<Next, Fatal> {
        if !whole {
            return Ok(Next::NeedMore);
        }
        let close = read::close(body)?;
        if close.kind != TargetKind::Statement || close.name.is_empty() || !self.tracks_names() {
            return Ok(self.extended(header, Request::Close { hidden: false, undo: Vec::new() }));
        }
        if self.is_name_unsettled(close.name) {
            return Ok(self.stall());
        }
        let mut undo = Vec::new();
        if let Some(before) = self.session.names.remove(close.name) {
            undo.push(Undo::Client { name: close.name.into(), before: Some(before) });
        }
        self.server.batch_open = true;
        self.server.requests.push(Request::Reply { tag: b'3', undo });
        Ok(self.skip(header))
    }
}
