//! What goes over the network: between a pooler and the servers, between clients and servers through their pooler, between
//! servers. Read next: [`crate::world`].

use howdah_failover::{Action, ActionError, ActionId, Done, ProbeFailure, Sample};

/// A message between two ends.
#[derive(Debug, Clone)]
pub enum Message {
    /// The pooler asks a server.
    Request(Request),
    /// A server answers the pooler.
    Reply {
        /// The pooler's life in which it was asked.
        life: u32,
        /// The order.
        id: ActionId,
        /// Its action's name.
        name: &'static str,
        /// The session that is open now because of it.
        session: Option<u64>,
        /// The answer.
        answer: Answer,
    },
    /// A session of the pooler has ended.
    SessionEnded {
        /// The node.
        node: usize,
        /// The session.
        session: u64,
    },
    /// All connections to a node ended at once.
    Reset {
        /// The node.
        node: usize,
    },
    /// A client's write.
    Write {
        /// The client.
        client: usize,
        /// Its write.
        write: u64,
        /// The timeline of the epoch by which it was routed.
        timeline: u32,
    },
    /// What came of it.
    Written {
        /// The client.
        client: usize,
        /// Its write.
        write: u64,
        /// What.
        outcome: Outcome,
    },
    /// A client reads its register on the primary.
    Read {
        /// The client.
        client: usize,
        /// The operation's place in the history.
        op: usize,
        /// The register.
        register: u64,
    },
    /// What it reads.
    Value {
        /// The client.
        client: usize,
        /// The operation's place in the history.
        op: usize,
        /// The newest write that is visible; `None`: the register was never written, or the read is refused.
        value: Option<u64>,
        /// Every failover keeps what was read; what a primary shows before any standby has it may be lost with it.
        kept: bool,
    },
    /// A client reads on a replica, which is fresh enough by what its pooler publishes.
    Look {
        /// The server's start when the read was sent: the connection is of that life.
        started_at: u64,
        /// The timeline of the epoch by which it was routed.
        timeline: u32,
        /// Entries that it must have replayed.
        need: usize,
        /// What was promised: for the message of a violation.
        fresh_as_of: u64,
    },
    /// A standby asks to be streamed to.
    Attach {
        /// The standby.
        standby: usize,
        /// The stream's number.
        stream: u64,
    },
    /// The sender streams, or does not.
    Attached {
        /// The sender.
        sender: usize,
        /// The stream's number.
        stream: u64,
        /// The history is not the sender's.
        lying: bool,
    },
    /// WAL up to so many entries, and a sign of life.
    Stream {
        /// The sender.
        sender: usize,
        /// The stream's number.
        stream: u64,
        /// Entries of the sender's log.
        upto: usize,
        /// The log's generation.
        generation: u32,
    },
    /// A standby reports where it is, or asks for an answer.
    Flushed {
        /// The standby.
        standby: usize,
        /// The stream's number.
        stream: u64,
        /// Entries flushed.
        flushed: usize,
        /// Entries replayed.
        replayed: usize,
        /// An answer is wanted.
        ping: bool,
        /// When it was sent, by the standby's clock.
        at: i64,
    },
    /// The other end of a stream is gone.
    StreamEnded {
        /// The stream's number.
        stream: u64,
    },
}

/// What came of a client's write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is acknowledged.
    Acknowledged {
        /// Standbys were waited for.
        protected: bool,
        /// The server's timeline.
        timeline: u32,
        /// Entries of the log up to and with it.
        len: usize,
    },
    /// The wait for the standbys was interrupted: an acknowledgement that is none, known by its warning
    /// (FAILOVER_PROTOCOL.md §9).
    Interrupted,
    /// The server does not take writes.
    Refused,
}

/// The pooler asks a server.
#[derive(Debug, Clone)]
pub struct Request {
    /// The pooler.
    pub pooler: usize,
    /// The pooler's life in which it asks.
    pub life: u32,
    /// The order.
    pub id: ActionId,
    /// What.
    pub action: Action,
    /// By which connection.
    pub via: Via,
    /// The server answers at this moment with what it has.
    pub until: u64,
}

/// By which connection the pooler asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Via {
    /// A new control session, with this number.
    Open(u64),
    /// The control session.
    Control(u64),
    /// A connection for this alone.
    Fresh,
}

/// A server's answer.
#[derive(Debug, Clone)]
pub enum Answer {
    /// A probe.
    Sample(Box<Sample>),
    /// A probe failed.
    Failed(ProbeFailure),
    /// An action.
    Action(Result<Done, ActionError>),
}
