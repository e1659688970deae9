//! Client to server: which frames go on as they are, which are rewritten, which are answered here.
//!
//! Runs of frames that need no change go on as one slice of the input. A frame that fits the read buffer is
//! forwarded whole; a larger one is begun when its beginning has been understood, and its rest passes unseen.
//! Next: `statements.rs`, where prepared statements are given their names.

use std::ops::Range;

use howdah_protocol::frame::{self, Direction, HEADER_LEN, Header};
use howdah_protocol::read::TransactionStatus;
use howdah_protocol::{read, write};

use crate::error::Fatal;
use crate::guard::GroupText;
use crate::plan::Plan;
use crate::request::Request;
use crate::server::ServerSide;
use crate::session::{Look, Outputs, PoolMode, Session, Shared};

/// A frame longer than this is forwarded in parts (bytes); the driver's read buffer is not smaller.
pub const STREAM_FRAMES_ABOVE: usize = 16 * 1024;

/// A text of a cluster's client is waited for up to this size, to be looked at whole (bytes).
const LOOK_UP_TO: usize = 1024 * 1024;

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
    /// The server may go back and no answer of its will say so: as [`crate::Signal::Idle`], for the client's side.
    pub idle: bool,
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
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    Go,
    Stall,
    NeedMore,
    Terminate,
}

/// One piece of client input on its way to the server.
pub(crate) struct Turn<'s, 'i, 'o> {
    pub(crate) session: &'s mut Session,
    pub(crate) server: &'s mut ServerSide,
    pub(crate) shared: &'s Shared,
    pub(crate) look: Look<'s>,
    pub(crate) run: Run<'i>,
    pub(crate) out: Outputs<'o>,
    pub(crate) at: usize,
}

