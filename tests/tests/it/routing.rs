//! A primary and two replicas: where reads and writes go, reading one's own writes, and the loss of nodes.
//!
//! The cluster is followed, not managed: promotion by hand stands for whatever manager there is.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use futures_util::future::join_all;
use howdah_testkit::Cluster;
use tokio_postgres::{Client, SimpleQueryMessage};

use crate::support::{Bouncer, DEADLINE, Raw, connect, error_of, synchronous_names, tags, until, within};

/// Somebody else promotes.
const FOLLOW: &str = "failover=follow";

/// Where a statement ran.
const PORT: &str = "SELECT inet_server_addr()::text || ':' || inet_server_port()";

async fn cluster() -> Cluster {
    Cluster::builder().replicas(2).start().await.unwrap()
}

/// Entries on the cluster; probes are quick so that tests are.
async fn bouncer(cluster: &Cluster, more: &str) -> Bouncer {
    let nodes: Vec<String> = cluster.nodes().iter().map(|node| node.address().to_string()).collect();
    let databases = "postgres = cluster=main dbname=postgres\nwriter = cluster=main dbname=postgres target=primary\n\
                     reader = cluster=main dbname=postgres target=replica\n\
                     either = cluster=main dbname=postgres target=prefer_replica";
    let settings = format!(
        "default_pool_size = 5\nserver_login_retry = 0.2\n[clusters]\nmain = nodes={} user=postgres \
         probe_interval=0.1 {more}",
        nodes.join(",")
    );
    let bouncer = Bouncer::with(databases, &settings).await;
    until("the cluster to be known", || async {
        let nodes = bouncer.show("SHOW NODES").await;
        let role = |name: &str| nodes.iter().filter(|row| row["role"] == name).count();
        role("primary") == 1 && role("replica") == 2 && nodes.iter().all(|row| row["state"] == "up")
    })
    .await;
    bouncer
}

/// The address that answers this statement's question; by the simple protocol.
async fn asked(client: &Client, sql: &str) -> String {
    let answer = within(sql, client.simple_query(sql)).await.unwrap();
    let row = answer.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    });
    row.unwrap_or_else(|| panic!("{sql}: no row"))
}

/// The address as PostgreSQL's `inet` prints it.
fn shown(cluster: &Cluster, index: usize) -> String {
    format!("{}/32:{}", cluster.node(index).host(), cluster.node(index).port())
}

