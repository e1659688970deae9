//! What was sent to a server and is not answered yet, in order.
//!
//! One entry a message that has an answer. Entries of our own are hidden from the client; replies of our own
//! stand in the queue too, so that they reach the client just where the answer of a server would have stood.
//! An entry that wrote into a book of prepared statements carries the way back, for the case that the server
//! refused or skipped it (PGBOUNCER_BEHAVIOUR.md section 17, fault 3).

use std::collections::VecDeque;
use std::sync::Arc;

use crate::prepared::{ClientNames, ServerNames, Statement};

/// What a book looked like before a message.
#[derive(Debug)]
pub(crate) enum Undo {
    /// The client's name meant this before.
    Client { name: Box<[u8]>, before: Option<Arc<Statement>> },
    /// The server did not have the statement before.
    ServerAdded(u64),
    /// The server had the statement before.
    ServerRemoved(Arc<Statement>),
}

/// A message whose answer is outstanding.
#[derive(Debug)]
pub(crate) enum Request {
    /// A simple query; answered by ReadyForQuery.
    Query { hidden: bool },
    /// FunctionCall; answered by ReadyForQuery.
    FunctionCall,
    /// Sync; answered by ReadyForQuery.
    Sync,
    /// Parse.
    Parse { hidden: bool, undo: Vec<Undo> },
    /// Bind.
    Bind,
    /// Describe of a statement or portal.
    Describe,
    /// Execute.
    Execute,
    /// Close.
    Close { hidden: bool, undo: Vec<Undo> },
    /// A reply of our own, and what it stands for.
    Reply { tag: u8, undo: Vec<Undo> },
}

impl Request {
    /// Whether the server's answer is kept from the client.
    pub(crate) fn is_hidden(&self) -> bool {
        matches!(
            self,
            Request::Query { hidden: true }
                | Request::Parse { hidden: true, .. }
                | Request::Close { hidden: true, .. }
        )
    }

    /// Whether ReadyForQuery is its answer.
    pub(crate) fn ends_with_ready(&self) -> bool {
        matches!(self, Request::Query { .. } | Request::FunctionCall | Request::Sync)
    }

    fn into_undo(self) -> Vec<Undo> {
        match self {
            Request::Parse { undo, .. } | Request::Close { undo, .. } | Request::Reply { undo, .. } => undo,
            _ => Vec::new(),
        }
    }
}

/// The outstanding requests of one server connection.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    queue: VecDeque<Request>,
}

/// More outstanding requests than this and the client is read no further until some are answered (count).
pub(crate) const MAX_OUTSTANDING: usize = 16_384;

impl Requests {
    pub(crate) fn push(&mut self, request: Request) {
        self.queue.push_back(request);
    }

    pub(crate) fn head(&self) -> Option<&Request> {
        self.queue.front()
    }

    pub(crate) fn pop(&mut self) -> Option<Request> {
        self.queue.pop_front()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.queue.len() >= MAX_OUTSTANDING
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Request> {
        self.queue.iter()
    }

    /// The server ignores Sync while it reads COPY data (manual 55.2.6): a Sync that was sent right behind
    /// the Execute of a COPY gets no answer.
    pub(crate) fn forget_sync_after_execute(&mut self) {
        if let (Some(Request::Execute), Some(Request::Sync)) = (self.queue.front(), self.queue.get(1)) {
            self.queue.remove(1);
        }
    }

    /// An error was answered to the first request: what it and the skipped ones wrote is taken back, up to
    /// the request that ends with ReadyForQuery. Returns whether such a one is there; if not, everything that
    /// is still sent before a Sync is skipped by the server too.
    ///
    /// In a pipeline the server skips everything up to Sync, a simple query included (manual 55.2.3).
    pub(crate) fn fail(&mut self, client: &mut ClientNames, server: &mut ServerNames) -> bool {
        if matches!(self.queue.front(), Some(Request::Query { .. } | Request::FunctionCall)) {
            return true;
        }
        let sync = self.queue.iter().position(|request| matches!(request, Request::Sync));
        let skipped = self.queue.drain(..sync.unwrap_or(self.queue.len()));
        let undo: Vec<Undo> = skipped.flat_map(Request::into_undo).collect();
        roll_back(undo, client, server);
        sync.is_some()
    }
}

impl Requests {
    /// The server is gone: nothing that is outstanding will be answered, and what it wrote is taken back.
    pub(crate) fn abandon(&mut self, client: &mut ClientNames, server: &mut ServerNames) {
        let undo: Vec<Undo> = self.queue.drain(..).flat_map(Request::into_undo).collect();
        roll_back(undo, client, server);
    }
}

/// Takes changes back, the latest first.
fn roll_back(undo: Vec<Undo>, client: &mut ClientNames, server: &mut ServerNames) {
    for change in undo.into_iter().rev() {
        match change {
            Undo::Client { name, before: Some(statement) } => client.insert(&name, statement),
            Undo::Client { name, before: None } => {
                client.remove(&name);
            }
            Undo::ServerAdded(id) => server.remove(id),
            Undo::ServerRemoved(statement) => server.insert(&statement),
        }
    }
}
