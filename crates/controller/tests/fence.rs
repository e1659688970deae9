//! The fence and what may stand in its way, before real servers (FAILOVER_PROTOCOL.md §5, what is marked *ran* in it and
//! in §11). In each the primary acknowledges writes until the fence, and all that it has acknowledged is there afterwards.

// The helpers of a test may panic as the test itself may.
#![allow(clippy::unwrap_used)]
// The figures of a run are printed beside it.
#![allow(clippy::print_stdout)]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use howdah_controller::{Command, ControllerHandle};
use howdah_testkit::{Cluster, Node, wait_until};
use howdah_topology::{NodeId, Topology};
use support::{PATIENCE, is_open, manage, until, wait_for_members};

/// A client that writes one number after the other, until its session is ended.
struct Writer {
    acknowledged: Arc<AtomicU32>,
    task: tokio::task::JoinHandle<()>,
}

impl Writer {
    async fn start(node: &Node) -> Self {
        let client = node.connect().await.unwrap();
        let acknowledged = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&acknowledged);
        let task = tokio::spawn(async move {
            for i in 1.. {
                if client.batch_execute(&format!("INSERT INTO t VALUES ({i})")).await.is_err() {
                    return;
                }
                count.store(i, Ordering::SeqCst);
            }
        });
        Self { acknowledged, task }
    }

    fn count(&self) -> u32 {
        self.acknowledged.load(Ordering::SeqCst)
    }

    /// Nothing more is acknowledged, and all that was is on the new primary.
    async fn nothing_is_lost(self, handle: &ControllerHandle, elected: &Node) {
        wait_until("the old session to end", PATIENCE, || async { self.task.is_finished() }).await.unwrap();
        let acknowledged = self.count();
        let there =
            elected.value(&format!("SELECT count(*) FROM t WHERE i <= {acknowledged}")).await.unwrap();
        println!("{acknowledged} acknowledged, {there} of them there");
        for step in &handle.failovers().last().unwrap().steps {
            println!("  {:>10} {:>9} µs", step.name, step.took_us);
        }
        assert_eq!(there, acknowledged.to_string(), "acknowledged writes are lost");
    }
}

async fn cluster(settings: &[(&str, &str)]) -> (Cluster, ControllerHandle) {
    let mut builder = Cluster::builder().replicas(2).synchronous("*");
    for (name, value) in settings {
        builder = builder.setting(name, value);
    }
    let cluster = builder.start().await.unwrap();
    let handle = manage(&cluster).await;
    wait_for_members(&cluster).await;
    cluster.node(0).psql("CREATE TABLE t (i int)").await.unwrap();
    (cluster, handle)
}

async fn replaced(handle: &ControllerHandle) -> Arc<Topology> {
    until(handle, "another node is the primary", |t| is_open(t) && t.primary != Some(NodeId(0))).await
}

fn elected<'a>(cluster: &'a Cluster, topology: &Topology) -> &'a Node {
    cluster.node(usize::from(topology.primary.unwrap().0))
}

async fn wait_for_writes(writer: &Writer) {
    let before = writer.count();
    wait_until("writes to be acknowledged", PATIENCE, || async { writer.count() > before + 20 })
        .await
        .unwrap();
}

/// With replay paused the receivers go on, and the living primary acknowledges: the setting alone fences nobody.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_replay_does_not_keep_a_living_primary_acknowledging() {
    let (cluster, handle) = cluster(&[]).await;
    let writer = Writer::start(cluster.node(0)).await;
    for standby in &cluster.nodes()[1..] {
        standby.psql("SELECT pg_wal_replay_pause()").await.unwrap();
    }
    wait_for_writes(&writer).await;
    handle.command(Command::Failover { to: None }).await.unwrap();
    let after = replaced(&handle).await;
    writer.nothing_is_lost(&handle, elected(&cluster, &after)).await;
    handle.shutdown().await;
}

