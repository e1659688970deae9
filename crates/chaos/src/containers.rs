//! A cluster as containers of `docker/node`, on a network of its own; the pooler and the clients stay outside.
//!
//! A cut is `docker network disconnect` where the node loses everybody, else rules in the node's own network
//! namespace that drop packets, which the container engine has no command for.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use howdah_testkit::wait_until;
use tokio::process::Command;

use crate::Failure;
use crate::direct;
use crate::site::{Cut, NODES};

/// The first three numbers of the network; DESIGN.md has 10.0.3, which the demo of the containers may be using.
const PREFIX: &str = "10.0.7";
/// The names of network and containers begin with this.
const PROJECT: &str = "howdah-chaos";
const IMAGE: &str = "howdah-chaos-node";
/// Where the pooler beside a node listens.
pub(crate) const INNER_PORT: u16 = 6432;
/// A container's first start makes a base backup (time).
const START_LIMIT: Duration = Duration::from_secs(180);

/// The containers; [`Containers::remove`] removes them, and so does the next start.
#[derive(Debug)]
pub(crate) struct Containers;

impl Containers {
    /// Builds the image from the checkout and starts a primary and two standbys.
    pub(crate) async fn start_cluster(root: &Path, profile: &str) -> Result<Self, Failure> {
        let site = Self;
        run(Command::new(root.join(".ci/base-image")).current_dir(root)).await?;
        let profile = format!("PROFILE={profile}");
        let build =
            ["build", "-q", "-t", IMAGE, "--build-arg", &profile, "-f", "docker/node/Dockerfile", "."];
        run(Command::new("docker").current_dir(root).args(build)).await?;
        site.clean().await;
        let subnet = format!("{PREFIX}.0/24");
        site.docker(&["network", "create", "--subnet", &subnet, PROJECT]).await?;
        for node in 0..NODES {
            site.run_node(node).await?;
            let conninfo =
                format!("host={PREFIX}.{} port=5432 user=howdah password=howdah dbname=postgres", 200 + node);
            let ready = "SELECT NOT pg_is_in_recovery() OR EXISTS (SELECT FROM pg_stat_wal_receiver WHERE status = 'streaming')";
            wait_until(&format!("container {node} to be ready"), START_LIMIT, || async {
                direct::value(&conninfo, ready).await.is_ok_and(|answer| answer == "t")
            })
            .await?;
        }
        Ok(site)
    }

    async fn run_node(&self, node: usize) -> Result<(), Failure> {
        let role = if node == 0 { "primary" } else { "standby" };
        let settings = [
            format!("NODE_NAME={}", self.name(node)),
            format!("NODE_ROLE={role}"),
            format!("NODE_PREFIX={PREFIX}"),
            format!("REPLICATION_ROLE=repuser{node}"),
            "REPLICATION_PASSWORD=repsecret".to_owned(),
            "HOWDAH_PASSWORD=howdah".to_owned(),
            "APP_PASSWORD=app".to_owned(),
        ];
        let (container, address) = (self.container(node), self.address(node).0);
        let mut words = vec!["run", "-d", "--name", &container, "--network", PROJECT, "--ip", &address];
        words.extend(["--hostname", &container, "--shm-size=128m"]);
        for setting in &settings {
            words.extend(["-e", setting]);
        }
        words.push(IMAGE);
        self.docker(&words).await
    }

    pub(crate) fn name(&self, node: usize) -> String {
        format!("node{node}")
    }

    pub(crate) fn container(&self, node: usize) -> String {
        format!("{PROJECT}-{node}")
    }

    pub(crate) fn address(&self, node: usize) -> (String, u16) {
        (format!("{PREFIX}.{}", 200 + node), 5432)
    }

    /// Runs `docker` with these words.
    pub(crate) async fn docker(&self, words: &[&str]) -> Result<(), Failure> {
        run(Command::new("docker").args(words)).await.map(|_| ())
    }

