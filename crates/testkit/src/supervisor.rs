//! `howdah rejoin --supervise` beside the nodes of a cluster, as a service would run it.
//!
//! The kit does not build the program: whoever has it (`howdah demo`, a test, `cargo xtask chaos`) says where it is. A
//! supervisor takes over a server that runs already; from then on the server is the supervisor's to start again.

use std::fmt::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::process::Signal;

use crate::cluster::{Cluster, REPLICATION_PASSWORD};
use crate::error::Error;
use crate::node::Node;
use crate::process;
use crate::wait::{DEFAULT_DEADLINE, wait_until, wait_until_some};

/// Whether a supervisor has its session on a server.
const PRESENT: &str =
    "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE application_name = 'howdah_supervisor')";

/// A running supervisor. Dropping it kills it and leaves its server to the cluster.
#[derive(Debug)]
pub struct Supervisor {
    node: Node,
    child: Child,
    log: PathBuf,
}

impl Supervisor {
    /// Starts `program rejoin --supervise` for the node with this index; `more` are further arguments.
    ///
    /// # Errors
    /// [`Error::Io`] when the program cannot be run.
    ///
    /// # Panics
    /// When the index is beyond the last node.
    pub fn start(program: &Path, cluster: &Cluster, index: usize, more: &[&str]) -> Result<Self, Error> {
        let node = cluster.node(index).clone();
        let log = cluster.workdir().path().join(format!("{}.supervisor.log", node.name()));
        let file = std::fs::OpenOptions::new().create(true).append(true).open(&log);
        let file = file.map_err(Error::io("open", &log))?;
        let errors = file.try_clone().map_err(Error::io("open", &log))?;
        let mut command = Command::new(program);
        command.args(["rejoin", "--supervise", "--name", node.name(), "--pgdata"]).arg(node.pgdata());
        command.arg("--primary").arg(everybody(cluster, index));
        command.args(["--rewind-as", "user=postgres dbname=postgres", "--log"]).arg(node.log_path());
        command.args(more).env("HOWDAH_PG_BIN", node.binaries().dir());
        // Below the directory the watchdog finds it; in a group of its own Ctrl-C does not reach it.
        command.current_dir(cluster.workdir().path()).process_group(0);
        command.stdin(Stdio::null()).stdout(file).stderr(errors);
        let child = command.spawn().map_err(Error::io("run", program))?;
        Ok(Self { node, child, log })
    }

    /// The node that it looks after.
    #[must_use]
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// What it has said so far, of earlier supervisors of the node too.
    #[must_use]
    pub fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits until it has said this.
    ///
    /// # Errors
    /// [`Error::Deadline`] after 30 s.
    pub async fn wait_said(&self, what: &str) -> Result<(), Error> {
        let awaited = format!("the supervisor of {} to say {what:?}", self.node.name());
        wait_until(&awaited, DEFAULT_DEADLINE, || async { self.said().contains(what) }).await
    }

    /// Waits until it has its session on the server: from then on a switchover knows of it.
    ///
    /// # Errors
    /// [`Error::Deadline`] after 30 s.
    pub async fn wait_present(&self) -> Result<(), Error> {
        let awaited = format!("the supervisor of {} to be on its server", self.node.name());
        wait_until(&awaited, DEFAULT_DEADLINE, || async {
            self.node.value(PRESENT).await.is_ok_and(|present| present == "t")
        })
        .await
    }

    /// SIGTERM: it stops its server and ends; gives how.
    ///
    /// # Errors
    /// [`Error::Deadline`] after 30 s.
    pub async fn terminate(mut self) -> Result<ExitStatus, Error> {
        if let Ok(pid) = i32::try_from(self.child.id()) {
            process::signal(pid, Signal::TERM);
        }
        self.ended().await
    }

    /// Waits for its end; gives how it was.
    ///
    /// # Errors
    /// [`Error::Deadline`] after 30 s.
    pub async fn ended(&mut self) -> Result<ExitStatus, Error> {
        let awaited = format!("the supervisor of {} to end", self.node.name());
        wait_until_some(&awaited, DEFAULT_DEADLINE, || {
            let ended = self.child.try_wait().ok().flatten();
            async move { ended }
        })
        .await
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        // Fails only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// All nodes in one connection string, with the replication role of the node with this index.
fn everybody(cluster: &Cluster, index: usize) -> String {
    let (mut hosts, mut ports) = (String::new(), String::new());
    for node in cluster.nodes() {
        let comma = if hosts.is_empty() { "" } else { "," };
        // Writing to a String cannot fail.
        let _ = write!(hosts, "{comma}{}", node.host());
        let _ = write!(ports, "{comma}{}", node.port());
    }
    format!("host={hosts} port={ports} user=repuser{index} password={REPLICATION_PASSWORD}")
}

impl Cluster {
    /// Starts a supervisor beside every node, in the nodes' order, and waits until each has its session. Keep them
    /// until the end: a node without one is not started again.
    ///
    /// # Errors
    /// As [`Supervisor::start`], or [`Error::Deadline`] when one does not come up.
    pub async fn supervise(&self, program: &Path) -> Result<Vec<Supervisor>, Error> {
        let all = 0..self.nodes().len();
        let started: Result<Vec<_>, _> =
            all.map(|index| Supervisor::start(program, self, index, &[])).collect();
        let started = started?;
        for supervisor in &started {
            supervisor.wait_present().await?;
        }
        Ok(started)
    }
}
