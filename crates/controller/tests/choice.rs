//! Who is promoted, and what that costs: the preferred node, cascading standbys, the bound of an asynchronous loss, and
//! settings that change meanwhile (FAILOVER_PROTOCOL.md §§6, 10).

// The helpers of a test may panic as the test itself may.
#![allow(clippy::unwrap_used)]
// The figures of a run are printed beside it.
#![allow(clippy::print_stdout)]

mod support;

use howdah_controller::{Command, ControllerConfig, ControllerHandle};
use howdah_testkit::{Cluster, Node, wait_until};
use howdah_topology::{FailoverOutcome, Lsn, Mode, NodeId, Topology};
use support::{PATIENCE, config, is_open, setting, start_with, until, wait_for_members};

async fn ready(config: &ControllerConfig) -> ControllerHandle {
    let handle = start_with(config.clone());
    let standbys = config.nodes.iter().filter(|n| !n.cascade).count() - 1;
    until(&handle, "the cluster is ready for a failover", |t| {
        is_open(t) && t.nodes.iter().filter(|n| n.attached && n.is_routable_replica()).count() >= standbys
    })
    .await;
    handle
}

/// A standby's receiver ends and finds nobody any more: in maintenance Howdah leaves that so.
async fn cut_off(cluster: &Cluster, standby: usize) {
    let node = cluster.node(standby);
    let conninfo = cluster.conninfo_to(standby, cluster.node(0));
    let nowhere = conninfo.replace(&format!("port={}", cluster.node(0).port()), "port=1");
    node.psql(&format!("ALTER SYSTEM SET primary_conninfo = '{nowhere}'")).await.unwrap();
    node.reload().unwrap();
    wait_until("the receiver to be gone", PATIENCE, || async {
        node.value("SELECT count(*) FROM pg_stat_wal_receiver").await.unwrap() == "0"
    })
    .await
    .unwrap();
}

/// The controller has seen all that the node has flushed by now.
async fn seen(handle: &ControllerHandle, node: &Node) {
    let flushed: Lsn = node.value("SELECT pg_current_wal_flush_lsn()").await.unwrap().parse().unwrap();
    let asked = handle.clock().now();
    until(handle, "a probe of the primary as it is", |t| {
        t.nodes[0].insert_lsn >= Some(flushed) && t.nodes[0].seen_at > Some(asked)
    })
    .await;
}

fn reigns(node: u16) -> impl Fn(&Topology) -> bool {
    move |t| is_open(t) && t.primary == Some(NodeId(node))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_loss_of_an_asynchronous_failover_is_bounded_and_on_record() {
    let cluster = Cluster::builder().replicas(2).start().await.unwrap();
    let mut config = config(&cluster, Mode::Manage);
    config.max_lost_bytes = 64 << 10;
    let handle = ready(&config).await;
    let primary = cluster.node(0);
    handle.command(Command::Maintenance(true)).await.unwrap();
    cut_off(&cluster, 1).await;
    cut_off(&cluster, 2).await;
    primary.psql("SELECT pg_logical_emit_message(true, 'lost', repeat('x', 200000))").await.unwrap();
    seen(&handle, primary).await;
    primary.kill9().unwrap();
    handle.command(Command::Maintenance(false)).await.unwrap();
    wait_until("the failover to be refused", PATIENCE, || async {
        let told = |why: &str| why.contains("would be lost: more than max_lost_bytes (65536)");
        handle.failovers().iter().any(|r| matches!(&r.outcome, FailoverOutcome::CalledOff(why) if told(why)))
    })
    .await
    .unwrap();
    for standby in &cluster.nodes()[1..] {
        assert!(standby.is_standby().await.unwrap(), "{standby:?} was promoted");
    }

    // RELOAD: the operator accepts the loss. What cannot change is said, and stays as it is.
    config.max_lost_bytes = 1 << 20;
    let mut other = config.clone();
    other.nodes.pop();
    other.dbname = "template1".to_owned();
    let kept = handle.reload(&other);
    assert!(kept.len() == 2 && kept[0].contains("node2 gone") && kept[1].contains("dbname"), "{kept:?}");
    assert_eq!(handle.settings().nodes.len(), 3);
    let after =
        until(&handle, "another node is the primary", |t| is_open(t) && t.primary != Some(NodeId(0))).await;
    assert_eq!(after.nodes.len(), 3);
    let record = handle.failovers().pop().unwrap();
    println!("{record:?}");
    assert_eq!(record.outcome, FailoverOutcome::Promoted);
    let lost = record.lost_bytes.unwrap();
    assert!((200_000..1 << 20).contains(&lost), "{lost} bytes");
    handle.shutdown().await;
}

/// The node of the greatest priority lacks acknowledged rows; and a logical slot of the old primary is on no standby.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_preferred_node_receives_from_the_furthest_before_it_is_promoted() {
    let builder = Cluster::builder().replicas(2).synchronous("*").setting("wal_level", "logical");
    let cluster = builder.start().await.unwrap();
    let mut config = config(&cluster, Mode::Manage);
    config.nodes[2].priority = 200;
    let handle = ready(&config).await;
    wait_for_members(&cluster).await;
    let primary = cluster.node(0);
    primary.psql("CREATE TABLE t (i int)").await.unwrap();
    primary.psql("SELECT pg_create_logical_replication_slot('cdc', 'pgoutput')").await.unwrap();
    handle.command(Command::Maintenance(true)).await.unwrap();
    cut_off(&cluster, 2).await;
    primary.psql("INSERT INTO t SELECT generate_series(1, 10000)").await.unwrap();
    seen(&handle, primary).await;
    primary.kill9().unwrap();
    handle.command(Command::Maintenance(false)).await.unwrap();
    until(&handle, "the preferred node is the primary", reigns(2)).await;
    let elected = cluster.node(2);
    assert_eq!(
        elected.value("SELECT count(*) FROM t").await.unwrap(),
        "10000",
        "acknowledged rows are missing"
    );
    let record = handle.failovers().pop().unwrap();
    println!("{record:?}");
    assert_eq!(record.outcome, FailoverOutcome::Promoted);
    assert!(record.steps.iter().any(|step| step.name == "catch_up"), "{record:?}");
    assert_eq!(record.lost_slots, ["cdc"]);
    cluster.wait_streaming().await.unwrap();
    elected.psql("INSERT INTO t VALUES (0)").await.unwrap();
    cluster.wait_caught_up(elected, cluster.node(1)).await.unwrap();
    handle.shutdown().await;
}

