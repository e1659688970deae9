//! The controller before real servers: what it shows of a cluster, and what it does when the primary dies.
//!
//! Times are printed, never asserted beyond a generous deadline: the machine that runs the tests may be loaded.

// The helpers of a test may panic as the test itself may.
#![allow(clippy::unwrap_used)]

mod support;

use std::time::Instant;

use howdah_controller::Command;
use howdah_testkit::{Cluster, DEFAULT_DEADLINE, wait_until};
use howdah_topology::{FailoverOutcome, Gate, Mode, NodeId, Role, SyncState, Topology};
use support::{PATIENCE, is_open, manage, setting, start, until, wait_for_members};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_cluster_appears_with_roles_and_names() {
    let cluster = Cluster::builder().replicas(2).synchronous("*").start().await.unwrap();
    let handle = manage(&cluster).await;
    let topology = handle.topology();
    assert_eq!(topology.primary, Some(NodeId(0)));
    assert_eq!(topology.epoch.unwrap().timeline, 1);
    assert_eq!(topology.nodes[0].role, Role::Primary);
    assert!(topology.nodes[1..].iter().all(|n| n.role == Role::Replica && n.prefix));
    wait_for_members(&cluster).await;
    let names = setting(cluster.node(0), "synchronous_standby_names").await;
    assert!(names.starts_with("FIRST 1"), "{names}: `*` becomes FIRST, so that one stays potential");
    assert!(names.contains("node1") && names.contains("node2"), "{names}");
    until(&handle, "one standby is sync and one potential", |t| {
        let mut sync: Vec<_> = t.nodes[1..].iter().map(|n| n.sync).collect();
        sync.sort_unstable_by_key(|s| s.as_str());
        sync == [SyncState::Potential, SyncState::Sync]
    })
    .await;
    handle.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_makes_the_replicas_fresh() {
    let cluster = Cluster::builder().replicas(2).start().await.unwrap();
    let handle = start(&cluster, Mode::Follow);
    until(&handle, "both replicas take reads", |t| {
        is_open(t) && t.nodes.iter().filter(|n| n.is_routable_replica()).count() == 2
    })
    .await;
    let client = cluster.node(0).connect().await.unwrap();
    client.batch_execute("CREATE TABLE t (i int)").await.unwrap();
    for _ in 0..20 {
        client.batch_execute("INSERT INTO t VALUES (1)").await.unwrap();
        let acknowledged = handle.clock().now();
        handle.note_write();
        let topology = until(&handle, "both replicas have the write", |t| {
            t.nodes[1..].iter().all(|n| n.fresh_as_of >= Some(acknowledged))
        })
        .await;
        println!("fresh after {:?}", handle.clock().now().since(acknowledged));
        assert!(topology.nodes[1..].iter().all(|n| n.replayed_lsn.is_some()));
    }
    handle.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_switchover_that_cannot_be_is_refused_or_put_back() {
    let cluster = Cluster::builder().replicas(2).synchronous("*").start().await.unwrap();
    let handle = manage(&cluster).await;
    wait_for_members(&cluster).await;
    let order = |to, force| handle.command(Command::Switchover { to: Some(NodeId(to)), force });
    let refused = order(1, false).await.unwrap_err().to_string();
    assert!(refused.contains("no supervisor"), "{refused}");
    let refused = order(0, true).await.unwrap_err().to_string();
    assert!(refused.contains("is the primary already"), "{refused}");

    // A transaction that does not end: the gate is opened again and the primary stays.
    let primary = cluster.node(0);
    let conninfo = format!("{} application_name=howdah_supervisor", primary.conninfo("postgres"));
    let _supervisor = primary.connect_with(&conninfo).await.unwrap();
    let open = primary.connect().await.unwrap();
    open.batch_execute("BEGIN; CREATE TABLE t (i int)").await.unwrap();
    wait_until("SWITCHOVER to be taken", PATIENCE, || async { order(1, false).await.is_ok() }).await.unwrap();
    until(&handle, "new work is held", |t| t.gate != Gate::Open).await;
    let after = until(&handle, "work goes on", is_open).await;
    assert_eq!((after.primary, after.epoch.unwrap().timeline), (Some(NodeId(0)), 1));
    let record = handle.failovers().pop().unwrap();
    assert!(matches!(record.outcome, FailoverOutcome::CalledOff(_)), "{record:?}");
    open.batch_execute("COMMIT").await.unwrap();
    assert_eq!(primary.value("SELECT count(*) FROM t").await.unwrap(), "0");
    handle.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_primary_is_replaced() {
    let cluster = Cluster::builder().replicas(2).synchronous("*").start().await.unwrap();
    let handle = manage(&cluster).await;
    wait_for_members(&cluster).await;
    cluster.node(0).psql("CREATE TABLE t (i int); INSERT INTO t VALUES (42)").await.unwrap();
    let before = handle.topology().epoch.unwrap();

    let killed = Instant::now();
    cluster.node(0).kill9().unwrap();
    let after =
        until(&handle, "another node is the primary", |t| is_open(t) && t.primary != Some(NodeId(0))).await;
    println!("kill -9 to the open gate: {:?}", killed.elapsed());
    let elected = cluster.node(usize::from(after.primary.unwrap().0));
    elected.psql("INSERT INTO t VALUES (43)").await.unwrap();
    println!("kill -9 to the first write: {:?}", killed.elapsed());

    let epoch = after.epoch.unwrap();
    assert!(epoch.is_newer_than(&before), "{epoch} is not newer than {before}");
    assert_eq!(elected.value("SELECT count(*) FROM t").await.unwrap(), "2");
    let other = if elected.name() == "node1" { cluster.node(2) } else { cluster.node(1) };
    cluster.wait_streaming().await.unwrap();
    cluster.wait_caught_up(elected, other).await.unwrap();
    assert_eq!(other.value("SELECT count(*) FROM t").await.unwrap(), "2");
    for node in [elected, other] {
        wait_until("the fence's record to be gone", PATIENCE, || async {
            setting(node, "howdah.fence").await.is_empty()
        })
        .await
        .unwrap();
    }
    let record = handle.failovers().into_iter().next_back().unwrap();
    assert_eq!(record.outcome, FailoverOutcome::Promoted);
    assert_eq!((record.from, record.to), (Some(NodeId(0)), after.primary));
    println!("{} took {:?}:", record.why, record.took());
    for step in &record.steps {
        println!("  {:>10} {:>8} µs", step.name, step.took_us);
    }
    handle.shutdown().await;
}

/// `*` is in force and no node knows a name: whatever was acknowledged is on one of the standbys, so both are fenced.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_killed_before_its_names_were_written_is_replaced() {
    let cluster = Cluster::builder().replicas(2).synchronous("*").start().await.unwrap();
    let handle = start(&cluster, Mode::Manage);
    // In maintenance nothing is written.
    handle.command(Command::Maintenance(true)).await.unwrap();
    until(&handle, "the cluster", |t| is_open(t) && t.nodes[1..].iter().all(|n| n.attached)).await;
    cluster.node(0).psql("CREATE TABLE t (i int); INSERT INTO t VALUES (42)").await.unwrap();
    assert_eq!(setting(cluster.node(0), "synchronous_standby_names").await, "*");
    cluster.node(0).kill9().unwrap();
    handle.command(Command::Maintenance(false)).await.unwrap();
    let after =
        until(&handle, "another node is the primary", |t| is_open(t) && t.primary != Some(NodeId(0))).await;
    let elected = cluster.node(usize::from(after.primary.unwrap().0));
    assert_eq!(elected.value("SELECT i FROM t").await.unwrap(), "42");
    let names = setting(elected, "synchronous_standby_names").await;
    assert!(names.starts_with("FIRST 1 (\"node"), "{names}: it is no less synchronous than before");
    handle.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_that_answers_again_is_kept() {
    let cluster = Cluster::builder().replicas(2).synchronous("*").start().await.unwrap();
    let handle = manage(&cluster).await;
    wait_for_members(&cluster).await;
    let before = handle.topology();
    for _ in 0..2 {
        cluster.node(0).freeze().unwrap();
        until(&handle, "the gate is held", |t| t.gate != Gate::Open).await;
        cluster.node(0).thaw();
        let after = until(&handle, "the gate is open again", is_open).await;
        assert_eq!((after.primary, after.epoch), (before.primary, before.epoch));
    }
    for standby in &cluster.nodes()[1..] {
        assert!(standby.is_standby().await.unwrap(), "{standby:?} was promoted for a false alarm");
    }
    cluster.node(0).psql("CREATE TABLE t (i int)").await.unwrap();
    handle.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failover_that_is_called_off_puts_everything_back() {
    let cluster = Cluster::builder().replicas(2).synchronous("*").start().await.unwrap();
    let handle = manage(&cluster).await;
    wait_for_members(&cluster).await;
    let mut before = Vec::new();
    for node in &cluster.nodes()[1..] {
        before.push(setting(node, "primary_conninfo").await);
    }
    // A startup process that does not move keeps its WAL receiver: this node cannot be fenced.
    let startup = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'startup'";
    let startup = cluster.node(2).value(startup).await.unwrap().parse().unwrap();
    cluster.node(2).freeze_process(startup).unwrap();
    let answer = handle.command(Command::Failover { to: Some(NodeId(1)) }).await;
    println!("the command's answer: {answer:?}");
    wait_until("the failover to end", PATIENCE, || async {
        handle.failovers().last().is_some_and(|record| record.outcome != FailoverOutcome::Running)
    })
    .await
    .unwrap();
    let record = handle.failovers().into_iter().next_back().unwrap();
    assert!(matches!(record.outcome, FailoverOutcome::CalledOff(_)), "{record:?}");
    cluster.node(2).thaw();
    for (node, before) in cluster.nodes()[1..].iter().zip(&before) {
        wait_until("the address of the primary to be back", PATIENCE, || async {
            setting(node, "primary_conninfo").await == *before
                && setting(node, "howdah.fence").await.is_empty()
        })
        .await
        .unwrap();
        assert!(node.is_standby().await.unwrap());
    }
    cluster.wait_streaming().await.unwrap();
    until(&handle, "the gate is open again", |t| is_open(t) && t.primary == Some(NodeId(0))).await;
    handle.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_elses_promotion_is_followed() {
    let cluster = Cluster::builder().replicas(2).start().await.unwrap();
    let handle = start(&cluster, Mode::Follow);
    let before = until(&handle, "the primary is known", is_open).await;
    cluster.node(0).kill9().unwrap();
    cluster.node(2).psql("SELECT pg_promote()").await.unwrap();
    let after =
        until(&handle, "the new primary is known", |t| is_open(t) && t.primary == Some(NodeId(2))).await;
    assert!(after.epoch.unwrap().is_newer_than(&before.epoch.unwrap()));
    assert!(cluster.node(1).is_standby().await.unwrap(), "follow never promotes");
    handle.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shutdown_gives_the_votes_and_the_sessions_back() {
    let cluster = Cluster::builder().replicas(1).start().await.unwrap();
    let handle = start(&cluster, Mode::Manage);
    let ours = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'howdah'";
    wait_until("sessions of the controller", DEFAULT_DEADLINE, || async {
        cluster.node(0).value(ours).await.is_ok_and(|n| n != "0")
    })
    .await
    .unwrap();
    handle.shutdown().await;
    for node in cluster.nodes() {
        wait_until("the sessions to be gone", DEFAULT_DEADLINE, || async {
            node.value(ours).await.is_ok_and(|n| n == "0")
        })
        .await
        .unwrap();
    }
    assert!(handle.command(Command::Resume).await.is_err());
}

/// The dead primary is made anew as a standby, and then the new primary dies: twice, so that every node was both.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failovers_in_a_row_with_the_dead_node_rebuilt_between() {
    let cluster = Cluster::builder().replicas(2).synchronous("*").start().await.unwrap();
    let handle = manage(&cluster).await;
    wait_for_members(&cluster).await;
    cluster.node(0).psql("CREATE TABLE t (i int)").await.unwrap();
    for round in 0..3 {
        let before = handle.topology();
        let old = before.primary.unwrap();
        let dead = cluster.node(usize::from(old.0));
        dead.psql(&format!("INSERT INTO t VALUES ({round})")).await.unwrap();
        let killed = Instant::now();
        dead.kill9().unwrap();
        let after =
            until(&handle, "another node is the primary", |t| is_open(t) && t.primary != Some(old)).await;
        println!("round {round}: kill -9 to the open gate: {:?}", killed.elapsed());
        assert!(after.epoch.unwrap().is_newer_than(&before.epoch.unwrap()));
        let elected = cluster.node(usize::from(after.primary.unwrap().0));
        let rows = elected.value("SELECT count(*) FROM t").await.unwrap();
        assert_eq!(rows, (round + 1).to_string(), "an acknowledged row is missing");
        cluster.rebuild(usize::from(old.0), elected).await.unwrap();
        until(&handle, "the rebuilt node is a replica again, and both are in the list", |t| {
            let back = |n: &howdah_topology::Node| {
                n.attached && n.is_routable_replica() && n.sync != SyncState::Async
            };
            is_open(t) && t.nodes.iter().filter(|n| Some(n.id) != t.primary).all(back)
        })
        .await;
    }
    assert_eq!(handle.failovers().len(), 3);
    handle.shutdown().await;
}

/// A primary that says nothing for long enough is replaced; when it wakes up it finds that it reigns no more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_primary_is_replaced_and_never_routed_to_again() {
    let cluster = Cluster::builder().replicas(2).synchronous("*").start().await.unwrap();
    let handle = manage(&cluster).await;
    wait_for_members(&cluster).await;
    let old = cluster.node(0);
    old.psql("CREATE TABLE t (i int)").await.unwrap();
    let writer = old.connect().await.unwrap();
    let frozen = Instant::now();
    old.freeze().unwrap();
    let after =
        until(&handle, "another node is the primary", |t| is_open(t) && t.primary != Some(NodeId(0))).await;
    println!("freeze to the open gate: {:?}", frozen.elapsed());
    let elected = cluster.node(usize::from(after.primary.unwrap().0));
    elected.psql("INSERT INTO t VALUES (1)").await.unwrap();

    let late = tokio::spawn(async move { writer.batch_execute("INSERT INTO t VALUES (2)").await });
    old.thaw();
    let seen = until(&handle, "the old primary is seen again", |t| {
        t.nodes[0].state == howdah_topology::NodeState::Returning
    })
    .await;
    assert_eq!(seen.primary, after.primary);
    assert!(!seen.nodes[0].is_routable_replica(), "reads may not go to a former primary");
    wait_until("the old primary to be read-only", PATIENCE, || async {
        // The session that asks may be among those that are ended there.
        let asked = old.value("SELECT current_setting('default_transaction_read_only')").await;
        asked.is_ok_and(|value| value == "on")
    })
    .await
    .unwrap();
    assert!(late.await.unwrap().is_err(), "the old primary acknowledged a write of its own");
    handle.shutdown().await;
}

/// Two poolers before one cluster: one of them promotes, the other one follows, and nobody promotes twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_poolers_agree_on_one_failover() {
    let cluster = Cluster::builder().replicas(2).synchronous("*").start().await.unwrap();
    let (first, second) = (manage(&cluster).await, manage(&cluster).await);
    wait_for_members(&cluster).await;
    let killed = Instant::now();
    cluster.node(0).kill9().unwrap();
    let moved = |t: &Topology| is_open(t) && t.primary.is_some_and(|p| p != NodeId(0));
    let one = until(&first, "another node is the primary", moved).await;
    let two = until(&second, "another node is the primary", moved).await;
    println!("kill -9 to both gates open: {:?}", killed.elapsed());
    assert_eq!((one.primary, one.epoch), (two.primary, two.epoch));
    assert_eq!(one.epoch.unwrap().timeline, 2, "there was more than one promotion");
    let other = cluster.node(if one.primary == Some(NodeId(1)) { 2 } else { 1 });
    assert!(other.is_standby().await.unwrap());
    cluster.wait_streaming().await.unwrap();
    first.shutdown().await;
    second.shutdown().await;
}
