//! Server to client: which frames pass, which are kept, what they say about the transaction.
//!
//! Only frame headers are read, and the bodies of the few tags that matter. A frame that matters is waited for
//! until it is whole; rows pass as they come.

use std::ops::Range;

use howdah_protocol::frame::{self, Direction, HEADER_LEN, Header, Limits, WIRE_MAX};
use howdah_protocol::read::{self, ErrorFields, TransactionStatus};
use howdah_protocol::write::{self, Report};
use howdah_topology::Time;

use crate::doubt::Xid;
use crate::error::ServerFault;
use crate::request::{Aside, Request, Undo};
use crate::retry::HOLD_UP_TO;
use crate::server::ServerSide;
use crate::session::{PoolMode, Session, Shared};
use crate::upstream::{Run, STREAM_FRAMES_ABOVE};

/// A frame that matters is waited for until it is whole, up to this size (bytes); an error message longer than
/// this is judged by its beginning.
const WHOLE_UP_TO: usize = 64 * 1024;

/// What the client is told of a commit that no standby has.
const INTERRUPTED: &str = "the wait for synchronous replication was interrupted: it is not known whether the \
     statement's effects will last, for no standby is known to have them";

/// What a piece of server output means for the link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// The link goes on.
    None,
    /// Every request is answered and no transaction is open: the server may go back.
    Idle,
    /// A replica refused a read of which the client has seen nothing: run it on the primary.
    Retry,
    /// A transaction block was opened in statement pooling.
    TransactionRefused,
}

/// What became of a piece of server output.
#[derive(Debug, PartialEq, Eq)]
pub struct ServerTurn {
    /// Bytes of the input that are done with; the rest is to be offered again with more behind it.
    pub consumed: usize,
    /// The part of the input to be written to the client, when `to_client` is empty.
    pub pass: Range<usize>,
    /// What it means for the link.
    pub signal: Signal,
    /// What stood behind the part that was taken: the server connection is of no use any more.
    pub fault: Option<ServerFault>,
}

/// The caller's moment and buffer.
struct Turn<'s, 'i> {
    session: &'s mut Session,
    server: &'s mut ServerSide,
    shared: &'s Shared,
    run: Run<'i>,
    to_client: &'s mut Vec<u8>,
    at: usize,
    now: Time,
    signal: Signal,
    /// An answer has just ended behind which another one begins that is held back.
    boundary: bool,
}

impl Session {
    /// Takes server bytes that begin at a frame boundary, or in the rest of a frame that was begun before.
    ///
    /// # Errors
    /// The server connection is of no use any more, and nothing of the input was handled. What stands before
    /// a fault is handled first, and the fault comes with it ([`ServerTurn::fault`]).
    pub fn from_server(
        &mut self,
        server: &mut ServerSide,
        (shared, now): (&Shared, Time),
        input: &[u8],
        to_client: &mut Vec<u8>,
    ) -> Result<ServerTurn, ServerFault> {
        if server.is_replica
            && let Some(routing) = &mut self.routing
        {
            routing.heard_replica(now);
        }
        let run = Run::new(input);
        let (at, signal, boundary) = (0, Signal::None, false);
        let mut turn = Turn { session: self, server, shared, run, to_client, at, now, signal, boundary };
        let fault = turn.frames().err();
        let Turn { server, run, to_client, at, signal, .. } = turn;
        match fault {
            Some(fault) if at == 0 => Err(fault),
            fault => {
                let pass = pass(server, run, at, to_client);
                Ok(ServerTurn { consumed: at, pass, signal, fault })
            }
        }
    }
}

/// The part of the input that the client may see now, unless it was copied to `to_client`.
fn pass(server: &mut ServerSide, mut run: Run<'_>, at: usize, to_client: &mut Vec<u8>) -> Range<usize> {
    if !server.is_armed() {
        return run.finish(at, to_client);
    }
    // Nothing is decided yet: what has come so far is held back.
    run.cut(at, at, &mut server.retry.held);
    if server.retry.held.len() > HOLD_UP_TO && !server.retry.refused {
        server.disarm(to_client);
    }
    at..at
}

