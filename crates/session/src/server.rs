//! What travels with a server connection: its parameters, its prepared statements, and how far the
//! conversation with the present client has come. Next: `upstream.rs` and `downstream.rs`, which write it.

use std::sync::Arc;

use howdah_protocol::read::TransactionStatus;
use howdah_topology::{NodeId, Time};

use crate::doubt::Xid;
use crate::guard::Guard;
use crate::prepared::ServerNames;
use crate::request::{Request, Requests};
use crate::retry::Retry;
use crate::setting::Changed;
use crate::vars::{Tracked, Vars, set_shared};

/// The protocol state of one server connection.
#[derive(Debug)]
pub struct ServerSide {
    pub(crate) vars: Arc<Vars>,
    /// Which of the tracked parameters the server reports, by position.
    pub(crate) reports: Vec<bool>,
    pub(crate) names: ServerNames,
    pub(crate) requests: Requests,
    pub(crate) status: TransactionStatus,
    /// Extended messages were sent since the last Sync or Query.
    pub(crate) batch_open: bool,
    /// The server skips everything up to the next Sync, which has not been sent yet.
    pub(crate) skipping: bool,
    /// The server reads COPY data.
    pub(crate) copy_in: bool,
    /// A Sync stands before the data of the present COPY: without an answer, unless the COPY fails before its
    /// first byte was read (into a view, say), when the server has not come to the Sync yet.
    pub(crate) sync_in_copy: bool,
    /// Bytes of a server frame that are still to come and pass unseen.
    pub(crate) stream_left: usize,
    /// Those bytes are kept from the client.
    pub(crate) stream_hidden: bool,
    /// The connection goes to a replica, where only reads may go.
    pub(crate) is_replica: bool,
    /// The node of a cluster, and when it had logged in there: the node's server has not restarted since.
    pub(crate) node: Option<NodeId>,
    pub(crate) since: Time,
    pub(crate) retry: Retry,
    /// Changes of settings on their way, with the group of requests that each belongs to.
    pub(crate) changes: Vec<(u64, Changed)>,
    /// What is known of the parameters that say what an acknowledgement is worth, where Howdah promotes.
    pub(crate) guard: Option<Guard>,
    /// The number of the group before which queries of our own have gone already.
    pub(crate) begun: u64,
    /// A transaction that the server says has committed waited for no standby.
    pub(crate) commits_unprotected: bool,
    /// The number of the transaction that a group of requests commits.
    pub(crate) xid: Option<Xid>,
    /// The last transaction that the server said had ended was rolled back.
    pub(crate) rolled_back: bool,
    /// Something was executed since the last ReadyForQuery, so the session has read or written here.
    pub(crate) executed: bool,
    /// Something of that is not proven to have only read.
    pub(crate) wrote: bool,
    /// The end of the transaction is in flight: if the server is lost now, nobody knows whether it committed.
    pub(crate) commit_in_flight: bool,
    /// The text of the unnamed statement may end a transaction.
    pub(crate) unnamed_ends: bool,
    /// The unnamed statement is not proven to only read.
    pub(crate) unnamed_writes: bool,
    /// A portal of this transaction may end it, or the batch's unnamed one.
    pub(crate) portal_ends: bool,
    /// A text that makes the server forget its prepared statements is in flight.
    pub(crate) forgets: bool,
    /// The group that the server answers now has committed something that no standby has: the client has been told, and
    /// the rest of the group's answers is kept from it.
    pub(crate) unprotected: bool,
    /// The client has seen an error of the group that the server answers now.
    pub(crate) error_told: bool,
    /// Values that the server has put into its own spelling for the present client: position, and what was asked for.
    pub(crate) spelled: Vec<(usize, Arc<[u8]>)>,
    /// The server said that it ends (FATAL, 57P01 and kin), or was left in an unknown state.
    pub(crate) must_close: bool,
}

/// A parameter that a server has put into its own spelling, as PgBouncer's `varcache_set_canonical` tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spelled<'a> {
    /// Its name.
    pub name: &'a str,
    /// What the client had asked for.
    pub asked: Arc<[u8]>,
    /// What the server made of it.
    pub canonical: Arc<[u8]>,
}

