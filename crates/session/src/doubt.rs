//! A commit whose answer never came because the server was lost (FAILOVER_PROTOCOL.md section 6): the transaction's number
//! was asked for in the same flight, so that it can be seen on the present primary whether it has committed. Until then
//! the client waits; what it is told is made ready here.
//!
//! Only a COMMIT that begins its group of messages is preceded by the question: a query of our own cannot stand in the
//! middle of a group. A statement outside a transaction block has no number before it runs, and none is asked for.

use howdah_classifier::{Effects, Transaction};
use howdah_protocol::read::{self, TransactionStatus};
use howdah_protocol::write;
use howdah_topology::Time;

use crate::error::Fatal;
use crate::guard::GroupText;
use crate::local::{Broken, UNKNOWN, report, tell};
use crate::request::{Aside, Request};
use crate::server::ServerSide;
use crate::session::Session;
use crate::texts::may_end;
use crate::upstream::Turn;

/// The question that goes with a COMMIT.
const XID_SQL: &[u8] = b"SELECT pg_catalog.pg_current_xact_id_if_assigned()";

/// What is said of a transaction that is known not to have committed.
const ABORTED: (&str, &str) = (
    "40001",
    "the server was lost before the transaction had committed; nothing of it took effect, run it again",
);

/// The number of the transaction that a group of requests commits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Xid {
    group: u64,
    /// `None`: it has written nothing, as far as that shows before its end.
    xid: Option<u64>,
}

impl Xid {
    /// What the server has answered to the question.
    pub(crate) fn read(group: u64, body: &[u8]) -> Self {
        let value = read::data_row(body).ok().and_then(|row| row.values().next().flatten());
        let xid = value.and_then(|value| std::str::from_utf8(value).ok()?.parse().ok());
        Self { group, xid }
    }
}

/// What became of a commit in doubt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is there, and will stay.
    Committed,
    /// It is not there, and will not come.
    Aborted,
    /// Nobody can tell.
    Unknown,
}

/// A commit in doubt, and what the client is told then.
#[derive(Debug)]
pub(crate) struct Doubt {
    xid: u64,
    /// What the server would have answered.
    committed: Vec<u8>,
    /// What is said of the requests behind it.
    rest: Vec<u8>,
    /// What is left to be played.
    broken: Option<Box<Broken>>,
}

impl Doubt {
    pub(crate) fn xid(&self) -> u64 {
        self.xid
    }
}

impl Session {
    /// The number of the transaction whose COMMIT was in flight when the server was lost ([`crate::Lost::InDoubt`]).
    pub fn doubt(&self) -> Option<u64> {
        self.doubt.as_ref().map(|doubt| doubt.xid)
    }

    /// Takes the group that commits out of what is in flight, if its fate can be found out.
    pub(crate) fn take_doubt(&self, server: &mut ServerSide) -> Option<Doubt> {
        let Xid { group, xid } = server.xid.take()?;
        let told = server.error_told || server.skipping;
        let answers = group == server.requests.answering() && server.commit_in_flight && !told;
        let (xid, committed) = xid.filter(|_| answers).zip(commit_answer(server))?;
        server.requests.drop_group();
        let mut rest = Vec::new();
        let broken = tell(server, &mut rest);
        let broken = broken.is_needed().then(|| Box::new(broken));
        Some(Doubt { xid, committed, rest, broken })
    }

    /// The client is told what became of its commit; the session goes on.
    pub fn resolve(&mut self, fate: Fate, now: Time, to_client: &mut Vec<u8>) {
        let Some(doubt) = self.doubt.take() else { return };
        let Doubt { committed, rest, broken, .. } = *doubt;
        match fate {
            Fate::Committed => to_client.extend_from_slice(&committed),
            Fate::Aborted | Fate::Unknown => {
                report(to_client, if fate == Fate::Aborted { ABORTED } else { UNKNOWN });
                write::ready_for_query(to_client, TransactionStatus::Idle);
            }
        }
        to_client.extend_from_slice(&rest);
        self.broken = broken;
        self.tally.queries += 1;
        self.tally.transactions += 1;
        if let Some(routing) = &mut self.routing {
            routing.transaction_ended(fate == Fate::Committed);
            routing.touched_primary(now, true);
        }
    }
}

/// What a server answers to the first group in flight, which commits a transaction and does nothing else.
fn commit_answer(server: &ServerSide) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let mut commits = 0;
    for request in server.requests.iter() {
        match request {
            Request::Query { hidden: false } | Request::Execute => {
                commits += 1;
                // proof: the tag has no NUL.
                write::command_complete(&mut out, b"COMMIT").ok()?;
            }
            Request::Parse { hidden: true, .. } | Request::Close { hidden: true, .. } | Request::Sync => {}
            Request::Parse { .. } => write::parse_complete(&mut out),
            Request::Bind => write::bind_complete(&mut out),
            Request::Describe { kind } => crate::local::describe_nothing(*kind, &mut out),
            Request::Close { .. } => write::close_complete(&mut out),
            Request::Reply { tag, .. } => out.extend_from_slice(&[*tag, 0, 0, 0, 4]),
            _ => return None,
        }
        if request.ends_with_ready() {
            write::ready_for_query(&mut out, TransactionStatus::Idle);
            return (commits == 1).then_some(out);
        }
    }
    None
}

/// Whether the text is a COMMIT after which no transaction is open, and nothing else.
fn commits(effects: Effects) -> bool {
    effects.transaction == Some(Transaction::Commit { chain: false }) && !effects.is_many_statements()
}

impl Turn<'_, '_, '_> {
    /// A group of messages begins with this text; `before` is of before it was noted. Queries of our own may go ahead.
    pub(crate) fn begin_group(&mut self, text: GroupText<'_>, before: (bool, u64)) -> Result<(), Fatal> {
        let resolves = self.session.options.acknowledgements.resolve;
        let server = &*self.server;
        if server.guard.is_none() || server.is_replica || server.batch_open || !(resolves || before.0) {
            return Ok(());
        }
        let next = server.requests.next_group();
        if server.begun == next {
            // The message had to wait behind our queries, and is looked at once more.
            return Ok(());
        }
        if server.retry.has(next) {
            // A read that may run again stands where it was counted, and commits nothing.
            return Ok(());
        }
        let effects = match text {
            GroupText::Text(text) => self.session.classify(self.shared, text).effects,
            GroupText::Named(statement) => self.session.verdict_of(self.shared, statement).effects,
        };
        self.lower_level(before, may_end(effects))?;
        let open =
            self.server.status == TransactionStatus::InTransaction || self.server.requests.has_ended_group();
        if resolves && open && commits(effects) {
            let group = self.server.requests.next_group() + 1;
            self.aside(XID_SQL, Aside::Xid { group })?;
        }
        self.server.begun = self.server.requests.next_group();
        Ok(())
    }
}
