//! Clusters: nodes that replicate from one another, and how Howdah routes to them and fails over (DESIGN.md §§2, 5, 6,
//! 8; FAILOVER_PROTOCOL.md).
//!
//! Times may have a unit (`250ms`, `30s`, `2min`); a bare number is seconds. How to read a block: `table.rs`.

use std::fmt;
use std::time::Duration;

use crate::keyword::{
    Balance, Consistency, Failover, OnLastNode, ReadRouting, ReadsWithoutReplica, UnsafeCommits,
};
use crate::kind::{
    Bytes, Count, Hidden, Integer, Lag, Maybe, Name, Nodes, OneOf, PositiveTime, RestAddresses, Switch, Text,
    Time,
};
use crate::secret::Secret;
use crate::settings::STATE_TRACKING;
use crate::table::LIVE;

keys! {
    /// One line of `[clusters]`.
    #[derive(Clone, Debug, PartialEq)]
    pub struct Cluster {
        /// Name that `cluster=` of a database entry refers to.
        name: String,
    }

    ["Nodes and connections"]
    /// The nodes, comma separated, each `host:port` or `name@host:port`, in the order of the votes.
    nodes: Vec<ClusterNode> as Nodes = Vec::new(), LIVE.own();
    /// User of Howdah's own connections.
    user: Option<String> as Name = None, LIVE.own();
    /// Password of Howdah's own connections.
    password: Option<Secret> as Maybe<Hidden> = None, LIVE.own();
    /// Database of Howdah's own connections.
    dbname: String as Text = "postgres".to_owned(), LIVE.own();

    ["Routing"]
    /// Whether reads go to replicas.
    read_routing: ReadRouting as OneOf<ReadRouting> = ReadRouting::On, LIVE.own();
    /// How fresh a replica must be for a read.
    consistency: Consistency as OneOf<Consistency> = Consistency::Session, LIVE.own();
    /// How one of several usable replicas is chosen.
    balance: Balance as OneOf<Balance> = Balance::LeastLoaded, LIVE.own();
    /// How long a read waits for a replica to become fresh enough before the primary takes it.
    causal_wait: Duration as Time = Duration::ZERO, LIVE.own();
    /// A replica further behind, in bytes (`16MB`) or time (`5s`), is not read from; 0: no limit.
    max_replica_lag: MaxReplicaLag as Lag = MaxReplicaLag::Unlimited, LIVE.own();
    /// What becomes of reads when no replica is usable.
    reads_without_replica: ReadsWithoutReplica as OneOf<ReadsWithoutReplica> = ReadsWithoutReplica::Primary, LIVE.own();
    /// Track and replay session state outside session pooling.
    state_tracking: bool as Switch = true, LIVE.own().not_yet(STATE_TRACKING);

    ["Failover"]
    /// Who promotes a replica when the primary is gone.
    failover: Failover as OneOf<Failover> = Failover::Follow, LIVE.own();
    /// Where Patroni's REST interface answers (`host:port`, comma separated), if it manages the followed cluster: its hints and tags are used.
    patroni: Vec<RestAddress> as RestAddresses = Vec::new(), LIVE.own();
    /// Time between two probes of a node.
    probe_interval: Duration as PositiveTime = Duration::from_millis(250), LIVE.own();
    /// A probe without an answer for so long has failed.
    probe_timeout: Duration as PositiveTime = Duration::from_millis(500), LIVE.own();
    /// Longest time that work is held while there is no primary.
    failover_hold: Duration as Time = Duration::from_secs(30), LIVE.own();
    /// A standby absent for so long is taken out of the synchronous names.
    member_timeout: Duration as PositiveTime = Duration::from_secs(10), LIVE.own();
    /// How long a postmaster that is starting up or shutting down is given before it counts as dead.
    restart_grace: Duration as Time = Duration::from_secs(2), LIVE.own();
    /// A primary is handed out only if a quorum was seen to follow it within this time.
    primary_lease: Duration as PositiveTime = Duration::from_secs(2), LIVE.own();
    /// What is done when the last synchronous standby stays away.
    on_last_node: OnLastNode as OneOf<OnLastNode> = OnLastNode::Wait, LIVE.own();
    /// Asynchronous clusters: no replica that lacks more than this of what the primary was last seen to have is promoted.
    max_lost_bytes: u64 as Bytes = 1 << 20, LIVE.own();
    /// A new cluster without standbys: its primary is taken as such without a quorum.
    bootstrap: bool as Switch = false, LIVE.own();
    /// `failover = manage`: whether a session may set `synchronous_commit` to off or local, so that its commits wait for no standby; they are counted (`howdah_unprotected_commits_total`).
    unsafe_commits: UnsafeCommits as OneOf<UnsafeCommits> = UnsafeCommits::Allow, LIVE.own();
    /// After so many failovers by itself within an hour Howdah waits for a person, whose orders it takes; 0: no limit.
    max_failovers_per_hour: u32 as Count = 10, LIVE.own();
    /// `failover = manage`: ask the new primary what became of a COMMIT that the failover interrupted, instead of 08007. Costs a small query with each COMMIT, in the same flight.
    commit_resolution: bool as Switch = false, LIVE.own();
}

keys! {
    /// One item of `nodes=`, with what `[nodes]` says of it.
    #[derive(Clone, Debug, PartialEq)]
    pub struct ClusterNode {
        /// Name in SHOW NODES, logs and `[nodes]`: what stands before `@`, else the address as `host:port`.
        name: String,
        /// Host name, address, or directory of a Unix socket.
        host: String,
        /// Port.
        port: u16,
    }

    ["Nodes"]
    /// The greatest priority is promoted; a node that is not the furthest first receives what that has.
    priority: i32 as Integer = 0, LIVE.own();
    /// Never promoted.
    nofailover: bool as Switch = false, LIVE.own();
    /// Share of the reads compared with the other replicas' weights; 0: none.
    weight: u32 as Count<0, 1000> = 1, LIVE.own();
    /// Physical replication slot that the node streams through.
    slot: Option<String> as Name = None, LIVE.own();
    /// The `application_name` of its replication; unset: learned from the node.
    application_name: Option<String> as Name = None, LIVE.own();
    /// Node that it streams from instead of the primary; such a node has no vote. Several Howdahs must agree on it, for it changes what a majority is: set MAINTENANCE on all of them while it is changed.
    cascade_of: Option<String> as Name = None, LIVE.own();
}

impl Cluster {
    /// The cluster `name` without nodes and with every default.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// The node called `name`.
    #[must_use]
    pub fn node(&self, name: &str) -> Option<&ClusterNode> {
        self.nodes.iter().find(|node| node.name == name)
    }
}

impl ClusterNode {
    /// The node at `host:port`, called so, and with every default.
    #[must_use]
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        let host = host.into();
        Self { name: address(&host, port), host, port, ..Self::default() }
    }

    /// `host:port`, an IPv6 address in brackets.
    #[must_use]
    pub fn address(&self) -> String {
        address(&self.host, self.port)
    }
}

/// Where a Patroni answers by HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestAddress {
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
}

impl fmt::Display for RestAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&address(&self.host, self.port))
    }
}

/// `host:port`, an IPv6 address in brackets.
fn address(host: &str, port: u16) -> String {
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