    /// Cuts a node off.
    pub(crate) async fn cut(&self, node: usize, cut: Cut) -> Result<(), Failure> {
        if cut == Cut::All {
            return self.docker(&["network", "disconnect", "--force", PROJECT, &self.container(node)]).await;
        }
        for rule in self.rules(node, cut) {
            self.filter(node, "-A", &rule).await?;
        }
        Ok(())
    }

    /// Undoes [`Containers::cut`].
    pub(crate) async fn heal(&self, node: usize, cut: Cut) -> Result<(), Failure> {
        if cut == Cut::All {
            let address = self.address(node).0;
            return self
                .docker(&["network", "connect", "--ip", &address, PROJECT, &self.container(node)])
                .await;
        }
        for rule in self.rules(node, cut) {
            self.filter(node, "-D", &rule).await?;
        }
        Ok(())
    }

    /// Rules that drop what comes from the other side and what goes there.
    fn rules(&self, node: usize, cut: Cut) -> Vec<String> {
        let mut rules = Vec::new();
        if matches!(cut, Cut::Nodes | Cut::NodesAndPooler) {
            for other in (0..NODES).filter(|other| *other != node) {
                let address = self.address(other).0;
                rules.push(format!("INPUT -s {address} -j DROP"));
                rules.push(format!("OUTPUT -d {address} -j DROP"));
            }
        }
        if matches!(cut, Cut::Pooler | Cut::NodesAndPooler) {
            // Only PostgreSQL: clients still reach a pooler that runs beside the node.
            rules.push(format!("INPUT -s {PREFIX}.1 -p tcp --dport 5432 -j DROP"));
            rules.push(format!("OUTPUT -d {PREFIX}.1 -p tcp --sport 5432 -j DROP"));
        }
        rules
    }

    async fn filter(&self, node: usize, verb: &str, rule: &str) -> Result<(), Failure> {
        let format = "{{.State.Pid}}";
        let pid = run(Command::new("docker").args(["inspect", "-f", format, &self.container(node)])).await?;
        let mut command = Command::new("nsenter");
        command.args(["-t", pid.trim(), "-n", "iptables", "-w", verb]).args(rule.split(' '));
        run(&mut command).await.map(|_| ())
    }

    /// Starts a second pooler on the very machine of a node, with this configuration directory.
    pub(crate) async fn start_inner_pooler(&self, node: usize, directory: &Path) -> Result<(), Failure> {
        let (network, volume) =
            (format!("container:{}", self.container(node)), format!("{}:/chaos:ro", directory.display()));
        let name = format!("{PROJECT}-pooler");
        let words = ["run", "-d", "--name", &name, "--network", &network, "-v", &volume];
        self.docker(&[&words[..], &["--entrypoint", "howdah", IMAGE, "/chaos/howdah.ini"]].concat()).await
    }

    /// Where clients reach the pooler beside a node.
    pub(crate) fn inner_address(&self, node: usize) -> (String, u16) {
        (self.address(node).0, INNER_PORT)
    }

    /// Removes everything of this and of an earlier run.
    async fn clean(&self) {
        let mut words = vec!["rm".to_owned(), "-fv".to_owned(), format!("{PROJECT}-pooler")];
        words.extend((0..NODES).map(|node| self.container(node)));
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        // What is not there need not be removed.
        let _ = self.docker(&words).await;
        let _ = self.docker(&["network", "rm", PROJECT]).await;
    }

    /// Removes everything.
    pub(crate) async fn remove(self) {
        self.clean().await;
    }
}

/// Runs a program to its end; gives what it printed.
async fn run(command: &mut Command) -> Result<String, Failure> {
    let shown = format!("{:?}", command.as_std());
    command.stdin(Stdio::null()).kill_on_drop(true);
    let output = command.output().await.map_err(|error| format!("cannot start {shown}: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    Err(format!("{shown} ended with {}: {}", output.status, complaint.trim()).into())
}