/// By the operator's order, where the furthest cannot be reached by the node of the order: it is called off.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_of_an_order_that_cannot_receive_is_not_promoted() {
    let cluster = Cluster::builder().replicas(2).synchronous("*").start().await.unwrap();
    let handle = ready(&config(&cluster, Mode::Manage)).await;
    wait_for_members(&cluster).await;
    let primary = cluster.node(0);
    primary.psql("CREATE TABLE t (i int)").await.unwrap();
    handle.command(Command::Maintenance(true)).await.unwrap();
    cut_off(&cluster, 2).await;
    primary.psql("INSERT INTO t SELECT generate_series(1, 10000)").await.unwrap();
    // Nobody but Howdah gets in where it would stream from.
    let hba = "host replication all all reject";
    cluster.node(1).write_hba(&[hba.to_owned(), "host all all all trust".to_owned()]).unwrap();
    cluster.node(1).reload().unwrap();
    seen(&handle, primary).await;
    let order = Command::Failover { to: Some(NodeId(2)) };
    handle.command(order).await.unwrap();
    wait_until("the order to be called off", PATIENCE, || async {
        let told = |why: &str| why.contains("node2 has not received in time what node1 has");
        handle.failovers().iter().any(|r| matches!(&r.outcome, FailoverOutcome::CalledOff(why) if told(why)))
    })
    .await
    .unwrap();
    until(&handle, "work goes on", reigns(0)).await;
    for standby in &cluster.nodes()[1..] {
        assert!(standby.is_standby().await.unwrap() && setting(standby, "howdah.fence").await.is_empty());
    }
    handle.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cascading_standby_stays_with_its_upstream_until_that_is_gone() {
    let cluster = Cluster::builder().replicas(3).synchronous("node1, node2").start().await.unwrap();
    let (primary, upstream, cascade) = (cluster.node(0), cluster.node(2), cluster.node(3));
    let conninfo = cluster.conninfo_to(3, upstream);
    cascade.psql(&format!("ALTER SYSTEM SET primary_conninfo = '{conninfo}'")).await.unwrap();
    cascade.reload().unwrap();
    let streams_from = |node: &Node| {
        format!("SELECT count(*) FROM pg_stat_wal_receiver WHERE sender_port = {}", node.port())
    };
    let streams = async |node: &Node| {
        wait_until("the cascading standby to stream from there", PATIENCE, || async {
            cascade.value(&streams_from(node)).await.unwrap() == "1"
        })
        .await
        .unwrap();
    };
    streams(upstream).await;
    let mut config = config(&cluster, Mode::Manage);
    config.nodes[3].cascade = true;
    config.nodes[1].priority = 200;
    config.member_timeout = std::time::Duration::from_secs(2);
    let handle = ready(&config).await;
    wait_for_members(&cluster).await;
    until(&handle, "reads go to it", |t| t.nodes[3].is_routable_replica()).await;
    let refused = handle.command(Command::Failover { to: Some(NodeId(3)) }).await.unwrap_err().to_string();
    assert!(refused.contains("node3 is a cascading standby"), "{refused}");

    primary.psql("CREATE TABLE t (i int)").await.unwrap();
    primary.kill9().unwrap();
    until(&handle, "the preferred node is the primary", reigns(1)).await;
    let elected = cluster.node(1);
    elected.psql("INSERT INTO t VALUES (1)").await.unwrap();
    cluster.wait_caught_up(elected, cascade).await.unwrap();
    assert_eq!(setting(cascade, "primary_conninfo").await, conninfo, "it was not touched");
    streams(upstream).await;
    // Of a standby that loses its upstream before it was seen in the new timeline nobody knows what it has.
    until(&handle, "it is seen in the new epoch", |t| t.nodes[3].is_routable_replica()).await;

    upstream.stop().await.unwrap();
    streams(elected).await;
    until(&handle, "reads go to it", |t| t.nodes[3].is_routable_replica()).await;
    assert!(!setting(elected, "synchronous_standby_names").await.contains("node3"), "it has no vote");
    handle.shutdown().await;
}
