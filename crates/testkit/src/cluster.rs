//! A primary and its standbys by streaming replication, as the reference installation has them (DESIGN.md §1).
//!
//! The standbys are made by `pg_basebackup -R -Fp -Xs -v -P` over the network, each with a replication role of its
//! own; their names are the `application_name`s in `primary_conninfo` (FAILOVER_PROTOCOL.md §2: without that, every
//! standby is called `walreceiver`).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use crate::binaries::find_binaries;
use crate::command;
use crate::error::Error;
use crate::node::Node;
use crate::postgres::init;
use crate::settings;
use crate::wait::{DEFAULT_DEADLINE, wait_until};
use crate::workdir::WorkDir;

/// The password of the replication roles.
pub(crate) const REPLICATION_PASSWORD: &str = "repsecret";

/// What the reference installation sets, and `wal_log_hints` for pg_rewind.
const REPLICATION_SETTINGS: &[(&str, &str)] = &[
    ("wal_level", "replica"),
    ("hot_standby", "on"),
    ("wal_log_hints", "on"),
    ("archive_mode", "on"),
    ("max_wal_senders", "10"),
    ("max_replication_slots", "10"),
    ("wal_keep_size", "256MB"),
    // A standby that has nothing to read asks again soon; the default of 5 s would rule every test's time.
    ("wal_retrieve_retry_interval", "200ms"),
];

/// Describes a cluster to be made. See [`Cluster::builder`].
#[derive(Debug, Clone)]
pub struct ClusterBuilder {
    replicas: usize,
    synchronous: String,
    addresses: Vec<IpAddr>,
    names: Vec<String>,
    settings: Vec<(String, String)>,
    hba: Vec<String>,
    sql: Vec<String>,
    progress: Progress,
}

/// Somebody who is told of a step.
type Tell = dyn Fn(&str) + Send + Sync;

/// Who is told of each step, if anybody is.
#[derive(Clone, Default)]
struct Progress(Option<Arc<Tell>>);

impl Progress {
    fn say(&self, step: &str) {
        tracing::debug!(step, "cluster");
        if let Some(tell) = &self.0 {
            tell(step);
        }
    }
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Progress" } else { "None" })
    }
}

impl ClusterBuilder {
    /// How many standbys (2 unless said).
    #[must_use]
    pub fn replicas(mut self, count: usize) -> Self {
        self.replicas = count;
        self
    }

    /// `synchronous_standby_names`, set once the standbys stream; empty (the default) is asynchronous.
    #[must_use]
    pub fn synchronous(mut self, names: &str) -> Self {
        names.clone_into(&mut self.synchronous);
        self
    }

