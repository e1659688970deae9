//! What a read has to have seen, with replicas that stand still: the levels of `consistency`, `causal_wait`, and tokens
//! between sessions, between two Howdahs and across a failover (DESIGN.md section 6, FAILOVER_PROTOCOL.md section 8).

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use howdah_testkit::Cluster;
use tokio_postgres::{Client, SimpleQueryMessage};

use crate::support::{Bouncer, Row, connect, sentence, until, within};

/// Where a statement ran, and how many rows it saw there.
const SEEN: &str =
    "SELECT inet_server_addr()::text || ':' || inet_server_port(), (SELECT count(*) FROM t)::text";

/// Entries of every level, on database `postgres`.
const ENTRIES: [(&str, &str); 8] = [
    ("postgres", ""),
    ("eventual", "consistency=eventual"),
    ("monotonic", "consistency=monotonic"),
    ("database", "consistency=database"),
    ("strong", "consistency=strong"),
    ("patient", "causal_wait=10"),
    ("brief", "causal_wait=0.3"),
    ("reader", "target=replica"),
];

async fn cluster(replicas: usize) -> Cluster {
    let cluster = Cluster::builder().replicas(replicas).start().await.unwrap();
    cluster.node(0).psql("CREATE TABLE t (i int)").await.unwrap();
    caught_up(&cluster).await;
    cluster
}

async fn caught_up(cluster: &Cluster) {
    for standby in &cluster.nodes()[1..] {
        cluster.wait_caught_up(cluster.node(0), standby).await.unwrap();
    }
}

async fn bouncer(cluster: &Cluster, more: &str) -> Bouncer {
    let nodes: Vec<String> = cluster.nodes().iter().map(|node| node.address().to_string()).collect();
    let entries = ENTRIES.map(|(name, keys)| format!("{name} = cluster=main dbname=postgres {keys}"));
    let settings = format!(
        "default_pool_size = 5\nserver_login_retry = 0.2\n[clusters]\nmain = nodes={} user=postgres \
         failover=follow probe_interval=0.1 {more}",
        nodes.join(",")
    );
    let bouncer = Bouncer::with(&entries.join("\n"), &settings).await;
    until("the cluster to be known", || async {
        let rows = bouncer.show("SHOW NODES").await;
        rows.iter().filter(|row| row["role"] == "replica" && row["state"] == "up").count()
            == cluster.nodes().len() - 1
    })
    .await;
    bouncer
}

async fn session(bouncer: &Bouncer, entry: &str) -> Client {
    connect(&bouncer.conninfo("postgres", entry)).await.unwrap()
}

/// What a statement answers, by the simple protocol.
async fn row(client: &Client, sql: &str) -> Result<Vec<String>, tokio_postgres::Error> {
    let answer = within(sql, client.simple_query(sql)).await?;
    let row = answer.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => {
            Some((0..row.len()).map(|i| row.get(i).unwrap_or_default().to_owned()).collect())
        }
        _ => None,
    });
    Ok(row.unwrap_or_default())
}

/// The node that answers, and the number of rows that it shows.
async fn seen(cluster: &Cluster, client: &Client) -> (usize, i64) {
    let answer = row(client, SEEN).await.unwrap();
    let shown = |index: usize| format!("{}/32:{}", cluster.node(index).host(), cluster.node(index).port());
    let node = (0..cluster.nodes().len()).find(|index| shown(*index) == answer[0]);
    (node.unwrap_or_else(|| panic!("{answer:?}")), answer[1].parse().unwrap())
}

async fn insert(client: &Client) {
    within("an INSERT", client.batch_execute("INSERT INTO t VALUES (1)")).await.unwrap();
}

/// From now on the node stands still, or goes on.
async fn replay(cluster: &Cluster, index: usize, goes_on: bool) {
    let verb = if goes_on { "resume" } else { "pause" };
    let node = cluster.node(index);
    node.psql(&format!("SELECT pg_wal_replay_{verb}()")).await.unwrap();
    if !goes_on {
        until("replay to be paused", || async {
            node.value("SELECT pg_get_wal_replay_pause_state()").await.unwrap() == "paused"
        })
        .await;
    }
}

async fn token(client: &Client) -> String {
    row(client, "SHOW howdah.causal_token").await.unwrap().remove(0)
}

