//! Clusters: nodes that replicate from one another, and how Howdah routes to them and fails over (DESIGN.md §§2, 5, 6,
//! 8; FAILOVER_PROTOCOL.md).

use std::fmt;
use std::time::Duration;

use crate::keyword::{
    Balance, Consistency, Failover, OnLastNode, ReadRouting, ReadsWithoutReplica, UnsafeCommits,
};
use crate::secret::Secret;

/// One line of `[clusters]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Cluster {
    /// Name that `cluster=` of a database entry refers to.
    pub name: String,
    /// The nodes, in the order in which they were written (the order of the votes).
    pub nodes: Vec<ClusterNode>,
    /// User of Howdah's own connections.
    pub user: Option<String>,
    /// Password of Howdah's own connections.
    pub password: Option<Secret>,
    /// Database of Howdah's own connections.
    pub dbname: String,
    /// Who promotes.
    pub failover: Failover,
    /// Whether reads go to replicas.
    pub read_routing: ReadRouting,
    /// How fresh a replica must be.
    pub consistency: Consistency,
    /// How a replica is chosen.
    pub balance: Balance,
    /// How long a read waits for a replica to become fresh enough before the primary takes it.
    pub causal_wait: Duration,
    /// A replica further behind is not used for reads.
    pub max_replica_lag: MaxReplicaLag,
    /// What becomes of reads when no replica is usable.
    pub reads_without_replica: ReadsWithoutReplica,
    /// Track and replay session state.
    pub state_tracking: bool,
    /// Time between two probes of a node.
    pub probe_interval: Duration,
    /// A probe without an answer for so long has failed.
    pub probe_timeout: Duration,
    /// Longest time that work is held while there is no primary.
    pub failover_hold: Duration,
    /// A standby absent for so long is taken out of the synchronous names.
    pub member_timeout: Duration,
    /// How long a postmaster that says "starting up" or "shutting down" is given before it counts as dead.
    pub restart_grace: Duration,
    /// A primary is handed out only if a quorum was seen to follow it within this time.
    pub primary_lease: Duration,
    /// What is done when the last synchronous standby stays away.
    pub on_last_node: OnLastNode,
    /// Asynchronous clusters: no replica further behind is promoted, in bytes of WAL.
    pub max_lost_bytes: u64,
    /// A new cluster without standbys: its primary is taken as such without a quorum.
    pub bootstrap: bool,
    /// What is done with commits that replication does not protect.
    pub unsafe_commits: UnsafeCommits,
    /// After so many promotions within an hour Howdah stops and waits for a person. 0: no limit.
    pub max_failovers_per_hour: u32,
    /// Ask the new primary what became of commits that the failover interrupted (FAILOVER.md §3.5).
    pub commit_resolution: bool,
}

impl Cluster {
    /// The cluster `name` without nodes and with every default.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            nodes: Vec::new(),
            user: None,
            password: None,
            dbname: "postgres".to_owned(),
            failover: Failover::Follow,
            read_routing: ReadRouting::On,
            consistency: Consistency::Session,
            balance: Balance::LeastLoaded,
            causal_wait: Duration::ZERO,
            max_replica_lag: MaxReplicaLag::Unlimited,
            reads_without_replica: ReadsWithoutReplica::Primary,
            state_tracking: true,
            probe_interval: Duration::from_millis(250),
            probe_timeout: Duration::from_millis(500),
            failover_hold: Duration::from_secs(30),
            member_timeout: Duration::from_secs(10),
            restart_grace: Duration::from_secs(2),
            primary_lease: Duration::from_secs(2),
            on_last_node: OnLastNode::Wait,
            max_lost_bytes: 1 << 20,
            bootstrap: false,
            unsafe_commits: UnsafeCommits::Allow,
            max_failovers_per_hour: 10,
            commit_resolution: true,
        }
    }

    /// The node called `name`.
    #[must_use]
    pub fn node(&self, name: &str) -> Option<&ClusterNode> {
        self.nodes.iter().find(|node| node.name == name)
    }
}

/// One item of `nodes=`, with what `[nodes]` says of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterNode {
    /// Name in SHOW NODES, logs and `[nodes]`: what stands before `@`, else the address as `host:port`.
    pub name: String,
    /// Host name, address, or directory of a Unix socket.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Among equally advanced candidates the greatest priority is promoted.
    pub priority: i32,
    /// Never promoted.
    pub nofailover: bool,
    /// Share of the reads, compared with the other replicas' weights. 0: none.
    pub weight: u32,
    /// Physical replication slot that the node streams through.
    pub slot: Option<String>,
    /// The `application_name` of its replication; `None`: Howdah learns it.
    pub application_name: Option<String>,
    /// Name of the node that it streams from instead of the primary; such a node has no vote.
    pub cascade_of: Option<String>,
}

impl ClusterNode {
    /// The node at `host:port`, called so, and with every default.
    #[must_use]
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        let host = host.into();
        Self {
            name: address(&host, port),
            host,
            port,
            priority: 0,
            nofailover: false,
            weight: 1,
            slot: None,
            application_name: None,
            cascade_of: None,
        }
    }

    /// `host:port`, an IPv6 address in brackets.
    #[must_use]
    pub fn address(&self) -> String {
        address(&self.host, self.port)
    }
}

/// `host:port`, an IPv6 address in brackets.
pub(crate) fn address(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// How far behind a replica may be to be read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MaxReplicaLag {
    /// As far as it likes.
    Unlimited,
    /// At most so many bytes of WAL.
    Bytes(u64),
    /// At most so long.
    Time(Duration),
}

impl fmt::Display for MaxReplicaLag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unlimited => f.write_str("0"),
            Self::Bytes(bytes) => f.write_str(&crate::units::print_bytes(*bytes)),
            Self::Time(time) => f.write_str(&crate::units::print_time(*time)),
        }
    }
}
