//! What PostgreSQL answers as a success and is none: a commit whose wait for synchronous replication was interrupted
//! (FAILOVER_PROTOCOL.md section 9).

use howdah_testkit::Cluster;
use tokio_postgres::{Client, NoTls};

use crate::support::{Bouncer, sentence, synchronous_names, until, within};

/// Waits until a backend waits for a standby that does not come, and interrupts the wait.
async fn interrupt(cluster: &Cluster) {
    until("the wait for synchronous replication", || async {
        let sql = "SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
        cluster.node(0).value(sql).await.unwrap() == "1"
    })
    .await;
}

/// The SQLSTATE that a statement ends with.
async fn told(cluster: &Cluster, client: &Client, sql: &str, simple: bool) -> String {
    let statement = async {
        let done =
            if simple { client.batch_execute(sql).await } else { client.execute(sql, &[]).await.map(drop) };
        let error = done.expect_err(sql);
        error.code().unwrap_or_else(|| panic!("{sql}: {error}")).code().to_owned()
    };
    let (code, ()) = tokio::join!(within(sql, statement), interrupt(cluster));
    code
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_no_standby_has_is_told_as_unknown() {
    let cluster = Cluster::builder().replicas(1).synchronous("FIRST 1 (node1)").start().await.unwrap();
    cluster.node(0).psql("CREATE TABLE t (i int)").await.unwrap();
    let nodes: Vec<String> = cluster.nodes().iter().map(|node| node.address().to_string()).collect();
    let settings = format!(
        "[clusters]\nmain = nodes={} user=postgres failover=follow probe_interval=0.1",
        nodes.join(",")
    );
    let bouncer = Bouncer::with("postgres = cluster=main dbname=postgres", &settings).await;
    let client = bouncer.connect().await;
    client.batch_execute("INSERT INTO t VALUES (1)").await.unwrap();
    cluster.node(1).stop_immediate().await.unwrap();
    for simple in [true, false] {
        assert_eq!(told(&cluster, &client, "INSERT INTO t VALUES (2)", simple).await, "08007");
        client.batch_execute("BEGIN; INSERT INTO t VALUES (3)").await.unwrap();
        assert_eq!(told(&cluster, &client, "COMMIT", simple).await, "08007");
    }
    // The session and its server go on, and the rows are there, as far as that goes.
    let rows = client.query_one("/* howdah:primary */ SELECT count(*) FROM t", &[]).await.unwrap();
    assert_eq!(rows.get::<_, i64>(0), 5);
    // A rollback waits for nobody.
    client.batch_execute("BEGIN; INSERT INTO t VALUES (4); ROLLBACK").await.unwrap();
}

/// A cluster where Howdah promotes, whose synchronous names are its own; the standby is never given up.
pub(crate) async fn managed(replicas: usize, more: &str) -> (Cluster, Bouncer) {
    let cluster = Cluster::builder().replicas(replicas).synchronous("*").start().await.unwrap();
    cluster.node(0).psql("CREATE TABLE t (i int)").await.unwrap();
    let nodes: Vec<String> =
        cluster.nodes().iter().map(|node| format!("{}@{}", node.name(), node.address())).collect();
    let settings = format!(
        "[clusters]\nmain = nodes={} user=postgres failover=manage member_timeout=600 {more}",
        nodes.join(",")
    );
    let bouncer = Bouncer::with("postgres = cluster=main dbname=postgres", &settings).await;
    synchronous_names(&cluster).await;
    (cluster, bouncer)
}

async fn waits_for_a_standby(cluster: &Cluster) -> bool {
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
    cluster.node(0).value(sql).await.unwrap() != "0"
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_wants_errors_only_is_told_of_a_commit_that_no_standby_has() {
    let (cluster, bouncer) = managed(1, "").await;
    cluster
        .node(0)
        .psql("CREATE ROLE quiet SUPERUSER LOGIN; ALTER ROLE quiet SET client_min_messages = error")
        .await
        .unwrap();
    let set = bouncer.connect().await;
    set.batch_execute("SET client_min_messages = error").await.unwrap();
    let asked = bouncer.try_connect("options='-c client_min_messages=error'").await.unwrap();
    let done = bouncer.connect().await;
    done.batch_execute("DO $$BEGIN PERFORM set_config('client_min_messages', 'error', false); END$$")
        .await
        .unwrap();
    for client in [&set, &asked] {
        assert_eq!(
            client.query_one("SHOW client_min_messages", &[]).await.unwrap().get::<_, &str>(0),
            "error"
        );
    }
    cluster.node(1).stop_immediate().await.unwrap();
    for client in [&set, &asked, &done] {
        for simple in [true, false] {
            assert_eq!(told(&cluster, client, "INSERT INTO t VALUES (2)", simple).await, "08007");
            client.batch_execute("BEGIN; INSERT INTO t VALUES (3)").await.unwrap();
            assert_eq!(told(&cluster, client, "COMMIT", simple).await, "08007");
        }
    }
    let by_role = "DO $$BEGIN PERFORM set_config('client_min_messages', 'error', false); END$$";
    done.batch_execute("BEGIN; INSERT INTO t VALUES (3)").await.unwrap();
    done.batch_execute(by_role).await.unwrap();
    assert_eq!(told(&cluster, &done, "COMMIT", true).await, "08007", "raised in the transaction itself");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_waits_for_a_standby_is_not_cancelled() {
    let (cluster, bouncer) = managed(1, "").await;
    let client = bouncer.connect().await;
    let token = client.cancel_token();
    let (slept, ()) = tokio::join!(client.batch_execute("SELECT pg_sleep(20)"), async {
        bouncer.pool_becomes("sv_active", 1).await;
        token.cancel_query(NoTls).await.unwrap();
    });
    assert_eq!(slept.unwrap_err().code().unwrap().code(), "57014", "a query is");
    cluster.node(1).stop_immediate().await.unwrap();
    let (inserted, ()) =
        tokio::join!(within("the commit", client.batch_execute("INSERT INTO t VALUES (1)")), async {
            until("the wait for a standby", || waits_for_a_standby(&cluster)).await;
            token.cancel_query(NoTls).await.unwrap();
            // The request is dealt with when its connection is closed, so what it did would show.
            assert!(waits_for_a_standby(&cluster).await);
            cluster.node(1).start().await.unwrap();
        });
    inserted.unwrap_or_else(|error| panic!("the standby has it: {}", sentence(&error)));
    let rows = client.query_one("/* howdah:primary */ SELECT count(*) FROM t", &[]).await.unwrap();
    assert_eq!(rows.get::<_, i64>(0), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn unprotected_commits_are_refused_or_shown() {
    let (_cluster, bouncer) = managed(1, "unsafe_commits=refuse").await;
    let client = bouncer.connect().await;
    for sql in ["SET synchronous_commit = off", "SELECT set_config('synchronous_commit', 'local', false)"] {
        let refused = client.batch_execute(sql).await.unwrap_err();
        assert_eq!(refused.code().unwrap().code(), "55P02", "{}", sentence(&refused));
    }
    client.batch_execute("SET synchronous_commit = remote_apply; INSERT INTO t VALUES (1)").await.unwrap();
}
