//! The session goes on when its server is gone (DESIGN.md section 8, "Sessions"): what is said to the client
//! about the requests in flight, and the rest of a transaction that no longer exists.

use howdah_classifier::Transaction;
use howdah_protocol::frame::{self, Direction, HEADER_LEN};
use howdah_protocol::read::{self, TargetKind, TransactionStatus};
use howdah_protocol::write::{self, Report};

use crate::error::Fatal;
use crate::request::Request;
use crate::server::ServerSide;
use crate::session::{Session, Shared};
use crate::upstream::ClientTurn;

/// A frame of a client whose transaction is gone is judged up to this size (bytes); a longer one is refused
/// without a look, since the end of a transaction is short.
const LOOK_UP_TO: usize = 16 * 1024;

/// A code and a sentence for the client.
pub(crate) type Words<'a> = (&'a str, &'a str);

/// What is left to be played to the client by ourselves.
#[derive(Debug, Default)]
pub(crate) struct Broken {
    /// The client believes to be in a transaction block, which failed.
    in_transaction: bool,
    /// The client has not been told yet: this is the answer to its next statement.
    untold: Option<Words<'static>>,
    /// Everything up to the next Sync is skipped.
    skipping: bool,
    /// How the unnamed statement, or the portal, ends the transaction.
    ends: Option<End>,
}

/// How a statement ends a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// With its effects.
    Commit,
    /// Without.
    Rollback,
}

/// What became of the requests in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    /// Nothing was seen of a read's answer: it can run again elsewhere ([`ServerSide::take_retry`]).
    Retry,
    /// The client was told, or has nothing to be told; its session goes on.
    GoesOn,
    /// A transaction of this number was being committed, and whether it has can be found out: [`Session::resolve`].
    InDoubt(u64),
    /// The client has half a row: its connection cannot be saved.
    Broken,
}

pub(crate) const UNKNOWN: Words<'static> =
    ("08007", "the server was lost before it answered; it is not known whether the statement took effect");
const GONE: Words<'static> =
    ("40001", "the server was lost and the transaction with it; nothing of it took effect, run it again");
const ABORTED: Words<'static> =
    ("25P02", "current transaction is aborted, commands ignored until end of transaction block");

pub(crate) fn report(out: &mut Vec<u8>, (code, message): Words<'_>) {
    write::error_response(out, &Report { nonlocalized: true, ..Report::new("ERROR", code, message) });
}

impl Broken {
    /// Whether anything is left to be played.
    pub(crate) fn is_needed(&self) -> bool {
        self.in_transaction || self.skipping || self.untold.is_some()
    }

    fn status(&self) -> TransactionStatus {
        if self.in_transaction { TransactionStatus::Failed } else { TransactionStatus::Idle }
    }

    /// A statement that cannot run; returns whether the client is back in the world of servers.
    fn refuse(&mut self, tag: u8, out: &mut Vec<u8>) -> bool {
        report(out, self.untold.take().unwrap_or(ABORTED));
        let ready = matches!(tag, b'Q' | b'F');
        self.skipping = !ready;
        if ready {
            write::ready_for_query(out, self.status());
        }
        ready && !self.in_transaction
    }

    /// The transaction ends. COMMIT of a failed transaction is a ROLLBACK, as on a server; a client that does
    /// not know yet that it failed is told.
    fn end(&mut self, tag: u8, end: End, out: &mut Vec<u8>) -> bool {
        self.in_transaction = false;
        self.ends = None;
        match self.untold.take().filter(|_| end == End::Commit) {
            Some(words) => {
                report(out, words);
                self.skipping = tag != b'Q';
            }
            // CommandComplete; without NUL or bound to exceed, so that it is written by hand.
            None => out.extend_from_slice(b"C\0\0\0\x0dROLLBACK\0"),
        }
        if tag == b'Q' {
            write::ready_for_query(out, TransactionStatus::Idle);
        }
        tag == b'Q'
    }
}

