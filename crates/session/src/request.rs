//! What was sent to a server and is not answered yet, in order.
//!
//! One entry a message that has an answer. Entries of our own are hidden from the client; replies of our own
//! stand in the queue too, so that they reach the client just where the answer of a server would have stood.
//! An entry that wrote into a book of prepared statements carries the way back, for the case that the server
//! refused or skipped it (PGBOUNCER_BEHAVIOUR.md section 17, fault 3).
//!
//! Entries come in groups: a group is what one ReadyForQuery answers, and what the server skips when something
//! in it fails. Next: `server.rs`.

use std::collections::VecDeque;
use std::sync::Arc;

use howdah_protocol::read::TargetKind;

use crate::guard::Guards;
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

impl Undo {
    /// Whether the client's `name` was written.
    pub(crate) fn is_of_client(&self, name: &[u8]) -> bool {
        matches!(self, Undo::Client { name: written, .. } if **written == *name)
    }

    /// Whether the client's names were written.
    pub(crate) fn is_client(&self) -> bool {
        matches!(self, Undo::Client { .. })
    }

    /// Takes back what was written into the client's names.
    pub(crate) fn take_back_client(self, names: &mut ClientNames) {
        match self {
            Undo::Client { name, before: Some(statement) } => names.insert(&name, statement),
            Undo::Client { name, before: None } => {
                names.remove(&name);
            }
            Undo::ServerAdded(_) | Undo::ServerRemoved(_) => {}
        }
    }

    /// Whether the server's book was written at `id`.
    pub(crate) fn is_of_server(&self, id: u64) -> bool {
        match self {
            Undo::Client { .. } => false,
            Undo::ServerAdded(added) => *added == id,
            Undo::ServerRemoved(removed) => removed.id == id,
        }
    }
}

/// A query of our own beside those of the client. If it fails in a healthy transaction the connection is given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Aside {
    /// Sets what the client wants (`guard.rs`).
    Guards {
        /// To these values.
        wanted: Guards,
        /// So many texts had been sent that may have set something.
        touched: u64,
    },
    /// Asks for the transaction's number, before this group of messages commits it (`doubt.rs`).
    Xid {
        /// The number of the group.
        group: u64,
    },
}

/// What one request that is not answered takes (bytes).
pub const REQUEST_SIZE: usize = size_of::<Request>();

/// A message whose answer is outstanding.
#[derive(Debug)]
pub(crate) enum Request {
    /// A simple query; answered by ReadyForQuery.
    Query { hidden: bool },
    /// A simple query of our own; answered by ReadyForQuery.
    Aside(Aside),
    /// FunctionCall; answered by ReadyForQuery.
    FunctionCall,
    /// Sync; answered by ReadyForQuery.
    Sync,
    /// Parse.
    Parse { hidden: bool, undo: Vec<Undo> },
    /// Bind.
    Bind,
    /// Describe.
    Describe {
        /// Of a statement or of a portal.
        kind: TargetKind,
    },
    /// Execute.
    Execute,
    /// Close.
    Close { hidden: bool, undo: Vec<Undo> },
    /// A reply of our own, and what it stands for.
    Reply { tag: u8, undo: Vec<Undo> },
    /// CopyDone or CopyFail that was sent before the server had said that it reads COPY data. It has no answer:
    /// outside a COPY the server takes no notice of it.
    CopyEnd,
    /// A message that the server takes no notice of, as it turned out.
    Ignored,
}

impl Request {
    /// Whether the server's answer is kept from the client.
    pub(crate) fn is_hidden(&self) -> bool {
        matches!(
            self,
            Request::Query { hidden: true }
                | Request::Aside(_)
                | Request::Parse { hidden: true, .. }
                | Request::Close { hidden: true, .. }
        )
    }

    /// Whether ReadyForQuery is its answer.
    pub(crate) fn ends_with_ready(&self) -> bool {
        matches!(self, Request::Query { .. } | Request::Aside(_) | Request::FunctionCall | Request::Sync)
    }

    /// Whether the client is owed something for it.
    pub(crate) fn is_owed(&self) -> bool {
        !self.is_hidden() && !self.is_silent()
    }

    /// Whether it has no answer at all.
    fn is_silent(&self) -> bool {
        matches!(self, Request::CopyEnd | Request::Ignored)
    }

    fn undo(&self) -> &[Undo] {
        match self {
            Request::Parse { undo, .. } | Request::Close { undo, .. } | Request::Reply { undo, .. } => undo,
            _ => &[],
        }
    }

    pub(crate) fn into_undo(self) -> Vec<Undo> {
        match self {
            Request::Parse { undo, .. } | Request::Close { undo, .. } | Request::Reply { undo, .. } => undo,
            _ => Vec::new(),
        }
    }
}

/// What was sent behind a COPY before it began.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct CopyStart {
    /// The end of the data is on its way already.
    pub(crate) has_end: bool,
    /// There is a Sync that gets no answer.
    pub(crate) ignores_sync: bool,
}

/// The outstanding requests of one server connection. Its head always has an answer to come.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    queue: VecDeque<Request>,
    /// Requests that have left the queue (count).
    left: u64,
    /// The number of the last request that wrote into a book and is followed by the end of its group; the
    /// first request ever is number 1.
    closed_change: u64,
    /// The number of the last request that wrote into a book.
    last_change: u64,
    /// Groups that were ended by the client or by ourselves (count).
    ended: u64,
    /// Groups that are answered, or will never be (count).
    answered: u64,
}

