//! `howdah rejoin --supervise` against real servers: orders, crashes, the end, and what it refuses.

// A test may panic.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use howdah_testkit::{Cluster, DEFAULT_DEADLINE, Node, Supervisor, wait_until};

const PROGRAM: &str = env!("CARGO_BIN_EXE_howdah");

/// A primary and one standby that can be rewound.
async fn cluster() -> Cluster {
    Cluster::builder().replicas(1).setting("full_page_writes", "on").start().await.unwrap()
}

fn supervise(cluster: &Cluster, index: usize, more: &[&str]) -> Supervisor {
    Supervisor::start(Path::new(PROGRAM), cluster, index, more).unwrap()
}

/// Gives the order to stop as the poolers do; `started` is the server's start that is meant.
async fn order(node: &Node, started: &str, other: &Node) {
    let client = node.connect().await.unwrap();
    let order = format!("v1 test 1 {started} {}:{}", other.host(), other.port());
    for sql in ["SET", "ALTER SYSTEM SET"] {
        client.batch_execute(&format!("{sql} howdah.switchover = '{order}'")).await.unwrap();
    }
    // A server that is stopped at once may not answer any more.
    let _ = client.batch_execute("SELECT pg_reload_conf()").await;
}

async fn started(node: &Node) -> String {
    node.value("SELECT (extract(epoch FROM pg_postmaster_start_time()) * 1000000)::bigint").await.unwrap()
}

async fn wait_role(node: &Node, standby: bool) {
    wait_until("the node's role", DEFAULT_DEADLINE, || async {
        node.is_standby().await.is_ok_and(|is| is == standby)
    })
    .await
    .unwrap();
}

