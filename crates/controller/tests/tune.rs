//! The times of the receivers before real servers: set while Howdah promotes, and put back when it lets go, also after it
//! was killed (FAILOVER_PROTOCOL.md §1).

// The helpers of a test may panic as the test itself may.
#![allow(clippy::unwrap_used)]

mod support;

use howdah_testkit::{Cluster, Node, wait_until};
use howdah_topology::Mode;
use support::{PATIENCE, config, is_open, setting, start, start_with, until};

async fn times(node: &Node) -> (String, String) {
    (setting(node, "wal_retrieve_retry_interval").await, setting(node, "wal_receiver_timeout").await)
}

fn pair(retry: &str, timeout: &str) -> (String, String) {
    (retry.to_owned(), timeout.to_owned())
}

async fn wait_for(cluster: &Cluster, what: &str, expected: [(String, String); 2]) {
    wait_until(what, PATIENCE, || async {
        times(cluster.node(1)).await == expected[0] && times(cluster.node(2)).await == expected[1]
    })
    .await
    .unwrap();
}

/// The first standby has values of its operator, by ALTER SYSTEM; the second one those of its file and the default.
async fn cluster() -> (Cluster, [(String, String); 2]) {
    let cluster = Cluster::builder()
        .replicas(2)
        .synchronous("*")
        .setting("wal_retrieve_retry_interval", "4s")
        .start()
        .await
        .unwrap();
    let own = "ALTER SYSTEM SET wal_receiver_timeout = '17s'";
    cluster.node(1).psql(own).await.unwrap();
    cluster.node(1).psql("ALTER SYSTEM SET wal_retrieve_retry_interval = '3s'").await.unwrap();
    cluster.node(1).reload().unwrap();
    let own = [pair("3s", "17s"), pair("4s", "1min")];
    wait_for(&cluster, "the operator's values", own.clone()).await;
    (cluster, own)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shutdown_puts_the_times_back() {
    let (cluster, own) = cluster().await;
    let handle = start(&cluster, Mode::Manage);
    wait_for(&cluster, "Howdah's values", [pair("200ms", "1s"), pair("200ms", "1s")]).await;
    handle.shutdown().await;
    wait_for(&cluster, "the operator's values again", own).await;
    for standby in &cluster.nodes()[1..] {
        assert_eq!(setting(standby, "howdah.tuned").await, "");
    }
}

#[test]
fn what_a_killed_howdah_has_left_is_put_back_by_the_next() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (cluster, own) = runtime.block_on(cluster());
    let killed = tokio::runtime::Runtime::new().unwrap();
    {
        let _inside = killed.enter();
        let _handle = start_with(config(&cluster, Mode::Manage));
        runtime.block_on(wait_for(&cluster, "Howdah's values", [pair("200ms", "1s"), pair("200ms", "1s")]));
    }
    // Its sessions end without a word: no step of a shutdown is taken.
    killed.shutdown_background();
    runtime.block_on(async {
        assert_eq!(times(cluster.node(1)).await, pair("200ms", "1s"));
        let handle = start(&cluster, Mode::Follow);
        until(&handle, "the primary", is_open).await;
        wait_for(&cluster, "the operator's values again", own).await;
        handle.shutdown().await;
    });
}
