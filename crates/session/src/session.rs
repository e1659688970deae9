//! What a client owns while it is connected. The two directions are in `upstream.rs` and `downstream.rs`.

use std::sync::Arc;

use howdah_classifier::Classifier;
use howdah_protocol::frame::Limits;
use howdah_topology::{NodeId, Time, Topology};

use crate::causal::LastWrite;
use crate::doubt::Doubt;
use crate::local::Broken;
use crate::own::Hint;
use crate::prepared::{ClientNames, Registry};
use crate::request::Request;
use crate::route::{ReadPolicy, RouteMode, Routing};
use crate::server::ServerSide;
use crate::vars::{Tracked, Vars};

/// PgBouncer's `pool_mode`: when a server goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PoolMode {
    /// When the client leaves.
    Session,
    /// When the transaction ends.
    Transaction,
    /// When the statement ends; transactions of several statements are refused.
    Statement,
}

/// What every session of the process shares.
#[derive(Debug)]
pub struct Shared {
    /// All prepared statement texts.
    pub registry: Registry,
    /// Says which text may run on a replica.
    pub classifier: Classifier,
    /// The parameters that follow a client.
    pub tracked: Tracked,
}

/// What the configuration says about a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionOptions {
    /// When the server goes back.
    pub pool_mode: PoolMode,
    /// `max_prepared_statements`; 0 lets statement names pass as they are.
    pub max_prepared_statements: usize,
    /// `max_packet_size`.
    pub limits: Limits,
    /// `disable_pqexec`.
    pub disable_simple_query: bool,
    /// What is done for acknowledgements to be true.
    pub acknowledgements: Acknowledgements,
}

/// What is done on a cluster where Howdah promotes, for acknowledgements to be true (FAILOVER_PROTOCOL.md section 9).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Acknowledgements {
    /// `unsafe_commits = refuse`.
    pub refuse_unsafe: bool,
    /// `commit_resolution`.
    pub resolve: bool,
}

/// Where the bytes go that do not pass as they came.
#[derive(Debug)]
pub struct Outputs<'a> {
    /// To the server.
    pub to_server: &'a mut Vec<u8>,
    /// To the client.
    pub to_client: &'a mut Vec<u8>,
}

/// Asks for the present snapshot of the client's cluster; only a statement about Howdah's own parameters does.
pub type Look<'a> = &'a dyn Fn() -> Option<Arc<Topology>>;

/// What happened since the driver asked last, for the statistics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// ReadyForQuery messages for the client's own requests.
    pub queries: u32,
    /// Transactions that ended.
    pub transactions: u32,
    /// Named Parse messages from the client.
    pub client_parses: u32,
    /// Parse messages of named statements to a server.
    pub server_parses: u32,
    /// Bind messages of named statements.
    pub binds: u32,
    /// Transactions that may have written, and whose commit waited for no standby though the cluster has Howdah promote.
    pub unprotected: u32,
}

/// One client's protocol state after its login.
#[derive(Debug)]
pub struct Session {
    pub(crate) options: Arc<SessionOptions>,
    pub(crate) vars: Arc<Vars>,
    pub(crate) names: ClientNames,
    pub(crate) routing: Option<Box<Routing>>,
    pub(crate) broken: Option<Box<Broken>>,
    /// A commit of which nobody knows yet whether it came about.
    pub(crate) doubt: Option<Box<Doubt>>,
    /// Bytes of a client frame that are still to come and pass unseen.
    pub(crate) stream_left: usize,
    /// Those bytes are dropped.
    pub(crate) stream_drop: bool,
    pub(crate) tally: Tally,
    /// Bytes of the client's input that the last plan has looked at and that are not sent yet.
    pub(crate) planned: usize,
    /// Whether a text among them may end a transaction.
    pub(crate) planned_ends: bool,
    /// Whether something in it is not proven to only read.
    pub(crate) planned_writes: bool,
    /// The whole of it only reads and needs nothing that goes with a server: it can run again elsewhere.
    pub(crate) planned_repeats: bool,
    /// Whether something in it is about Howdah's own parameters.
    pub(crate) planned_own: Hint,
    /// The same of the text that was noted last.
    pub(crate) noted: Hint,
    /// The pools whose servers may share prepared statements with this client's.
    pub(crate) scope: u64,
}

impl Session {
    /// A session with the parameters that the client asked for; `routing` is there for an entry of a cluster.
    pub fn new(options: Arc<SessionOptions>, vars: Arc<Vars>, routing: Option<Box<Routing>>) -> Self {
        Self {
            options,
            vars,
            names: ClientNames::default(),
            routing,
            broken: None,
            doubt: None,
            stream_left: 0,
            stream_drop: false,
            tally: Tally::default(),
            planned: 0,
            planned_ends: false,
            planned_writes: false,
            planned_repeats: false,
            planned_own: Hint::default(),
            noted: Hint::default(),
            scope: 0,
        }
    }