/// SQLSTATE of a statement that must be refused; the session goes on.
async fn refused(client: &Client, sql: &str) -> String {
    let error = row(client, sql).await.expect_err(sql);
    let code = error.code().unwrap_or_else(|| panic!("{sql}: {error}")).code().to_owned();
    assert!(sentence(&error).contains("howdah.read_after"), "{sql}: {}", sentence(&error));
    code
}

#[tokio::test(flavor = "multi_thread")]
async fn each_level_sees_what_it_promises_while_a_replica_stands_still() {
    let cluster = cluster(1).await;
    let bouncer = bouncer(&cluster, "").await;
    let fresh = session(&bouncer, "postgres").await;
    insert(&fresh).await;
    caught_up(&cluster).await;
    let watching = session(&bouncer, "database").await;
    until("reads of every level but one on the replica", || async {
        seen(&cluster, &fresh).await == (1, 1) && seen(&cluster, &watching).await == (1, 1)
    })
    .await;
    assert_eq!(seen(&cluster, &session(&bouncer, "strong").await).await, (0, 1));
    replay(&cluster, 1, false).await;
    // Its own writes, whatever the replica has; of others' a session of this level need see nothing.
    insert(&fresh).await;
    for _ in 0..20 {
        assert_eq!(seen(&cluster, &fresh).await, (0, 2));
    }
    assert_eq!(seen(&cluster, &session(&bouncer, "postgres").await).await, (1, 1));
    // What it only read on the primary counts as well.
    let reader = session(&bouncer, "postgres").await;
    row(&reader, &format!("/* howdah:primary */ {SEEN}")).await.unwrap();
    assert_eq!(seen(&cluster, &reader).await, (0, 2));
    let eventual = session(&bouncer, "eventual").await;
    insert(&eventual).await;
    assert_eq!(seen(&cluster, &eventual).await, (1, 1), "eventual promises nothing");
    // Another session's write, of the same database.
    let other = session(&bouncer, "database").await;
    insert(&other).await;
    for _ in 0..5 {
        assert_eq!(seen(&cluster, &watching).await, (0, 4), "all sessions of the database");
    }
    let monotonic = session(&bouncer, "monotonic").await;
    assert_eq!(seen(&cluster, &monotonic).await, (1, 1));
    row(&monotonic, &format!("/* howdah:primary */ {SEEN}")).await.unwrap();
    assert_eq!(seen(&cluster, &monotonic).await, (0, 4), "not back to the replica");
    replay(&cluster, 1, true).await;
    for client in [&fresh, &reader, &watching, &monotonic, &eventual] {
        until("reads on the replica again", || async { seen(&cluster, client).await == (1, 4) }).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_monotonic_session_never_goes_back_between_two_replicas() {
    let cluster = cluster(2).await;
    let bouncer = bouncer(&cluster, "").await;
    let (writer, monotonic) = (session(&bouncer, "postgres").await, session(&bouncer, "monotonic").await);
    insert(&writer).await;
    caught_up(&cluster).await;
    replay(&cluster, 2, false).await;
    let (mut last, mut replicas, mut stale) = (0, 0, 0);
    let eventual = session(&bouncer, "eventual").await;
    for _ in 0..40 {
        insert(&writer).await;
        for _ in 0..3 {
            let (node, rows) = seen(&cluster, &monotonic).await;
            assert!(rows >= last, "{rows} after {last} on node {node}");
            replicas += i32::from(node > 0);
            last = rows;
        }
        stale += i32::from(seen(&cluster, &eventual).await == (2, 1));
    }
    assert!(stale > 0, "the replica that stands still is read where nothing is promised");
    assert!(replicas > 0, "and the other one by the session too");
}

#[tokio::test(flavor = "multi_thread")]
async fn causal_wait_waits_for_the_replica_and_then_asks_the_primary() {
    let cluster = cluster(1).await;
    let bouncer = bouncer(&cluster, "").await;
    let (patient, brief) = (session(&bouncer, "patient").await, session(&bouncer, "brief").await);
    for client in [&patient, &brief] {
        until("reads on the replica", || async { seen(&cluster, client).await.0 == 1 }).await;
    }
    replay(&cluster, 1, false).await;
    insert(&brief).await;
    let started = Instant::now();
    assert_eq!(seen(&cluster, &brief).await, (0, 1), "the primary, in the end");
    assert!(started.elapsed() >= Duration::from_millis(300), "{:?}", started.elapsed());
    insert(&patient).await;
    let read = seen(&cluster, &patient);
    let resume = async {
        until("the read to wait", || async { bouncer.pool("patient", "cl_waiting").await == 1 }).await;
        replay(&cluster, 1, true).await;
    };
    let (answer, ()) = tokio::join!(read, resume);
    assert_eq!(answer, (1, 2), "the replica, once it has it");
    // A write and then reads without a pause: each may wait for the replica, and none has to ask the primary.
    for rows in 3..13 {
        insert(&patient).await;
        assert_eq!(seen(&cluster, &patient).await, (1, rows));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_carries_a_write_to_other_sessions_and_other_howdahs() {
    let cluster = cluster(2).await;
    let (here, there) = (bouncer(&cluster, "").await, bouncer(&cluster, "").await);
    let writer = session(&here, "postgres").await;
    let others = [session(&here, "postgres").await, session(&there, "eventual").await];
    for client in &others {
        until("reads on a replica", || async { seen(&cluster, client).await.0 != 0 }).await;
    }
    for index in [1, 2] {
        replay(&cluster, index, false).await;
    }
    insert(&writer).await;
    let token = token(&writer).await;
    let system = cluster.node(0).value("SELECT system_identifier FROM pg_control_system()").await.unwrap();
    assert!(token.starts_with(&format!("{system}:1:")), "{token}");
    // The same by the extended protocol, prepared, and in a transaction.
    let rows = within("a row", writer.query("SHOW howdah.causal_token", &[])).await.unwrap();
    assert_eq!(rows[0].columns()[0].name(), "howdah.causal_token");
    assert!(rows[0].get::<_, String>(0).starts_with(&format!("{system}:1:")));
    for client in &others {
        assert_eq!(seen(&cluster, client).await.1, 0, "without the token");
        client.batch_execute(&format!("SET howdah.read_after = '{token}'")).await.unwrap();
        assert_eq!(row(client, "SHOW howdah.read_after").await.unwrap().concat(), token);
        for _ in 0..5 {
            assert_eq!(seen(&cluster, client).await, (0, 1), "with it");
        }
    }
    // The primary's answers bind a session beside the token; the eventual one is bound by the token alone.
    replay(&cluster, 2, true).await;
    until("the replica that has it", || async { seen(&cluster, &others[1]).await == (2, 1) }).await;
    assert_eq!(seen(&cluster, &others[1]).await, (2, 1), "never the other one");
    others[1].batch_execute("RESET howdah.read_after").await.unwrap();
    let nodes = BTreeSet::from([seen(&cluster, &others[1]).await, seen(&cluster, &others[1]).await]);
    assert_eq!(nodes, BTreeSet::from([(1, 0), (2, 1)]), "without it again");
    // Prepared, as drivers do without being asked.
    others[1].execute(&format!("SET howdah.read_after = '{token}'"), &[]).await.unwrap();
    for _ in 0..4 {
        assert_eq!(seen(&cluster, &others[1]).await, (2, 1));
    }
    others[1].batch_execute("DISCARD ALL").await.unwrap();
    assert_eq!(row(&others[1], "SHOW howdah.read_after").await.unwrap(), [""]);
    replay(&cluster, 1, true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_in_a_transaction_and_on_a_replica() {
    let cluster = cluster(1).await;
    let bouncer = bouncer(&cluster, "").await;
    let (writer, client) = (session(&bouncer, "postgres").await, session(&bouncer, "eventual").await);
    until("reads on the replica", || async { seen(&cluster, &client).await.0 == 1 }).await;
    replay(&cluster, 1, false).await;
    insert(&writer).await;
    let token = token(&writer).await;
    let set = format!("SET howdah.read_after = '{token}'");
    // A driver that begins a transaction for everything.
    for (end, rows) in [("ROLLBACK", (1, 0)), ("COMMIT", (0, 1))] {
        for sql in ["BEGIN", &set, end] {
            row(&client, sql).await.unwrap();
        }
        assert_eq!(seen(&cluster, &client).await, rows, "{end}");
    }
    row(&client, "RESET howdah.read_after").await.unwrap();
    // The transaction has its replica already, which has not what the token wants.
    row(&client, "BEGIN READ ONLY").await.unwrap();
    assert_eq!(refused(&client, &set).await, "55000");
    row(&client, "ROLLBACK").await.unwrap();
    // A replica's own position, for who only reads.
    let reader = session(&bouncer, "reader").await;
    let replayed = cluster.node(1).value("SELECT pg_last_wal_replay_lsn()").await.unwrap();
    assert!(self::token(&reader).await.ends_with(&format!(":1:{replayed}")), "{replayed}");
    // Nothing of it is left on the servers.
    let left = "/* howdah:primary */ SELECT coalesce(current_setting('howdah.read_after', true), '')";
    for _ in 0..5 {
        assert_eq!(row(&client, left).await.unwrap(), [""]);
    }
    for bad in ["x", "1:1:0/0", "1:1"] {
        assert_eq!(refused(&client, &format!("SET howdah.read_after = '{bad}'")).await, "22023");
    }
    replay(&cluster, 1, true).await;
    row(&client, "BEGIN READ ONLY").await.unwrap();
    row(&client, "ROLLBACK").await.unwrap();
    until("a transaction on the replica, behind the token", || async {
        row(&client, "BEGIN READ ONLY").await.unwrap();
        let set = row(&client, &set).await;
        let seen = if set.is_ok() { seen(&cluster, &client).await } else { (0, 0) };
        row(&client, "ROLLBACK").await.unwrap();
        seen == (1, 1)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_across_a_failover() {
    let cluster = Cluster::builder().replicas(2).synchronous("FIRST 1 (node1)").start().await.unwrap();
    cluster.node(0).psql("CREATE TABLE t (i int)").await.unwrap();
    let bouncer = bouncer(&cluster, "failover_hold=1").await;
    let writer = session(&bouncer, "postgres").await;
    insert(&writer).await;
    let old = token(&writer).await;
    let system = old.split(':').next().unwrap().to_owned();
    // One that names what nobody will have; on its own timeline it is taken at its word.
    let lost = format!("{system}:1:FF/0");
    let unlucky = session(&bouncer, "eventual").await;
    row(&unlucky, &format!("SET howdah.read_after = '{lost}'")).await.unwrap();
    assert_eq!(seen(&cluster, &unlucky).await, (0, 1));
    // From another Howdah that has seen the next primary already.
    let early = session(&bouncer, "eventual").await;
    row(&early, &format!("SET howdah.read_after = '{system}:2:0/0'")).await.unwrap();
    let started = Instant::now();
    assert_eq!(refused(&early, SEEN).await, "57P03");
    assert!(started.elapsed() >= Duration::from_secs(1), "{:?}", started.elapsed());

    cluster.node(0).kill9().unwrap();
    let node = cluster.node(1);
    node.psql("ALTER SYSTEM SET synchronous_standby_names = ''").await.unwrap();
    node.psql("SELECT pg_promote()").await.unwrap();
    node.reload().unwrap();
    until("the new primary to be known", || async {
        let rows = bouncer.show("SHOW NODES").await;
        let new = |row: &Row| row["port"] == node.port().to_string() && row["role"] == "primary";
        rows.iter().any(|row| new(row) && row["timeline"] == "2")
    })
    .await;
    let after = session(&bouncer, "eventual").await;
    row(&after, &format!("SET howdah.read_after = '{old}'")).await.unwrap();
    assert_eq!(seen(&cluster, &after).await, (1, 1), "up to the fork it is as good as before");
    assert_eq!(seen(&cluster, &early).await, (1, 1), "what was awaited has come");
    assert_eq!(refused(&unlucky, SEEN).await, "55000");
    assert_eq!(refused(&unlucky, "INSERT INTO t VALUES (1)").await, "55000");
    assert_eq!(refused(&after, &format!("SET howdah.read_after = '{lost}'")).await, "55000");
    row(&unlucky, "RESET howdah.read_after").await.unwrap();
    assert_eq!(seen(&cluster, &unlucky).await, (1, 1));
    insert(&writer).await;
    let new = token(&writer).await;
    assert!(new.starts_with(&format!("{system}:2:")), "{new}");
    // The other replica is made anew: it has the old timeline's part of the token and the new one's.
    cluster.rebuild(2, node).await.unwrap();
    row(&after, &format!("SET howdah.read_after = '{new}'")).await.unwrap();
    until("reads on the replica of the new primary", || async { seen(&cluster, &after).await == (2, 2) })
        .await;
    row(&after, &format!("SET howdah.read_after = '{old}'")).await.unwrap();
    assert_eq!(seen(&cluster, &after).await, (2, 2));
}