impl ServerSide {
    /// A connection that has just logged in and reported these parameters.
    pub fn new<'a>(
        tracked: &Tracked,
        reported: impl IntoIterator<Item = (&'a [u8], &'a [u8])>,
        is_replica: bool,
    ) -> Self {
        let mut server = Self {
            vars: Arc::default(),
            reports: vec![false; tracked.names().count()],
            names: ServerNames::default(),
            requests: Requests::default(),
            status: TransactionStatus::Idle,
            batch_open: false,
            skipping: false,
            copy_in: false,
            sync_in_copy: false,
            stream_left: 0,
            stream_hidden: false,
            is_replica,
            node: None,
            since: Time::ZERO,
            retry: Retry::default(),
            changes: Vec::new(),
            guard: None,
            begun: 0,
            commits_unprotected: false,
            xid: None,
            rolled_back: false,
            executed: false,
            wrote: false,
            commit_in_flight: false,
            unnamed_ends: false,
            unnamed_writes: true,
            portal_ends: false,
            forgets: false,
            unprotected: false,
            error_told: false,
            spelled: Vec::new(),
            must_close: false,
        };
        for (name, value) in reported {
            server.reported(tracked, name, value);
        }
        server
    }

    /// Takes note of a ParameterStatus; returns the position when the parameter is tracked.
    pub(crate) fn reported(&mut self, tracked: &Tracked, name: &[u8], value: &[u8]) -> Option<usize> {
        let position = tracked.position(name)?;
        set_shared(&mut self.vars, position, value);
        if let Some(reports) = self.reports.get_mut(position) {
            *reports = true;
        }
        Some(position)
    }

    /// The client's values have been set. Where the server reports a parameter its own word counts: if it said
    /// nothing, what was set is another spelling of what it had.
    pub(crate) fn applied(&mut self, client: &mut Arc<Vars>) {
        for (position, reports) in self.reports.iter().enumerate() {
            let (from, to) = if *reports { (&self.vars, &mut *client) } else { (&*client, &mut self.vars) };
            let value = from.shared(position).filter(|_| !*reports || to.get(position).is_some());
            if let Some(value) = value {
                let asked = to.shared(position).filter(|asked| *reports && *asked != value);
                self.spelled.extend(asked.map(|asked| (position, asked)));
                set_shared(to, position, &value);
            }
        }
        if **client == *self.vars {
            self.vars = Arc::clone(client);
        }
    }

    /// What the server has spelled otherwise than its client had asked for since the last call.
    pub fn take_spelled<'a>(&mut self, tracked: &'a Tracked) -> Vec<Spelled<'a>> {
        let spelled = std::mem::take(&mut self.spelled).into_iter();
        let told = spelled.filter_map(|(position, asked)| {
            let name = tracked.names().nth(position)?;
            Some(Spelled { name, asked, canonical: self.vars.shared(position)? })
        });
        told.collect()
    }

    /// The node of a cluster that it leads to, and when it had logged in.
    #[must_use]
    pub fn with_node(mut self, node: Option<NodeId>, since: Time) -> Self {
        (self.node, self.since) = (node, since);
        self
    }

    /// When it had logged in; its server has not restarted since.
    pub fn since(&self) -> Time {
        self.since
    }

    /// What the node is at this checkout: a promoted replica keeps its connections.
    pub fn set_replica(&mut self, is_replica: bool) {
        self.is_replica = is_replica;
    }

    /// Whether only reads may go here.
    pub fn is_replica(&self) -> bool {
        self.is_replica
    }

    /// The values of the tracked parameters.
    pub fn vars(&self) -> &Arc<Vars> {
        &self.vars
    }

    /// The transaction status that the server reported last.
    pub fn status(&self) -> TransactionStatus {
        self.status
    }

    /// Whether the connection may go back to its pool: every request is answered, no transaction is open,
    /// nothing is half sent.
    pub fn is_clean(&self) -> bool {
        self.requests.is_empty()
            && self.status == TransactionStatus::Idle
            && !self.batch_open
            && !self.skipping
            && !self.must_close
            && self.stream_left == 0
    }

    /// Whether the client has a part of one of the server's messages only: nothing may be put behind it.
    pub fn is_mid_answer(&self) -> bool {
        self.stream_left > 0 && !self.stream_hidden
    }

    /// Whether the connection must be closed when it is let go of.
    pub fn must_close(&self) -> bool {
        self.must_close
    }

    /// Whether some request has no answer yet.
    pub fn is_busy(&self) -> bool {
        !self.requests.is_empty() || self.batch_open
    }

    /// How many statements are prepared on it, for SHOW SERVERS.
    pub fn prepared_statements(&self) -> usize {
        self.names.len()
    }

    /// After `DISCARD ALL` by the pooler itself.
    pub fn forget_session(&mut self) {
        self.names.clear();
        // The reset took the parameters back too, and what they are now was not listened to: set them anew.
        self.vars = Arc::default();
        if let Some(guard) = &mut self.guard {
            guard.reset();
        }
    }

    /// Whether no transaction block is open, and none can be opened or ended by what is in flight.
    pub(crate) fn is_between_transactions(&self) -> bool {
        self.status == TransactionStatus::Idle && !self.requests.has_ended_group()
    }

    /// Whether what the server answers now can still run again elsewhere: a batch of reads outside a
    /// transaction of which the client has seen nothing.
    pub(crate) fn is_armed(&self) -> bool {
        self.status == TransactionStatus::Idle && self.retry.covers(self.requests.answering())
    }

    /// The answer has begun: what was held back goes to the client, and nothing of it can be tried again.
    pub(crate) fn disarm(&mut self, to_client: &mut Vec<u8>) {
        self.retry.decided = true;
        to_client.append(&mut self.retry.held);
    }

    /// Takes what the client had sent when a replica refused it or was lost, to be run elsewhere.
    pub fn take_retry(&mut self) -> Vec<u8> {
        self.retry.take()
    }

    /// A new client: what the last one left behind means nothing to it.
    pub(crate) fn begin(&mut self) {
        self.retry = Retry::default();
        self.changes.clear();
        self.commits_unprotected = false;
        self.xid = None;
        self.rolled_back = false;
        self.executed = false;
        self.wrote = false;
        self.commit_in_flight = false;
        self.unnamed_ends = false;
        self.unnamed_writes = true;
        self.portal_ends = false;
        self.forgets = false;
        self.unprotected = false;
        self.error_told = false;
    }

    /// Replies of our own whose turn has come; only at a frame boundary (PGBOUNCER_BEHAVIOUR.md
    /// section 17, fault 2). They are held back with the answers around them.
    pub(crate) fn due_replies(&mut self, to_client: &mut Vec<u8>) {
        while self.stream_left == 0
            && let Some(Request::Reply { tag, .. }) = self.requests.head()
        {
            let reply = [*tag, 0, 0, 0, 4];
            if self.is_armed() {
                self.retry.held.extend_from_slice(&reply);
            } else if !self.retry.refused && !self.unprotected {
                to_client.extend_from_slice(&reply);
            }
            let answered = self.requests.pop();
            self.retry.keep(answered.map(Request::into_undo).unwrap_or_default());
        }
    }
}
