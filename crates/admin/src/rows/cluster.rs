//! Clusters: `SHOW NODES` and `SHOW FAILOVERS`, which PgBouncer has not. Next: [`crate::http`], whose dashboard
//! draws them.

use serde::Serialize;

use crate::table::{Cell, Column, Row, int4, int8, text};
use crate::time::UnixMicros;

/// Who promotes in a cluster (DESIGN.md section 8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Howdah does.
    Manage,
    /// Someone else does; Howdah finds out.
    Follow,
    /// Nobody: roles are as configured.
    Off,
}

/// What a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The one that writes go to.
    Primary,
    /// Replays the primary's WAL.
    Replica,
    /// Not known yet, or two claim to be the primary.
    Unknown,
}

impl Role {
    /// The word in the column `role`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Replica => "replica",
            Self::Unknown => "unknown",
        }
    }
}

/// How a node does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum NodeState {
    /// Answers probes and is routed to.
    Up,
    /// Answers, but lags too far, or its history is not the primary's: not routed to.
    Lagging,
    /// A probe failed; not given up yet.
    Suspect,
    /// Does not answer.
    Down,
    /// Cut off from the rest so that it cannot acknowledge a commit.
    Fenced,
    /// Coming back: being rewound or caught up.
    Rejoining,
    /// Not asked yet.
    Unknown,
}

impl NodeState {
    /// The word in the column `state`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Lagging => "lagging",
            Self::Suspect => "suspect",
            Self::Down => "down",
            Self::Fenced => "fenced",
            Self::Rejoining => "rejoining",
            Self::Unknown => "unknown",
        }
    }
}

/// A replica's `sync_state` in the primary's `pg_stat_replication`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SyncState {
    /// Its acknowledgement is waited for.
    Sync,
    /// Next in line.
    Potential,
    /// One of a quorum.
    Quorum,
    /// Not waited for.
    Async,
}

impl SyncState {
    /// The word in the column `sync`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Sync => "sync",
            Self::Potential => "potential",
            Self::Quorum => "quorum",
            Self::Async => "async",
        }
    }
}

/// A cluster as a whole, for `/topology`, health checks and metrics. SHOW NODES has its rows by node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ClusterRow {
    /// The name in `[clusters]`.
    pub name: String,
    /// Who promotes.
    pub mode: Mode,
    /// The published epoch.
    pub epoch: u64,
    /// The primary's name, if writes have somewhere to go.
    pub primary: Option<String>,
    /// Whether writes are admitted now; false while the gate holds them.
    pub writable: bool,
    /// Clients held at the gate.
    pub held_clients: u32,
    /// Whether maintenance mode suspends failover.
    pub maintenance: bool,
    /// Changes of the primary since the start, whoever made them.
    pub failovers: u64,
    /// What the controller is doing and why, in one sentence.
    pub doing: String,
}

/// A row of `SHOW NODES`. A field's name is its column's unless it says otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NodeRow {
    /// The cluster's name.
    pub cluster: String,
    /// The node's name.
    pub node: String,
    /// Its host.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// What it is.
    pub role: Role,
    /// How it does.
    pub state: NodeState,
    /// NULL for a primary and while not known.
    pub sync: Option<SyncState>,
    /// NULL while not known, as all that follows.
    pub timeline: Option<u32>,
    /// The primary's insert or the replica's replay position, as `X/Y`.
    pub lsn: Option<String>,
    /// Bytes of WAL not replayed yet; NULL for a primary.
    pub lag_bytes: Option<u64>,
    /// Age of what it shows, in µs; NULL for a primary.
    pub lag_us: Option<u64>,
    /// Everything acknowledged before this moment is replayed there (DESIGN.md section 6).
    pub fresh_as_of: Option<UnixMicros>,
    /// How long the last probe took, in µs.
    pub latency_us: Option<u64>,
    /// Servers to it in all pools.
    pub connections: u32,
    /// Why it is in this state, when there is something to say.
    pub reason: Option<String>,
}

