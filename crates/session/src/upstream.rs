//! Client to server: which frames go on as they are, which are rewritten, which are answered here.
//!
//! Runs of frames that need no change go on as one slice of the input. A frame that fits the read buffer is
//! forwarded whole; a larger one is begun when its beginning has been understood, and its rest passes unseen.

use std::ops::Range;
use std::sync::Arc;

use howdah_protocol::frame::{self, Direction, HEADER_LEN, Header};
use howdah_protocol::read::{TargetKind, TransactionStatus};
use howdah_protocol::{read, write};

use crate::error::Fatal;
use crate::plan::Plan;
use crate::prepared::Statement;
use crate::request::{Request, Undo};
use crate::server::ServerSide;
use crate::session::{Outputs, Session, Shared};

/// A frame longer than this is forwarded in parts (bytes); the driver's read buffer is not smaller.
pub const STREAM_FRAMES_ABOVE: usize = 16 * 1024;

/// Own messages put in between may fill the output up to here in one turn, then the client waits (bytes).
const OUTPUT_ENOUGH: usize = 256 * 1024;

/// What became of a piece of client input.
#[derive(Debug, PartialEq, Eq)]
pub struct ClientTurn {
    /// Bytes of the input that are done with; the rest is to be offered again with more behind it.
    pub consumed: usize,
    /// The part of the input to be written to the server, when `to_server` is empty.
    pub pass: Range<usize>,
    /// The rest cannot go on before the server has answered, or the outputs are written.
    pub stalled: bool,
    /// The client said that it leaves.
    pub terminate: bool,
}

/// A run of input that goes on unchanged; cut where something is left out or put in.
pub(crate) struct Run<'a> {
    pub(crate) input: &'a [u8],
    start: usize,
}

impl<'a> Run<'a> {
    pub(crate) fn new(input: &'a [u8]) -> Self {
        Self { input, start: 0 }
    }

    /// What stands before `at` goes out; the run begins again at `resume`.
    pub(crate) fn cut(&mut self, at: usize, resume: usize, out: &mut Vec<u8>) {
        if self.start < at {
            out.extend_from_slice(&self.input[self.start..at]);
        }
        self.start = resume;
    }

    /// The range that may be written straight from the input, unless something is in `out` already.
    pub(crate) fn finish(mut self, at: usize, out: &mut Vec<u8>) -> Range<usize> {
        if out.is_empty() {
            return self.start.min(at)..at;
        }
        self.cut(at, at, out);
        at..at
    }
}

/// What to do after a frame.
enum Next {
    Go,
    Stall,
    NeedMore,
    Terminate,
}

struct Turn<'s, 'i, 'o> {
    session: &'s mut Session,
    server: &'s mut ServerSide,
    shared: &'s Shared,
    run: Run<'i>,
    out: Outputs<'o>,
    at: usize,
}

impl Session {
    /// Takes client bytes that begin at a frame boundary, or in the rest of a frame that was begun before.
    ///
    /// # Errors
    /// The client broke the protocol; nothing of the offending frame has been forwarded.
    pub fn from_client(
        &mut self,
        server: &mut ServerSide,
        shared: &Shared,
        input: &[u8],
        out: Outputs<'_>,
    ) -> Result<ClientTurn, Fatal> {
        let mut turn = Turn { session: self, server, shared, run: Run::new(input), out, at: 0 };
        let next = turn.frames()?;
        let Turn { run, out, at, .. } = turn;
        Ok(ClientTurn {
            consumed: at,
            pass: run.finish(at, out.to_server),
            stalled: matches!(next, Next::Stall),
            terminate: matches!(next, Next::Terminate),
        })
    }
}

impl<'i> Turn<'_, 'i, '_> {
    fn frames(&mut self) -> Result<Next, Fatal> {
        self.rest_of_frame();
        while self.session.stream_left == 0 {
            let limits = &self.session.options.limits;
            let rest = &self.run.input[self.at..];
            let Some(header) = frame::header(Direction::FromClient, limits, rest)? else {
                return Ok(Next::NeedMore);
            };
            if self.server.requests.is_full() || self.out.to_server.len() > OUTPUT_ENOUGH {
                return Ok(Next::Stall);
            }
            match self.frame(header, rest)? {
                Next::Go => self.server.due_replies(self.out.to_client),
                other => return Ok(other),
            }
        }
        Ok(Next::NeedMore)
    }