impl Session {
    /// The server of a cluster's entry is gone. Writes what the client is owed and takes over the rest of its
    /// transaction.
    pub fn server_lost(&mut self, server: &mut ServerSide, to_client: &mut Vec<u8>) -> Lost {
        let again = self.routing.as_ref().is_some_and(|routing| routing.may_run_again(true));
        let armed = server.is_armed();
        if (server.retry.refused || armed && again) && !self.is_mid_frame() {
            server.requests.abandon(&mut self.names, &mut server.names);
            server.retry.take_back(&mut self.names);
            return Lost::Retry;
        }
        if server.stream_left > 0 && !server.stream_hidden && !armed {
            return Lost::Broken;
        }
        self.stream_drop = self.stream_left > 0;
        self.planned = 0;
        if let Some(doubt) = self.take_doubt(server) {
            server.requests.abandon(&mut self.names, &mut server.names);
            let xid = self.doubt.insert(Box::new(doubt)).xid();
            return Lost::InDoubt(xid);
        }
        answer_closes(server, to_client);
        let broken = tell(server, to_client);
        if let Some(routing) = &mut self.routing {
            routing.transaction_ended(false);
        }
        server.requests.abandon(&mut self.names, &mut server.names);
        if broken.is_needed() {
            self.broken = Some(Box::new(broken));
        }
        Lost::GoesOn
    }

    /// Nobody can serve the batch at the beginning of `input`: says so, and the session goes on behind it.
    /// Returns how much of the input is done with.
    pub fn refuse_batch(&mut self, input: &[u8], words: Words<'_>, to_client: &mut Vec<u8>) -> usize {
        report(to_client, words);
        self.planned = 0;
        if let Some(routing) = &mut self.routing {
            routing.forgive();
        }
        let header = frame::header(Direction::FromClient, &self.options.limits, input).ok().flatten();
        match header {
            Some(header) if matches!(header.tag, b'Q' | b'F') => {
                write::ready_for_query(to_client, TransactionStatus::Idle);
                self.ignore(header.len);
            }
            _ => {
                self.broken = Some(Box::new(Broken { skipping: true, ..Broken::default() }));
            }
        }
        self.drop_rest(input)
    }

    /// Whether the client's next messages are answered by [`Session::answer_locally`], without a server.
    pub fn is_local(&self) -> bool {
        self.broken.is_some()
    }

    /// Plays the failed transaction to its end.
    ///
    /// # Errors
    /// The client broke the protocol.
    pub fn answer_locally(
        &mut self,
        shared: &Shared,
        input: &[u8],
        to_client: &mut Vec<u8>,
    ) -> Result<ClientTurn, Fatal> {
        let mut turn = ClientTurn { consumed: 0, pass: 0..0, stalled: false, terminate: false, idle: false };
        while let Some(mut broken) = self.broken.take() {
            let rest = &input[turn.consumed..];
            let header = frame::header(Direction::FromClient, &self.options.limits, rest)?;
            let Some(header) = header.filter(|header| header.len <= rest.len() || header.len > LOOK_UP_TO)
            else {
                self.broken = Some(broken);
                break;
            };
            if header.tag == b'X' {
                turn.terminate = true;
                break;
            }
            let whole = rest.get(HEADER_LEN..header.len);
            let over = self.play(shared, &mut broken, (header.tag, whole), to_client)?;
            let here = header.len.min(rest.len());
            turn.consumed += here;
            self.stream_left = header.len - here;
            self.stream_drop = self.stream_left > 0;
            if !over {
                self.broken = Some(broken);
            }
        }
        Ok(turn)
    }

    /// One message; returns whether the client is back in the world of servers.
    fn play(
        &mut self,
        shared: &Shared,
        broken: &mut Broken,
        (tag, body): (u8, Option<&[u8]>),
        out: &mut Vec<u8>,
    ) -> Result<bool, Fatal> {
        if tag == b'S' {
            // Outside a transaction block Sync is what commits: there is nothing left to commit.
            if let Some(words) = broken.untold.take_if(|_| !broken.in_transaction) {
                report(out, words);
            }
            broken.skipping = false;
            write::ready_for_query(out, broken.status());
            return Ok(!broken.in_transaction);
        }
        if broken.skipping || matches!(tag, b'H' | b'd' | b'c' | b'f') {
            return Ok(false);
        }
        if tag == b'C' {
            // Allowed in a failed transaction, too.
            self.play_close(body)?;
            write::close_complete(out);
            return Ok(false);
        }
        self.look_for_end(shared, broken, (tag, body))?;
        let Some(end) = broken.ends.filter(|_| tag != b'F') else {
            return Ok(broken.refuse(tag, out));
        };
        match tag {
            b'P' => self.play_parse(shared, body, out).map(|()| false),
            b'B' => {
                write::bind_complete(out);
                Ok(false)
            }
            b'D' => {
                describe_nothing(read::describe(body.unwrap_or_default())?.kind, out);
                Ok(false)
            }
            _ => Ok(broken.end(tag, end, out)),
        }
    }

