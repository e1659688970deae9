//! What is neither alive nor dead, before real servers: a hung postmaster, a hung backend, standbys that are away, two
//! primaries on one timeline, a standby that acknowledges what it does not have (FAILOVER_PROTOCOL.md §§2, 3, 7).

// The helpers of a test may panic as the test itself may.
#![allow(clippy::unwrap_used)]

mod support;

use std::time::Duration;

use howdah_controller::ControllerHandle;
use howdah_testkit::{Cluster, wait_until};
use howdah_topology::{Gate, Mode, NodeId};
use support::{PATIENCE, config, is_open, manage, setting, start, start_with, until, wait_for_members};

/// So many answers of the primary show that nothing has come of it.
const PROBES: u32 = 12;

/// The primary is probed on and on, and stays what it is.
async fn nothing_happens(handle: &ControllerHandle) {
    let before = handle.topology().epoch;
    for _ in 0..PROBES {
        let seen_at = handle.topology().nodes[0].seen_at;
        until(handle, "the next answer of the primary", |t| t.nodes[0].seen_at > seen_at).await;
    }
    let after = until(handle, "work goes on", is_open).await;
    assert_eq!((after.primary, after.epoch), (Some(NodeId(0)), before));
    assert_eq!(handle.failovers(), [], "there was a failover");
}

/// No new connection gets in, and those that stand go on: nobody is promoted, and an operator sees it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hung_postmaster_is_shown_and_replaced_by_nobody() {
    let cluster = Cluster::builder().replicas(2).synchronous("*").start().await.unwrap();
    let handle = manage(&cluster).await;
    wait_for_members(&cluster).await;
    let session = cluster.node(0).connect().await.unwrap();
    cluster.node(0).freeze_postmaster().unwrap();
    until(&handle, "it is shown", |t| t.nodes[0].note.contains("takes no new ones")).await;
    nothing_happens(&handle).await;
    session.batch_execute("CREATE TABLE t (i int)").await.unwrap();
    cluster.node(0).thaw();
    until(&handle, "it is shown no more", |t| is_open(t) && t.nodes[0].note.is_empty()).await;
    handle.shutdown().await;
}

/// Howdah's own sessions hang, the control session among them, and new ones are opened: nobody is promoted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hung_backends_are_no_dead_primary() {
    let cluster = Cluster::builder().replicas(2).synchronous("*").start().await.unwrap();
    let handle = manage(&cluster).await;
    wait_for_members(&cluster).await;
    let primary = cluster.node(0);
    let ours = "SELECT pid FROM pg_stat_activity WHERE application_name = 'howdah'";
    let mut hung = 0;
    for row in primary.psql(ours).await.unwrap() {
        // A fresh connection of a probe may have gone meanwhile.
        hung += u32::from(primary.freeze_process(row[0].parse().unwrap()).is_ok());
    }
    assert!(hung >= 1, "there is a control session at least");
    nothing_happens(&handle).await;
    primary.thaw();
    handle.shutdown().await;
}

/// Both standbys go: within the lease nobody was seen to follow the primary, so it is handed out no more, until they are
/// back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_that_nobody_follows_is_handed_out_for_its_lease_only() {
    let cluster = Cluster::builder().replicas(2).synchronous("*").start().await.unwrap();
    let handle = manage(&cluster).await;
    wait_for_members(&cluster).await;
    let writable = || handle.topology().writable_primary(handle.clock().now()).is_some();
    wait_until("the primary to be handed out", PATIENCE, || async { writable() }).await.unwrap();
    let before = handle.topology().epoch;
    for standby in &cluster.nodes()[1..] {
        standby.stop_immediate().await.unwrap();
    }
    wait_until("its lease to run out", PATIENCE, || async { !writable() }).await.unwrap();
    let held = handle.topology();
    let reason = held.held_reason(handle.clock().now()).unwrap();
    assert!(reason.contains("lease"), "{reason}");
    for standby in &cluster.nodes()[1..] {
        standby.start().await.unwrap();
    }
    wait_until("the primary to be handed out again", PATIENCE, || async { writable() }).await.unwrap();
    assert_eq!((handle.topology().primary, handle.topology().epoch), (Some(NodeId(0)), before));
    handle.shutdown().await;
}

/// A standby that is away for `member_timeout` leaves the list, so that the other's vote is a quorum when the primary dies.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_absent_standby_is_taken_out_and_the_other_can_be_promoted() {
    let cluster = Cluster::builder().replicas(2).synchronous("*").start().await.unwrap();
    let mut config = config(&cluster, Mode::Manage);
    config.member_timeout = Duration::from_secs(2);
    let handle = start_with(config);
    until(&handle, "both standbys", |t| is_open(t) && t.nodes[1..].iter().all(|n| n.attached)).await;
    wait_for_members(&cluster).await;
    let primary = cluster.node(0);
    cluster.node(2).stop_immediate().await.unwrap();
    wait_until("the name to be gone from the list and from its records", PATIENCE, || async {
        let names = setting(primary, "synchronous_standby_names").await;
        let mut gone = names.contains("node1") && !names.contains("node2");
        for node in &cluster.nodes()[..2] {
            gone &= !setting(node, "howdah.members").await.contains("node2");
        }
        gone
    })
    .await
    .unwrap();
    primary.psql("CREATE TABLE t (i int)").await.unwrap();
    primary.kill9().unwrap();
    until(&handle, "the other one is the primary", |t| is_open(t) && t.primary == Some(NodeId(1))).await;
    assert_eq!(cluster.node(1).value("SELECT count(*) FROM t").await.unwrap(), "0");
    handle.shutdown().await;
}

/// Two standbys were promoted, to the same timeline, by people who did not know of each other: no program may choose.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_primaries_on_one_timeline_halt_everything() {
    let cluster = Cluster::builder().replicas(2).start().await.unwrap();
    let handle = start(&cluster, Mode::Manage);
    until(&handle, "the cluster", |t| is_open(t) && t.nodes[1..].iter().all(|n| n.attached)).await;
    handle.shutdown().await;
    cluster.node(0).kill9().unwrap();
    for standby in &cluster.nodes()[1..] {
        standby.psql("SELECT pg_promote()").await.unwrap();
    }
    for mode in [Mode::Manage, Mode::Follow] {
        let handle = start(&cluster, mode);
        let sentence = "two nodes are out of recovery in one timeline";
        let held = |t: &howdah_topology::Topology| matches!(&t.gate, Gate::Held { reason, .. } if reason.contains(sentence));
        let halted = until(&handle, "everything is halted", held).await;
        assert!(halted.writable_primary(handle.clock().now()).is_none());
        handle.shutdown().await;
    }
}