/// More outstanding requests than this and the client is read no further until some are answered (count).
pub(crate) const MAX_OUTSTANDING: usize = 16_384;

impl Requests {
    pub(crate) fn push(&mut self, request: Request) {
        if request.is_silent() && self.queue.is_empty() {
            return;
        }
        if !request.undo().is_empty() {
            self.last_change = self.left + self.queue.len() as u64 + 1;
        }
        if request.ends_with_ready() {
            self.ended += 1;
            self.closed_change = self.last_change;
        }
        self.queue.push_back(request);
    }

    /// The counts that go with the queue (`carry.rs`).
    pub(crate) fn counts(&self) -> [u64; 5] {
        [self.left, self.closed_change, self.last_change, self.ended, self.answered]
    }

    /// The queue and its counts, as another process had them.
    pub(crate) fn adopt(queue: VecDeque<Request>, counts: [u64; 5]) -> Self {
        let [left, closed_change, last_change, ended, answered] = counts;
        Self { queue, left, closed_change, last_change, ended, answered }
    }

    pub(crate) fn head(&self) -> Option<&Request> {
        self.queue.front()
    }

    pub(crate) fn pop(&mut self) -> Option<Request> {
        let request = self.take()?;
        while self.queue.front().is_some_and(Request::is_silent) {
            self.take();
        }
        Some(request)
    }

    fn take(&mut self) -> Option<Request> {
        let request = self.queue.pop_front()?;
        self.left += 1;
        self.answered += u64::from(request.ends_with_ready());
        Some(request)
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

    /// The number of the group that the server answers now.
    pub(crate) fn answering(&self) -> u64 {
        self.answered + 1
    }

    /// The number of the group that the client's next message belongs to.
    pub(crate) fn next_group(&self) -> u64 {
        self.ended + 1
    }

    /// Whether an ended group is not answered yet.
    pub(crate) fn has_ended_group(&self) -> bool {
        self.ended > self.answered
    }

    /// Whether an earlier group wrote where `touches` says so, and is not answered yet: what the book says
    /// there is a guess until then.
    pub(crate) fn is_unsettled(&self, touches: impl Fn(&Undo) -> bool) -> bool {
        if self.closed_change <= self.left {
            return false;
        }
        let end = self.queue.iter().rposition(Request::ends_with_ready).unwrap_or(0);
        self.queue.range(..end).flat_map(Request::undo).any(touches)
    }

    /// The server begins to read COPY data. It ignores Sync until the data end (manual 55.2.6), so one that
    /// was sent in between gets no answer.
    pub(crate) fn copy_begins(&mut self) -> CopyStart {
        let mut start = CopyStart::default();
        for request in self.queue.iter_mut().skip(1) {
            match request {
                Request::Sync => {
                    *request = Request::Ignored;
                    self.answered += 1;
                    start.ignores_sync = true;
                }
                Request::CopyEnd => {
                    *request = Request::Ignored;
                    start.has_end = true;
                    return start;
                }
                Request::Reply { .. } | Request::Ignored => {}
                _ => return start,
            }
        }
        start
    }

    /// An error was answered to the first request: what it and the skipped ones wrote is taken back, up to
    /// the request that ends with ReadyForQuery. Returns whether such a one is there; if not, everything that
    /// is still sent before a Sync is skipped by the server too.
    ///
    /// In a pipeline the server skips everything up to Sync, a simple query included (manual 55.2.3).
    pub(crate) fn fail(&mut self, client: &mut ClientNames, server: &mut ServerNames) -> bool {
        if matches!(
            self.queue.front(),
            Some(Request::Query { .. } | Request::Aside(_) | Request::FunctionCall)
        ) {
            return true;
        }
        let sync = self.queue.iter().position(|request| matches!(request, Request::Sync));
        self.drop_first(sync.unwrap_or(self.queue.len()), client, server);
        sync.is_some()
    }

    /// The first group is answered by ourselves; what it wrote stays.
    pub(crate) fn drop_group(&mut self) {
        while self.pop().is_some_and(|request| !request.ends_with_ready()) {}
    }

    /// The server is gone: nothing that is outstanding will be answered, and what it wrote is taken back.
    pub(crate) fn abandon(&mut self, client: &mut ClientNames, server: &mut ServerNames) {
        self.drop_first(self.queue.len(), client, server);
    }

    /// Takes the first `count` requests out and what they wrote back, the latest first.
    fn drop_first(&mut self, count: usize, client: &mut ClientNames, server: &mut ServerNames) {
        self.left += count as u64;
        let dropped: Vec<Request> = self.queue.drain(..count).collect();
        for request in dropped.into_iter().rev() {
            self.answered += u64::from(request.ends_with_ready());
            for change in request.into_undo().into_iter().rev() {
                take_back(change, client, server);
            }
        }
    }
}

fn take_back(change: Undo, client: &mut ClientNames, server: &mut ServerNames) {
    match change {
        Undo::Client { .. } => change.take_back_client(client),
        Undo::ServerAdded(id) => server.remove(id),
        Undo::ServerRemoved(statement) => server.insert(&statement),
    }
}