    /// The loopback addresses of the nodes, the primary's first; 127.0.0.200, .201, … unless given.
    ///
    /// # Panics
    /// On a text that is no IP address.
    #[must_use]
    pub fn nodes_on<'a>(mut self, addresses: impl IntoIterator<Item = &'a str>) -> Self {
        self.addresses = addresses.into_iter().map(parse_address).collect();
        self
    }

    /// The names of the nodes, the primary's first; `node0`, `node1`, … unless given.
    #[must_use]
    pub fn names<'a>(mut self, names: impl IntoIterator<Item = &'a str>) -> Self {
        self.names = names.into_iter().map(str::to_owned).collect();
        self
    }

    /// A line of every node's `postgresql.conf`; wins over the kit's own.
    #[must_use]
    pub fn setting(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A line of every node's `pg_hba.conf`, before the kit's own.
    #[must_use]
    pub fn hba_line(mut self, line: &str) -> Self {
        self.hba.push(line.to_owned());
        self
    }

    /// SQL to run on the primary before the standbys are made.
    #[must_use]
    pub fn sql(mut self, sql: &str) -> Self {
        self.sql.push(sql.to_owned());
        self
    }

    /// Is told of each step as it begins, in a short sentence: a demo shows that something is going on.
    #[must_use]
    pub fn progress(mut self, tell: impl Fn(&str) + Send + Sync + 'static) -> Self {
        self.progress = Progress(Some(Arc::new(tell)));
        self
    }

    /// Makes the cluster; returns when every standby streams and the synchronous names are in force.
    ///
    /// # Errors
    /// Whatever `initdb`, `pg_basebackup` or a server says, see [`Error`].
    pub async fn start(self) -> Result<Cluster, Error> {
        self.prepare()?.start().await
    }

    /// Chooses the nodes' ports and directories, and starts nothing: a pooler may be there before its servers.
    ///
    /// # Errors
    /// [`Error::BinariesNotFound`], [`Error::NoPort`] or [`Error::Io`].
    pub fn prepare(self) -> Result<Prepared, Error> {
        let workdir = Arc::new(WorkDir::new()?);
        let binaries = find_binaries()?;
        workdir.make_dir("archive")?;
        let mut nodes = Vec::with_capacity(self.replicas + 1);
        for index in 0..=self.replicas {
            let name = self.names.get(index).cloned().unwrap_or_else(|| format!("node{index}"));
            nodes.push(Node::new(name, self.address(index), binaries.clone(), Arc::clone(&workdir))?);
        }
        Ok(Prepared { builder: self, cluster: Cluster { nodes } })
    }

    async fn run(&self, cluster: &Cluster) -> Result<(), Error> {
        self.progress.say(&format!("initdb of {}", cluster.node(0).name()));
        self.make_primary(cluster).await?;
        let copies: Vec<_> = (1..=self.replicas)
            .map(|index| {
                let (node, primary) = (cluster.nodes[index].clone(), cluster.nodes[0].clone());
                self.progress.say(&format!("pg_basebackup of {} from {}", node.name(), primary.name()));
                tokio::spawn(async move { make_standby(&node, index, &primary).await })
            })
            .collect();
        for copy in copies {
            copy.await.map_err(|e| Error::Program {
                program: "pg_basebackup".to_owned(),
                status: "its task ended".to_owned(),
                output: e.to_string(),
            })??;
        }
        self.progress.say("waiting for every standby to stream");
        cluster.wait_streaming().await?;
        self.make_synchronous(cluster).await
    }

    fn address(&self, index: usize) -> IpAddr {
        let last = u8::try_from(200 + index).unwrap_or(u8::MAX);
        self.addresses.get(index).copied().unwrap_or(IpAddr::V4(Ipv4Addr::new(127, 0, 0, last)))
    }

    async fn make_primary(&self, cluster: &Cluster) -> Result<(), Error> {
        let primary = cluster.node(0);
        let archive = primary.workdir().path().join("archive");
        let mut own: Vec<(String, String)> = REPLICATION_SETTINGS
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let archive = archive.display();
        own.push(("archive_command".to_owned(), format!("test ! -f {archive}/%f && cp %p {archive}/%f")));
        own.extend(self.settings.iter().cloned());
        let mut hba = self.hba.clone();
        hba.extend(
            (0..=self.replicas).map(|i| format!("host replication repuser{i} 127.0.0.0/8 scram-sha-256")),
        );
        init(primary, &own, &hba).await?;
        primary.start().await?;
        for index in 0..=self.replicas {
            primary
                .psql(&format!(
                    "CREATE ROLE repuser{index} LOGIN REPLICATION CONNECTION LIMIT 5 PASSWORD '{REPLICATION_PASSWORD}'"
                ))
                .await?;
        }
        for sql in &self.sql {
            primary.psql(sql).await?;
        }
        Ok(())
    }

    async fn make_synchronous(&self, cluster: &Cluster) -> Result<(), Error> {
        if self.synchronous.is_empty() {
            return Ok(());
        }
        let names = settings::quoted(&self.synchronous);
        let primary = cluster.node(0);
        primary.psql(&format!("ALTER SYSTEM SET synchronous_standby_names = {names}")).await?;
        primary.reload()?;
        // Each walsender reads the setting by itself: wait until every one that is named has done so.
        let named = cluster.nodes[1..]
            .iter()
            .filter(|node| self.synchronous.contains('*') || self.synchronous.contains(node.name()))
            .count()
            .to_string();
        wait_until("the synchronous standbys", DEFAULT_DEADLINE, || async {
            let count = "SELECT count(*) FROM pg_stat_replication WHERE sync_state <> 'async'";
            primary.value(count).await.is_ok_and(|n| n == named)
        })
        .await
    }
}

/// Only for the builder, whose texts are written in the test.
#[allow(clippy::expect_used)]
fn parse_address(text: &str) -> IpAddr {
    // proof: a documented panic of the builder; the text is a literal of the test.
    text.parse().expect("an IP address")
}

/// Copies the primary into the node's directory over the network and starts it as a standby.
async fn make_standby(node: &Node, index: usize, primary: &Node) -> Result<(), Error> {
    let conninfo = replication_conninfo(node.name(), index, primary);
    let pgdata = node.pgdata().to_string_lossy().into_owned();
    let args = ["-d", &conninfo, "-D", &pgdata, "-R", "-Fp", "-Xs", "-v", "-P", "-c", "fast", "--no-sync"];
    let workdir = node.workdir();
    command::run(workdir.account(), workdir.path(), &node.binaries().program("pg_basebackup"), args).await?;
    node.append_conf(&settings::listen(node.address().ip(), node.port()))?;
    node.start().await
}

