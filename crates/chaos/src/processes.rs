//! A cluster as processes on loopback, made by the testkit.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use howdah_testkit::{Cluster, Supervisor};
use tokio::process::Command;

use crate::Failure;

/// How long a rejoin may take (time).
const REJOIN_LIMIT: Duration = Duration::from_secs(120);

/// The cluster, and the program that brings its nodes back.
#[derive(Debug)]
pub(crate) struct Processes {
    cluster: Cluster,
    howdah: PathBuf,
}

impl Processes {
    /// A primary and two standbys that stream; `synchronous` is `synchronous_standby_names`. The data stay in
    /// memory unless the kernel writes them: what is measured is the failover and not the disk.
    pub(crate) async fn start_cluster(synchronous: &str, howdah: PathBuf) -> Result<Self, Failure> {
        let cluster = Cluster::builder()
            .replicas(2)
            .synchronous(synchronous)
            .setting("full_page_writes", "on")
            .setting("max_connections", "200")
            .sql("CREATE ROLE app LOGIN PASSWORD 'app'")
            .sql("CREATE DATABASE app OWNER app")
            .start()
            .await?;
        Ok(Self { cluster, howdah })
    }

    pub(crate) fn name(&self, node: usize) -> String {
        self.cluster.node(node).name().to_owned()
    }

    pub(crate) fn address(&self, node: usize) -> (String, u16) {
        (self.cluster.node(node).host(), self.cluster.node(node).port())
    }

    pub(crate) fn kill(&self, node: usize) -> Result<(), Failure> {
        Ok(self.cluster.node(node).kill9()?)
    }

    pub(crate) fn freeze(&self, node: usize) -> Result<(), Failure> {
        Ok(self.cluster.node(node).freeze()?)
    }

    pub(crate) fn thaw(&self, node: usize) {
        self.cluster.node(node).thaw();
    }

    pub(crate) async fn start(&self, node: usize) -> Result<(), Failure> {
        Ok(self.cluster.node(node).start().await?)
    }

    pub(crate) async fn supervise(&self, program: &Path) -> Result<Vec<Supervisor>, Failure> {
        Ok(self.cluster.supervise(program).await?)
    }

    /// `howdah rejoin` beside a node, as its service would run it.
    pub(crate) async fn rejoin(&self, node: usize, primary: usize) -> Result<(), Failure> {
        let (own, primary) = (self.cluster.node(node), self.cluster.node(primary));
        if own.is_running() {
            own.thaw();
            own.stop_immediate().await?;
        }
        own.wait_gone().await?;
        let mut command = Command::new(&self.howdah);
        command.arg("rejoin").arg("--pgdata").arg(own.pgdata());
        command.arg("--primary").arg(self.cluster.conninfo_to(node, primary));
        command.arg("--rewind-as").arg(primary.conninfo("postgres"));
        command.arg("--name").arg(own.name()).arg("--log").arg(own.log_path());
        command.env("HOWDAH_PG_BIN", own.binaries().dir());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let ended = tokio::time::timeout(REJOIN_LIMIT, command.output()).await;
        let ended = ended.map_err(|_| format!("howdah rejoin took more than {REJOIN_LIMIT:?}"))??;
        if ended.status.success() {
            return Ok(());
        }
        let said =
            String::from_utf8_lossy(&ended.stdout).into_owned() + &String::from_utf8_lossy(&ended.stderr);
        Err(format!("howdah rejoin of {} failed ({}): {said}", own.name(), ended.status).into())
    }
}
