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

/// What is left to be played to the client by ourselves.
#[derive(Debug)]
pub(crate) struct Broken {
    /// The client believes to be in a transaction block, which failed.
    in_transaction: bool,
    /// The client has not been told yet: its next statement gets the first error.
    untold: bool,
    /// Everything up to the next Sync is skipped.
    skipping: bool,
    /// The unnamed statement, or the portal, ends the transaction.
    ends: bool,
}

/// What became of the requests in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    /// Nothing was seen of a read's answer: it can run again elsewhere ([`ServerSide::take_retry`]).
    Retry,
    /// The client was told, or has nothing to be told; its session goes on.
    GoesOn,
    /// The client has half a row: its connection cannot be saved.
    Broken,
}

const UNKNOWN: (&str, &str) =
    ("08007", "the server was lost before it answered; it is not known whether the statement took effect");
const GONE: (&str, &str) =
    ("40001", "the server was lost and the transaction with it; nothing of it took effect, run it again");
const ABORTED: (&str, &str) =
    ("25P02", "current transaction is aborted, commands ignored until end of transaction block");

fn report(out: &mut Vec<u8>, (code, message): (&str, &str)) {
    write::error_response(out, &Report { nonlocalized: true, ..Report::new("ERROR", code, message) });
}

impl Broken {
    fn status(&self) -> TransactionStatus {
        if self.in_transaction { TransactionStatus::Failed } else { TransactionStatus::Idle }
    }
}

impl Session {
    /// The server of a cluster's entry is gone. Writes what the client is owed and takes over the rest of its
    /// transaction.
    pub fn server_lost(&mut self, server: &mut ServerSide, to_client: &mut Vec<u8>) -> Lost {
        if server.retry.is_armed() && !self.is_mid_frame() {
            server.requests.abandon(&mut self.names, &mut server.names);
            return Lost::Retry;
        }
        if server.stream_left > 0 && !server.stream_hidden {
            return Lost::Broken;
        }
        self.stream_drop = self.stream_left > 0;
        let mut broken = Broken {
            in_transaction: server.status != TransactionStatus::Idle && !server.commit_in_flight,
            untold: false,
            skipping: false,
            ends: false,
        };
        let mut words = if broken.in_transaction { GONE } else { UNKNOWN };
        let mut told = false;
        let groups: Vec<bool> = server.requests.iter().map(Request::ends_with_ready).collect();
        for ends in &groups {
            if !told {
                report(to_client, words);
                words = if broken.in_transaction { ABORTED } else { UNKNOWN };
            }
            told = !ends;
            if *ends {
                write::ready_for_query(to_client, broken.status());
            }
        }
        broken.skipping = told || server.skipping;
        broken.untold = groups.is_empty() && broken.in_transaction && !server.skipping;
        server.requests.abandon(&mut self.names, &mut server.names);
        if broken.in_transaction || broken.skipping {
            self.broken = Some(Box::new(broken));
        }
        Lost::GoesOn
    }

    /// Nobody can serve the batch at the beginning of `input`: says so, and the session goes on behind it.
    /// Returns how much of the input is done with.
    pub fn refuse_batch(&mut self, input: &[u8], words: (&str, &str), to_client: &mut Vec<u8>) -> usize {
        report(to_client, words);
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
                let broken = Broken { in_transaction: false, untold: false, skipping: true, ends: false };
                self.broken = Some(Box::new(broken));
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
        let mut turn = ClientTurn { consumed: 0, pass: 0..0, stalled: false, terminate: false };
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
            broken.skipping = false;
            write::ready_for_query(out, broken.status());
            return Ok(!broken.in_transaction);
        }
        if broken.skipping || matches!(tag, b'H' | b'd' | b'c' | b'f') {
            return Ok(false);
        }
        if matches!(tag, b'Q' | b'P' | b'B') {
            broken.ends = match (tag, body) {
                (b'Q', Some(body)) => self.ends_transaction(shared, read::query(body)?),
                (b'P', Some(body)) => self.ends_transaction(shared, read::parse(body)?.query),
                (b'B', Some(body)) => self.bound_ends(shared, read::bind(body)?.statement, broken.ends),
                _ => false,
            };
        }
        if !broken.ends {
            report(out, if std::mem::take(&mut broken.untold) { GONE } else { ABORTED });
            broken.skipping = tag != b'Q';
            if tag == b'Q' {
                write::ready_for_query(out, broken.status());
            }
            return Ok(false);
        }
        self.play_end(broken, (tag, body), out)
    }

    fn play_end(
        &self,
        broken: &mut Broken,
        (tag, body): (u8, Option<&[u8]>),
        out: &mut Vec<u8>,
    ) -> Result<bool, Fatal> {
        match tag {
            b'P' => write::parse_complete(out),
            b'B' => write::bind_complete(out),
            b'C' => write::close_complete(out),
            b'D' => {
                if read::describe(body.unwrap_or_default())?.kind == TargetKind::Statement {
                    // ParameterDescription of none.
                    out.extend_from_slice(&[b't', 0, 0, 0, 6, 0, 0]);
                }
                write::no_data(out);
            }
            _ => {
                write::command_complete(out, b"ROLLBACK")?;
                broken.in_transaction = false;
                broken.ends = false;
            }
        }
        if tag == b'Q' {
            write::ready_for_query(out, TransactionStatus::Idle);
        }
        Ok(tag == b'Q')
    }

    fn bound_ends(&self, shared: &Shared, name: &[u8], unnamed_ends: bool) -> bool {
        match self.names.get(name) {
            Some(statement) => self.ends_transaction(shared, &statement.query),
            None => name.is_empty() && unnamed_ends,
        }
    }

    /// COMMIT of a failed transaction is a ROLLBACK, as on a server.
    pub(crate) fn ends_transaction(&self, shared: &Shared, text: &[u8]) -> bool {
        matches!(
            self.classify(shared, text).effects.transaction,
            Some(Transaction::Commit { .. } | Transaction::Rollback { .. } | Transaction::Prepare)
        )
    }
}