impl Turn<'_, '_> {
    fn frames(&mut self) -> Result<(), ServerFault> {
        let limits = Limits { max_frame: WIRE_MAX };
        self.rest_of_frame();
        self.own_replies();
        // What follows a refused transaction is for nobody: client and server end.
        while self.server.stream_left == 0 && self.signal != Signal::TransactionRefused {
            let rest = &self.run.input[self.at..];
            let Some(header) = frame::header(Direction::FromServer, &limits, rest)? else { break };
            let whole = rest.len() >= header.len;
            if !whole && header.len <= self.wait_up_to(header.tag) {
                break;
            }
            let body = &rest[HEADER_LEN..header.len.min(rest.len())];
            let hidden = self.answer(header, body, whole)?;
            self.server.stream_left = header.len;
            self.server.stream_hidden = hidden || self.server.retry.refused || self.is_kept(header.tag);
            self.rest_of_frame();
            if std::mem::take(&mut self.boundary) {
                self.run.cut(self.at, self.at, self.to_client);
            }
            self.own_replies();
        }
        Ok(())
    }

    /// How long a frame may be to be waited for. Rows pass in pieces, except where the session must survive
    /// its server: an error can be put behind a whole row only.
    fn wait_up_to(&self, tag: u8) -> usize {
        match tag {
            b'D' | b'd' | b'T' | b't' | b'V' if self.session.routing.is_none() => 0,
            b'D' | b'd' | b'T' | b't' | b'V' => STREAM_FRAMES_ABOVE,
            _ => WHOLE_UP_TO,
        }
    }

    fn rest_of_frame(&mut self) {
        let taken = self.server.stream_left.min(self.run.input.len() - self.at);
        if taken > 0 && self.server.stream_hidden {
            self.cut(self.at + taken);
        }
        self.server.stream_left -= taken;
        self.at += taken;
    }

    /// What stands before the present frame goes out; the run begins again at `resume`.
    fn cut(&mut self, resume: usize) {
        let out = if self.server.is_armed() { &mut self.server.retry.held } else { &mut *self.to_client };
        self.run.cut(self.at, resume, out);
    }

    /// Replies of our own that stand behind what has just been answered, once its last byte has passed.
    fn own_replies(&mut self) {
        if self.server.stream_left > 0 || !matches!(self.server.requests.head(), Some(Request::Reply { .. }))
        {
            return;
        }
        self.cut(self.at);
        self.server.due_replies(self.to_client);
    }

    /// The client sees an answer that cannot be taken back: from here on there is nothing to try again.
    fn decide(&mut self) {
        if !self.server.retry.refused && self.server.is_armed() {
            self.cut(self.at);
            self.server.disarm(self.to_client);
        }
    }

    /// Takes note of one frame; returns whether it is kept from the client.
    fn answer(&mut self, header: Header, body: &[u8], whole: bool) -> Result<bool, ServerFault> {
        let head_hidden = self.server.requests.head().is_some_and(Request::is_hidden);
        match header.tag {
            b'D' | b'd' => {
                self.decide();
                if let Some(Request::Aside(Aside::Xid { group })) = self.server.requests.head() {
                    self.server.xid = Some(Xid::read(*group, body));
                }
                Ok(head_hidden)
            }
            b'Z' => self.ready(body),
            b'C' | b'I' | b's' => {
                self.decide();
                self.complete(header.tag, body, head_hidden);
                Ok(head_hidden)
            }
            b'1' | b'2' | b'3' => self.acknowledged(header.tag),
            b'T' | b'n' => {
                if matches!(self.server.requests.head(), Some(Request::Describe { .. })) {
                    self.server.requests.pop();
                }
                Ok(head_hidden)
            }
            b'E' => self.error(body, whole),
            b'S' if whole => self.parameter(body),
            b'G' | b'W' | b'H' => {
                self.decide();
                self.copy_begins(header.tag);
                Ok(head_hidden)
            }
            b'N' if whole && self.session.routing.is_some() => self.notice(body, head_hidden),
            b't' | b'V' | b'c' | b'N' | b'S' => Ok(head_hidden),
            b'A' => Ok(false),
            tag => Err(ServerFault::Unexpected { tag }),
        }
    }

