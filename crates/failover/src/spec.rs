//! What a cluster is by its settings: nodes, limits, policies. Read next: [`crate::members`].

use std::time::Duration;

use howdah_topology::{Mode, NodeId};

/// One configured node (`nodes =` and the section `[nodes]`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeSpec {
    /// Its name in SHOW NODES; unique.
    pub name: String,
    /// The `application_name` with which it streams: its name in `synchronous_standby_names`; unique.
    pub application_name: String,
    /// That name is the settings' or was seen on the node; else the node is known by the first that it shows.
    pub named: bool,
    /// Host name or address by which Howdah and the other nodes reach it.
    pub host: String,
    /// Port.
    pub port: u16,
    /// The greater is promoted; if it is not the furthest it first receives what that has.
    pub priority: u32,
    /// Share of the reads.
    pub weight: u32,
    /// Never promoted; its vote and its position count all the same.
    pub nofailover: bool,
    /// It streams from another standby: no vote, never promoted, and pointed elsewhere only when that one is gone.
    pub cascade: bool,
}

impl NodeSpec {
    /// A node with the settings' defaults (priority 100, weight 1) that streams under its own name.
    #[must_use]
    pub fn new(name: &str, host: &str, port: u16) -> NodeSpec {
        NodeSpec {
            name: name.to_owned(),
            application_name: name.to_owned(),
            named: true,
            host: host.to_owned(),
            port,
            priority: 100,
            weight: 1,
            nofailover: false,
            cascade: false,
        }
    }
}

/// `on_last_node =`: what happens to commits when no synchronous standby is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnLastNode {
    /// They wait for one: no acknowledged write rests on one node.
    #[default]
    Block,
    /// They go on unprotected; SHOW and metrics say so.
    Degrade,
}

/// Times and bounds. The defaults are those of FAILOVER_PROTOCOL.md and FAILOVER.md.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Each node is probed this often.
    pub probe_interval: Duration,
    /// While the primary is suspect everyone is probed this often.
    pub suspect_interval: Duration,
    /// A probe is answered within this, or it is silence.
    pub probe_timeout: Duration,
    /// Silence in so many probes of each kind (standing, fresh) makes weak evidence.
    pub silent_probes: u32,
    /// Weak evidence needs so long without a sign of life at the standbys: longer than
    /// `wal_receiver_timeout / 2`, at which an idle receiver asks the primary for an answer.
    pub silence: Duration,
    /// A primary that is starting or stopping (57P03, 57P01) gets this long.
    pub restart_grace: Duration,
    /// An action is answered within this, or its result is lost.
    pub action_timeout: Duration,
    /// A receiver is gone this long after the fence was set, or the node does not count.
    pub fence_timeout: Duration,
    /// A candidate that is to be promoted by order, or because the furthest may not be, receives within this what the
    /// furthest has, or is not promoted.
    pub catch_up_timeout: Duration,
    /// The same for one that is only preferred by its priority: after this the furthest is promoted.
    pub preference_timeout: Duration,
    /// A switchover waits so long for the primary's transactions to end and its standbys to have everything.
    pub drain_timeout: Duration,
    /// No transaction was seen for so long after new work is held: then none is on its way any more.
    pub drain_quiet: Duration,
    /// A primary that is to be stopped is gone within this, or the switchover is called off.
    pub stop_timeout: Duration,
    /// A promoted node is out of recovery within this, or the failover halts (it replays what it received first).
    pub promote_timeout: Duration,
    /// A lost result of an action is asked for again so many times.
    pub action_retries: u32,
    /// The primary is handed out this long after a quorum was seen to follow it (FAILOVER_PROTOCOL.md §7).
    pub primary_lease: Duration,
    /// A standby absent this long is taken out of the names.
    pub member_timeout: Duration,
    /// A pooler that missed a vote waits a random time between half of this and this.
    pub vote_backoff: Duration,
    /// Automatic failovers in an hour, at most; 0: no limit.
    pub max_failovers_per_hour: u32,
    /// Asynchronous clusters: a candidate that lacks more bytes than this of what the primary was seen to have is
    /// not promoted.
    pub max_failover_lag: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        let ms = Duration::from_millis;
        Limits {
            probe_interval: ms(250),
            suspect_interval: ms(50),
            probe_timeout: ms(500),
            silent_probes: 2,
            silence: ms(1_200),
            restart_grace: ms(2_000),
            action_timeout: ms(1_000),
            fence_timeout: ms(2_000),
            catch_up_timeout: ms(5_000),
            preference_timeout: ms(1_000),
            drain_timeout: ms(5_000),
            drain_quiet: ms(50),
            stop_timeout: ms(10_000),
            promote_timeout: ms(30_000),
            action_retries: 3,
            primary_lease: ms(2_000),
            member_timeout: ms(10_000),
            vote_backoff: ms(200),
            max_failovers_per_hour: 6,
            max_failover_lag: 1024 * 1024,
        }
    }
}

/// One cluster, as configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterSpec {
    /// Its name in the settings.
    pub name: String,
    /// Who promotes.
    pub mode: Mode,
    /// This Howdah's id in fence records: distinct among the Howdahs of a cluster, without spaces.
    pub pooler: String,
    /// The nodes, in the order in which votes are taken: the same on every Howdah.
    pub nodes: Vec<NodeSpec>,
    /// What happens when no synchronous standby is left.
    pub on_last_node: OnLastNode,
    /// Standbys that a commit waits for once there are enough of them, where Howdah has lowered the number
    /// (1 or more). A cluster that was set up asynchronous stays so.
    pub sync_standbys: usize,
    /// A new cluster without standbys: its primary is writable though nobody follows it.
    pub bootstrap: bool,
    /// Times and bounds.
    pub limits: Limits,
}

impl ClusterSpec {
    /// Every node's id, in the order of the list.
    pub(crate) fn ids(&self) -> impl Iterator<Item = NodeId> + Clone + use<> {
        (0u16..).map(NodeId).take(self.nodes.len())
    }

    /// Every node with its id.
    pub(crate) fn by_id(&self) -> impl Iterator<Item = (NodeId, &NodeSpec)> {
        self.ids().zip(&self.nodes)
    }
}