    fn look_for_end(
        &self,
        shared: &Shared,
        broken: &mut Broken,
        (tag, body): (u8, Option<&[u8]>),
    ) -> Result<(), Fatal> {
        if !matches!(tag, b'Q' | b'P' | b'B') {
            return Ok(());
        }
        broken.ends = match (tag, body.filter(|_| broken.in_transaction)) {
            (b'Q', Some(body)) => self.end_of(shared, read::query(body)?),
            (b'P', Some(body)) => self.end_of(shared, read::parse(body)?.query),
            (_, Some(body)) => {
                let name = read::bind(body)?.statement;
                match self.names.get(name) {
                    Some(statement) => self.end_of(shared, &statement.query),
                    None => broken.ends.filter(|_| name.is_empty()),
                }
            }
            _ => None,
        };
        Ok(())
    }

    /// How a text of one statement ends a transaction. With AND CHAIN the next one would have to begin at once,
    /// and nobody is there to begin it: such a text is refused as any other.
    fn end_of(&self, shared: &Shared, text: &[u8]) -> Option<End> {
        let effects = self.classify(shared, text).effects;
        match effects.transaction.filter(|_| !effects.is_many_statements())? {
            Transaction::Commit { chain: false } | Transaction::Prepare => Some(End::Commit),
            Transaction::Rollback { chain: false } => Some(End::Rollback),
            _ => None,
        }
    }

    fn play_close(&mut self, body: Option<&[u8]>) -> Result<(), Fatal> {
        let close = read::close(body.unwrap_or_default())?;
        if close.kind == TargetKind::Statement && !close.name.is_empty() {
            self.names.remove(close.name);
        }
        Ok(())
    }

    /// The statement that ends the transaction may have a name, under which it is bound later.
    fn play_parse(&mut self, shared: &Shared, body: Option<&[u8]>, out: &mut Vec<u8>) -> Result<(), Fatal> {
        let parse = read::parse(body.unwrap_or_default())?;
        if !parse.name.is_empty() && self.options.max_prepared_statements > 0 {
            if self.names.get(parse.name).is_some() {
                return Err(Fatal::StatementInUse { name: parse.name.into() });
            }
            let statement = shared.registry.intern(self.scope, parse.query, parse.types_raw);
            self.names.insert(parse.name, statement);
            self.tally.client_parses += 1;
        }
        write::parse_complete(out);
        Ok(())
    }
}

/// What a statement without parameters and without rows, or its portal, is described as.
pub(crate) fn describe_nothing(kind: TargetKind, out: &mut Vec<u8>) {
    if kind == TargetKind::Statement {
        // ParameterDescription of none.
        out.extend_from_slice(&[b't', 0, 0, 0, 6, 0, 0]);
    }
    write::no_data(out);
}

/// Whether the server died in a transaction block that no COMMIT in flight may have ended.
fn was_in_transaction(server: &ServerSide) -> bool {
    server.status != TransactionStatus::Idle && !server.commit_in_flight
}

/// Closes in flight inside a transaction succeed, as they do in a failed one: drivers send them behind the
/// application's back and drop the answer, so that the loss would be told to nobody, and the application's next
/// statement would get 25P02, which no application tries again.
fn answer_closes(server: &mut ServerSide, to_client: &mut Vec<u8>) {
    if !was_in_transaction(server) || server.error_told || server.skipping {
        return;
    }
    while let Some(request) = server.requests.head() {
        match request {
            Request::Close { hidden: true, .. } => {}
            Request::Close { .. } | Request::Reply { tag: b'3', .. } => write::close_complete(to_client),
            Request::Sync => write::ready_for_query(to_client, TransactionStatus::Failed),
            _ => return,
        }
        server.requests.pop();
    }
}

/// Answers every request in flight, and says what is left to be played. A group that has had an error already
/// gets no second one.
pub(crate) fn tell(server: &ServerSide, to_client: &mut Vec<u8>) -> Broken {
    let in_transaction = was_in_transaction(server);
    let first = if in_transaction { GONE } else { UNKNOWN };
    let status = if in_transaction { TransactionStatus::Failed } else { TransactionStatus::Idle };
    let mut words = first;
    let mut told = server.error_told || server.skipping;
    // A transaction that had failed before is no news.
    let mut news = server.batch_open || in_transaction && server.status != TransactionStatus::Failed;
    for request in server.requests.iter().filter(|request| request.is_owed()) {
        let ends = request.ends_with_ready();
        if !told {
            report(to_client, words);
            words = if in_transaction { ABORTED } else { UNKNOWN };
            news = false;
        }
        told = !ends;
        if ends {
            write::ready_for_query(to_client, status);
        }
    }
    let untold = (news && !told).then_some(first);
    Broken { in_transaction, untold, skipping: told, ends: None }
}
