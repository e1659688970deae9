//! What another process needs to go on with a session or a server connection in the middle of whatever it is at (`-R`,
//! PGBOUNCER_BEHAVIOUR.md section 14): plain data, to be written and read in whatever form the caller likes.
//!
//! Only for entries without a cluster: what a cluster's sessions know beyond this (routing, guards, retries) is nothing
//! while they have no server, and begins anew. Read first: `session.rs` and `server.rs`, whose fields these are.

use std::collections::HashMap;
use std::sync::Arc;

use howdah_protocol::read::{TargetKind, TransactionStatus};
use serde::{Deserialize, Serialize};

use crate::prepared::{Registry, Statement};
use crate::request::{Request, Requests, Undo};
use crate::server::ServerSide;
use crate::session::Session;
use crate::vars::{Tracked, Vars};

/// Bytes that are mostly text: written as a string with a character a byte.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct Bytes(pub Vec<u8>);

impl From<String> for Bytes {
    /// A character that no byte stands for is written by nobody.
    fn from(text: String) -> Self {
        Self(text.chars().map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?')).collect())
    }
}

impl From<Bytes> for String {
    fn from(bytes: Bytes) -> Self {
        bytes.0.into_iter().map(char::from).collect()
    }
}

impl From<&[u8]> for Bytes {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }
}

/// A statement's text, under the number that it has on servers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CarriedStatement {
    id: u64,
    query: Bytes,
    types: Bytes,
    is_proven: bool,
}

/// The statements that the books of others name by their numbers, each once.
#[derive(Debug, Default)]
pub struct Statements {
    by_id: HashMap<u64, Arc<Statement>>,
}

impl Statements {
    fn note(&mut self, statement: &Arc<Statement>) -> u64 {
        self.by_id.entry(statement.id).or_insert_with(|| Arc::clone(statement));
        statement.id
    }

    /// Those of another look at the same books.
    pub fn merge(&mut self, other: Self) {
        self.by_id.extend(other.by_id);
    }

    /// What is to be written.
    pub fn carried(&self) -> Vec<CarriedStatement> {
        let one = |statement: &Arc<Statement>| CarriedStatement {
            id: statement.id,
            query: statement.query[..].into(),
            types: statement.types[..].into(),
            is_proven: statement.is_proven(),
        };
        self.by_id.values().map(one).collect()
    }

    /// Puts what was written into a process's registry. `scope` as in [`Registry::intern`].
    pub fn adopt(&mut self, registry: &Registry, scope: u64, carried: Vec<CarriedStatement>) {
        for CarriedStatement { id, query, types, is_proven } in carried {
            let statement = registry.adopt(scope, id, (&query.0, &types.0));
            if is_proven {
                statement.prove();
            }
            self.by_id.insert(id, statement);
        }
    }

    fn get(&self, id: u64) -> Option<Arc<Statement>> {
        self.by_id.get(&id).cloned()
    }
}

/// Parameters by name: another process may track them in another order.
type Parameters = Vec<(String, Bytes)>;

fn carried_vars(vars: &Vars, tracked: &Tracked) -> Parameters {
    let value = |(position, name): (usize, &str)| Some((name.to_owned(), vars.get(position)?.into()));
    tracked.names().enumerate().filter_map(value).collect()
}

fn adopted_vars(parameters: &Parameters, tracked: &Tracked) -> Vars {
    let mut vars = Vars::default();
    for (name, value) in parameters {
        if let Some(position) = tracked.position(name.as_bytes()) {
            vars.set(position, &value.0);
        }
    }
    vars
}

/// A client's session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CarriedSession {
    vars: Parameters,
    names: Vec<(Bytes, u64)>,
    stream_left: usize,
    stream_drop: bool,
    planned: usize,
    planned_ends: bool,
    planned_writes: bool,
}

/// The value of a parameter by name.
fn parameter(parameters: &Parameters, name: &str) -> Option<String> {
    let found = parameters.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
    found.map(|(_, value)| String::from_utf8_lossy(&value.0).into_owned())
}

impl CarriedSession {
    /// The client's value of a tracked parameter.
    pub fn parameter(&self, name: &str) -> Option<String> {
        parameter(&self.vars, name)
    }
}

impl CarriedServer {
    /// The server's value of a tracked parameter.
    pub fn parameter(&self, name: &str) -> Option<String> {
        parameter(&self.vars, name)
    }
}

