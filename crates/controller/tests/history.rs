//! Histories before real servers: a diverged standby, a cold start with the old primary first, restarts that lose the
//! received position (FAILOVER_PROTOCOL.md §§2, 6, 7, 8, what is marked *ran*).

// The helpers of a test may panic as the test itself may.
#![allow(clippy::unwrap_used)]

mod support;

use howdah_controller::Command;
use howdah_testkit::{Cluster, wait_until};
use howdah_topology::{FailoverOutcome, Gate, Mode, NodeId, NodeState, Role};
use support::{PATIENCE, is_open, manage, start, until, wait_for_members};

/// Two standbys are promoted independently, to the same timeline; the one with more rows becomes a standby of the other
/// again. Its position is larger, and its rows do not exist.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_diverged_standby_with_a_larger_position_is_never_routed_to() {
    let cluster = Cluster::builder().replicas(2).start().await.unwrap();
    let (old, primary, diverged) = (cluster.node(0), cluster.node(1), cluster.node(2));
    old.psql("CREATE TABLE t (i int)").await.unwrap();
    cluster.wait_caught_up(old, diverged).await.unwrap();
    diverged.stop().await.unwrap();
    old.psql("INSERT INTO t VALUES (1)").await.unwrap();
    cluster.wait_caught_up(old, primary).await.unwrap();
    old.kill9().unwrap();
    primary.psql("SELECT pg_promote()").await.unwrap();
    diverged.start().await.unwrap();
    diverged.psql("SELECT pg_promote()").await.unwrap();
    diverged.psql("INSERT INTO t SELECT generate_series(1, 20000)").await.unwrap();
    let conninfo = cluster.conninfo_to(2, primary);
    diverged.psql(&format!("ALTER SYSTEM SET primary_conninfo = '{conninfo}'")).await.unwrap();
    diverged.stop().await.unwrap();
    std::fs::write(diverged.pgdata().join("standby.signal"), "").unwrap();
    diverged.start().await.unwrap();
    let count = diverged.value("SELECT count(*) FROM t").await.unwrap();
    assert_eq!(count, "20000", "it serves rows that do not exist");

    for mode in [Mode::Follow, Mode::Manage] {
        let handle = start(&cluster, mode);
        let seen = until(&handle, "the primary, and the diverged standby as such", |t| {
            is_open(t) && t.primary == Some(NodeId(1)) && t.nodes[2].state == NodeState::Diverged
        })
        .await;
        let node = &seen.nodes[2];
        assert!(node.lsn() > seen.nodes[1].lsn(), "{node:?}: its position is the larger one");
        assert!(!node.is_routable_replica() && !node.prefix && node.fresh_as_of.is_none(), "{node:?}");
        assert!(node.note.contains("not a prefix"), "{node:?}");
        // A write is sampled at once: it does not make the diverged one fresh.
        handle.note_write();
        let later = until(&handle, "newer probes", |t| t.nodes[2].seen_at > node.seen_at).await;
        assert!(!later.nodes[2].is_routable_replica() && later.nodes[2].fresh_as_of.is_none());
        handle.shutdown().await;
    }
}

/// Everything was down, and the primary of before the failover comes up first.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_primary_that_comes_up_first_is_not_handed_out() {
    let cluster = Cluster::builder().replicas(2).synchronous("*").start().await.unwrap();
    let handle = manage(&cluster).await;
    wait_for_members(&cluster).await;
    let old = cluster.node(0);
    old.psql("CREATE TABLE t (i int)").await.unwrap();
    old.kill9().unwrap();
    let after =
        until(&handle, "another node is the primary", |t| is_open(t) && t.primary != Some(NodeId(0))).await;
    let elected = after.primary.unwrap();
    cluster.node(usize::from(elected.0)).psql("INSERT INTO t VALUES (1)").await.unwrap();
    handle.shutdown().await;
    for node in &cluster.nodes()[1..] {
        node.stop().await.unwrap();
    }

    old.start().await.unwrap();
    let handle = start(&cluster, Mode::Manage);
    let held = until(&handle, "the old primary alone", |t| t.nodes[0].role == Role::Primary).await;
    assert!(held.writable_primary(handle.clock().now()).is_none(), "{held:#?}");
    let seen_at = held.nodes[0].seen_at;
    let mut probes = seen_at;
    for _ in 0..10 {
        let seen = until(&handle, "the next probe of it", |t| t.nodes[0].seen_at > probes).await;
        probes = seen.nodes[0].seen_at;
        assert!(matches!(&seen.gate, Gate::Held { .. }), "{seen:#?}");
        assert_eq!(seen.primary, None);
    }
    for node in &cluster.nodes()[1..] {
        node.start().await.unwrap();
    }
    let after = until(&handle, "the newer primary", |t| is_open(t) && t.primary == Some(elected)).await;
    assert_eq!(after.epoch.unwrap().timeline, 2);
    let after = until(&handle, "the old one as such", |t| t.nodes[0].state == NodeState::Returning).await;
    assert!(!after.nodes[0].is_routable_replica());
    // The sessions of a returning primary are ended, this question's among them: then it is asked again.
    wait_until("the old primary to be read-only", PATIENCE, || async {
        old.value("SHOW default_transaction_read_only").await.is_ok_and(|v| v == "on")
    })
    .await
    .unwrap();
    handle.shutdown().await;
}

/// Standbys that were restarted after the primary's death know no received position; what they have replayed counts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn restarted_standbys_without_a_received_position_lose_nothing() {
    let cluster = Cluster::builder().replicas(2).synchronous("*").start().await.unwrap();
    let handle = manage(&cluster).await;
    wait_for_members(&cluster).await;
    let primary = cluster.node(0);
    primary.psql("CREATE TABLE t (i int)").await.unwrap();
    // One of the two has less: the other one alone has the acknowledged rows.
    let sync =
        primary.value("SELECT application_name FROM pg_stat_replication WHERE sync_state = 'sync'").await;
    let (ahead, behind) = if sync.unwrap() == "node1" { (1, 2) } else { (2, 1) };
    handle.command(Command::Maintenance(true)).await.unwrap();
    cluster.node(behind).stop().await.unwrap();
    primary.psql("INSERT INTO t SELECT generate_series(1, 1000)").await.unwrap();
    primary.kill9().unwrap();
    cluster.node(ahead).stop_immediate().await.unwrap();
    for node in &cluster.nodes()[1..] {
        node.start().await.unwrap();
        let lost = "SELECT coalesce(pg_last_wal_receive_lsn() < pg_last_wal_replay_lsn(), true)";
        assert_eq!(node.value(lost).await.unwrap(), "t", "a restart loses it, or begins it with a segment");
    }
    handle.command(Command::Maintenance(false)).await.unwrap();
    let after =
        until(&handle, "another node is the primary", |t| is_open(t) && t.primary != Some(NodeId(0))).await;
    assert_eq!(usize::from(after.primary.unwrap().0), ahead, "the furthest");
    assert_eq!(cluster.node(ahead).value("SELECT count(*) FROM t").await.unwrap(), "1000");
    let record = handle.failovers().pop().unwrap();
    assert_eq!(record.outcome, FailoverOutcome::Promoted);
    handle.shutdown().await;
}