    /// The rest of a frame that was begun in an earlier turn, or just now.
    fn rest_of_frame(&mut self) {
        let taken = self.session.stream_left.min(self.run.input.len() - self.at);
        if self.session.stream_drop {
            self.run.cut(self.at, self.at + taken, self.out.to_server);
        }
        self.session.stream_left -= taken;
        self.at += taken;
        if self.session.stream_left == 0 {
            self.session.stream_drop = false;
        }
    }

    /// The whole frame goes on, or as much of it as is there.
    fn pass(&mut self, header: Header) -> Next {
        self.session.stream_left = header.len;
        self.rest_of_frame();
        Next::Go
    }

    /// The frame is left out.
    fn skip(&mut self, header: Header) -> Next {
        self.session.stream_drop = true;
        self.pass(header)
    }

    fn frame(&mut self, header: Header, rest: &'i [u8]) -> Result<Next, Fatal> {
        if header.tag == b'X' {
            return Ok(Next::Terminate);
        }
        if self.server.skipping && header.tag != b'S' {
            return Ok(self.skip(header));
        }
        let whole = rest.len() >= header.len;
        if !whole && header.len <= STREAM_FRAMES_ABOVE && header.tag != b'd' {
            return Ok(Next::NeedMore);
        }
        if let Some(wait) = self.batch_must_wait(rest)? {
            return Ok(wait);
        }
        let body = &rest[HEADER_LEN..header.len.min(rest.len())];
        match header.tag {
            b'Q' => self.simple_query(header, body, whole),
            b'P' => self.parse(header, body, whole),
            b'B' => self.bind(header, body, whole),
            b'D' => self.describe(header, body, whole),
            b'C' => self.close(header, body, whole),
            b'E' => {
                self.server.executed = true;
                Ok(self.extended(header, Request::Execute))
            }
            b'H' => Ok(self.pass(header)),
            b'S' => Ok(self.sync(header)),
            b'F' => {
                self.server.executed = true;
                self.server.requests.push(Request::FunctionCall);
                Ok(self.pass(header))
            }
            _ => Ok(self.copy(header)),
        }
    }

    /// On a replica a new batch goes on only if it may run there (DESIGN.md section 5).
    fn batch_must_wait(&mut self, rest: &[u8]) -> Result<Option<Next>, Fatal> {
        let server = &mut *self.server;
        let begins = !server.batch_open && !server.copy_in && server.status == TransactionStatus::Idle;
        if !server.is_replica || !begins || self.session.routing.is_none() {
            return Ok(None);
        }
        let first = !server.is_busy();
        match self.session.plan(self.shared, rest)? {
            Plan::Read { batch } => {
                if first {
                    server.retry.request.clear();
                    server.retry.request.extend_from_slice(&rest[..batch]);
                } else {
                    server.disarm(self.out.to_client);
                }
                Ok(None)
            }
            Plan::NeedMore => Ok(Some(Next::NeedMore)),
            Plan::Ignore { .. } => Ok(None),
            Plan::Primary | Plan::Anywhere | Plan::Terminate => Ok(Some(Next::Stall)),
        }
    }

    /// Keeps in mind that the end of a transaction is on its way (DESIGN.md section 8: a commit whose answer
    /// never came is told apart from a transaction that is simply gone).
    fn note_end(&mut self, text: &[u8]) {
        let server = &mut *self.server;
        if self.session.routing.is_some() && server.status != TransactionStatus::Idle {
            server.commit_in_flight |= self.session.ends_transaction(self.shared, text);
        }
    }

    fn simple_query(&mut self, header: Header, body: &[u8], whole: bool) -> Result<Next, Fatal> {
        if self.session.options.disable_simple_query {
            return Err(Fatal::SimpleQueryDisallowed);
        }
        if whole {
            self.note_end(body.strip_suffix(&[0]).unwrap_or(body));
        }
        self.server.executed = true;
        self.server.batch_open = false;
        self.server.requests.push(Request::Query { hidden: false });
        Ok(self.pass(header))
    }

    fn sync(&mut self, header: Header) -> Next {
        // In COPY IN the server ignores Sync, so no answer is due.
        if !self.server.copy_in {
            self.server.requests.push(Request::Sync);
            self.server.skipping = false;
            self.server.batch_open = false;
        }
        self.pass(header)
    }

    fn extended(&mut self, header: Header, request: Request) -> Next {
        self.server.batch_open = true;
        self.server.requests.push(request);
        self.pass(header)
    }

    /// CopyData, CopyDone, CopyFail. After the server has given up the COPY they mean nothing any more, and a
    /// server that owes no answer must not be kept for them.
    fn copy(&mut self, header: Header) -> Next {
        if !self.server.is_busy() {
            return self.skip(header);
        }
        if header.tag != b'd' {
            self.server.copy_in = false;
        }
        self.pass(header)
    }

