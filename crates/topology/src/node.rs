//! One PostgreSQL server of the cluster, as last seen. Read next: [`crate::query`] (what a router asks of it).

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::{Lsn, NodeId, Time};

/// What a node is, by `pg_is_in_recovery()`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Out of recovery. Several nodes may say so; [`crate::Topology::primary`] is the one that counts.
    Primary,
    /// In recovery.
    Replica,
    /// Never reached yet.
    Unknown,
}

/// What Howdah thinks of a node: whether and why it is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum NodeState {
    /// Not probed yet.
    Unknown,
    /// Answers and belongs to the present history.
    Up,
    /// Did not answer, and is not given up yet.
    Suspect,
    /// Does not answer.
    Down,
    /// Lives but takes no connections yet (starting up, crash recovery, shutting down).
    Starting,
    /// A standby that a failover keeps from streaming.
    Fenced,
    /// Its history is no prefix of the primary's: never routed to, never a candidate.
    Diverged,
    /// A former primary of an older epoch that came back: never routed to, reads included.
    Returning,
}

/// A standby's place in synchronous replication, from `pg_stat_replication.sync_state`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SyncState {
    /// The primary has no row for it.
    None,
    /// Not waited for.
    Async,
    /// Next in line (FIRST).
    Potential,
    /// Waited for (FIRST).
    Sync,
    /// One of those waited for (ANY).
    Quorum,
}

macro_rules! as_str {
    ($type:ty, $($variant:ident => $text:literal),+ $(,)?) => {
        impl $type {
            /// The word in SHOW, metrics and JSON.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

as_str!(Role, Primary => "primary", Replica => "replica", Unknown => "unknown");
as_str!(NodeState, Unknown => "unknown", Up => "up", Suspect => "suspect", Down => "down", Starting => "starting",
    Fenced => "fenced", Diverged => "diverged", Returning => "returning");
as_str!(SyncState, None => "none", Async => "async", Potential => "potential", Sync => "sync", Quorum => "quorum");

/// One PostgreSQL server of the cluster, as last seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Node {
    /// Its place in the node list; [`crate::Topology::nodes`] is indexed by it.
    pub id: NodeId,
    /// Its name: what the list of synchronous standbys calls it, and what SHOW NODES prints.
    pub name: String,
    /// Host name, address, or directory of a Unix socket.
    pub host: String,
    /// TCP port, or the number in the socket's name.
    pub port: u16,
    /// What the node says it is.
    pub role: Role,
    /// What Howdah thinks of it.
    pub state: NodeState,
    /// Its timeline; on a standby that of the WAL that it received last.
    pub timeline: Option<u32>,
    /// Insert position (a primary only).
    pub insert_lsn: Option<Lsn>,
    /// Last position received and flushed by the WAL receiver (a standby; `None` after its restart).
    pub received_lsn: Option<Lsn>,
    /// Last position replayed (a standby).
    pub replayed_lsn: Option<Lsn>,
    /// WAL that the primary has and this standby has not replayed, bytes.
    pub lag_bytes: Option<u64>,
    /// Age of the replica's data by `fresh_as_of`, at the moment of the snapshot.
    pub lag_time: Option<Duration>,
    /// All that the primary had acknowledged before this moment is replayed here (DESIGN.md §6). `None`: not
    /// known in this epoch.
    pub fresh_as_of: Option<Time>,
    /// Round trip of the last answered probe.
    pub latency: Option<Duration>,
    /// When a probe was last answered.
    pub seen_at: Option<Time>,
    /// When the newest question was sent that it has answered.
    pub sampled_at: Option<Time>,
    /// When the question was sent that `replayed_lsn` is the answer to. A connection that was there before has its
    /// server not restarted since, so what the answer says holds for it; of a later one that is not known, and a
    /// restarted standby begins to replay anew from an earlier position.
    pub asked_at: Option<Time>,
    /// Its history is shown to be a prefix of the primary's (FAILOVER_PROTOCOL.md §8).
    pub prefix: bool,
    /// It streams from the primary: the primary has a row for it in `pg_stat_replication`.
    pub attached: bool,
    /// Its place in synchronous replication.
    pub sync: SyncState,
    /// Ties between equal positions go to the greater priority.
    pub priority: u32,
    /// Share of the reads, relative to the others; 0 takes none.
    pub weight: u32,
    /// Never promoted.
    pub nofailover: bool,
    /// Why it is in this state, one sentence; empty when there is nothing to say.
    pub note: String,
}

impl Node {
    /// A node of which nothing is known yet, with the settings' defaults (priority 100, weight 1).
    #[must_use]
    pub fn unseen(id: NodeId, name: &str, host: &str, port: u16) -> Node {
        Node {
            id,
            name: name.to_owned(),
            host: host.to_owned(),
            port,
            role: Role::Unknown,
            state: NodeState::Unknown,
            timeline: None,
            insert_lsn: None,
            received_lsn: None,
            replayed_lsn: None,
            lag_bytes: None,
            lag_time: None,
            fresh_as_of: None,
            latency: None,
            seen_at: None,
            sampled_at: None,
            asked_at: None,
            prefix: false,
            attached: false,
            sync: SyncState::None,
            priority: 100,
            weight: 1,
            nofailover: false,
            note: String::new(),
        }
    }

    /// The position to show: the insert position of a primary, else the greater of received and replayed
    /// (received is NULL after a restart: FAILOVER_PROTOCOL.md §6).
    #[must_use]
    pub fn lsn(&self) -> Option<Lsn> {
        match self.role {
            Role::Primary => self.insert_lsn,
            Role::Replica | Role::Unknown => self.received_lsn.max(self.replayed_lsn),
        }
    }
}