/// What a node writes into `primary_conninfo` to follow `upstream`.
fn replication_conninfo(name: &str, index: usize, upstream: &Node) -> String {
    format!(
        "host={} port={} user=repuser{index} password={REPLICATION_PASSWORD} application_name={name}",
        upstream.host(),
        upstream.port()
    )
}

/// A cluster whose ports and directories are chosen, and which does not run yet.
#[derive(Debug)]
pub struct Prepared {
    builder: ClusterBuilder,
    cluster: Cluster,
}

impl Prepared {
    /// The nodes, none of which runs.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        self.cluster.nodes()
    }

    /// The directory of everything.
    #[must_use]
    pub fn workdir(&self) -> &WorkDir {
        self.cluster.workdir()
    }

    /// As [`ClusterBuilder::start`].
    ///
    /// # Errors
    /// As [`ClusterBuilder::start`].
    pub async fn start(self) -> Result<Cluster, Error> {
        self.builder.run(&self.cluster).await?;
        Ok(self.cluster)
    }
}

/// A running cluster. Dropping it removes every server and every file.
#[derive(Debug)]
pub struct Cluster {
    nodes: Vec<Node>,
}

impl Cluster {
    /// Describes a primary and two asynchronous standbys; change what differs, then `start().await`.
    #[must_use]
    pub fn builder() -> ClusterBuilder {
        ClusterBuilder {
            replicas: 2,
            synchronous: String::new(),
            addresses: Vec::new(),
            names: Vec::new(),
            settings: Vec::new(),
            hba: Vec::new(),
            sql: Vec::new(),
            progress: Progress::default(),
        }
    }

    /// The directory of everything; each node's data directory is below it.
    #[must_use]
    pub fn workdir(&self) -> &WorkDir {
        self.node(0).workdir()
    }

    /// All nodes; the first one began as the primary.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// One node by its place; 0 began as the primary.
    ///
    /// # Panics
    /// Beyond the last.
    #[must_use]
    pub fn node(&self, index: usize) -> &Node {
        &self.nodes[index]
    }

    /// The first node that runs and says that it is not in recovery.
    pub async fn current_primary(&self) -> Option<&Node> {
        for node in &self.nodes {
            if node.is_running() && node.is_standby().await.is_ok_and(|standby| !standby) {
                return Some(node);
            }
        }
        None
    }

    /// Waits until every other running node streams from the present primary.
    ///
    /// # Errors
    /// [`Error::Deadline`] after 30 s.
    pub async fn wait_streaming(&self) -> Result<(), Error> {
        let others = self.nodes.iter().filter(|node| node.is_running()).count().saturating_sub(1);
        let count = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'";
        wait_until("every standby to stream", DEFAULT_DEADLINE, || async {
            let Some(primary) = self.current_primary().await else { return false };
            primary.value(count).await.is_ok_and(|n| n == others.to_string())
        })
        .await
    }

    /// Waits until a node has replayed all that the primary has written until now.
    ///
    /// # Errors
    /// [`Error::Deadline`] after 30 s, or what the primary says.
    pub async fn wait_caught_up(&self, primary: &Node, standby: &Node) -> Result<(), Error> {
        let target = primary.value("SELECT pg_current_wal_flush_lsn()").await?;
        let reached = format!("SELECT pg_last_wal_replay_lsn() >= '{target}'::pg_lsn");
        wait_until("a standby to catch up", DEFAULT_DEADLINE, || async {
            standby.value(&reached).await.is_ok_and(|answer| answer == "t")
        })
        .await
    }

    /// What the node with this index writes into `primary_conninfo` to follow `upstream`: its own replication role.
    ///
    /// # Panics
    /// When the index is beyond the last node.
    #[must_use]
    pub fn conninfo_to(&self, index: usize, upstream: &Node) -> String {
        replication_conninfo(self.node(index).name(), index, upstream)
    }

    /// Makes a stopped node anew as a standby of `upstream` by `pg_basebackup`, and starts it.
    ///
    /// # Errors
    /// Whatever `pg_basebackup` or the server says.
    ///
    /// # Panics
    /// When the index is beyond the last node.
    pub async fn rebuild(&self, index: usize, upstream: &Node) -> Result<(), Error> {
        let node = self.node(index);
        if node.is_running() {
            node.stop_immediate().await?;
        }
        std::fs::remove_dir_all(node.pgdata()).map_err(Error::io("remove", node.pgdata()))?;
        make_standby(node, index, upstream).await
    }
}
