//! SHOW NODES and FAILOVERS, MAINTENANCE and FAILOVER before a real cluster.

use std::time::Duration;

use howdah::{Handle, Howdah};
use howdah_testkit::{Cluster, Node, PortLease, WorkDir, wait_until};

use crate::{Connected, cell, cells, connect, refused};

/// For what takes several probes, votes and a promotion on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A pooler before a cluster, with the entry `app`.
struct Front {
    howdah: Handle,
    lease: PortLease,
    work: WorkDir,
}

impl Front {
    async fn start(cluster: &Cluster, failover: &str) -> Self {
        let (work, lease) = (WorkDir::new().unwrap(), PortLease::reserve().unwrap());
        let file = work.path().join("howdah.toml");
        std::fs::write(work.path().join("users.txt"), "\"adm\" \"\"\n").unwrap();
        std::fs::write(&file, Self::text(&work, &lease, cluster.nodes(), failover)).unwrap();
        let loaded = howdah::config::load(&file).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"));
        let howdah = Howdah::builder().config(loaded.config).config_file(&file).start().await.unwrap();
        Self { howdah, lease, work }
    }

    /// Writes the file anew, for RELOAD.
    fn rewrite(&self, nodes: &[Node], failover: &str) {
        let text = Self::text(&self.work, &self.lease, nodes, failover);
        std::fs::write(self.work.path().join("howdah.toml"), text).unwrap();
    }

    fn text(work: &WorkDir, lease: &PortLease, nodes: &[Node], failover: &str) -> String {
        let nodes: Vec<String> =
            nodes.iter().map(|node| format!("\"{}@{}:{}\"", node.name(), node.host(), node.port())).collect();
        let (dir, port, nodes) = (work.path().display(), lease.port(), nodes.join(", "));
        format!(
            "[settings]\nlisten_addr = \"127.0.0.1\"\nlisten_port = {port}\nunix_socket_dir = \"{dir}\"\n\
             auth_type = \"trust\"\nauth_file = \"{dir}/users.txt\"\nadmin_users = [\"adm\"]\n\
             pool_mode = \"transaction\"\n\
             [clusters.main]\nuser = \"postgres\"\nnodes = [{nodes}]\nfailover = {failover}\n\
             [databases.app]\ncluster = \"main\"\ndbname = \"postgres\"\nuser = \"postgres\"\n"
        )
    }

    async fn connect(&self, database: &str) -> Connected {
        let mut config = tokio_postgres::Config::new();
        config.host("127.0.0.1").port(self.lease.port()).dbname(database).user("adm");
        connect(&config).await.unwrap()
    }
}

