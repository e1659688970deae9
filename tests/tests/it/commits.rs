//! `commit_resolution`: the primary dies between a COMMIT and its answer, and the client is told what became of it
//! (FAILOVER_PROTOCOL.md section 6, FAILOVER.md section 3.5).

use howdah_testkit::Cluster;
use tokio_postgres::Client;

use crate::acknowledgements::managed;
use crate::support::{Bouncer, sentence, until, within};

/// The primary is killed while this commit waits; what the client is told, and what the new primary has.
async fn killed_in_commit(
    cluster: &Cluster,
    bouncer: &Bouncer,
    client: &Client,
) -> (Result<(), String>, String) {
    let commit = within("the commit's fate", client.batch_execute("COMMIT"));
    let (told, ()) = tokio::join!(commit, async {
        until("the wait for a standby", || async {
            let sql =
                "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND query = 'COMMIT'";
            cluster.node(0).value(sql).await.unwrap() == "1"
        })
        .await;
        cluster.node(0).kill9().unwrap();
    });
    let told = told.map_err(|error| {
        let code = error.code().map(|code| code.code().to_owned());
        code.unwrap_or_else(|| sentence(&error))
    });
    assert_eq!(bouncer.show("SHOW FAILOVERS").await.len(), 1);
    let rows =
        client.query_one("/* howdah:primary */ SELECT count(*) FROM t WHERE i = 7", &[]).await.unwrap();
    (told, rows.get::<_, i64>(0).to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_a_standby_has_is_acknowledged_after_the_failover() {
    let (cluster, bouncer) = managed(2, "commit_resolution=on").await;
    let client = bouncer.connect().await;
    client.batch_execute("INSERT INTO t VALUES (1)").await.unwrap();
    for node in &cluster.nodes()[1..] {
        node.psql("SELECT pg_wal_replay_pause()").await.unwrap();
    }
    // The standbys have the commit in their log and not in their tables, which is what it waits for.
    client
        .batch_execute("BEGIN; SET LOCAL synchronous_commit = remote_apply; INSERT INTO t VALUES (7)")
        .await
        .unwrap();
    let (told, rows) = killed_in_commit(&cluster, &bouncer, &client).await;
    assert_eq!((told, rows.as_str()), (Ok(()), "1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_no_standby_has_is_an_abort_after_the_failover() {
    let (cluster, bouncer) = managed(2, "commit_resolution=on").await;
    let client = bouncer.connect().await;
    client.batch_execute("INSERT INTO t VALUES (1)").await.unwrap();
    client.batch_execute("BEGIN; INSERT INTO t VALUES (7)").await.unwrap();
    let primary = cluster.node(0);
    // Nothing is sent to the standbys any more, and no new sender comes: the kill is sooner than its time-out.
    let senders = primary.psql("SELECT pid FROM pg_stat_replication").await.unwrap();
    assert_eq!(senders.len(), 2);
    for sender in senders {
        primary.freeze_process(sender[0].parse().unwrap()).unwrap();
    }
    let (told, rows) = killed_in_commit(&cluster, &bouncer, &client).await;
    assert_eq!((told, rows.as_str()), (Err("40001".to_owned()), "0"));
    client.batch_execute("BEGIN; INSERT INTO t VALUES (8); COMMIT").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_connection_alone_is_lost_is_acknowledged_once_a_standby_has_it() {
    let (cluster, bouncer) = managed(1, "commit_resolution=on").await;
    let (client, other) = (bouncer.connect().await, bouncer.connect().await);
    // Two connections: the one that stays is there before the doubt begins.
    other.batch_execute("BEGIN; INSERT INTO t VALUES (1)").await.unwrap();
    client.batch_execute("BEGIN; INSERT INTO t VALUES (7)").await.unwrap();
    other.batch_execute("COMMIT").await.unwrap();
    cluster.node(1).stop_immediate().await.unwrap();
    let commit = within("the commit's fate", client.batch_execute("COMMIT"));
    let (told, ()) = tokio::join!(commit, async {
        until("the wait for a standby to be ended", || async {
            let sql =
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
            cluster.node(0).value(sql).await.unwrap() == "1"
        })
        .await;
        until("the question to wait for a standby", || async {
            let sql = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND query LIKE '%pg_xact_status%'";
            cluster.node(0).value(sql).await.unwrap() == "1"
        })
        .await;
        cluster.node(1).start().await.unwrap();
    });
    told.unwrap_or_else(|error| panic!("{}", sentence(&error)));
    let rows =
        client.query_one("/* howdah:primary */ SELECT count(*) FROM t WHERE i = 7", &[]).await.unwrap();
    assert_eq!(rows.get::<_, i64>(0), 1);
}