    fn tracks_names(&self) -> bool {
        self.session.options.max_prepared_statements > 0
    }

    fn parse(&mut self, header: Header, body: &[u8], whole: bool) -> Result<Next, Fatal> {
        let unnamed = body.first() == Some(&0);
        if unnamed || !self.tracks_names() {
            if whole && self.session.routing.is_some() {
                self.note_end(read::parse(body)?.query);
            }
            return Ok(self.extended(header, Request::Parse { hidden: false, undo: Vec::new() }));
        }
        if !whole {
            return Ok(Next::NeedMore);
        }
        let parse = read::parse(body)?;
        self.note_end(parse.query);
        if self.session.names.get(parse.name).is_some() {
            // An earlier message of the pipeline may still fail and free the name.
            return if self.server.is_busy() { Ok(Next::Stall) } else { Err(Fatal::StatementInUse) };
        }
        let statement = self.shared.registry.intern(self.session.scope, parse.query, parse.types_raw);
        self.session.names.insert(parse.name, Arc::clone(&statement));
        self.session.tally.client_parses += 1;
        let mut undo = vec![Undo::Client { name: parse.name.into(), before: None }];
        self.run.cut(self.at, self.at + header.len, self.out.to_server);
        self.at += header.len;
        self.server.batch_open = true;
        if self.server.names.touch(statement.id) {
            self.server.requests.push(Request::Reply { tag: b'1', undo });
            return Ok(Next::Go);
        }
        undo.push(Undo::ServerAdded(statement.id));
        self.prepare(&statement, false, undo)?;
        Ok(Next::Go)
    }

    /// Prepares the statement on the server, in place of the least recently used one if it has too many.
    fn prepare(&mut self, statement: &Arc<Statement>, hidden: bool, undo: Vec<Undo>) -> Result<(), Fatal> {
        while let Some(old) = self.server.names.evict(self.session.options.max_prepared_statements) {
            write::close(self.out.to_server, TargetKind::Statement, &old.name)?;
            self.server.requests.push(Request::Close { hidden: true, undo: vec![Undo::ServerRemoved(old)] });
        }
        write::parse(self.out.to_server, &statement.name, &statement.query, &statement.types)?;
        self.server.names.insert(statement);
        self.server.requests.push(Request::Parse { hidden, undo });
        self.session.tally.server_parses += 1;
        Ok(())
    }

    /// Makes sure that the server has the statement of this name of the client's.
    fn statement(&mut self, name: &[u8]) -> Result<Arc<Statement>, Fatal> {
        let statement = Arc::clone(self.session.names.get(name).ok_or(Fatal::UnknownStatement)?);
        self.run.cut(self.at, self.at, self.out.to_server);
        if !self.server.names.touch(statement.id) {
            self.prepare(&statement, true, vec![Undo::ServerAdded(statement.id)])?;
        }
        Ok(statement)
    }

    fn bind(&mut self, header: Header, body: &[u8], whole: bool) -> Result<Next, Fatal> {
        let Some(read::BindNames { portal, statement: name, len: names }) = read::bind_names_prefix(body)
        else {
            return if whole {
                Err(read::bind(body).map_or_else(Fatal::Body, |_| Fatal::UnknownStatement))
            } else {
                Ok(Next::NeedMore)
            };
        };
        if name.is_empty() || !self.tracks_names() {
            return Ok(self.extended(header, Request::Bind));
        }
        let statement = self.statement(name)?;
        self.note_end(&statement.query);
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

    fn describe(&mut self, header: Header, body: &[u8], whole: bool) -> Result<Next, Fatal> {
        if !whole {
            return Ok(Next::NeedMore);
        }
        let describe = read::describe(body)?;
        if describe.kind != TargetKind::Statement || describe.name.is_empty() || !self.tracks_names() {
            return Ok(self.extended(header, Request::Describe));
        }
        let statement = self.statement(describe.name)?;
        self.run.cut(self.at, self.at + header.len, self.out.to_server);
        self.at += header.len;
        write::describe(self.out.to_server, TargetKind::Statement, &statement.name)?;
        self.server.batch_open = true;
        self.server.requests.push(Request::Describe);
        Ok(Next::Go)
    }

    fn close(&mut self, header: Header, body: &[u8], whole: bool) -> Result<Next, Fatal> {
        if !whole {
            return Ok(Next::NeedMore);
        }
        let close = read::close(body)?;
        if close.kind != TargetKind::Statement || close.name.is_empty() || !self.tracks_names() {
            return Ok(self.extended(header, Request::Close { hidden: false, undo: Vec::new() }));
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
