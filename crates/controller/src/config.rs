//! What the controller must be told of a cluster. The facade fills it from the settings; the names are those of the
//! settings' keys.

use std::fmt;
use std::time::Duration;

use howdah_topology::Mode;

use crate::tls::ControlTls;

/// One node, as configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeConfig {
    /// Its name in SHOW NODES and logs.
    pub name: String,
    /// Host name, address, or directory of a Unix socket.
    pub host: String,
    /// TCP port, or the number in the socket's name.
    pub port: u16,
    /// Ties between equal positions go to the greater priority.
    pub priority: u32,
    /// Share of the reads, relative to the others; 0 takes none.
    pub weight: u32,
    /// Never promoted.
    pub nofailover: bool,
    /// Physical replication slot that the node streams through; `None`: the one that it has, if any.
    pub slot: Option<String>,
    /// The `application_name` of its replication; `None`: learnt from its `primary_conninfo`.
    pub application_name: Option<String>,
    /// It streams from another standby: no vote, never a candidate.
    pub cascade: bool,
}

impl NodeConfig {
    /// A node with the settings' defaults.
    #[must_use]
    pub fn new(name: &str, host: &str, port: u16) -> Self {
        Self {
            name: name.to_owned(),
            host: host.to_owned(),
            port,
            priority: 100,
            weight: 1,
            nofailover: false,
            slot: None,
            application_name: None,
            cascade: false,
        }
    }
}

/// Where a Patroni answers by HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestAddress {
    /// Host name or address.
    pub host: String,
    /// TCP port; Patroni's default is 8008.
    pub port: u16,
}

impl fmt::Display for RestAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// Everything the controller must be told of one cluster.
#[derive(Clone, PartialEq, Eq)]
pub struct ControllerConfig {
    /// The cluster's name.
    pub cluster: String,
    /// Its nodes; the place in the list is the [`howdah_topology::NodeId`] and the order of the votes.
    pub nodes: Vec<NodeConfig>,
    /// Role of Howdah's own connections.
    pub user: String,
    /// Its password, where one is needed.
    pub password: Option<String>,
    /// Database of Howdah's own connections but the control sessions: votes are always taken in `postgres`, for the
    /// space of advisory locks is one a database (FAILOVER_PROTOCOL.md §4).
    pub dbname: String,
    /// Who promotes.
    pub mode: Mode,
    /// Time between two probes of a node.
    pub probe_interval: Duration,
    /// A probe without an answer for so long has failed.
    pub probe_timeout: Duration,
    /// How long a postmaster that says "starting up" or "shutting down" is given before it counts as dead.
    pub restart_grace: Duration,
    /// A standby absent for so long is taken out of the synchronous names.
    pub member_timeout: Duration,
    /// A primary is handed out only if a quorum was seen to follow it within this time.
    pub primary_lease: Duration,
    /// What is done when the last synchronous standby stays away: `true` is `on_last_node = degrade`.
    pub degrade_on_last_node: bool,
    /// Standbys that a commit waits for once there are enough of them, where Howdah has lowered the number.
    pub sync_standbys: usize,
    /// Asynchronous clusters: no replica further behind is promoted, in bytes of WAL.
    pub max_lost_bytes: u64,
    /// A new cluster without standbys: its primary is taken as such without a quorum.
    pub bootstrap: bool,
    /// After so many promotions within an hour the controller stops and waits for a person. 0: no limit.
    pub max_failovers_per_hour: u32,
    /// A statement of ours that takes longer is ended by the server, and an action not answered by then is lost.
    pub action_timeout: Duration,
    /// In `follow`: the Patronis that manage the cluster. Any of them answers for all; empty: the nodes alone are asked.
    pub patroni: Vec<RestAddress>,
    /// TLS of the sessions.
    pub tls: ControlTls,
    /// Shortest time between two samples of the primary's position while there are writes (DESIGN.md §6).
    pub freshness_interval: Duration,
}

impl ControllerConfig {
    /// A cluster of these nodes with the settings' defaults.
    #[must_use]
    pub fn new(cluster: &str, nodes: Vec<NodeConfig>, user: &str) -> Self {
        Self {
            cluster: cluster.to_owned(),
            nodes,
            user: user.to_owned(),
            password: None,
            dbname: "postgres".to_owned(),
            mode: Mode::Follow,
            probe_interval: Duration::from_millis(250),
            probe_timeout: Duration::from_millis(500),
            restart_grace: Duration::from_secs(2),
            member_timeout: Duration::from_secs(10),
            primary_lease: Duration::from_secs(2),
            degrade_on_last_node: false,
            sync_standbys: 1,
            max_lost_bytes: 1 << 20,
            bootstrap: false,
            max_failovers_per_hour: 10,
            action_timeout: Duration::from_secs(1),
            patroni: Vec::new(),
            tls: ControlTls::default(),
            freshness_interval: Duration::from_millis(5),
        }
    }
}

/// The password is left out.
impl fmt::Debug for ControllerConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ControllerConfig")
            .field("cluster", &self.cluster)
            .field("nodes", &self.nodes)
            .field("user", &self.user)
            .field("mode", &self.mode)
            .finish_non_exhaustive()
    }
}
