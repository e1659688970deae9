//! The kit itself: what it makes is real, and nothing of it stays.

use std::time::Duration;

use howdah_testkit::{Cluster, DEFAULT_DEADLINE, Options, Postgres, find_binaries, wait_until};

#[tokio::test]
async fn single_server_answers_and_goes_with_its_owner() {
    let options = Options::default().user("alice", "secret").md5_user("bob", "hidden").database("shop");
    let server = Postgres::single(options).await.unwrap();
    assert_eq!(server.value("SELECT 1 + 1").await.unwrap(), "2");
    for (user, password) in [("alice", "secret"), ("bob", "hidden")] {
        let base = format!("host={} port={} user={user} dbname=shop", server.host(), server.port());
        let client = server.connect_with(&format!("{base} password={password}")).await.unwrap();
        let row = client.query_one("SELECT current_user::text", &[]).await.unwrap();
        assert_eq!(row.get::<_, &str>(0), user);
        assert!(
            server.connect_with(&format!("{base} password=wrong")).await.is_err(),
            "{user}: wrong password"
        );
    }
    let (pid, pgdata) = (server.pid().unwrap(), server.pgdata().to_owned());
    drop(server);
    assert!(!pgdata.exists(), "{} is still there", pgdata.display());
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists(), "the server still runs");
}

#[tokio::test]
async fn cluster_streams_with_names_and_one_is_sync() {
    let cluster = Cluster::builder().replicas(2).synchronous("*").start().await.unwrap();
    let rows = cluster
        .node(0)
        .psql("SELECT application_name, usename, sync_state FROM pg_stat_replication ORDER BY 1")
        .await
        .unwrap();
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[0][..2], ["node1", "repuser1"]);
    assert_eq!(rows[1][..2], ["node2", "repuser2"]);
    let mut states: Vec<&str> = rows.iter().map(|row| row[2].as_str()).collect();
    states.sort_unstable();
    assert_eq!(states, ["potential", "sync"]);

    cluster
        .node(0)
        .psql("CREATE TABLE t (i int); INSERT INTO t VALUES (7); SELECT pg_switch_wal()")
        .await
        .unwrap();
    for standby in [cluster.node(1), cluster.node(2)] {
        cluster.wait_caught_up(cluster.node(0), standby).await.unwrap();
        assert_eq!(standby.value("SELECT i FROM t").await.unwrap(), "7");
        assert_eq!(standby.value("SELECT inet_server_addr()").await.unwrap(), standby.host());
    }
    wait_until("an archived segment", DEFAULT_DEADLINE, || async {
        cluster.node(0).value("SELECT archived_count > 0 FROM pg_stat_archiver").await.is_ok_and(|v| v == "t")
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn killed_frozen_and_started_again() {
    let cluster = Cluster::builder().replicas(1).start().await.unwrap();
    let (primary, standby) = (cluster.node(0), cluster.node(1));

    primary.freeze().unwrap();
    let silent = tokio::time::timeout(Duration::from_millis(300), primary.connect()).await;
    assert!(silent.is_err(), "a frozen server answered");
    assert!(primary.is_running());
    primary.thaw();
    assert_eq!(primary.value("SELECT 1").await.unwrap(), "1");

    let client = primary.connect().await.unwrap();
    primary.kill9().unwrap();
    assert!(!primary.is_running());
    wait_until("the session to end", DEFAULT_DEADLINE, || async { client.is_closed() }).await.unwrap();
    assert!(standby.is_standby().await.unwrap());
    standby.psql("SELECT pg_promote()").await.unwrap();
    assert_eq!(cluster.current_primary().await.unwrap().name(), "node1");

    cluster.rebuild(0, standby).await.unwrap();
    cluster.wait_streaming().await.unwrap();
    assert!(primary.is_standby().await.unwrap());
    primary.stop().await.unwrap();
    primary.start().await.unwrap();
    cluster.wait_streaming().await.unwrap();
}

/// Runs only as the child of the next test: makes a server and waits to be killed.
#[tokio::test]
#[ignore = "the child of a_killed_test_process_leaves_nothing"]
async fn child_that_is_killed() {
    let server = Postgres::single(Options::default()).await.unwrap();
    println!("SERVER {} {}", server.pid().unwrap(), server.pgdata().display());
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn a_killed_test_process_leaves_nothing() {
    use tokio::io::{AsyncBufReadExt as _, BufReader};
    let mut child = tokio::process::Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture", "child_that_is_killed"])
        .stdout(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let (pid, pgdata) = loop {
        let line = lines.next_line().await.unwrap().expect("the child printed its server");
        if let Some((_, rest)) = line.split_once("SERVER ") {
            let (pid, pgdata) = rest.split_once(' ').unwrap();
            break (pid.to_owned(), std::path::PathBuf::from(pgdata));
        }
    };
    assert!(pgdata.exists());
    child.kill().await.unwrap();
    wait_until("the watchdog", DEFAULT_DEADLINE, || async {
        !pgdata.parent().unwrap().exists() && !std::path::Path::new(&format!("/proc/{pid}")).exists()
    })
    .await
    .unwrap();
}

#[test]
fn binaries_are_found_with_their_version() {
    let found = find_binaries().unwrap();
    assert!(found.program("initdb").is_file());
    assert!(found.major() >= 13, "{found:?}");
}