    fn copy_begins(&mut self, tag: u8) {
        if tag == b'H' {
            return;
        }
        let start = self.server.requests.copy_begins();
        self.server.copy_in = !start.has_end;
        self.server.sync_in_copy = start.ignores_sync;
        // A Sync that was ignored did not end the batch.
        self.server.batch_open |= matches!(self.server.requests.head(), Some(Request::Execute))
            && !self.server.requests.has_ended_group();
    }

    fn acknowledged(&mut self, tag: u8) -> Result<bool, ServerFault> {
        match (tag, self.server.requests.pop()) {
            (b'1', Some(Request::Parse { hidden, undo })) => {
                if let Some(Undo::ServerAdded(id)) = undo.last() {
                    self.server.names.prove(*id);
                }
                self.server.retry.keep(undo);
                Ok(hidden)
            }
            (b'3', Some(Request::Close { hidden, undo })) => {
                self.server.retry.keep(undo);
                Ok(hidden)
            }
            (b'2', Some(Request::Bind)) => Ok(false),
            _ => Err(ServerFault::Unexpected { tag }),
        }
    }

    /// CommandComplete, EmptyQueryResponse, PortalSuspended.
    fn complete(&mut self, tag: u8, body: &[u8], hidden: bool) {
        if matches!(self.server.requests.head(), Some(Request::Execute)) {
            self.server.requests.pop();
        }
        self.server.copy_in = false;
        self.server.sync_in_copy = false;
        match body {
            b"COMMIT\0" if tag == b'C' => self.committed(),
            // `ROLLBACK TO SAVEPOINT` says the same; the transaction's own end comes later then.
            b"ROLLBACK\0" if tag == b'C' => self.server.rolled_back = true,
            _ => {}
        }
        // The server has forgotten its statements, whoever asked for it, and the client's names go with them.
        if tag == b'C' && (body == b"DISCARD ALL\0" || body == b"DEALLOCATE ALL\0") {
            self.server.names.clear();
            self.session.names = Default::default();
            if let Some(routing) =
                self.session.routing.as_mut().filter(|_| body == b"DISCARD ALL\0" && !hidden)
            {
                routing.discarded();
            }
        }
    }

    /// With AND CHAIN the next transaction has begun already.
    fn committed(&mut self) {
        self.server.rolled_back = false;
        self.server.xid = None;
        // What was set for this transaction only ends now.
        self.server.commits_unprotected |= self.session.is_unprotected(self.server);
        if let Some(routing) = &mut self.session.routing {
            routing.transaction_ended(true);
        }
    }

    fn ready(&mut self, body: &[u8]) -> Result<bool, ServerFault> {
        let status = read::ready_for_query(body)?;
        if !self.server.requests.head().is_some_and(Request::ends_with_ready) && !self.sync_counts_after_all()
        {
            return Err(ServerFault::Unexpected { tag: b'Z' });
        }
        self.decide();
        let server = &mut *self.server;
        let group = server.requests.answering();
        let answered = server.requests.pop();
        let hidden = answered.as_ref().is_some_and(Request::is_hidden);
        server.status = status;
        server.copy_in = false;
        server.sync_in_copy = false;
        server.unprotected = false;
        let failed = std::mem::take(&mut server.error_told);
        if server.requests.is_empty() {
            server.commit_in_flight = false;
            server.portal_ends &= status != TransactionStatus::Idle;
        }
        if server.retry.refused {
            if server.requests.is_empty() {
                server.retry.take_back(&mut self.session.names);
                self.signal = Signal::Retry;
            }
            return Ok(true);
        }
        server.retry.answered(group);
        self.boundary = server.is_armed();
        if let Some(Request::Aside(aside)) = answered {
            server.aside_ended(aside);
            return Ok(true);
        }
        if hidden {
            server.applied(&mut self.session.vars);
            return Ok(true);
        }
        let committed = std::mem::take(&mut server.commits_unprotected);
        let unprotected = status == TransactionStatus::Idle
            && server.wrote
            && (committed || self.session.commits_unprotected(server, group));
        self.session.tally.unprotected += u32::from(unprotected);
        self.session.settle_changes(server, (group, failed), status);
        self.answered(status);
        // The client must not take its BEGIN for done: the error is what it reads next.
        Ok(self.signal == Signal::TransactionRefused)
    }