    /// Says which pools' servers the client shares ([`Registry::intern`]).
    #[must_use]
    pub fn with_scope(mut self, scope: u64) -> Self {
        self.scope = scope;
        self
    }

    /// The configuration was loaded anew.
    pub fn set_options(&mut self, options: Arc<SessionOptions>) {
        self.options = options;
    }

    /// When the server goes back.
    pub fn pool_mode(&self) -> PoolMode {
        self.options.pool_mode
    }

    /// Whether a commit in doubt is to be resolved.
    pub fn resolves_doubts(&self) -> bool {
        self.options.acknowledgements.resolve
    }

    /// The values of the tracked parameters.
    pub fn vars(&self) -> &Arc<Vars> {
        &self.vars
    }

    /// The routing state, for an entry of a cluster.
    pub fn routing(&self) -> Option<&Routing> {
        self.routing.as_deref()
    }

    /// How many statements the client has prepared, for SHOW CLIENTS.
    pub fn prepared_statements(&self) -> usize {
        self.names.len()
    }

    /// Whether the client is in the middle of a frame that was partly forwarded already: a server that got
    /// the first part is closed if the rest never comes.
    pub fn is_mid_frame(&self) -> bool {
        self.stream_left > 0 && !self.stream_drop
    }

    /// What happened since the last call.
    pub fn take_tally(&mut self) -> Tally {
        std::mem::take(&mut self.tally)
    }

    /// A server was checked out: says what has to be set on it before the client's first message.
    pub fn link(&mut self, shared: &Shared, server: &mut ServerSide, to_server: &mut Vec<u8>) {
        server.begin();
        let mut sql = Vec::new();
        let shares = Arc::ptr_eq(&self.vars, &server.vars);
        let differs = !shares && self.vars.differences(&server.vars, &shared.tracked, &mut sql);
        self.link_guards(server, &mut sql);
        if !sql.is_empty() {
            // proof: a few tracked values, far below the largest frame; a value that large was refused at login.
            if howdah_protocol::write::query(to_server, &sql).is_ok() {
                server.requests.push(Request::Query { hidden: true });
            }
        }
        if !shares && !differs && self.vars == server.vars {
            // Equal contents: from now on a pointer comparison says so.
            self.vars = Arc::clone(&server.vars);
        }
    }

    /// A replica refused the batch that comes next: it goes to the primary, and so does its text from now on
    /// when the refusal came from the text.
    pub fn refused_by_replica(&mut self) {
        if let Some(routing) = &mut self.routing {
            routing.refused_by_replica();
        }
    }

    /// A read goes to this replica.
    pub fn settle(&mut self, node: NodeId) {
        if let Some(routing) = &mut self.routing {
            routing.settle(node);
        }
    }

    /// A connection to the primary was lost: the session goes there again when the primary has answered since.
    pub fn lost_primary(&mut self, node: NodeId, now: Time) {
        if let Some(routing) = &mut self.routing {
            routing.lost_primary(node, now);
        }
    }

    /// The replica that the session stayed on ([`crate::Chosen::Stays`]) may have restarted since.
    pub fn unsettle(&mut self) {
        if let Some(routing) = &mut self.routing {
            routing.unsettle();
        }
    }

    /// The connection that a read was to take was made at this moment, after its replica was asked for the last time, so
    /// what the replica said may be of before a restart: choose again.
    pub fn is_too_young(&mut self, since: Time) {
        if let Some(routing) = &mut self.routing {
            routing.is_too_young(since);
        }
    }

    /// The next `bytes` of the client are dropped, as far as they are there and as they come.
    pub fn ignore(&mut self, bytes: usize) {
        self.stream_left = bytes;
        self.stream_drop = true;
    }

    /// How many bytes at the beginning of `input` belong to what is dropped; call it first.
    pub fn drop_rest(&mut self, input: &[u8]) -> usize {
        if !self.stream_drop {
            return 0;
        }
        let dropped = self.stream_left.min(input.len());
        self.stream_left -= dropped;
        self.stream_drop = self.stream_left > 0;
        dropped
    }

    /// The configuration was loaded anew.
    pub fn set_routing(&mut self, mode: RouteMode, policy: ReadPolicy) {
        if let Some(routing) = &mut self.routing {
            routing.set_policy(mode, policy);
        }
    }

    /// Where the writes of all sessions of the database are kept; the entry may lead to another one now.
    pub fn set_database(&mut self, database: Arc<LastWrite>) {
        if let Some(routing) = &mut self.routing {
            routing.set_database(database);
        }
    }

    /// What a server's login has added to the client's own values.
    pub fn set_vars(&mut self, vars: Arc<Vars>) {
        self.vars = vars;
    }
}
