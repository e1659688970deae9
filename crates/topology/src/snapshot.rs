//! The whole of what is known of one cluster at one moment. Read next: [`crate::query`].

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use crate::{Epoch, Node, NodeId, Time, TimelineStart};

/// Who promotes (`failover =` of a cluster).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Howdah does.
    Manage,
    /// Someone else does (Patroni, an operator, a cloud); Howdah finds the new primary.
    #[default]
    Follow,
    /// Nobody: the node that is out of recovery is taken as the primary, and a change of it is not acted on.
    Off,
}

impl Mode {
    /// The word in the settings and in SHOW.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Mode::Manage => "manage",
            Mode::Follow => "follow",
            Mode::Off => "off",
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Mode {
    type Err = String;

    fn from_str(text: &str) -> Result<Mode, String> {
        match text {
            "manage" => Ok(Mode::Manage),
            "follow" => Ok(Mode::Follow),
            "off" => Ok(Mode::Off),
            other => Err(format!("failover is manage, follow or off, not {other:?}")),
        }
    }
}

/// Whether work for the primary goes on or waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub enum Gate {
    /// Work for the primary goes on.
    Open,
    /// Work for the primary waits (at most `failover_hold`, which the data path counts for each client).
    Held {
        /// Since when.
        since: Time,
        /// Why, one sentence: shown in SHOW NODES and given to a client whose wait ends.
        reason: String,
    },
}

/// The whole of what is known of one cluster at one moment: built whole by one writer, never changed after.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Topology {
    /// Grows with each snapshot of this cluster in this process, from 1.
    pub version: u64,
    /// The cluster's name in the settings.
    pub cluster: String,
    /// Who promotes.
    pub mode: Mode,
    /// The epoch of the primary; `None` until one was found. It never goes back.
    pub epoch: Option<Epoch>,
    /// The beginnings of the timelines from 2 up to the epoch's, ascending: which positions of older timelines are
    /// still part of its history.
    pub history: Vec<TimelineStart>,
    /// Every configured node; the node with id `n` is at index `n`.
    pub nodes: Vec<Node>,
    /// The one primary of the epoch, also while the gate is held and it may be dead. Routers ask
    /// [`Topology::writable_primary`] instead.
    pub primary: Option<NodeId>,
    /// Whether work for the primary goes on.
    pub gate: Gate,
    /// The primary may be handed out before this moment only (`primary_lease`, FAILOVER_PROTOCOL.md §7); `None`
    /// where no lease is needed (follow, off).
    pub lease_until: Option<Time>,
    /// Automatic failover is suspended by the operator.
    pub maintenance: bool,
    /// What the failover machine decided last and why, one sentence.
    pub decision: String,
}

impl Topology {
    /// The first snapshot, before any probe: no primary, and the gate held.
    #[must_use]
    pub fn unseen(cluster: &str, mode: Mode, nodes: Vec<Node>, now: Time) -> Topology {
        Topology {
            version: 1,
            cluster: cluster.to_owned(),
            mode,
            epoch: None,
            history: Vec::new(),
            nodes,
            primary: None,
            gate: Gate::Held { since: now, reason: "no primary was found yet".to_owned() },
            lease_until: None,
            maintenance: false,
            decision: String::new(),
        }
    }
}