/// A long read keeps the startup process from seeing its setting, and its receiver goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_reads_on_both_standbys_do_not_keep_a_living_primary_acknowledging() {
    let (cluster, handle) = cluster(&[("max_standby_streaming_delay", "-1")]).await;
    let primary = cluster.node(0);
    primary.psql("CREATE TABLE long AS SELECT generate_series(1, 1000) AS i").await.unwrap();
    let mut readers = Vec::new();
    for standby in &cluster.nodes()[1..] {
        cluster.wait_caught_up(primary, standby).await.unwrap();
        let reader = standby.connect().await.unwrap();
        reader
            .batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM long")
            .await
            .unwrap();
        readers.push(reader);
    }
    primary.psql("DELETE FROM long").await.unwrap();
    primary.psql("VACUUM long").await.unwrap();
    let waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event LIKE 'RecoveryConflict%'";
    for standby in &cluster.nodes()[1..] {
        wait_until("a recovery conflict", PATIENCE, || async { standby.value(waits).await.unwrap() == "1" })
            .await
            .unwrap();
    }
    let writer = Writer::start(primary).await;
    wait_for_writes(&writer).await;
    handle.command(Command::Failover { to: None }).await.unwrap();
    let after = replaced(&handle).await;
    writer.nothing_is_lost(&handle, elected(&cluster, &after)).await;
    assert!(readers[0].batch_execute("SELECT 1").await.is_err(), "the reads were in the way");
    handle.shutdown().await;
}

/// The primary dies while both standbys have a gigabyte to replay, and replay is paused: everything is replayed before
/// anybody is elected.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gigabyte_to_replay_is_replayed_before_the_promotion() {
    let (cluster, handle) = cluster(&[("max_wal_size", "4GB")]).await;
    let primary = cluster.node(0);
    for standby in &cluster.nodes()[1..] {
        standby.psql("SELECT pg_wal_replay_pause()").await.unwrap();
    }
    let begun = Instant::now();
    for _ in 0..16 {
        let bulk = "SELECT count(pg_logical_emit_message(true, 'bulk', repeat('x', 1 << 20))) FROM generate_series(1, 64)";
        primary.psql(bulk).await.unwrap();
    }
    let writer = Writer::start(primary).await;
    wait_for_writes(&writer).await;
    let behind =
        "SELECT pg_wal_lsn_diff(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()) >= (1::bigint << 30)";
    for standby in &cluster.nodes()[1..] {
        wait_until("a gigabyte to replay", PATIENCE, || async {
            standby.value(behind).await.unwrap() == "t"
        })
        .await
        .unwrap();
    }
    println!("a gigabyte was written in {:?}", begun.elapsed());
    let killed = Instant::now();
    primary.kill9().unwrap();
    let after = replaced(&handle).await;
    println!("kill -9 to the open gate, with a gigabyte to replay: {:?}", killed.elapsed());
    writer.nothing_is_lost(&handle, elected(&cluster, &after)).await;
    handle.shutdown().await;
}

/// Under load the primary flushes and sends whole pages, so that what the standbys have received may end within a record: that
/// is never replayed, and it is the end of the log all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_killed_within_a_record_is_replaced() {
    let (cluster, handle) = cluster(&[("max_wal_size", "4GB")]).await;
    let primary = cluster.node(0);
    primary.psql("INSERT INTO t VALUES (1)").await.unwrap();
    let writer = primary.connect().await.unwrap();
    let record = "SELECT pg_logical_emit_message(false, 'one record', repeat('x', 512 << 20))";
    let written = tokio::spawn(async move { writer.batch_execute(record).await });
    let within = "SELECT pg_last_wal_receive_lsn() - pg_last_wal_replay_lsn() > 10000000";
    // It stands still from the first sight of it, or a busy machine would have it written to its end meanwhile.
    let some_is_received = |standby: usize| {
        let standby = cluster.node(standby);
        wait_until("some of the record to be received", PATIENCE, move || async move {
            standby.value(within).await.unwrap() == "t"
        })
    };
    some_is_received(1).await.unwrap();
    primary.freeze().unwrap();
    some_is_received(2).await.unwrap();
    let killed = Instant::now();
    primary.kill9().unwrap();
    assert!(written.await.unwrap().is_err(), "the record was written to its end");
    let after = replaced(&handle).await;
    println!("kill -9 within a record to the open gate: {:?}", killed.elapsed());
    assert_eq!(elected(&cluster, &after).value("SELECT count(*) FROM t").await.unwrap(), "1");
    let record = handle.failovers().pop().unwrap();
    assert_eq!(handle.failovers().len(), 1, "by the first attempt: {record:?}");
    handle.shutdown().await;
}