async fn wait_streams(primary: &Node, standby: &Node) {
    let sql = format!(
        "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming' AND application_name = '{}'",
        standby.name()
    );
    wait_until("the standby to stream", DEFAULT_DEADLINE, || async {
        primary.value(&sql).await.is_ok_and(|count| count == "1")
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_stops_the_primary_and_it_follows_whoever_is_promoted() {
    let cluster = cluster().await;
    let (old, new) = (cluster.node(0), cluster.node(1));
    old.psql("CREATE TABLE t AS SELECT 1 AS i").await.unwrap();
    let supervisor = supervise(&cluster, 0, &[]);
    supervisor.wait_present().await.unwrap();
    order(old, &started(old).await, new).await;
    supervisor.wait_said("stopped; waiting for the new primary").await.unwrap();
    assert!(!old.is_running(), "{}", supervisor.said());
    // A clean stop: the standby has all of it.
    assert_eq!(new.value("SELECT i FROM t").await.unwrap(), "1");
    assert_eq!(new.value("SELECT pg_promote()").await.unwrap(), "t");
    wait_role(old, true).await;
    wait_streams(new, old).await;
    let said = supervisor.said();
    assert!(said.contains("it is started.") && !said.contains("(pg_rewind)"), "{said}");
    // The order is of the past.
    assert_eq!(
        old.value("SELECT coalesce(current_setting('howdah.switchover', true), '')").await.unwrap(),
        ""
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_promoted_the_primary_is_started_as_it_was() {
    let cluster = cluster().await;
    let (primary, other) = (cluster.node(0), cluster.node(1));
    let supervisor = supervise(&cluster, 0, &["--switchover-wait", "1"]);
    supervisor.wait_present().await.unwrap();
    order(primary, &started(primary).await, other).await;
    supervisor.wait_said("Nobody was promoted in its place").await.unwrap();
    wait_role(primary, false).await;
    primary.psql("CREATE TABLE t (i int)").await.unwrap();
    wait_streams(primary, other).await;
    // The setting outlives the restart, the order does not.
    supervisor.wait_present().await.unwrap();
    assert_eq!(supervisor.said().matches("for a switchover").count(), 1, "{}", supervisor.said());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_of_the_past_is_ignored() {
    let cluster = cluster().await;
    let (primary, other) = (cluster.node(0), cluster.node(1));
    // It stands there before the supervisor comes.
    let now = started(primary).await;
    order(primary, &now, other).await;
    let supervisor = supervise(&cluster, 0, &[]);
    supervisor.wait_present().await.unwrap();
    // It comes later, for another start of the server.
    order(primary, "17", other).await;
    supervisor.wait_said("for an earlier start of this server: it is ignored").await.unwrap();
    assert_eq!(started(primary).await, now);
    // Neither keeps it from the right one.
    order(primary, &now, other).await;
    supervisor.wait_said("for a switchover").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crashed_primary_that_nobody_replaces_comes_back_as_it_was() {
    let cluster = cluster().await;
    let primary = cluster.node(0);
    let supervisor = supervise(&cluster, 0, &["--crash-wait", "1"]);
    // What it says is counted: it must have said it once before the first kill.
    supervisor.wait_said("runs as the primary of timeline 1").await.unwrap();
    for round in 1..=2 {
        primary.kill9().unwrap();
        wait_until("the server to be started again", DEFAULT_DEADLINE, || async {
            supervisor.said().matches("runs as the primary of timeline 1").count() > round
        })
        .await
        .unwrap();
        wait_role(primary, false).await;
    }
    wait_streams(primary, cluster.node(1)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crashed_primary_goes_back_and_follows_the_one_that_was_promoted() {
    let cluster = cluster().await;
    let (old, new) = (cluster.node(0), cluster.node(1));
    old.psql("CREATE TABLE t (i int)").await.unwrap();
    cluster.wait_caught_up(old, new).await.unwrap();
    let supervisor = supervise(&cluster, 0, &[]);
    supervisor.wait_present().await.unwrap();
    // Rows that the standby has not got.
    new.freeze().unwrap();
    old.psql("INSERT INTO t VALUES (1), (2)").await.unwrap();
    old.kill9().unwrap();
    new.thaw();
    assert_eq!(new.value("SELECT pg_promote()").await.unwrap(), "t");
    wait_role(old, true).await;
    wait_streams(new, old).await;
    let both = "SELECT count(*) FROM t";
    assert_eq!(old.value(both).await.unwrap(), new.value(both).await.unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_that_was_replaced_while_it_ran_becomes_a_standby() {
    let cluster = cluster().await;
    let (old, new) = (cluster.node(0), cluster.node(1));
    let supervisor = supervise(&cluster, 0, &[]);
    supervisor.wait_said("runs as the primary of timeline 1").await.unwrap();
    // Howdah's mark on a former primary would stay for ever.
    old.psql("ALTER SYSTEM SET default_transaction_read_only = on").await.unwrap();
    assert_eq!(new.value("SELECT pg_promote()").await.unwrap(), "t");
    wait_role(old, true).await;
    wait_streams(new, old).await;
    assert_eq!(old.value("SHOW default_transaction_read_only").await.unwrap(), "off");
    assert!(supervisor.said().contains("is the primary of timeline 2"), "{}", supervisor.said());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn told_to_end_it_stops_the_server_cleanly_and_starts_it_another_time() {
    let cluster = cluster().await;
    let (primary, standby) = (cluster.node(0), cluster.node(1));
    for (node, index) in [(standby, 1), (primary, 0)] {
        let supervisor = supervise(&cluster, index, &[]);
        supervisor.wait_present().await.unwrap();
        let status = supervisor.terminate().await.unwrap();
        assert_eq!(status.code(), Some(0));
        assert!(!node.is_running());
    }
    // Neither runs: the primary comes up as it was, and the standby follows.
    let first = supervise(&cluster, 0, &[]);
    first.wait_said("Nobody was promoted in its place").await.unwrap();
    let second = supervise(&cluster, 1, &[]);
    wait_streams(primary, standby).await;
    drop((first, second));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_it_does_not_understand_it_leaves_alone() {
    let cluster = cluster().await;
    let node = cluster.node(1);
    node.stop().await.unwrap();
    std::fs::rename(node.pgdata().join("PG_VERSION"), node.pgdata().join("away")).unwrap();
    let mut supervisor = supervise(&cluster, 1, &[]);
    let status = supervisor.ended().await.unwrap();
    assert_eq!(status.code(), Some(2), "{}", supervisor.said());
    assert!(supervisor.said().contains("no data directory"), "{}", supervisor.said());
}
