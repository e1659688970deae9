//! What PostgreSQL answers as a success and is none: a commit whose wait for synchronous replication was interrupted
//! (FAILOVER_PROTOCOL.md section 9).

use howdah_testkit::Cluster;
use tokio_postgres::Client;

use crate::support::{Bouncer, until, within};

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