    /// A COPY failed before the server read the Sync that was sent behind it; that was answered now.
    fn sync_counts_after_all(&mut self) -> bool {
        let server = &mut *self.server;
        if !server.sync_in_copy || !server.skipping || !server.requests.is_empty() {
            return false;
        }
        server.skipping = false;
        server.batch_open = false;
        true
    }

    /// The client sees the end of one of its own requests.
    fn answered(&mut self, status: TransactionStatus) {
        let server = &mut *self.server;
        self.session.tally.queries += 1;
        self.session.tally.transactions += u32::from(status == TransactionStatus::Idle);
        if let Some(routing) = &mut self.session.routing {
            routing.forgive();
            if server.executed && !server.is_replica {
                routing.touched_primary(self.now, server.wrote);
            }
        }
        server.executed = server.is_busy();
        server.wrote &= server.executed;
        self.signal =
            if status != TransactionStatus::Idle && self.session.options.pool_mode == PoolMode::Statement {
                Signal::TransactionRefused
            } else if server.is_clean() && !self.session.is_mid_frame() {
                Signal::Idle
            } else {
                Signal::None
            };
    }

    fn error(&mut self, body: &[u8], whole: bool) -> Result<bool, ServerFault> {
        let mut beginning = Vec::new();
        if !whole {
            // Of a message that is too long to wait for, the beginning has the severity and the SQLSTATE.
            let fields = body.iter().rposition(|byte| *byte == 0).map_or(0, |end| end + 1);
            beginning.extend_from_slice(&body[..fields]);
            beginning.push(0);
        }
        let fields = read::error_or_notice(if whole { body } else { &beginning })?;
        let severity = fields.severity_nonlocalized.or(fields.severity).unwrap_or_default();
        let code = fields.code.unwrap_or_default();
        let message = || String::from_utf8_lossy(fields.message.unwrap_or_default()).into_owned();
        if severity == b"FATAL" || severity == b"PANIC" || code.starts_with(b"57P") {
            self.server.must_close = true;
            if self.session.routing.is_some() {
                if !code.starts_with(b"57P") {
                    // The server's verdict on this session, not its end: the same would befall a second run.
                    self.decide();
                }
                // The client's session does not end with its server: `server_lost` finds the words.
                return Err(ServerFault::Ends { message: message() });
            }
        }
        // In a transaction that has failed before, as the client knows, ours fail too.
        let aside = matches!(self.server.requests.head(), Some(Request::Aside(_)));
        if aside && self.server.status == TransactionStatus::Failed {
            return Ok(true);
        }
        // Else the client's transaction would have failed by a query that it does not know of, and its COMMIT would be
        // answered as a ROLLBACK without a word.
        if aside || matches!(self.server.requests.head(), Some(Request::Query { hidden: true })) {
            return Err(ServerFault::SetFailed { message: message() });
        }
        let refused = self.is_refusal(code, &fields);
        if refused {
            self.session.remember_refusal(self.shared, code, self.server.retry.first());
            self.server.retry.refused = true;
        } else {
            self.decide();
        }
        self.server.copy_in = false;
        if self.server.requests.head().is_some() {
            self.server.error_told = true;
            let answered = self.server.requests.fail(&mut self.session.names, &mut self.server.names);
            self.server.skipping = !answered;
        }
        // The batch of a refused read was whole (`plan.rs`), so its ReadyForQuery is on its way.
        Ok(refused)
    }

