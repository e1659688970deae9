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
        /// Acknowledged, and under which protection; `None`: refused.
        acknowledged: Option<bool>,
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
        /// When it was sent.
        at: u64,
    },
    /// The other end of a stream is gone.
    StreamEnded {
        /// The stream's number.
        stream: u64,
    },
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
