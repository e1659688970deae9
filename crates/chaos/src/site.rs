//! Where the nodes of a cluster run, and what can be done to them.

use std::path::Path;

use howdah_testkit::Supervisor;

use crate::Failure;
use crate::containers::Containers;
use crate::direct;
use crate::processes::Processes;

/// How many nodes a cluster has: a primary and two standbys.
pub(crate) const NODES: usize = 3;

/// From whom a node is cut off, without a word: packets are dropped, nothing is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Everybody: its network is taken away.
    All,
    /// The other nodes.
    Nodes,
    /// The pooler outside, which is on the side of the other nodes.
    Pooler,
    /// Both; unlike `All`, clients still reach a pooler beside the node.
    NodesAndPooler,
}

/// A cluster.
#[derive(Debug)]
pub(crate) enum Site {
    /// Processes on loopback.
    Processes(Processes),
    /// Containers on a network of their own.
    Containers(Containers),
}

impl Site {
    /// The nodes as `name@host:port`, comma separated: `nodes=` of a cluster.
    pub(crate) fn nodes(&self) -> String {
        let list: Vec<String> = (0..NODES)
            .map(|node| {
                let (host, port) = self.address(node);
                format!("{}@{host}:{port}", self.name(node))
            })
            .collect();
        list.join(",")
    }

    /// A node's name.
    pub(crate) fn name(&self, node: usize) -> String {
        match self {
            Site::Processes(site) => site.name(node),
            Site::Containers(site) => site.name(node),
        }
    }

    /// The place of the node with this name.
    ///
    /// # Errors
    /// There is none.
    pub(crate) fn place(&self, name: &str) -> Result<usize, Failure> {
        let found = (0..NODES).find(|node| self.name(*node) == name);
        found.ok_or_else(|| format!("{name:?} is no node").into())
    }

    /// Where a node listens.
    pub(crate) fn address(&self, node: usize) -> (String, u16) {
        match self {
            Site::Processes(site) => site.address(node),
            Site::Containers(site) => site.address(node),
        }
    }

    /// What the pooler logs in with, as settings of `[clusters]`.
    pub(crate) fn login(&self) -> &'static str {
        match self {
            Site::Processes(_) => "user=postgres",
            Site::Containers(_) => "user=howdah password=howdah",
        }
    }

    /// A connection string of a superuser, straight to a node.
    pub(crate) fn conninfo(&self, node: usize, dbname: &str) -> String {
        let (host, port) = self.address(node);
        format!("host={host} port={port} dbname={dbname} connect_timeout=3 {}", self.login())
    }

    /// Kills a node: every process at once.
    pub(crate) async fn kill(&self, node: usize) -> Result<(), Failure> {
        match self {
            Site::Processes(site) => site.kill(node),
            Site::Containers(site) => site.docker(&["kill", &site.container(node)]).await,
        }
    }

    /// Stops every process of a node, without ending any.
    pub(crate) async fn freeze(&self, node: usize) -> Result<(), Failure> {
        match self {
            Site::Processes(site) => site.freeze(node),
            Site::Containers(site) => site.docker(&["pause", &site.container(node)]).await,
        }
    }

    /// Lets a frozen node go on.
    pub(crate) async fn thaw(&self, node: usize) -> Result<(), Failure> {
        match self {
            Site::Processes(site) => {
                site.thaw(node);
                Ok(())
            }
            Site::Containers(site) => site.docker(&["unpause", &site.container(node)]).await,
        }
    }

    /// Starts a node with what it has, whatever it was.
    pub(crate) async fn start(&self, node: usize) -> Result<(), Failure> {
        match self {
            Site::Processes(site) => site.start(node).await,
            Site::Containers(site) => site.docker(&["start", &site.container(node)]).await,
        }
    }

    /// Brings a node back as a standby of the present primary, by `howdah rejoin`; ends it first when it runs.
    pub(crate) async fn rejoin(&self, node: usize, primary: usize) -> Result<(), Failure> {
        match self {
            Site::Processes(site) => site.rejoin(node, primary).await,
            // The container's entry point asks who is primary and runs `howdah rejoin`.
            Site::Containers(site) => site.docker(&["restart", "--time=0", &site.container(node)]).await,
        }
    }

    /// A supervisor beside each node, as long as they are held; containers have theirs.
    pub(crate) async fn supervise(&self, program: &Path) -> Result<Vec<Supervisor>, Failure> {
        match self {
            Site::Processes(site) => site.supervise(program).await,
            Site::Containers(_) => Ok(Vec::new()),
        }
    }

    /// The containers, for what only they can do.
    ///
    /// # Errors
    /// The cluster runs as processes.
    pub(crate) fn containers(&self) -> Result<&Containers, Failure> {
        match self {
            Site::Containers(site) => Ok(site),
            Site::Processes(_) => Err("a row of processes asks for containers".into()),
        }
    }

    /// Removes everything.
    pub(crate) async fn remove(self) {
        if let Site::Containers(site) = self {
            site.remove().await;
        }
    }

    /// Whether every node has the list of synchronous names, and the primary names both others: a failover finds who
    /// was synchronous (FAILOVER_PROTOCOL.md section 2).
    pub(crate) async fn names_in_force(&self, primary: usize) -> bool {
        let mut lists = Vec::new();
        for node in 0..NODES {
            let sql = "SELECT current_setting('howdah.members', true) || ' ' || current_setting('synchronous_standby_names')";
            match direct::value(&self.conninfo(node, "postgres"), sql).await {
                Ok(list) if !list.contains('*') => lists.push(list),
                _ => return false,
            }
        }
        (0..NODES).filter(|node| *node != primary).all(|node| lists[primary].contains(&self.name(node)))
            && (0..NODES).filter(|node| *node != primary).all(|node| lists[node].contains(&self.name(node)))
    }

    /// The timeline of the node's own writing; none where it is a standby or does not answer.
    pub(crate) async fn timeline(&self, node: usize) -> Option<u32> {
        let sql = "SELECT CASE WHEN pg_is_in_recovery() THEN '' ELSE left(pg_walfile_name(pg_current_wal_lsn()), 8) END";
        let text = direct::value(&self.conninfo(node, "postgres"), sql).await.ok()?;
        u32::from_str_radix(&text, 16).ok()
    }
}