impl Session {
    /// Takes client bytes that begin at a frame boundary, or in the rest of a frame that was begun before.
    ///
    /// # Errors
    /// The client broke the protocol; nothing of the offending frame has been forwarded.
    pub fn from_client(
        &mut self,
        server: &mut ServerSide,
        (shared, look): (&Shared, Look<'_>),
        input: &[u8],
        out: Outputs<'_>,
    ) -> Result<ClientTurn, Fatal> {
        let was_mid_frame = self.is_mid_frame();
        let mut turn = Turn { session: self, server, shared, look, run: Run::new(input), out, at: 0 };
        let next = turn.frames()?;
        let waits = next == Next::Stall || was_mid_frame;
        let idle = waits && turn.server.is_clean() && !turn.session.is_mid_frame();
        let Turn { run, out, at, .. } = turn;
        Ok(ClientTurn {
            consumed: at,
            pass: run.finish(at, out.to_server),
            stalled: next == Next::Stall,
            terminate: next == Next::Terminate,
            idle,
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
                return Ok(self.stall());
            }
            let before = self.at;
            let next = self.frame(header, rest)?;
            let taken = self.at - before;
            self.session.planned = self.session.planned.saturating_sub(taken);
            self.server.retry.advance(taken);
            if next != Next::Go {
                return Ok(next);
            }
            self.server.due_replies(self.out.to_client);
        }
        Ok(Next::NeedMore)
    }

    /// The client waits for answers. The server holds them back until Sync or Flush, and the client's own Sync
    /// may stand behind what has to wait.
    pub(crate) fn stall(&mut self) -> Next {
        if self.server.batch_open && !self.server.requests.is_empty() && !self.server.copy_in {
            self.run.cut(self.at, self.at, self.out.to_server);
            write::flush(self.out.to_server);
        }
        Next::Stall
    }

    /// The rest of a frame that was begun in an earlier turn, or just now.
    pub(crate) fn rest_of_frame(&mut self) {
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
    pub(crate) fn pass(&mut self, header: Header) -> Next {
        self.session.stream_left = header.len;
        self.rest_of_frame();
        Next::Go
    }

    /// The frame is left out.
    pub(crate) fn skip(&mut self, header: Header) -> Next {
        self.session.stream_drop = true;
        self.pass(header)
    }

    /// How long a frame may be to be waited for.
    fn wait_up_to(&self, tag: u8) -> usize {
        match tag {
            b'd' => 0,
            b'Q' | b'P' if self.session.routing.is_some() => LOOK_UP_TO,
            _ => STREAM_FRAMES_ABOVE,
        }
    }

    fn frame(&mut self, header: Header, rest: &'i [u8]) -> Result<Next, Fatal> {
        if header.tag == b'X' {
            return Ok(Next::Terminate);
        }
        if self.server.skipping && header.tag != b'S' {
            return Ok(self.skip(header));
        }
        let whole = rest.len() >= header.len;
        if !whole && header.len <= self.wait_up_to(header.tag) {
            return Ok(Next::NeedMore);
        }
        if let Some(wait) = self.batch_must_wait(rest)? {
            return Ok(wait);
        }
        if self.server.copy_in && !matches!(header.tag, b'd' | b'c' | b'f' | b'H' | b'S') {
            // The server fails the COPY with it and has done with both by one answer.
            self.server.copy_in = false;
            return Ok(self.pass(header));
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
                self.server.commit_in_flight |= self.server.portal_ends;
                Ok(self.extended(header, Request::Execute))
            }
            b'H' => Ok(self.pass(header)),
            b'S' => Ok(self.sync(header)),
            b'F' => {
                (self.server.executed, self.server.wrote) = (true, true);
                self.server.batch_open = false;
                self.server.requests.push(Request::FunctionCall);
                Ok(self.pass(header))
            }
            _ => Ok(self.copy(header)),
        }
    }

    /// A new batch is looked at before any of it goes on: on a replica, whether it may run there (DESIGN.md section 5);
    /// on the primary, whether it can run again elsewhere (section 8).
    fn batch_must_wait(&mut self, rest: &[u8]) -> Result<Option<Next>, Fatal> {
        let server = &mut *self.server;
        if self.session.routing.is_none()
            || server.batch_open
            || server.copy_in
            || server.retry.has(server.requests.next_group())
        {
            return Ok(None);
        }
        if !server.is_replica {
            return self.remember_on_primary(rest);
        }
        if server.status != TransactionStatus::Idle {
            // What follows the end of the transaction is a new batch, as soon as that is answered.
            return Ok((server.commit_in_flight && !server.requests.is_empty()).then_some(Next::Stall));
        }
        if server.retry.refused {
            return Ok(Some(Next::Stall));
        }
        let nothing_to_repeat = server.retry.is_empty();
        match self.session.plan(self.shared, rest)? {
            Plan::Read { batch } => Ok(self.begin_batch(&rest[..batch])),
            Plan::NeedMore => Ok(Some(Next::NeedMore)),
            // Half of it must not stand between a batch and its second run.
            Plan::Ignore { .. } => Ok((!nothing_to_repeat).then_some(Next::Stall)),
            Plan::Primary | Plan::Sets { .. } | Plan::Anywhere | Plan::Terminate => Ok(Some(Next::Stall)),
        }
    }

    /// A read on the primary is remembered, to run again if the primary is lost. What cannot run again ends that for all
    /// that is in flight: it must not be left out of a second run, nor run twice.
    fn remember_on_primary(&mut self, rest: &[u8]) -> Result<Option<Next>, Fatal> {
        let server = &*self.server;
        let between = server.status == TransactionStatus::Idle;
        if server.retry.is_empty() {
            // Only what was planned just now, and begins a transaction of its own.
            let length = self.session.planned;
            let may = between && self.session.planned_repeats && (1..=rest.len()).contains(&length);
            if may && self.session.options.pool_mode != PoolMode::Session {
                self.begin_batch(&rest[..length]);
            }
            return Ok(None);
        }
        let plan = if between { self.session.plan(self.shared, rest)? } else { Plan::Primary };
        if plan == Plan::NeedMore {
            return Ok(Some(Next::NeedMore));
        }
        let repeats = matches!(plan, Plan::Read { .. } | Plan::Primary) && self.session.planned_repeats;
        let fits = between && repeats && self.begin_batch(&rest[..self.session.planned]).is_none();
        if !fits {
            self.session.planned_repeats = false;
            self.server.disarm(self.out.to_client);
            self.server.retry.forget();
        }
        Ok(None)
    }

    /// A batch of reads is remembered, to run again if it is refused; an empty one cannot be, and must not stand
    /// between those that are.
    fn begin_batch(&mut self, batch: &[u8]) -> Option<Next> {
        let server = &mut *self.server;
        let fits = if batch.is_empty() {
            server.retry.is_empty()
        } else {
            server.retry.remember(server.requests.next_group(), batch)
        };
        (!fits).then_some(Next::Stall)
    }

    fn simple_query(&mut self, header: Header, body: &[u8], whole: bool) -> Result<Next, Fatal> {
        if self.session.options.disable_simple_query {
            return Err(Fatal::SimpleQueryDisallowed);
        }
        let text = body.strip_suffix(&[0]).unwrap_or(body);
        let before = self.server.guard_before();
        let ends = if whole {
            self.session.note(self.server, self.shared, text)
        } else {
            self.session.note_unread(self.server)
        };
        if whole {
            self.begin_group(GroupText::Text(text), before)?;
        }
        self.server.commit_in_flight |= ends;
        self.server.executed = true;
        let own = if whole { self.own_text(text) } else { None };
        if let Some(text) = &own {
            self.replace(header);
            write::query(self.out.to_server, text)?;
        }
        self.server.batch_open = false;
        self.server.requests.push(Request::Query { hidden: false });
        Ok(if own.is_some() { Next::Go } else { self.pass(header) })
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

    pub(crate) fn extended(&mut self, header: Header, request: Request) -> Next {
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
        if header.tag != b'd' && !std::mem::take(&mut self.server.copy_in) {
            self.server.requests.push(Request::CopyEnd);
        }
        self.pass(header)
    }

    /// A Parse whose text goes on as it is.
    pub(crate) fn pass_parse(
        &mut self,
        header: Header,
        body: &[u8],
        (unnamed, whole): (bool, bool),
    ) -> Result<Next, Fatal> {
        let wrote = std::mem::take(&mut self.server.wrote);
        let before = self.server.guard_before();
        let parse = if whole { Some(read::parse(body)?) } else { None };
        let ends = match &parse {
            Some(parse) => self.session.note(self.server, self.shared, parse.query),
            None => self.session.note_unread(self.server),
        };
        if let Some(parse) = &parse {
            self.begin_group(GroupText::Text(parse.query), before)?;
        }
        // Names that are not tracked may be bound at any time, so one that ends a transaction counts for all.
        let server = &mut *self.server;
        server.unnamed_ends = ends || (!unnamed && server.unnamed_ends);
        server.unnamed_writes = server.wrote || (!unnamed && server.unnamed_writes);
        server.wrote |= wrote;
        let request = Request::Parse { hidden: false, undo: Vec::new() };
        if let Some(parse) = parse
            && let Some(text) = self.own_text(parse.query)
        {
            self.replace(header);
            write::parse(self.out.to_server, parse.name, &text, parse.types_raw)?;
            self.server.requests.push(request);
            return Ok(Next::Go);
        }
        Ok(self.extended(header, request))
    }
}