/// Both replicas, as they answer.
fn replicas(cluster: &Cluster) -> BTreeSet<String> {
    [shown(cluster, 1), shown(cluster, 2)].into()
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_rotate_over_the_replicas_and_writes_reach_the_primary() {
    let cluster = cluster().await;
    let bouncer = bouncer(&cluster, FOLLOW).await;
    let client = bouncer.connect().await;
    until("both replicas to be fresh", || async {
        BTreeSet::from([asked(&client, PORT).await, asked(&client, PORT).await]) == replicas(&cluster)
    })
    .await;
    for _ in 0..5 {
        // Turn by turn, whatever else the session asks in between.
        let seen = BTreeSet::from([asked(&client, PORT).await, asked(&client, PORT).await]);
        assert_eq!(seen, replicas(&cluster));
        let row = client.query_one(PORT, &[]).await.unwrap();
        assert!(replicas(&cluster).contains(&row.get::<_, String>(0)));
    }
    client.batch_execute("CREATE TABLE t (i int, at text)").await.unwrap();
    let insert = format!("INSERT INTO t VALUES (1, ({PORT})) RETURNING at");
    let primary = shown(&cluster, 0);
    assert_eq!(asked(&client, &insert).await, primary);
    for write in ["UPDATE t SET i = 2", "VACUUM t", "TRUNCATE t", "DROP TABLE t"] {
        client.batch_execute(write).await.unwrap();
    }
    // A transaction that does not say that it only reads is the primary's.
    client.batch_execute("BEGIN").await.unwrap();
    assert_eq!(asked(&client, PORT).await, primary);
    client.batch_execute("COMMIT").await.unwrap();
    // What looks like a read and is none.
    for sql in ["SELECT pg_advisory_lock(1), ", "SELECT txid_current(), "] {
        let sql = PORT.replace("SELECT ", sql);
        let rows = client.simple_query(&sql).await.unwrap();
        let address = rows.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(1).map(str::to_owned),
            _ => None,
        });
        assert_eq!(address, Some(primary.clone()), "{sql}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn targets_and_hints_win() {
    let cluster = cluster().await;
    let bouncer = bouncer(&cluster, FOLLOW).await;
    let writer = connect(&bouncer.conninfo("postgres", "writer")).await.unwrap();
    let reader = connect(&bouncer.conninfo("postgres", "reader")).await.unwrap();
    let client = bouncer.connect().await;
    for _ in 0..4 {
        assert_eq!(asked(&writer, PORT).await, shown(&cluster, 0));
        assert!(replicas(&cluster).contains(&asked(&reader, PORT).await));
        let hinted = format!("/* howdah:primary */ {PORT}");
        assert_eq!(asked(&client, &hinted).await, shown(&cluster, 0));
    }
    let error = reader.batch_execute("CREATE TABLE t (i int)").await.unwrap_err();
    assert_eq!(error.code().unwrap().code(), "25006");
    client.batch_execute("SET howdah.route = 'primary'").await.unwrap();
    assert_eq!(asked(&client, PORT).await, shown(&cluster, 0));
    client.batch_execute("SET howdah.route = 'auto'").await.unwrap();
    until("a replica again", || async { replicas(&cluster).contains(&asked(&client, PORT).await) }).await;
}

/// What libpq calls `prefer-standby`, for every statement and also when the roles change under the session.
#[tokio::test(flavor = "multi_thread")]
async fn where_replicas_are_preferred_the_primary_stands_in() {
    let cluster = cluster().await;
    let bouncer = bouncer(&cluster, FOLLOW).await;
    let either = connect(&bouncer.conninfo("postgres", "either")).await.unwrap();
    for _ in 0..4 {
        // Not even a transaction, of which nobody knows that it only reads, goes to the primary.
        either.batch_execute("BEGIN").await.unwrap();
        assert!(replicas(&cluster).contains(&asked(&either, PORT).await));
        either.batch_execute("COMMIT").await.unwrap();
    }
    for node in &cluster.nodes()[1..] {
        node.kill9().unwrap();
    }
    until("the primary to stand in", || async {
        let answer = either.simple_query(PORT).await;
        answer.is_ok() && asked(&either, PORT).await == shown(&cluster, 0)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_never_misses_a_row_that_it_wrote() {
    let cluster = cluster().await;
    let bouncer = bouncer(&cluster, FOLLOW).await;
    bouncer.connect().await.batch_execute("CREATE TABLE t (i int)").await.unwrap();
    let on_replicas = AtomicU64::new(0);
    let sessions = join_all((0..4).map(|_| bouncer.connect())).await;
    let all = sessions.iter().enumerate().map(|(number, client)| {
        let (on_replicas, cluster) = (&on_replicas, &cluster);
        async move {
            let here = shown(cluster, 0);
            let count = format!("SELECT count(*), ({PORT}) FROM t WHERE i = $1");
            for round in 0..150_i32 {
                let value = i32::try_from(number).unwrap() * 1_000 + round;
                client.execute("INSERT INTO t VALUES ($1)", &[&value]).await.unwrap();
                for _ in 0..2 {
                    let row = client.query_one(&count, &[&value]).await.unwrap();
                    let address: String = row.get(1);
                    assert_eq!(row.get::<_, i64>(0), 1, "{value} at {address}");
                    on_replicas.fetch_add(u64::from(address != here), Ordering::Relaxed);
                }
            }
        }
    });
    within("all rounds", join_all(all)).await;
    // With both replicas stuck nothing is missed either, and the reads go to the primary.
    for replica in [cluster.node(1), cluster.node(2)] {
        replica.psql("SELECT pg_wal_replay_pause()").await.unwrap();
    }
    let client = &sessions[0];
    for value in 5_000..5_020_i32 {
        client.execute("INSERT INTO t VALUES ($1)", &[&value]).await.unwrap();
        let row = client.query_one("SELECT count(*) FROM t WHERE i = $1", &[&value]).await.unwrap();
        assert_eq!(row.get::<_, i64>(0), 1, "{value} with replay paused");
    }
    for replica in [cluster.node(1), cluster.node(2)] {
        replica.psql("SELECT pg_wal_replay_resume()").await.unwrap();
    }
    until("reads on replicas again", || async { asked(client, PORT).await != shown(&cluster, 0) }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn read_only_transactions_stay_on_one_replica() {
    let cluster = cluster().await;
    let bouncer = bouncer(&cluster, FOLLOW).await;
    let client = bouncer.connect().await;
    for begin in
        ["BEGIN READ ONLY", "START TRANSACTION READ ONLY", "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"]
    {
        client.batch_execute(begin).await.unwrap();
        let first = asked(&client, PORT).await;
        assert!(replicas(&cluster).contains(&first), "{begin}: {first}");
        for _ in 0..4 {
            assert_eq!(asked(&client, PORT).await, first, "{begin}");
        }
        client.batch_execute("COMMIT").await.unwrap();
    }
    client.batch_execute("BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY").await.unwrap();
    assert_eq!(asked(&client, PORT).await, shown(&cluster, 0), "a replica cannot be serializable");
    client.batch_execute("COMMIT").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_replica_refuses_or_does_not_have_yet_runs_on_the_primary() {
    let cluster = cluster().await;
    let bouncer = bouncer(&cluster, FOLLOW).await;
    let (a, b) = (bouncer.connect().await, bouncer.connect().await);
    for replica in [cluster.node(1), cluster.node(2)] {
        replica.psql("SELECT pg_wal_replay_pause()").await.unwrap();
    }
    for number in 0..10_i32 {
        // b has written nothing, so its reads go to replicas, which do not know the table.
        let create = format!("CREATE TABLE new{number} AS SELECT {number} AS i");
        a.batch_execute(&create).await.unwrap();
        let sql = format!("SELECT i FROM new{number}");
        let row = b.query_one(&sql, &[]).await.expect("the safety net");
        assert_eq!(row.get::<_, i32>(0), number);
        assert_eq!(asked(&b, &format!("SELECT i, {number} FROM new{number}")).await, number.to_string());
    }
    let error = b.query_one("SELECT 1 FROM really_absent", &[]).await.unwrap_err();
    assert_eq!(error.code().unwrap().code(), "42P01");
    for replica in [cluster.node(1), cluster.node(2)] {
        replica.psql("SELECT pg_wal_replay_resume()").await.unwrap();
    }
    // A function that writes although it looks harmless.
    let create = "CREATE TABLE log (i int); CREATE FUNCTION sly() RETURNS int LANGUAGE sql AS 'INSERT INTO log VALUES (1) RETURNING i'";
    a.batch_execute(create).await.unwrap();
    assert_eq!(b.query_one("SELECT sly()", &[]).await.unwrap().get::<_, i32>(0), 1);
    bouncer.pool_becomes("sv_active", 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_go_on_when_replicas_die() {
    let cluster = cluster().await;
    let bouncer = bouncer(&cluster, FOLLOW).await;
    let client = bouncer.connect().await;
    for index in [1, 2] {
        cluster.node(index).kill9().unwrap();
        for number in 0..50_i32 {
            let row = client.query_one("SELECT $1::int4", &[&number]).await;
            assert_eq!(
                row.expect("a read outside a transaction runs again elsewhere").get::<_, i32>(0),
                number
            );
        }
    }
    until("reads on the primary", || async { asked(&client, PORT).await == shown(&cluster, 0) }).await;
    cluster.node(1).start().await.unwrap();
    until("reads on a replica again", || async { asked(&client, PORT).await == shown(&cluster, 1) }).await;
}

/// What a writer has seen.
#[derive(Default)]
struct Seen {
    acknowledged: Vec<i32>,
    unknown: u32,
}

/// Inserts one row after the other until told to stop; its session has to survive everything.
async fn write_on(client: Client, first: i32, stop: Arc<AtomicBool>) -> Seen {
    let mut seen = Seen::default();
    for value in first.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        match within("an INSERT", client.execute("INSERT INTO t VALUES ($1)", &[&value])).await {
            Ok(_) => seen.acknowledged.push(value),
            Err(error) => {
                let code =
                    error.code().unwrap_or_else(|| panic!("a session broke: {error}")).code().to_owned();
                assert!(["08007", "40001", "57P01", "57P03"].contains(&code.as_str()), "{code}: {error}");
                seen.unknown += 1;
                tokio::task::yield_now().await;
            }
        }
    }
    seen
}

/// Kills the primary under load and checks what the sessions saw. `promote` stands for the manager.
async fn lose_the_primary<F>(cluster: &Cluster, bouncer: &Bouncer, promote: F)
where
    F: Future<Output = ()>,
{
    bouncer.connect().await.batch_execute("CREATE TABLE t (i int)").await.unwrap();
    let (idle, reader) = (bouncer.connect().await, bouncer.connect().await);
    asked(&idle, PORT).await;
    let statement = reader.prepare("SELECT $1::int4").await.unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let mut writers = Vec::new();
    for number in 0..4 {
        let client = bouncer.connect().await;
        writers.push(tokio::spawn(write_on(client, number * 100_000, Arc::clone(&stop))));
    }
    let rows = || async {
        let answer = idle.simple_query("/* howdah:primary */ SELECT count(*) FROM t").await.unwrap();
        let row = answer.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0),
            _ => None,
        });
        row.unwrap().parse::<i64>().unwrap()
    };
    until("some rows", || async { rows().await > 100 }).await;
    cluster.node(0).kill9().unwrap();
    // Reads go on meanwhile.
    for number in 0..20_i32 {
        let row = within("a read", reader.query_one(&statement, &[&number])).await.unwrap();
        assert_eq!(row.get::<_, i32>(0), number);
        assert_eq!(asked(&reader, &format!("SELECT {number}")).await, number.to_string());
    }
    promote.await;
    let first = tokio::time::timeout(DEADLINE, rows()).await;
    let Ok(before) = first else {
        let (nodes, failovers) = (bouncer.show("SHOW NODES").await, bouncer.show("SHOW FAILOVERS").await);
        panic!("no primary: {nodes:#?}\n{failovers:#?}");
    };
    until("new rows", || async { rows().await > before + 100 }).await;
    stop.store(true, Ordering::Relaxed);
    let mut acknowledged = BTreeSet::new();
    for writer in writers {
        let seen = within("a writer", writer).await.unwrap();
        assert!(seen.unknown <= 3, "{} statements of one session failed", seen.unknown);
        acknowledged.extend(seen.acknowledged);
    }
    let primary = cluster.current_primary().await.expect("a primary");
    let there: BTreeSet<i32> =
        primary.psql("SELECT i FROM t").await.unwrap().iter().map(|row| row[0].parse().unwrap()).collect();
    let lost: Vec<_> = acknowledged.difference(&there).collect();
    assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_survive_a_primary_that_somebody_else_replaces() {
    let cluster = Cluster::builder().replicas(2).synchronous("FIRST 1 (node1)").start().await.unwrap();
    let bouncer = bouncer(&cluster, FOLLOW).await;
    lose_the_primary(&cluster, &bouncer, async {
        let node = cluster.node(1);
        node.psql("ALTER SYSTEM SET synchronous_standby_names = ''").await.unwrap();
        node.psql("SELECT pg_promote()").await.unwrap();
        node.reload().unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_survive_a_primary_that_howdah_replaces() {
    let cluster = Cluster::builder().replicas(2).synchronous("*").start().await.unwrap();
    let bouncer = bouncer(&cluster, "failover=manage").await;
    // A failover needs to know beforehand who was synchronous: Howdah's list is in force, and recorded on every node.
    synchronous_names(&cluster).await;
    let started = std::time::Instant::now();
    lose_the_primary(&cluster, &bouncer, async {}).await;
    println!("with the load before and after it: {:?}", started.elapsed());
    assert_eq!(bouncer.show("SHOW FAILOVERS").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_sessions_are_told_when_the_primary_is_lost() {
    let cluster = cluster().await;
    let bouncer = bouncer(&cluster, "failover=follow failover_hold=1").await;
    let setup = bouncer.connect().await;
    setup.batch_execute("CREATE TABLE t (i int)").await.unwrap();
    let (mut idle, mut writer) = (bouncer.raw_session().await, bouncer.raw_session().await);
    let (mut in_transaction, mut reader) = (bouncer.raw_session().await, bouncer.raw_session().await);
    idle.query("SELECT 1").await;
    in_transaction.query("BEGIN").await;
    in_transaction.query("INSERT INTO t VALUES (1)").await;
    writer.send_query("INSERT INTO t SELECT 2 FROM pg_sleep(30)").await;
    bouncer.pool_becomes("sv_active", 2).await;
    cluster.node(0).kill9().unwrap();
    let frames = writer.until_ready().await;
    assert_eq!(told(&frames), ("08007".to_owned(), b'I'), "a write in flight");
    let frames = in_transaction.query("INSERT INTO t VALUES (3)").await;
    assert_eq!(told(&frames), ("40001".to_owned(), b'E'), "a transaction in flight");
    let frames = in_transaction.query("SELECT 4").await;
    assert_eq!(told(&frames), ("25P02".to_owned(), b'E'), "the rest of the transaction");
    assert_eq!(tags(&in_transaction.query("ROLLBACK").await), "CZ");
    assert_eq!(reader.value("SELECT 5").await, "5", "reads go on");
    // Nobody promotes: what needs a primary is told so after failover_hold, and the session stays.
    let frames = within("a refusal", writer.query("INSERT INTO t VALUES (6)")).await;
    assert_eq!(told(&frames), ("57P03".to_owned(), b'I'), "a write without a primary");
    cluster.node(0).start().await.unwrap();
    for session in [&mut idle, &mut writer, &mut in_transaction, &mut reader] {
        until_works(session, "INSERT INTO t VALUES (7)").await;
    }
    let there = "SELECT string_agg(i::text, ',') FROM t";
    assert_eq!(cluster.node(0).value(there).await.unwrap(), "7,7,7,7");
}

/// The SQLSTATE of the error among these messages, and the status at their end.
fn told(frames: &[(u8, Vec<u8>)]) -> (String, u8) {
    let error = frames.iter().find(|(tag, _)| *tag == b'E').expect("an error");
    (error_of(error).0, frames.last().unwrap().1[0])
}

/// Runs a statement again until it succeeds.
async fn until_works(session: &mut Raw, sql: &str) {
    let session = tokio::sync::Mutex::new(session);
    until(sql, || async { tags(&session.lock().await.query(sql).await) == "CZ" }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_lost_in_the_middle_of_a_read() {
    let cluster = cluster().await;
    let bouncer = bouncer(&cluster, FOLLOW).await;
    let (mut waiting, mut streaming) = (bouncer.raw_session().await, bouncer.raw_session().await);
    // Nothing was said yet: it runs again. Something was said: an error behind the last whole row.
    streaming.send_query("SELECT repeat('x', 5000) FROM generate_series(1, 100000)").await;
    assert_eq!(streaming.frame().await.unwrap().0, b'T');
    waiting.send_query("SELECT 'done' FROM pg_sleep(1.5)").await;
    until("both to run on replicas", || async {
        let mut running = 0;
        for node in [cluster.node(1), cluster.node(2)] {
            let sql = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'SELECT %' AND \
                       pid <> pg_backend_pid() AND (query LIKE '%repeat%' OR query LIKE '%pg_sleep%') AND query NOT LIKE '%activity%'";
            running += node.value(sql).await.unwrap().parse::<i32>().unwrap();
        }
        running == 2
    })
    .await;
    cluster.node(1).kill9().unwrap();
    cluster.node(2).kill9().unwrap();
    let frames = waiting.until_ready().await;
    assert_eq!(tags(&frames), "TDCZ", "run again on the primary");
    let frames = streaming.until_ready().await;
    assert!(tags(&frames).ends_with("DEZ"), "{}", tags(&frames[frames.len() - 3..]));
    assert!(frames[..frames.len() - 2].iter().all(|(_, body)| body.len() > 5_000), "whole rows only");
    assert_eq!(streaming.value("SELECT 'alive'").await, "alive");
}