impl Session {
    /// The session as plain data. One without a server plans its input anew.
    pub fn carry(
        &self,
        (tracked, is_linked): (&Tracked, bool),
        statements: &mut Statements,
    ) -> CarriedSession {
        CarriedSession {
            vars: carried_vars(&self.vars, tracked),
            names: self.names.iter().map(|(name, it)| (name.into(), statements.note(it))).collect(),
            stream_left: self.stream_left,
            stream_drop: self.stream_drop,
            planned: if is_linked { self.planned } else { 0 },
            planned_ends: is_linked && self.planned_ends,
            planned_writes: is_linked && self.planned_writes,
        }
    }

    /// Goes on as the session that was carried.
    pub fn adopt(&mut self, carried: &CarriedSession, tracked: &Tracked, statements: &Statements) {
        self.vars = adopted_vars(&carried.vars, tracked).into();
        for (name, id) in &carried.names {
            if let Some(statement) = statements.get(*id) {
                self.names.insert(&name.0, statement);
            }
        }
        self.stream_left = carried.stream_left;
        self.stream_drop = carried.stream_drop;
        self.planned = carried.planned;
        self.planned_ends = carried.planned_ends;
        self.planned_writes = carried.planned_writes;
    }
}

/// What a book looked like before a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum CarriedUndo {
    Client { name: Bytes, before: Option<u64> },
    Added(u64),
    Removed(u64),
}

/// A message whose answer is outstanding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum CarriedRequest {
    Query { hidden: bool },
    FunctionCall,
    Sync,
    Parse { hidden: bool, undo: Vec<CarriedUndo> },
    Bind,
    Describe { portal: bool },
    Execute,
    Close { hidden: bool, undo: Vec<CarriedUndo> },
    Reply { tag: u8, undo: Vec<CarriedUndo> },
    CopyEnd,
    Ignored,
}

/// A server connection's side of the conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CarriedServer {
    vars: Parameters,
    reports: Vec<String>,
    /// What is prepared, the least recently used first.
    names: Vec<u64>,
    requests: Vec<CarriedRequest>,
    counts: [u64; 5],
    /// As in ReadyForQuery.
    status: char,
    batch_open: bool,
    skipping: bool,
    copy_in: bool,
    sync_in_copy: bool,
    stream_left: usize,
    stream_hidden: bool,
    executed: bool,
    wrote: bool,
    commit_in_flight: bool,
    unnamed_ends: bool,
    unnamed_writes: bool,
    portal_ends: bool,
    forgets: bool,
    error_told: bool,
    must_close: bool,
}

fn carried_undo(undo: &[Undo], statements: &mut Statements) -> Vec<CarriedUndo> {
    let one = |undo: &Undo| match undo {
        Undo::Client { name, before } => CarriedUndo::Client {
            name: name[..].into(),
            before: before.as_ref().map(|statement| statements.note(statement)),
        },
        Undo::ServerAdded(id) => CarriedUndo::Added(*id),
        Undo::ServerRemoved(statement) => CarriedUndo::Removed(statements.note(statement)),
    };
    undo.iter().map(one).collect()
}

fn adopted_undo(undo: &[CarriedUndo], statements: &Statements) -> Vec<Undo> {
    let one = |undo: &CarriedUndo| match undo {
        CarriedUndo::Client { name, before } => {
            Some(Undo::Client { name: name.0[..].into(), before: before.and_then(|id| statements.get(id)) })
        }
        CarriedUndo::Added(id) => Some(Undo::ServerAdded(*id)),
        CarriedUndo::Removed(id) => statements.get(*id).map(Undo::ServerRemoved),
    };
    undo.iter().filter_map(one).collect()
}

/// `None`: a query of our own beside the client's, which only a cluster's servers have.
fn carried_request(request: &Request, statements: &mut Statements) -> Option<CarriedRequest> {
    Some(match request {
        Request::Query { hidden } => CarriedRequest::Query { hidden: *hidden },
        Request::Aside(_) => return None,
        Request::FunctionCall => CarriedRequest::FunctionCall,
        Request::Sync => CarriedRequest::Sync,
        Request::Parse { hidden, undo } => {
            CarriedRequest::Parse { hidden: *hidden, undo: carried_undo(undo, statements) }
        }
        Request::Bind => CarriedRequest::Bind,
        Request::Describe { kind } => CarriedRequest::Describe { portal: *kind == TargetKind::Portal },
        Request::Execute => CarriedRequest::Execute,
        Request::Close { hidden, undo } => {
            CarriedRequest::Close { hidden: *hidden, undo: carried_undo(undo, statements) }
        }
        Request::Reply { tag, undo } => {
            CarriedRequest::Reply { tag: *tag, undo: carried_undo(undo, statements) }
        }
        Request::CopyEnd => CarriedRequest::CopyEnd,
        Request::Ignored => CarriedRequest::Ignored,
    })
}

