//! The rows of SHOW NODES and SHOW FAILOVERS (DESIGN.md §8), so that the console, the HTTP pages and `howdah top`
//! say the same. Read next: [`crate::snapshot`].

use std::time::Duration;

use serde::Serialize;

use crate::{FailoverRecord, Node, NodeId, Time, Topology};

/// One row of SHOW NODES.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NodeRow {
    /// Cluster.
    pub cluster: String,
    /// Node.
    pub node: String,
    /// Host and port.
    pub address: String,
    /// Role: `primary` only for the published primary; another node out of recovery is shown as `returning`
    /// in `state`.
    pub role: &'static str,
    /// State.
    pub state: &'static str,
    /// Place in synchronous replication.
    pub sync: &'static str,
    /// Timeline.
    pub timeline: Option<u32>,
    /// Position, as PostgreSQL writes it.
    pub lsn: Option<String>,
    /// Bytes not replayed yet.
    pub lag_bytes: Option<u64>,
    /// Age of the data, milliseconds.
    pub lag_ms: Option<u64>,
    /// How long ago `fresh_as_of` is, milliseconds.
    pub fresh_ms_ago: Option<u64>,
    /// Round trip of the last probe, microseconds.
    pub latency_us: Option<u64>,
    /// Connections of the pools to it.
    pub connections: u32,
    /// Why it is in this state, or why the gate is held (on the primary's row).
    pub note: String,
}

impl NodeRow {
    /// The column names, in order, as the console prints them.
    pub const COLUMNS: [&'static str; 14] = [
        "cluster",
        "node",
        "address",
        "role",
        "state",
        "sync",
        "timeline",
        "lsn",
        "lag_bytes",
        "lag_ms",
        "fresh_ms_ago",
        "latency_us",
        "connections",
        "note",
    ];

    /// The row of one node at `now`; `connections` comes from the pools.
    #[must_use]
    pub fn new(topology: &Topology, node: &Node, now: Time, connections: u32) -> NodeRow {
        let is_primary = topology.primary == Some(node.id);
        let held = if is_primary { topology.held_reason(now) } else { None };
        NodeRow {
            cluster: topology.cluster.clone(),
            node: node.name.clone(),
            address: format!("{}:{}", node.host, node.port),
            role: node.role.as_str(),
            state: node.state.as_str(),
            sync: node.sync.as_str(),
            timeline: node.timeline,
            lsn: node.lsn().map(|l| l.to_string()),
            lag_bytes: node.lag_bytes,
            lag_ms: node.lag_time.map(millis),
            fresh_ms_ago: node.fresh_as_of.map(|at| millis(now.since(at))),
            latency_us: node.latency.map(|d| u64::try_from(d.as_micros()).unwrap_or(u64::MAX)),
            connections,
            note: held.unwrap_or(&node.note).to_owned(),
        }
    }

    /// The cells as text, in the order of [`NodeRow::COLUMNS`]; `None` is NULL.
    #[must_use]
    pub fn cells(&self) -> [Option<String>; 14] {
        [
            Some(self.cluster.clone()),
            Some(self.node.clone()),
            Some(self.address.clone()),
            Some(self.role.to_owned()),
            Some(self.state.to_owned()),
            Some(self.sync.to_owned()),
            self.timeline.map(|n| n.to_string()),
            self.lsn.clone(),
            self.lag_bytes.map(|n| n.to_string()),
            self.lag_ms.map(|n| n.to_string()),
            self.fresh_ms_ago.map(|n| n.to_string()),
            self.latency_us.map(|n| n.to_string()),
            Some(self.connections.to_string()),
            Some(self.note.clone()),
        ]
    }
}

/// One row of SHOW FAILOVERS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FailoverRow {
    /// Cluster.
    pub cluster: String,
    /// How long ago it started, milliseconds.
    pub started_ms_ago: u64,
    /// What was seen.
    pub why: String,
    /// `automatic` or the operator's command.
    pub who: String,
    /// The old primary's name.
    pub from: Option<String>,
    /// The new primary's name.
    pub to: Option<String>,
    /// The new timeline.
    pub timeline: Option<u32>,
    /// WAL that the old primary had and the new one has not, at least.
    pub lost_bytes: Option<u64>,
    /// Logical slots that the new primary does not have, with commas.
    pub lost_slots: String,
    /// How long it took, milliseconds with three decimals.
    pub took_ms: String,
    /// Each step and its milliseconds: `suspect 1.2, vote 3.4, …`.
    pub steps: String,
    /// How it ended.
    pub outcome: String,
}

impl FailoverRow {
    /// The column names, in order, as the console prints them.
    pub const COLUMNS: [&'static str; 12] = [
        "cluster",
        "started_ms_ago",
        "why",
        "who",
        "from",
        "to",
        "timeline",
        "lost_bytes",
        "lost_slots",
        "took_ms",
        "steps",
        "outcome",
    ];

    /// The row of one failover at `now`.
    #[must_use]
    pub fn new(topology: &Topology, record: &FailoverRecord, now: Time) -> FailoverRow {
        let name = |id: Option<NodeId>| id.and_then(|id| topology.node(id)).map(|n| n.name.clone());
        let steps: Vec<String> = record
            .steps
            .iter()
            .map(|s| format!("{} {}", s.name, millis_text(Duration::from_micros(s.took_us))))
            .collect();
        FailoverRow {
            cluster: topology.cluster.clone(),
            started_ms_ago: millis(now.since(record.started)),
            why: record.why.clone(),
            who: record.who.clone(),
            from: name(record.from),
            to: name(record.to),
            timeline: record.epoch.map(|e| e.timeline),
            lost_bytes: record.lost_bytes,
            lost_slots: record.lost_slots.join(", "),
            took_ms: millis_text(record.took()),
            steps: steps.join(", "),
            outcome: record.outcome.to_string(),
        }
    }

    /// The cells as text, in the order of [`FailoverRow::COLUMNS`]; `None` is NULL.
    #[must_use]
    pub fn cells(&self) -> [Option<String>; 12] {
        [
            Some(self.cluster.clone()),
            Some(self.started_ms_ago.to_string()),
            Some(self.why.clone()),
            Some(self.who.clone()),
            self.from.clone(),
            self.to.clone(),
            self.timeline.map(|n| n.to_string()),
            self.lost_bytes.map(|n| n.to_string()),
            Some(self.lost_slots.clone()),
            Some(self.took_ms.clone()),
            Some(self.steps.clone()),
            Some(self.outcome.clone()),
        ]
    }
}

/// Whole milliseconds.
fn millis(d: Duration) -> u64 {
    u64::try_from(d.as_millis()).unwrap_or(u64::MAX)
}

/// Milliseconds with three decimals, exactly.
fn millis_text(d: Duration) -> String {
    let us = d.as_micros();
    format!("{}.{:03}", us / 1000, us % 1000)
}
