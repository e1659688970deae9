//! Who gets which server, when it goes back, and what happens by time (PGBOUNCER_BEHAVIOUR.md sections 2, 5 to 8).

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use howdah_protocol::read::TransactionStatus;
use howdah_protocol::write;
use howdah_testkit::{Options, PortLease, Postgres};
use tokio::io::AsyncWriteExt;

use crate::support::{
    Bouncer, Fake, Raw, connect, entry, error_of, message, postgres, says, sentence, tags, until, within,
};

const PID: &str = "SELECT pg_backend_pid()";

/// How many sessions of clients the server itself counts, the superuser's own watching aside.
async fn backends(pg: &Postgres, application: &str) -> i64 {
    let sql = format!("SELECT count(*) FROM pg_stat_activity WHERE application_name = '{application}'");
    pg.value(&sql).await.unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn transaction_pooling_gives_the_server_back_at_the_end_of_the_transaction() {
    let pg = postgres().await;
    let bouncer = Bouncer::on(&pg, "default_pool_size = 1").await;
    let (mut a, mut b) = (bouncer.raw_session().await, bouncer.raw_session().await);
    a.query("BEGIN").await;
    let pid = a.value(PID).await;
    b.send_query(PID).await;
    bouncer.pool_becomes("cl_waiting", 1).await;
    assert_eq!(bouncer.pool("postgres", "sv_active").await, 1);
    assert_eq!(tags(&a.query("SELECT 1/0").await), "EZ");
    assert_eq!(bouncer.pool("postgres", "cl_waiting").await, 1, "a failed transaction is one too");
    a.query("ROLLBACK").await;
    assert_eq!(tags(&b.until_ready().await), "TDCZ");
    assert_eq!(b.value(PID).await, pid);
    bouncer.pool_is_intact(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn session_pooling_keeps_the_server_and_resets_it() {
    let pg = postgres().await;
    let bouncer = Bouncer::on(&pg, "pool_mode = session\ndefault_pool_size = 1").await;
    let mut a = bouncer.raw_session().await;
    a.query("SET work_mem = '123kB'").await;
    a.query("SET application_name = 'mine'").await;
    a.query("CREATE TEMP TABLE mine (i int)").await;
    let pid = a.value(PID).await;
    let mut b = bouncer.raw_session().await;
    b.send_query("SHOW work_mem").await;
    bouncer.pool_becomes("cl_waiting", 1).await;
    drop(a);
    let frames = b.until_ready().await;
    assert!(!frames[1].1.ends_with(b"123kB"), "the session was reset");
    assert_eq!(b.value(PID).await, pid, "the same server");
    assert_eq!(b.value("SELECT count(*) FROM pg_class WHERE relname = 'mine'").await, "0");
    // What the reset took back is set again for a client that wants it.
    drop(b);
    bouncer.pool_is_intact(1).await;
    let client = bouncer.try_connect("application_name=mine").await.unwrap();
    let row = client.query_one("SHOW application_name", &[]).await.unwrap();
    assert_eq!(row.get::<_, &str>(0), "mine");
}

#[tokio::test(flavor = "multi_thread")]
async fn statement_pooling_refuses_transactions() {
    let pg = postgres().await;
    let bouncer = Bouncer::on(&pg, "pool_mode = statement\ndefault_pool_size = 1").await;
    let mut raw = bouncer.raw_session().await;
    assert_eq!(raw.value("SELECT 1").await, "1");
    raw.send_query("BEGIN").await;
    let frames = raw.until_closed().await;
    let last = error_of(frames.last().unwrap());
    assert_eq!(last.1, "transaction blocks not allowed in statement pooling mode");
    bouncer.pool_is_intact(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn modes_of_entries_and_users_win() {
    let pg = Postgres::single(Options::default().user("alice", "secret")).await.unwrap();
    let databases =
        format!("postgres = {}\ntx = {}", entry(&pg, "pool_mode=session"), entry(&pg, "dbname=postgres"));
    let settings = "pool_mode = statement\n[users]\nalice = pool_mode=transaction";
    let bouncer = Bouncer::with(&databases, settings).await;
    let mut session = bouncer.raw_session().await;
    assert_eq!(session.value("SELECT 1").await, "1");
    assert_eq!(bouncer.pool("postgres", "sv_active").await, 1, "session pooling keeps it");
    let alice = connect(&bouncer.conninfo("alice", "postgres")).await.unwrap();
    alice.batch_execute("BEGIN; SELECT 1; COMMIT").await.unwrap();
    assert_eq!(bouncer.pool("postgres", "sv_idle").await, 1, "transaction pooling gives it back");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_used_last_is_used_next() {
    let pg = postgres().await;
    let bouncer = Bouncer::on(&pg, "default_pool_size = 3").await;
    let mut clients = Vec::new();
    for _ in 0..3 {
        let mut raw = bouncer.raw_session().await;
        raw.query("BEGIN").await;
        clients.push(raw);
    }
    let mut last = String::new();
    for raw in &mut clients {
        last = raw.value(PID).await;
        raw.query("COMMIT").await;
    }
    bouncer.pool_is_intact(3).await;
    for _ in 0..5 {
        assert_eq!(bouncer.raw_session().await.value(PID).await, last);
    }
    let bouncer = Bouncer::on(&pg, "default_pool_size = 3\nserver_round_robin = 1").await;
    let clients = join_all((0..3).map(|_| bouncer.connect())).await;
    join_all(clients.iter().map(|client| client.batch_execute("SELECT pg_sleep(0.3)"))).await;
    bouncer.pool_is_intact(3).await;
    let mut raw = bouncer.raw_session().await;
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..3 {
        seen.insert(raw.value(PID).await);
    }
    assert_eq!(seen.len(), 3, "round robin takes them in turn");
}

#[tokio::test(flavor = "multi_thread")]
async fn pool_size_is_exact_and_everybody_is_served() {
    let pg = postgres().await;
    let bouncer = Bouncer::on(&pg, "default_pool_size = 3").await;
    let clients = join_all((0..40).map(|_| bouncer.try_connect("application_name=crowd"))).await;
    let most = Arc::new(AtomicU32::new(0));
    let watch = async {
        let watcher = pg.connect().await.unwrap();
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'crowd' AND pid <> pg_backend_pid()";
        loop {
            let count = watcher.query_one(sql, &[]).await.unwrap().get::<_, i64>(0);
            most.fetch_max(u32::try_from(count).unwrap(), Ordering::Relaxed);
        }
    };
    let work = join_all(clients.iter().map(|client| async move {
        let client = client.as_ref().unwrap();
        for number in 0..10_i32 {
            let row = client.query_one("SELECT $1::int4, pg_sleep(0.002)", &[&number]).await.unwrap();
            assert_eq!(row.get::<_, i32>(0), number);
        }
    }));
    within("all queries", async {
        tokio::select! {
            () = watch => {}
            _ = work => {}
        }
    })
    .await;
    assert_eq!(most.load(Ordering::Relaxed), 3);
    bouncer.pool_is_intact(3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reserve_servers_come_after_the_timeout() {
    let pg = postgres().await;
    let settings = "default_pool_size = 1\nreserve_pool_size = 1\nreserve_pool_timeout = 1";
    let bouncer = Bouncer::on(&pg, settings).await;
    let mut a = bouncer.raw_session().await;
    a.query("BEGIN").await;
    let mut b = bouncer.raw_session().await;
    let started = Instant::now();
    assert_eq!(b.value("SELECT 1").await, "1");
    assert!(started.elapsed() >= Duration::from_millis(900), "after {:?}", started.elapsed());
    b.query("BEGIN").await;
    let mut c = bouncer.raw_session().await;
    c.send_query("SELECT 1").await;
    bouncer.pool_becomes("cl_waiting", 1).await;
    assert_eq!(bouncer.pool("postgres", "sv_active").await, 2);
    b.query("COMMIT").await;
    assert_eq!(tags(&c.until_ready().await), "TDCZ");
}

#[tokio::test(flavor = "multi_thread")]
async fn min_pool_size_is_kept_up() {
    let pg = postgres().await;
    let databases = format!(
        "postgres = {}\nfree = {}",
        entry(&pg, "user=postgres min_pool_size=3"),
        entry(&pg, "dbname=postgres min_pool_size=2")
    );
    let bouncer = Bouncer::with(&databases, "").await;
    bouncer.pool_becomes("sv_idle", 3).await;
    assert_eq!(bouncer.pool("free", "sv_idle").await, 0, "only while a client is there");
    let mut raw = bouncer.raw().await;
    raw.log_in("postgres", "free").await;
    until("two servers", || async { bouncer.pool("free", "sv_idle").await == 2 }).await;
    let mut raw = bouncer.raw_session().await;
    let pid = raw.value(PID).await;
    pg.psql(&format!("SELECT pg_terminate_backend({pid}, 5000)")).await.unwrap();
    until("a replacement", || async {
        bouncer.pool("postgres", "sv_idle").await == 3
            && !bouncer.show("SHOW SERVERS").await.iter().any(|row| row["remote_pid"] == pid)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn max_db_connections_is_reached_by_eviction() {
    let pg =
        Postgres::single(Options::default().user("alice", "secret").user("bob", "hidden")).await.unwrap();
    let bouncer =
        Bouncer::with(&format!("postgres = {}", entry(&pg, "max_db_connections=2")), "auth_type = plain")
            .await;
    let session = |user: &'static str, password: &'static str| {
        let conninfo =
            format!("{} password={password} application_name=limited", bouncer.conninfo(user, "postgres"));
        async move { connect(&conninfo).await.unwrap() }
    };
    let (a1, a2) = (session("alice", "secret").await, session("alice", "secret").await);
    a1.batch_execute("BEGIN").await.unwrap();
    a2.batch_execute("BEGIN").await.unwrap();
    let b = session_waits(&bouncer, session("bob", "hidden")).await;
    a1.batch_execute("COMMIT").await.unwrap();
    let b = within("bob's login", b).await.unwrap();
    let row = b.query_one("SELECT current_user::text", &[]).await.unwrap();
    assert_eq!(row.get::<_, &str>(0), "bob");
    let databases = bouncer.show("SHOW DATABASES").await;
    let shown = databases.iter().find(|row| row["name"] == "postgres").unwrap();
    assert_eq!(shown["current_connections"], "2");
    let count = "SELECT count(*) FROM pg_stat_activity WHERE usename IN ('alice', 'bob')";
    until("two sessions", || async { pg.value(count).await.unwrap() == "2" }).await;
    a2.batch_execute("COMMIT").await.unwrap();
}

/// Starts a login that has to wait, and returns once it does.
async fn session_waits<F>(bouncer: &Bouncer, login: F) -> tokio::task::JoinHandle<F::Output>
where
    F: Future<Output = tokio_postgres::Client> + Send + 'static,
{
    let login = tokio::spawn(login);
    bouncer.pool_becomes("cl_waiting", 1).await;
    login
}

#[tokio::test(flavor = "multi_thread")]
async fn max_user_connections_counts_over_entries() {
    let pg = postgres().await;
    let databases = format!("postgres = {}\nother = {}", entry(&pg, ""), entry(&pg, "dbname=postgres"));
    let bouncer = Bouncer::with(&databases, "max_user_connections = 1").await;
    let mut a = bouncer.raw_session().await;
    assert_eq!(a.value("SELECT 1").await, "1");
    let mut b = bouncer.raw().await;
    // The idle server of the other entry makes room.
    b.log_in("postgres", "other").await;
    assert_eq!(b.value("SELECT 2").await, "2");
    assert_eq!(bouncer.pool("postgres", "sv_idle").await, 0);
    b.query("BEGIN").await;
    a.send_query("SELECT 3").await;
    bouncer.pool_becomes("cl_waiting", 1).await;
    b.query("COMMIT").await;
    assert_eq!(tags(&a.until_ready().await), "TDCZ");
}

#[tokio::test(flavor = "multi_thread")]
async fn query_wait_timeout_ends_the_wait() {
    let pg = postgres().await;
    let bouncer = Bouncer::on(&pg, "default_pool_size = 1\nquery_wait_timeout = 1").await;
    let mut a = bouncer.raw_session().await;
    a.query("BEGIN").await;
    let mut b = bouncer.raw_session().await;
    let started = Instant::now();
    b.send_query("SELECT 1").await;
    b.is_refused("query_wait_timeout").await;
    let took = started.elapsed();
    assert!(took > Duration::from_millis(900) && took < Duration::from_secs(4), "{took:?}");
    a.query("COMMIT").await;
    bouncer.pool_is_intact(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn query_timeout_ends_long_queries_and_long_waits_only() {
    let pg = postgres().await;
    let bouncer = Bouncer::on(&pg, "default_pool_size = 1\nquery_timeout = 1").await;
    let mut raw = bouncer.raw_session().await;
    raw.send_query("SELECT pg_sleep(20)").await;
    raw.is_refused("query timeout").await;
    bouncer.pool_is_intact(0).await;
    // In a transaction with nothing asked it does not run; the client that waits meanwhile is ended by it.
    let mut raw = bouncer.raw_session().await;
    raw.query("BEGIN").await;
    let mut waits = bouncer.raw_session().await;
    waits.send_query("SELECT 1").await;
    waits.is_refused("query_timeout").await;
    assert_eq!(raw.value("SELECT 2").await, "2");
    raw.query("COMMIT").await;
    bouncer.pool_is_intact(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_timeouts_of_transactions_and_clients() {
    let pg = postgres().await;
    let bouncer = Bouncer::on(&pg, "idle_transaction_timeout = 1").await;
    let mut raw = bouncer.raw_session().await;
    raw.query("BEGIN").await;
    raw.is_refused("idle transaction timeout").await;
    bouncer.pool_is_intact(0).await;
    let bouncer = Bouncer::on(&pg, "client_idle_timeout = 1").await;
    let mut raw = bouncer.raw_session().await;
    assert_eq!(raw.value("SELECT 1").await, "1");
    raw.is_refused("client_idle_timeout").await;
    bouncer.pool_is_intact(1).await;
    let bouncer = Bouncer::on(&pg, "transaction_timeout = 2\n[users]\nalice = transaction_timeout=0").await;
    let mut raw = bouncer.raw_session().await;
    raw.query("BEGIN").await;
    let started = Instant::now();
    let busy = query_loop(&mut raw).await;
    assert_eq!(busy, "transaction timeout");
    assert!(started.elapsed() > Duration::from_millis(1_500), "{:?}", started.elapsed());
    bouncer.pool_is_intact(0).await;
}

/// Asks again and again until it is refused; returns the refusal.
async fn query_loop(raw: &mut Raw) -> String {
    let mut out = Vec::new();
    write::query(&mut out, b"SELECT pg_sleep(0.01)").unwrap();
    loop {
        raw.send_lossy(&out).await;
        loop {
            match raw.frame().await {
                Some((b'Z', _)) => break,
                Some(frame @ (b'E', _)) => return error_of(&frame).1,
                Some(_) => {}
                None => panic!("closed without a word"),
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_end_by_age_and_by_idleness() {
    let pg = postgres().await;
    let bouncer = Bouncer::on(&pg, "server_lifetime = 0").await;
    let mut raw = bouncer.raw_session().await;
    let (a, b) = (raw.value(PID).await, raw.value(PID).await);
    assert_ne!(a, b, "used once");
    bouncer.pool_is_intact(0).await;
    let bouncer = Bouncer::on(&pg, "server_idle_timeout = 1").await;
    let mut raw = bouncer.raw_session().await;
    let a = raw.value(PID).await;
    bouncer.pool_is_intact(0).await;
    assert_ne!(raw.value(PID).await, a);
    let bouncer = Bouncer::on(&pg, "server_lifetime = 1").await;
    let mut raw = bouncer.raw_session().await;
    raw.query("BEGIN").await;
    let a = raw.value(PID).await;
    raw.query("SELECT pg_sleep(2)").await;
    assert_eq!(raw.value(PID).await, a, "not while it is in use");
    raw.query("COMMIT").await;
    until("another server", || async { bouncer.pool("postgres", "sv_idle").await == 0 }).await;
    assert_ne!(raw.value(PID).await, a);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_login_is_in_flight_and_its_failure_is_for_all() {
    let pg = Postgres::single(Options::default().setting("log_connections", "on")).await.unwrap();
    let databases = format!("postgres = {} ", entry(&pg, "user=ghost password=boo dbname=postgres"));
    let bouncer = Bouncer::with(&databases, "server_login_retry = 3").await;
    // The server is slow to answer, so that all of them wait for the same login.
    pg.freeze().unwrap();
    let mut waiting = Vec::new();
    for _ in 0..3 {
        let mut raw = bouncer.raw().await;
        raw.startup(&[("user", "postgres"), ("database", "postgres")]).await;
        waiting.push(raw);
    }
    bouncer.pool_becomes("cl_waiting", 3).await;
    assert_eq!(bouncer.pool("postgres", "sv_login").await, 1);
    pg.thaw();
    for raw in &mut waiting {
        let frames = raw.until_closed().await;
        let (code, message) = error_of(frames.last().unwrap());
        assert_eq!(
            (code.as_str(), message.starts_with("password authentication failed")),
            ("28P01", true),
            "{message}"
        );
    }
    let log = std::fs::read_to_string(pg.log_path()).unwrap();
    assert_eq!(log.matches("FATAL:  password authentication failed for user \"ghost\"").count(), 1, "{log}");
    let mut raw = bouncer.raw().await;
    raw.startup(&[("user", "postgres"), ("database", "postgres")]).await;
    let frames = raw.until_closed().await;
    let (_, message) = error_of(frames.last().unwrap());
    assert!(
        message.starts_with("server login has been failing, cached error: password authentication failed")
            && message.ends_with("(server_login_retry)"),
        "{message}"
    );
    // When the reason is gone, so is the refusal, after server_login_retry.
    pg.write_hba(&["host all ghost 127.0.0.0/8 trust".to_owned()]).unwrap();
    pg.reload().unwrap();
    pg.psql("CREATE ROLE ghost LOGIN").await.unwrap();
    until("a login", || async { bouncer.try_connect("").await.is_ok() }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_database_is_the_servers_own_message() {
    let pg = postgres().await;
    let bouncer = Bouncer::with(&format!("* = {}", entry(&pg, "")), "").await;
    let error = connect(&bouncer.conninfo("postgres", "absent")).await.err().unwrap();
    assert_eq!(sentence(&error), "database \"absent\" does not exist");
    assert_eq!(error.code().unwrap().code(), "3D000");
    let client = connect(&bouncer.conninfo("postgres", "template1")).await.unwrap();
    let row = client.query_one("SELECT current_database()::text", &[]).await.unwrap();
    assert_eq!(row.get::<_, &str>(0), "template1");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_server_keeps_clients_waiting_and_then_serves() {
    let pg = postgres().await;
    pg.stop().await.unwrap();
    let bouncer = Bouncer::on(&pg, "server_login_retry = 0.3").await;
    let login = {
        let conninfo = bouncer.conninfo("postgres", "postgres");
        tokio::spawn(async move { connect(&conninfo).await })
    };
    bouncer.pool_becomes("cl_waiting", 1).await;
    pg.start().await.unwrap();
    let client = within("the login", login).await.unwrap().unwrap();
    assert_eq!(client.query_one("SELECT 1", &[]).await.unwrap().get::<_, i32>(0), 1);
    // The same for a session that is there already.
    pg.stop().await.unwrap();
    let query =
        tokio::spawn(async move { client.query_one("SELECT 2", &[]).await.map(|row| row.get::<_, i32>(0)) });
    bouncer.pool_becomes("cl_waiting", 1).await;
    pg.start().await.unwrap();
    assert_eq!(within("the query", query).await.unwrap().unwrap(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_does_not_answer_the_login_is_given_up() {
    let port = PortLease::reserve().unwrap();
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port.port())).await.unwrap();
    let count = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&count);
    let server = tokio::spawn(async move {
        let mut kept = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::Relaxed);
            kept.push(stream);
        }
    });
    let databases = format!("postgres = host=127.0.0.1 port={}", port.port());
    let settings = "server_connect_timeout = 0.5\nserver_login_retry = 0.2\nquery_wait_timeout = 3";
    let bouncer = Bouncer::with(&databases, settings).await;
    let error = bouncer.try_connect("").await.err().unwrap();
    assert_eq!(sentence(&error), "query_wait_timeout");
    let tries = count.load(Ordering::Relaxed);
    assert!((2..=6).contains(&tries), "{tries} connections in 3 s");
    server.abort();
}

/// A fake that answers every query with its text, and remembers how often it was asked.
async fn parrot(seen: Arc<parking::Seen>) -> Fake {
    Fake::start(move |mut stream| {
        let seen = Arc::clone(&seen);
        async move {
            while let Some((_, body)) = message(&mut stream).await {
                let text = body.strip_suffix(&[0]).unwrap_or(&body);
                seen.add(text);
                let mut out = Vec::new();
                if text.is_empty() {
                    write::empty_query_response(&mut out);
                } else {
                    write::command_complete(&mut out, b"SELECT 0").unwrap();
                }
                write::ready_for_query(&mut out, TransactionStatus::Idle);
                if stream.write_all(&out).await.is_err() {
                    return;
                }
            }
        }
    })
    .await
}

/// What a fake was asked.
mod parking {
    use std::sync::Mutex;

    #[derive(Default)]
    pub(super) struct Seen(Mutex<Vec<String>>);

    impl Seen {
        pub(super) fn add(&self, text: &[u8]) {
            self.0.lock().unwrap().push(String::from_utf8_lossy(text).into_owned());
        }

        pub(super) fn take(&self) -> Vec<String> {
            std::mem::take(&mut self.0.lock().unwrap())
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_servers_are_checked_before_they_are_used() {
    let seen = Arc::new(parking::Seen::default());
    let fake = parrot(Arc::clone(&seen)).await;
    let databases = format!("postgres = {}", fake.entry());
    let bouncer = Bouncer::with(&databases, "server_check_delay = 0").await;
    let mut raw = bouncer.raw_session().await;
    seen.take();
    raw.query("one").await;
    raw.query("two").await;
    assert_eq!(seen.take(), ["", "one", "", "two"], "an empty query, before each use");
    let bouncer = Bouncer::with(&databases, "server_check_delay = 0\nserver_check_query = select 1").await;
    let mut raw = bouncer.raw_session().await;
    seen.take();
    raw.query("one").await;
    assert_eq!(seen.take(), ["select 1", "one"]);
    let bouncer = Bouncer::with(&databases, "server_check_delay = 0\nserver_check_query =").await;
    let mut raw = bouncer.raw_session().await;
    seen.take();
    raw.query("one").await;
    assert_eq!(seen.take(), ["one"]);
    let bouncer = Bouncer::with(&databases, "server_check_delay = 30").await;
    let mut raw = bouncer.raw_session().await;
    seen.take();
    raw.query("one").await;
    raw.query("two").await;
    assert_eq!(seen.take(), ["one", "two"], "not idle for long enough");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_idle_server_is_replaced_in_silence() {
    let pg = postgres().await;
    for delay in ["0", "30"] {
        let bouncer = Bouncer::on(&pg, &format!("server_check_delay = {delay}")).await;
        let mut raw = bouncer.raw_session().await;
        for _ in 0..5 {
            let pid = raw.value(PID).await;
            pg.psql(&format!("SELECT pg_terminate_backend({pid}, 5000)")).await.unwrap();
            assert_ne!(raw.value(PID).await, pid);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn connect_query_runs_once_before_any_client() {
    let pg = postgres().await;
    pg.psql("CREATE TABLE logins (pid int)").await.unwrap();
    let query = "connect_query='INSERT INTO logins SELECT pg_backend_pid()'";
    let bouncer = Bouncer::with(&format!("postgres = {}", entry(&pg, query)), "").await;
    let mut raw = bouncer.raw_session().await;
    let pid = raw.value(PID).await;
    for _ in 0..3 {
        assert_eq!(raw.value("SELECT string_agg(pid::text, ' ') FROM logins").await, pid);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forced_user_has_one_pool_for_all() {
    let pg = Postgres::single(Options::default().user("bob", "hidden")).await.unwrap();
    let databases = format!("postgres = {}", entry(&pg, "user=bob password=hidden"));
    let bouncer = Bouncer::with(&databases, "").await;
    for user in ["alice", "bob", "postgres"] {
        let client = connect(&bouncer.conninfo(user, "postgres")).await.unwrap();
        let row = client.query_one("SELECT current_user::text", &[]).await.unwrap();
        assert_eq!(row.get::<_, &str>(0), "bob");
    }
    bouncer.pool_is_intact(1).await;
    let pools = bouncer.show("SHOW POOLS").await;
    let users: Vec<_> =
        pools.iter().filter(|row| row["database"] == "postgres").map(|row| &row["user"]).collect();
    assert_eq!(users, ["bob"]);
    assert_eq!(pg.value("SELECT count(*) FROM pg_stat_activity WHERE usename = 'bob'").await.unwrap(), "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn pause_holds_queries_and_loses_none() {
    let pg = postgres().await;
    let bouncer = Bouncer::on(&pg, "default_pool_size = 3").await;
    let clients = join_all((0..8).map(|_| bouncer.connect())).await;
    let work = tokio::spawn(async move {
        join_all(clients.iter().map(|client| async move {
            for number in 0..200_i32 {
                let row = client.query_one("SELECT $1::int4", &[&number]).await.unwrap();
                assert_eq!(row.get::<_, i32>(0), number);
            }
        }))
        .await;
    });
    for _ in 0..5 {
        within("PAUSE", bouncer.handle.pause()).await.unwrap();
        assert_eq!(bouncer.pool("postgres", "sv_active").await, 0);
        bouncer.handle.resume().unwrap();
    }
    within("all queries", work).await.unwrap();
    let error = bouncer.handle.resume().unwrap_err();
    assert_eq!(error, "pooler is not paused/suspended");
}

#[tokio::test(flavor = "multi_thread")]
async fn shutdown_tells_the_clients_and_closes_the_servers() {
    let pg = postgres().await;
    let bouncer = Bouncer::on(&pg, "").await;
    let client = bouncer.try_connect("application_name=last").await.unwrap();
    client.batch_execute("SELECT 1").await.unwrap();
    let mut raw = bouncer.raw_session().await;
    within("the shutdown", bouncer.handle.shutdown()).await;
    raw.is_refused("pooler is shutting down").await;
    let error = client.query_one("SELECT 1", &[]).await.unwrap_err();
    assert!(error.is_closed() || says(&error, "pooler is shutting down"), "{error}");
    until("no session on the server", || async { backends(&pg, "last").await == 0 }).await;
    assert!(Box::pin(tokio::net::TcpStream::connect(bouncer.address())).await.is_err(), "nobody listens");
}
