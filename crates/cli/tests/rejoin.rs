//! `howdah rejoin` against real servers: each way back, and what it refuses.

// A test may panic.
#![allow(clippy::unwrap_used)]

use std::process::{Command, Output};

use howdah_testkit::{Cluster, DEFAULT_DEADLINE, Node, wait_until};

/// A primary and one standby that can be rewound.
async fn cluster() -> Cluster {
    Cluster::builder().replicas(1).setting("full_page_writes", "on").start().await.unwrap()
}

async fn rejoin(cluster: &Cluster, index: usize, primary: &Node, more: &[&str]) -> Output {
    let node = cluster.node(index);
    let mut command = Command::new(env!("CARGO_BIN_EXE_howdah"));
    command.arg("rejoin").arg("--pgdata").arg(node.pgdata()).arg("--name").arg(node.name());
    command.arg("--primary").arg(cluster.conninfo_to(index, primary));
    command.arg("--rewind-as").arg(primary.conninfo("postgres")).arg("--log").arg(node.log_path());
    command.args(more).env("HOWDAH_PG_BIN", node.binaries().dir());
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

async fn promote(node: &Node) {
    assert_eq!(node.value("SELECT pg_promote()").await.unwrap(), "t");
}

/// Both nodes have the table's one row, and the second streams from the first under its own name.
async fn wait_follows(primary: &Node, standby: &Node, rows: &str) {
    let streams = format!(
        "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming' AND application_name = '{}'",
        standby.name()
    );
    wait_until("the node to follow", DEFAULT_DEADLINE, || async {
        primary.value(&streams).await.is_ok_and(|count| count == "1")
            && standby.value("SELECT count(*) FROM t").await.is_ok_and(|count| count == rows)
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_primary_with_rows_of_its_own_goes_back_and_follows() {
    let cluster = cluster().await;
    let (old, new) = (cluster.node(0), cluster.node(1));
    old.psql("CREATE TABLE t (i int)").await.unwrap();
    cluster.wait_caught_up(old, new).await.unwrap();
    new.stop().await.unwrap();
    old.psql("INSERT INTO t VALUES (1), (2)").await.unwrap();
    old.kill9().unwrap();
    new.start().await.unwrap();
    promote(new).await;
    new.psql("INSERT INTO t VALUES (3)").await.unwrap();
    let output = rejoin(&cluster, 0, new, &[]).await;
    assert!(output.status.success() && text(&output).contains("(pg_rewind)"), "{}", text(&output));
    wait_follows(new, old, "1").await;
    assert_eq!(old.value("SELECT i FROM t").await.unwrap(), "3");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_that_was_stopped_is_only_started() {
    let cluster = cluster().await;
    let (old, new) = (cluster.node(0), cluster.node(1));
    old.psql("CREATE TABLE t (i int)").await.unwrap();
    old.stop().await.unwrap();
    promote(new).await;
    let output = rejoin(&cluster, 0, new, &[]).await;
    assert!(output.status.success() && !text(&output).contains("(pg_rewind)"), "{}", text(&output));
    wait_follows(new, old, "0").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_directory_is_copied() {
    let cluster = cluster().await;
    let (primary, node) = (cluster.node(0), cluster.node(1));
    primary.psql("CREATE TABLE t (i int)").await.unwrap();
    let own = std::fs::read_to_string(node.pgdata().join("postgresql.conf")).unwrap();
    node.stop().await.unwrap();
    std::fs::remove_dir_all(node.pgdata()).unwrap();
    let output = rejoin(&cluster, 1, primary, &["--no-start"]).await;
    assert!(output.status.success() && text(&output).contains("copied"), "{}", text(&output));
    assert!(node.pgdata().join("standby.signal").exists());
    // Where it listens is the node's own affair, and there was nothing to keep.
    std::fs::write(node.pgdata().join("postgresql.conf"), own).unwrap();
    node.start().await.unwrap();
    wait_follows(primary, node, "0").await;
}

/// The slot is made where it is missing, and one that is there is used.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_slot_of_the_node_is_made() {
    let cluster = cluster().await;
    let (primary, node) = (cluster.node(0), cluster.node(1));
    primary.psql("CREATE TABLE t (i int)").await.unwrap();
    let active = "SELECT count(*) FROM pg_replication_slots WHERE slot_name = 'node1' AND active";
    for way in ["it is missing", "it is there"] {
        node.stop().await.unwrap();
        let output = rejoin(&cluster, 1, primary, &["--slot", "node1"]).await;
        assert!(output.status.success(), "{way}: {}", text(&output));
        wait_follows(primary, node, "0").await;
        wait_until("the slot to be used", DEFAULT_DEADLINE, || async {
            primary.value(active).await.unwrap() == "1"
        })
        .await
        .unwrap();
    }
    node.stop().await.unwrap();
    let output = rejoin(&cluster, 1, primary, &["--slot", "No Such"]).await;
    assert!(text(&output).contains("the replication slot No Such cannot be made on"), "{}", text(&output));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refuses_what_it_does_not_understand_and_changes_nothing() {
    let cluster = cluster().await;
    let (primary, node) = (cluster.node(0), cluster.node(1));
    let refused = rejoin(&cluster, 1, primary, &[]).await;
    assert_eq!(refused.status.code(), Some(2), "{}", text(&refused));
    assert!(text(&refused).contains("runs on"), "{}", text(&refused));

    node.stop().await.unwrap();
    let signal = node.pgdata().join("global/pg_control");
    let away = node.pgdata().join("global/away");
    std::fs::rename(&signal, &away).unwrap();
    let refused = rejoin(&cluster, 1, primary, &[]).await;
    assert_eq!(refused.status.code(), Some(2), "{}", text(&refused));
    assert!(text(&refused).contains("no data directory"), "{}", text(&refused));
    std::fs::rename(&away, &signal).unwrap();

    let other = Cluster::builder().replicas(0).start().await.unwrap();
    let refused = rejoin(&cluster, 1, other.node(0), &[]).await;
    assert_eq!(refused.status.code(), Some(2), "{}", text(&refused));
    // Its replication role has the same name and password, so it is asked.
    assert!(
        text(&refused).contains("nothing in common") || text(&refused).contains("cannot ask"),
        "{}",
        text(&refused)
    );

    let output = rejoin(&cluster, 1, primary, &["--dry-run"]).await;
    assert!(output.status.success() && text(&output).contains("it is started"), "{}", text(&output));
    assert!(!node.is_running());
}