/// Waits until SHOW NODES has these roles and states, in the order of the nodes.
async fn until_nodes(console: &Connected, expected: &[&str]) {
    wait_until(&format!("the nodes to be {expected:?}"), PATIENCE, || async {
        let rows = console.rows("SHOW NODES").await;
        let states: Vec<_> = rows.iter().map(|row| cells(row, &["role", "state"]).join(" ")).collect();
        states == expected
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn nodes_are_shown() {
    let cluster = Cluster::builder().replicas(1).start().await.unwrap();
    let front = Front::start(&cluster, "\"follow\"").await;
    let console = front.connect("pgbouncer").await;
    until_nodes(&console, &["primary up", "replica up"]).await;
    let app = front.connect("app").await;
    app.run("CREATE TABLE t (a int)").await;

    let rows = console.rows("SHOW NODES").await;
    let primary = &rows[0];
    assert_eq!(cells(primary, &["cluster", "node", "timeline"]), ["main", cluster.node(0).name(), "1"]);
    assert_eq!(cell(primary, "port"), cluster.node(0).port().to_string());
    assert!(cell(primary, "lsn").contains('/'));
    assert_eq!((&primary["lag_bytes"], &primary["sync"]), (&None, &None));
    let connections: u32 = rows.iter().map(|row| cell(row, "connections").parse::<u32>().unwrap()).sum();
    let servers = console.rows("SHOW SERVERS").await;
    assert_eq!(usize::try_from(connections).unwrap(), servers.len());
    // One row for the entry and user, whatever node its servers are on.
    let pools = console.rows("SHOW POOLS").await;
    let pools: Vec<_> = pools.iter().filter(|row| cell(row, "database") == "app").collect();
    assert_eq!(pools.len(), 1);
    assert_eq!(cell(pools[0], "sv_idle"), servers.len().to_string());
    let entry = console.row("SHOW DATABASES", "name", "app").await;
    assert_eq!(cell(&entry, "host"), format!("{},{}", cluster.node(0).host(), cluster.node(1).host()));
    front.howdah.shutdown().await;
}

#[tokio::test]
async fn orders_are_refused_with_a_reason() {
    let cluster = Cluster::builder().replicas(1).start().await.unwrap();
    let front = Front::start(&cluster, "\"follow\"").await;
    let console = front.connect("pgbouncer").await;
    until_nodes(&console, &["primary up", "replica up"]).await;
    console.run("MAINTENANCE main ON").await;
    console.run("MAINTENANCE main OFF").await;
    assert_eq!(console.error("FAILOVER main TO nowhere").await, refused("no such node: nowhere"));
    let (_, text) = console.error("SWITCHOVER main").await;
    assert!(text.contains("SWITCHOVER is refused: failover is follow here"), "{text}");
    assert_eq!(console.error("FAILOVER main").await, refused("FAILOVER is refused: failover is follow here"));
    front.howdah.shutdown().await;
}

#[tokio::test]
async fn a_failover_is_answered_when_it_is_done() {
    let cluster = Cluster::builder().replicas(2).synchronous("*").start().await.unwrap();
    let front = Front::start(&cluster, "\"manage\"").await;
    let console = front.connect("pgbouncer").await;
    until_nodes(&console, &["primary up", "replica up", "replica up"]).await;
    let app = front.connect("app").await;
    app.run("CREATE TABLE t (a int)").await;
    let to = cluster.node(2).name();
    // Until the synchronous names are in force, which nothing on the console tells, an order is refused.
    wait_until("FAILOVER to be carried out", PATIENCE, || async {
        match console.client.simple_query(&format!("FAILOVER main TO {to}")).await {
            Ok(_) => true,
            Err(error) => {
                let refusal = error.as_db_error().expect("a refusal of the console's");
                eprintln!("FAILOVER: {}", refusal.message());
                false
            }
        }
    })
    .await
    .unwrap();
    let nodes = console.rows("SHOW NODES").await;
    assert_eq!(cells(&nodes[2], &["role", "state", "timeline"]), ["primary", "up", "2"]);
    let done = console.row("SHOW FAILOVERS", "outcome", "done").await;
    let expected = ["main", "failover", "2", cluster.node(0).name(), to];
    assert_eq!(cells(&done, &["cluster", "kind", "epoch", "old_primary", "new_primary"]), expected);
    assert_ne!(cell(&done, "duration_us"), "0");
    app.run("INSERT INTO t VALUES (1)").await;
    front.howdah.shutdown().await;
}

/// The mode and the limits of a running controller change with the file, and its epoch stays; the list of nodes does not,
/// and that is said.
#[tokio::test]
async fn reload_changes_what_a_controller_does() {
    let cluster = Cluster::builder().replicas(2).start().await.unwrap();
    let front = Front::start(&cluster, "\"follow\"").await;
    let console = front.connect("pgbouncer").await;
    until_nodes(&console, &["primary up", "replica up", "replica up"]).await;
    let (_, text) = console.error("FAILOVER main").await;
    assert!(text.contains("failover is follow here"), "{text}");

    front.rewrite(&cluster.nodes()[..2], "\"manage\"\nprobe_interval = \"100ms\"\nmax_lost_bytes = \"2MB\"");
    console.run("RELOAD").await;
    // What Howdah does as a manager is done now: the times of the receivers are its own.
    for standby in &cluster.nodes()[1..] {
        wait_until("the times of a receiver", PATIENCE, || async {
            standby.value("SHOW wal_receiver_timeout").await.unwrap() == "1s"
        })
        .await
        .unwrap();
    }
    let nodes = console.rows("SHOW NODES").await;
    assert_eq!(nodes.len(), 3, "the list of nodes stays until a restart");
    assert_eq!(cells(&nodes[0], &["role", "state", "timeline"]), ["primary", "up", "1"]);

    front.rewrite(cluster.nodes(), "\"follow\"");
    console.run("RELOAD").await;
    for standby in &cluster.nodes()[1..] {
        wait_until("the times of a receiver to be put back", PATIENCE, || async {
            standby.value("SHOW wal_receiver_timeout").await.unwrap() == "1min"
        })
        .await
        .unwrap();
    }
    front.howdah.shutdown().await;
}
