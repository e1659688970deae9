//! What ends, or is told, by time (PGBOUNCER_BEHAVIOUR.md section 7), beside what `pooling.rs` has.

use std::time::Instant;

use crate::support::{Binary, Bouncer, connect, entry, postgres, sentence, until};

/// The lines of a log that have this text.
fn lines(binary: &Binary, text: &str) -> usize {
    let log = std::fs::read_to_string(binary.dir().join("log")).unwrap();
    log.lines().filter(|line| line.contains(text)).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_pool_is_forgotten_unless_a_client_or_a_minimum_keeps_it() {
    let pg = postgres().await;
    let databases = format!(
        "postgres = {}\nkept = {}",
        entry(&pg, ""),
        entry(&pg, "dbname=postgres min_pool_size=1 user=postgres")
    );
    let bouncer = Bouncer::with(&databases, "pool_idle_timeout = 0.4\nserver_idle_timeout = 0.1").await;
    let names = |rows: Vec<crate::support::Row>| -> Vec<String> {
        rows.into_iter().map(|row| row["database"].clone()).collect()
    };
    let client = bouncer.connect().await;
    client.batch_execute("SELECT 1").await.unwrap();
    bouncer.pool_becomes("sv_idle", 0).await;
    // Longer than the timeout: what is waited for is that a second client comes and goes in the meantime.
    let begun = Instant::now();
    until("a second", || async { begun.elapsed().as_millis() > 1000 }).await;
    assert!(names(bouncer.show("SHOW POOLS").await).contains(&"postgres".to_owned()), "a client keeps it");
    drop(client);
    until("the pool to be forgotten", || async {
        !names(bouncer.show("SHOW POOLS").await).contains(&"postgres".to_owned())
    })
    .await;
    assert!(names(bouncer.show("SHOW POOLS").await).contains(&"kept".to_owned()), "a minimum keeps it");
    // And it comes back for the next one.
    bouncer.connect().await.batch_execute("SELECT 1").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_says_that_a_pool_is_forgotten_and_a_client_that_stayed_goes_on() {
    let pg = postgres().await;
    let databases = format!("postgres = {}", entry(&pg, ""));
    let settings = "logfile = @DIR@/log\npool_idle_timeout = 0.4\nserver_idle_timeout = 0.1";
    let binary = Binary::start(&databases, settings).await;
    connect(&binary.conninfo("postgres", "postgres")).await.unwrap().batch_execute("SELECT 1").await.unwrap();
    let line = "cleaning up idle pool for user postgres on db postgres because: ";
    until("the line", || async { lines(&binary, line) == 1 }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_automatic_database_that_nobody_uses_is_forgotten() {
    let pg = postgres().await;
    let settings = "autodb_idle_timeout = 0.4\nserver_idle_timeout = 0.1";
    let bouncer = Bouncer::with(&format!("* = {}", entry(&pg, "")), settings).await;
    let has = async || bouncer.show("SHOW DATABASES").await.iter().any(|row| row["name"] == "postgres");
    let client = bouncer.connect().await;
    client.batch_execute("SELECT 1").await.unwrap();
    bouncer.pool_becomes("sv_idle", 0).await;
    let begun = Instant::now();
    until("a second", || async { begun.elapsed().as_millis() > 1000 }).await;
    assert!(has().await, "a client keeps it");
    drop(client);
    until("the database to be forgotten", || async { !has().await }).await;
    bouncer.connect().await.batch_execute("SELECT 1").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_connected_to_is_in_the_log_with_its_reason() {
    let pg = postgres().await;
    let databases = format!(
        "gone = host=127.0.0.1 port=1\nnowhere = host=no.such.host.invalid\nnobody = {}",
        entry(&pg, "dbname=no_such_place user=postgres")
    );
    let settings = "logfile = @DIR@/log\nquery_wait_timeout = 1\nauth_type = any";
    let binary = Binary::start(&databases, settings).await;
    let error = connect(&binary.conninfo("postgres", "nobody")).await.err().unwrap();
    assert_eq!(sentence(&error), "database \"no_such_place\" does not exist");
    // The server, and the client that waited for it.
    assert_eq!(lines(&binary, "closing because: database \"no_such_place\" does not exist (age=0s)"), 2);
    assert_eq!(lines(&binary, "server login failed: FATAL database \"no_such_place\" does not exist"), 1);
    let binary = Binary::start(&databases, &settings.replace("any", "trust")).await;
    for (database, reason) in [("gone", "connect failed"), ("nowhere", "server DNS lookup failed")] {
        let error = connect(&binary.conninfo("postgres", database)).await.err().unwrap();
        assert_eq!(sentence(&error), "query_wait_timeout");
        assert_eq!(lines(&binary, &format!("closing because: {reason} (age=0s)")), 1, "{database}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_is_looked_up_once_and_shown() {
    let pg = postgres().await;
    let databases = format!("postgres = host=localhost port={}", pg.port());
    let bouncer = Bouncer::with(&databases, "server_lifetime = 0\ndns_max_ttl = 3600").await;
    for _ in 0..3 {
        bouncer.connect().await.batch_execute("SELECT 1").await.unwrap();
    }
    let rows = bouncer.show("SHOW DNS_HOSTS").await;
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0]["hostname"], "localhost");
    assert!(rows[0]["addrs"].contains("127.0.0.1:0"), "{rows:?}");
    assert!((3590..=3600).contains(&rows[0]["ttl"].parse::<u32>().unwrap()), "{rows:?}");
    let lists = bouncer.show("SHOW LISTS").await;
    assert!(lists.iter().any(|row| row["list"] == "dns_names" && row["items"] == "1"));
}