fn adopted_request(request: &CarriedRequest, statements: &Statements) -> Request {
    match request {
        CarriedRequest::Query { hidden } => Request::Query { hidden: *hidden },
        CarriedRequest::FunctionCall => Request::FunctionCall,
        CarriedRequest::Sync => Request::Sync,
        CarriedRequest::Parse { hidden, undo } => {
            Request::Parse { hidden: *hidden, undo: adopted_undo(undo, statements) }
        }
        CarriedRequest::Bind => Request::Bind,
        CarriedRequest::Describe { portal: true } => Request::Describe { kind: TargetKind::Portal },
        CarriedRequest::Describe { portal: false } => Request::Describe { kind: TargetKind::Statement },
        CarriedRequest::Execute => Request::Execute,
        CarriedRequest::Close { hidden, undo } => {
            Request::Close { hidden: *hidden, undo: adopted_undo(undo, statements) }
        }
        CarriedRequest::Reply { tag, undo } => {
            Request::Reply { tag: *tag, undo: adopted_undo(undo, statements) }
        }
        CarriedRequest::CopyEnd => Request::CopyEnd,
        CarriedRequest::Ignored => Request::Ignored,
    }
}

impl ServerSide {
    /// The connection as plain data; `None` when it cannot be carried (a cluster's, in use).
    pub fn carry(&self, tracked: &Tracked, statements: &mut Statements) -> Option<CarriedServer> {
        if self.guard.is_some() || !self.retry.is_empty() {
            return None;
        }
        let requests: Option<Vec<_>> =
            self.requests.iter().map(|request| carried_request(request, statements)).collect();
        let reported = tracked.names().zip(&self.reports).filter(|(_, reports)| **reports);
        Some(CarriedServer {
            vars: carried_vars(&self.vars, tracked),
            reports: reported.map(|(name, _)| name.to_owned()).collect(),
            names: self.names.by_use().into_iter().map(|statement| statements.note(statement)).collect(),
            requests: requests?,
            counts: self.requests.counts(),
            status: char::from(self.status.as_byte()),
            batch_open: self.batch_open,
            skipping: self.skipping,
            copy_in: self.copy_in,
            sync_in_copy: self.sync_in_copy,
            stream_left: self.stream_left,
            stream_hidden: self.stream_hidden,
            executed: self.executed,
            wrote: self.wrote,
            commit_in_flight: self.commit_in_flight,
            unnamed_ends: self.unnamed_ends,
            unnamed_writes: self.unnamed_writes,
            portal_ends: self.portal_ends,
            forgets: self.forgets,
            error_told: self.error_told,
            must_close: self.must_close,
        })
    }

    /// A connection that goes on as the one that was carried.
    pub fn adopt(carried: &CarriedServer, tracked: &Tracked, statements: &Statements) -> Self {
        let mut server = Self::new(tracked, [], false);
        server.vars = adopted_vars(&carried.vars, tracked).into();
        server.reports =
            tracked.names().map(|name| carried.reports.iter().any(|reported| reported == name)).collect();
        for id in &carried.names {
            if let Some(statement) = statements.get(*id) {
                server.names.insert(&statement);
            }
        }
        let requests = carried.requests.iter().map(|request| adopted_request(request, statements));
        server.requests = Requests::adopt(requests.collect(), carried.counts);
        server.status = match carried.status {
            'T' => TransactionStatus::InTransaction,
            'E' => TransactionStatus::Failed,
            _ => TransactionStatus::Idle,
        };
        server.batch_open = carried.batch_open;
        server.skipping = carried.skipping;
        server.copy_in = carried.copy_in;
        server.sync_in_copy = carried.sync_in_copy;
        server.stream_left = carried.stream_left;
        server.stream_hidden = carried.stream_hidden;
        server.executed = carried.executed;
        server.wrote = carried.wrote;
        server.commit_in_flight = carried.commit_in_flight;
        server.unnamed_ends = carried.unnamed_ends;
        server.unnamed_writes = carried.unnamed_writes;
        server.portal_ends = carried.portal_ends;
        server.forgets = carried.forgets;
        server.error_told = carried.error_told;
        server.must_close = carried.must_close;
        server
    }
}