impl Row for NodeRow {
    const COLUMNS: &'static [Column] = &[
        text("cluster"),
        text("node"),
        text("host"),
        int4("port"),
        text("role"),
        text("state"),
        text("sync"),
        int4("timeline"),
        text("lsn"),
        int8("lag_bytes"),
        int8("lag_us"),
        text("fresh_as_of"),
        int8("latency_us"),
        int4("connections"),
        text("reason"),
    ];

    fn cells(&self) -> Vec<Cell<'_>> {
        vec![
            (&self.cluster).into(),
            (&self.node).into(),
            (&self.host).into(),
            self.port.into(),
            self.role.word().into(),
            self.state.word().into(),
            self.sync.map(SyncState::word).into(),
            self.timeline.into(),
            self.lsn.as_ref().into(),
            self.lag_bytes.into(),
            self.lag_us.into(),
            self.fresh_as_of.into(),
            self.latency_us.into(),
            self.connections.into(),
            self.reason.as_ref().into(),
        ]
    }
}

/// A step of a failover: how long it took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// The step's word: `suspect`, `votes`, `fence`, `elect`, `repoint`, `promote`, `publish`.
    pub name: String,
    /// Its duration in µs.
    pub took_us: u64,
}

/// A row of `SHOW FAILOVERS`, newest first: a change of the primary, or an attempt at one. A field's name is
/// its column's unless it says otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FailoverRow {
    /// The cluster's name.
    pub cluster: String,
    /// When it began.
    pub started: UnixMicros,
    /// The epoch that it published, or would have.
    pub epoch: u64,
    /// `failover`, `switchover` or `followed`.
    pub kind: String,
    /// Why, in one sentence.
    pub reason: String,
    /// Who decided: a Howdah's name, or the operator. Shown as `by`.
    pub decided_by: String,
    /// The node that was the primary.
    pub old_primary: Option<String>,
    /// The node that became it; NULL when none did.
    pub new_primary: Option<String>,
    /// `running`, `done`, `called off` or `halted`.
    pub outcome: String,
    /// WAL that the old primary was seen to have flushed and the new one does not have: a lower bound of what was lost. Of an
    /// asynchronous cluster acknowledged commits may be in it, else none is. NULL: nothing is known of it.
    pub lost_bytes: Option<u64>,
    /// Logical replication slots of the old primary that the new one does not have, with commas; NULL for none.
    pub lost_slots: Option<String>,
    /// Its steps in order. Shown as `steps`: `suspect 512.0 ms, votes 3.1 ms, …`, and summed in
    /// `duration_us`.
    pub steps: Vec<Step>,
}

impl FailoverRow {
    /// All steps together, in µs.
    #[must_use]
    pub fn duration_us(&self) -> u64 {
        self.steps.iter().map(|step| step.took_us).sum()
    }

    fn steps_text(&self) -> String {
        let one = |step: &Step| format!("{} {:.1} ms", step.name, step.took_us as f64 / 1000.0);
        self.steps.iter().map(one).collect::<Vec<_>>().join(", ")
    }
}

impl Row for FailoverRow {
    const COLUMNS: &'static [Column] = &[
        text("cluster"),
        text("started"),
        int8("epoch"),
        text("kind"),
        text("reason"),
        text("by"),
        text("old_primary"),
        text("new_primary"),
        text("outcome"),
        int8("lost_bytes"),
        text("lost_slots"),
        int8("duration_us"),
        text("steps"),
    ];

    fn cells(&self) -> Vec<Cell<'_>> {
        vec![
            (&self.cluster).into(),
            self.started.into(),
            self.epoch.into(),
            (&self.kind).into(),
            (&self.reason).into(),
            (&self.decided_by).into(),
            self.old_primary.as_ref().into(),
            self.new_primary.as_ref().into(),
            (&self.outcome).into(),
            self.lost_bytes.into(),
            self.lost_slots.as_ref().into(),
            self.duration_us().into(),
            self.steps_text().into(),
        ]
    }
}