    /// Whether the error is a replica's alone, and the client has seen nothing of the answer.
    fn is_refusal(&self, code: &[u8], fields: &ErrorFields<'_>) -> bool {
        let on_replica = self.server.is_replica && self.server.is_armed();
        let Some(routing) = self.session.routing.as_ref().filter(|_| on_replica) else {
            return false;
        };
        let conflict = is_conflict(code, fields);
        !self.server.retry.refused && (conflict || runs_on_primary(code)) && routing.may_run_again(conflict)
    }

    /// A commit whose wait for synchronous replication was interrupted is answered as a success, with a warning
    /// (FAILOVER_PROTOCOL.md section 9). No standby has it, so a failover may undo it, and the client must not take it for
    /// done. The warning is known by its SQLSTATE and the routine that gave it, for its text may be in any language.
    fn notice(&mut self, body: &[u8], hidden: bool) -> Result<bool, ServerFault> {
        let fields = read::error_or_notice(body)?;
        let interrupted = fields.code == Some(b"01000") && fields.routine == Some(b"SyncRepWaitForLSN");
        if !interrupted || hidden || self.server.error_told {
            return Ok(hidden || !self.session.admits(self.server, &fields));
        }
        self.decide();
        self.cut(self.at);
        let report = Report { nonlocalized: true, ..Report::new("ERROR", "08007", INTERRUPTED) };
        write::error_response(self.to_client, &report);
        (self.server.error_told, self.server.unprotected) = (true, true);
        Ok(true)
    }

    /// Whether a message is kept back because its group has failed for the client, though not for the server. COPY data
    /// are asked for nevertheless, or the server would wait for them in vain.
    fn is_kept(&mut self, tag: u8) -> bool {
        self.server.unprotected &= !matches!(tag, b'G' | b'W' | b'H');
        self.server.unprotected && !matches!(tag, b'Z' | b'S' | b'A')
    }

    fn parameter(&mut self, body: &[u8]) -> Result<bool, ServerFault> {
        let status = read::parameter_status(body)?;
        let position = self.server.reported(&self.shared.tracked, status.name, status.value);
        // What the server reports is the canonical form of what was set (PgBouncer: varcache_set_canonical),
        // so that it is set once only.
        let hidden = self.server.requests.head().is_some_and(Request::is_hidden);
        if let Some(position) = position {
            let asked = self.session.vars.shared(position).filter(|asked| hidden && **asked != *status.value);
            self.server.spelled.extend(asked.map(|asked| (position, asked)));
            crate::vars::set_shared(&mut self.session.vars, position, status.value);
        }
        Ok(hidden)
    }
}

/// SQLSTATEs with which a replica refuses what the primary would do, or does not have yet what the primary has
/// (ROUTING.md). The statement is a read by its text, so running it again is harmless whatever was meant.
fn runs_on_primary(code: &[u8]) -> bool {
    const CODES: [&[u8; 5]; 10] = [
        b"25006", b"55000", b"0A000", b"XX000", // refused by a standby
        b"42P01", b"42703", b"42883", b"42704", b"3F000", b"3D000", // not replayed yet
    ];
    CODES.iter().any(|known| known.as_slice() == code)
}

/// Whether the replica gave the statement up for its recovery. Its SQLSTATE is 40001, or 57014, which a cancel
/// request and `statement_timeout` have too: those are the client's own will and stay.
fn is_conflict(code: &[u8], fields: &ErrorFields<'_>) -> bool {
    let routine = fields.routine.unwrap_or_default();
    let message = fields.message.unwrap_or_default();
    code == b"40001"
        || code == b"57014"
            && (routine.starts_with(b"ProcessRecoveryConflict")
                || memchr::memmem::find(message, b"conflict with recovery").is_some())
}
