//! Cancel requests hit the query that they are meant for, and never a neighbour (PGBOUNCER_BEHAVIOUR.md section 11), and
//! wait in turn (section 7, `cancel_wait_timeout`). Those of other processes are in `peers.rs`.

use futures_util::future::join_all;
use howdah_protocol::write;
use tokio_postgres::NoTls;

use crate::support::{
    Binary, Bouncer, Fake, Raw, Row, connect, entry, error_of, message, postgres, rows, sentence, until,
    within,
};

/// Sends a cancel request.
async fn request(bouncer: &Bouncer, (pid, key): &(u32, Vec<u8>)) -> Raw {
    let mut raw = bouncer.raw().await;
    let mut out = Vec::new();
    write::cancel_request(&mut out, *pid, key).unwrap();
    raw.send(&out).await;
    raw
}

/// Sends a cancel request and waits until the pooler has closed its connection.
async fn cancel(bouncer: &Bouncer, pid: u32, key: &[u8]) {
    let mut raw = request(bouncer, &(pid, key.to_vec())).await;
    assert!(raw.until_closed().await.is_empty(), "a cancel request is answered by nothing");
}

async fn cancel_of(bouncer: &Bouncer, raw: &Raw) {
    cancel(bouncer, raw.key.0, &raw.key.1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_ends_its_own_query_and_the_session_goes_on() {
    let pg = postgres().await;
    let bouncer = Bouncer::on(&pg, "default_pool_size = 3").await;
    let (a, b) = (bouncer.connect().await, bouncer.connect().await);
    let token = a.cancel_token();
    let work = async {
        tokio::join!(a.query("SELECT pg_sleep(20)", &[]), b.query_one("SELECT 1, pg_sleep(1)", &[]), async {
            bouncer.pool_becomes("sv_active", 2).await;
            token.cancel_query(NoTls).await.unwrap();
        })
    };
    let (canceled, neighbour, ()) = within("both answers", work).await;
    assert_eq!(canceled.unwrap_err().code().unwrap().code(), "57014");
    assert_eq!(neighbour.unwrap().get::<_, i32>(0), 1);
    assert_eq!(a.query_one("SELECT 2", &[]).await.unwrap().get::<_, i32>(0), 2);
    bouncer.pool_is_intact(2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_the_poolers_own() {
    let pg = postgres().await;
    let bouncer = Bouncer::on(&pg, "default_pool_size = 1").await;
    let mut a = bouncer.raw_session().await;
    let b = bouncer.raw_session().await;
    assert_ne!(a.key, b.key);
    assert_ne!(a.value("SELECT pg_backend_pid()").await, a.key.0.to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_keys_and_idle_clients_cancel_nothing() {
    let pg = postgres().await;
    let bouncer = Bouncer::on(&pg, "default_pool_size = 1").await;
    let mut idle = bouncer.raw_session().await;
    idle.query("SELECT 1").await;
    let mut busy = bouncer.raw_session().await;
    busy.send_query("SELECT 7, pg_sleep(1)").await;
    bouncer.pool_becomes("sv_active", 1).await;
    let mut wrong = busy.key.1.clone();
    wrong[0] ^= 1;
    cancel(&bouncer, busy.key.0, &wrong).await;
    cancel(&bouncer, 1, &[1, 2, 3, 4]).await;
    cancel(&bouncer, busy.key.0, &[0; 32]).await;
    cancel_of(&bouncer, &idle).await;
    let frames = busy.until_ready().await;
    assert_eq!(frames[1].0, b'D', "undisturbed");
    bouncer.pool_is_intact(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_cancels_do_not_disturb_a_neighbour_on_the_only_server() {
    let pg = postgres().await;
    let bouncer = Bouncer::on(&pg, "default_pool_size = 1").await;
    let mut victim = bouncer.raw_session().await;
    let neighbour = bouncer.connect().await;
    let work = async {
        for number in 0..300_i32 {
            let row = neighbour.query_one("SELECT $1::int4", &[&number]).await;
            assert_eq!(row.expect("the neighbour is not canceled").get::<_, i32>(0), number);
        }
    };
    let (pid, key) = victim.key.clone();
    let cancels = async {
        for _ in 0..5 {
            join_all((0..20).map(|_| cancel(&bouncer, pid, &key))).await;
        }
    };
    let queries = async {
        for _ in 0..100 {
            let frames = victim.query("SELECT pg_sleep(0.002)").await;
            if let Some(error) = frames.iter().find(|(tag, _)| *tag == b'E') {
                assert_eq!(error_of(error).0, "57014");
            }
        }
    };
    within("all of it", async { tokio::join!(work, cancels, queries) }).await;
    bouncer.pool_becomes("sv_active", 0).await;
    bouncer.pool_becomes("cl_waiting", 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_waits_for_a_server_is_canceled() {
    let pg = postgres().await;
    let bouncer = Bouncer::on(&pg, "default_pool_size = 1").await;
    let mut holder = bouncer.raw_session().await;
    holder.query("BEGIN").await;
    let mut waiting = bouncer.raw_session().await;
    waiting.send_query("SELECT 1").await;
    bouncer.pool_becomes("cl_waiting", 1).await;
    cancel_of(&bouncer, &waiting).await;
    // Nothing runs for it, so nothing is canceled; the holder is not hit either.
    assert_eq!(holder.value("SELECT 5").await, "5");
    holder.query("COMMIT").await;
    waiting.until_ready().await;
    bouncer.pool_is_intact(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_in_a_transaction_leaves_it_failed() {
    let pg = postgres().await;
    let bouncer = Bouncer::on(&pg, "default_pool_size = 1").await;
    let mut client = bouncer.connect().await;
    let token = client.cancel_token();
    let transaction = client.transaction().await.unwrap();
    let (error, ()) = tokio::join!(transaction.query("SELECT pg_sleep(20)", &[]), async {
        until("the query to run", || async {
            let sql = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%' AND state = 'active'";
            pg.value(sql).await.unwrap() == "1"
        })
        .await;
        token.cancel_query(NoTls).await.unwrap();
    });
    assert_eq!(sentence(&error.unwrap_err()), "canceling statement due to user request");
    let error = transaction.query("SELECT 1", &[]).await.unwrap_err();
    assert_eq!(error.code().unwrap().code(), "25P02");
    transaction.rollback().await.unwrap();
    bouncer.pool_is_intact(1).await;
}

/// The cells of the one row in this state.
async fn in_state(bouncer: &Bouncer, show: &str, state: &str, columns: &[&str]) -> Vec<String> {
    let rows = bouncer.show(show).await;
    let mut found = rows.iter().filter(|row| row["state"] == state);
    let row: &Row = found.next().unwrap_or_else(|| panic!("{show}: nobody is {state}: {rows:?}"));
    assert!(found.next().is_none(), "{show}: more than one is {state}: {rows:?}");
    columns.iter().map(|column| row[*column].clone()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_has_a_connection_of_its_own_and_both_are_shown() {
    let pg = postgres().await;
    let bouncer = Bouncer::on(&pg, "default_pool_size = 1").await;
    let mut busy = bouncer.raw_session().await;
    busy.query("BEGIN").await;
    let in_use = in_state(&bouncer, "SHOW SERVERS", "active", &["id"]).await;
    // Nobody takes the request off the socket.
    pg.freeze_postmaster().unwrap();
    let mut raw = request(&bouncer, &busy.key).await;
    bouncer.pool_becomes("cl_active_cancel_req", 1).await;
    let columns = ["user", "database", "id", "ptr", "link"];
    let client = in_state(&bouncer, "SHOW CLIENTS", "active_cancel_req", &columns).await;
    let server = in_state(&bouncer, "SHOW SERVERS", "active_cancel", &columns).await;
    assert_eq!((client[0].as_str(), client[1].as_str()), ("(nouser)", "postgres"));
    assert_eq!((server[0].as_str(), server[1].as_str()), ("postgres", "postgres"));
    assert_eq!((&client[4], &server[4]), (&server[3], &client[3]), "linked to each other");
    assert_ne!(server[2], in_use[0]);
    assert_eq!(bouncer.pool("postgres", "sv_active_cancel").await, 1);
    assert_eq!(bouncer.pool("postgres", "sv_active").await, 1);
    assert_eq!(bouncer.pool("postgres", "cl_active").await, 1);
    let lists = bouncer.show("SHOW LISTS").await;
    let used = lists.iter().find(|row| row["list"] == "used_servers").unwrap();
    assert_eq!(used["items"], "2");
    pg.thaw();
    assert!(raw.until_closed().await.is_empty());
    busy.query("ROLLBACK").await;
    bouncer.pool_is_intact(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_and_requests_together_are_twice_the_pool_size_and_the_next_waits() {
    let pg = postgres().await;
    let bouncer = Bouncer::on(&pg, "default_pool_size = 2").await;
    let (mut a, mut b) = (bouncer.raw_session().await, bouncer.raw_session().await);
    a.query("BEGIN").await;
    b.query("BEGIN").await;
    pg.freeze_postmaster().unwrap();
    let mut requests = Vec::new();
    for (number, key) in [&a.key, &b.key, &a.key].into_iter().enumerate() {
        requests.push(request(&bouncer, key).await);
        let (active, waiting) = (number.min(1) as i64 + 1, i64::from(number == 2));
        bouncer.pool_becomes("cl_waiting_cancel_req", waiting).await;
        bouncer.pool_becomes("cl_active_cancel_req", active).await;
    }
    assert_eq!(bouncer.pool("postgres", "sv_active_cancel").await, 2);
    let columns = ["user", "database", "link"];
    let waiting = in_state(&bouncer, "SHOW CLIENTS", "waiting_cancel_req", &columns).await;
    assert_eq!(waiting, ["(nouser)", "postgres", ""]);
    pg.thaw();
    for raw in &mut requests {
        assert!(raw.until_closed().await.is_empty());
    }
    a.query("ROLLBACK").await;
    b.query("ROLLBACK").await;
    bouncer.pool_is_intact(2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_take_no_place_of_a_server() {
    let pg = postgres().await;
    let bouncer = Bouncer::on(&pg, "default_pool_size = 2\nmax_db_connections = 2").await;
    let mut busy = bouncer.raw_session().await;
    busy.query("BEGIN").await;
    pg.freeze_postmaster().unwrap();
    let mut requests = Vec::new();
    for number in 1..=3 {
        requests.push(request(&bouncer, &busy.key).await);
        bouncer.pool_becomes("cl_active_cancel_req", number).await;
    }
    // The pool may have a second server all the same.
    let mut other = bouncer.raw_session().await;
    other.send_query("SELECT 3").await;
    bouncer.pool_becomes("sv_login", 1).await;
    pg.thaw();
    other.until_ready().await;
    for raw in &mut requests {
        assert!(raw.until_closed().await.is_empty());
    }
    busy.query("ROLLBACK").await;
    bouncer.pool_is_intact(2).await;
}

/// A program before this server with a log, and a session in a transaction.
async fn logging(pg: &howdah_testkit::Node, settings: &str) -> (Binary, Raw) {
    let databases = format!("postgres = {}", entry(pg, ""));
    let settings = format!("logfile = @DIR@/log\ndefault_pool_size = 1\n{settings}");
    let binary = Binary::start(&databases, &settings).await;
    let mut busy = Raw::connect(([127, 0, 0, 1], binary.port()).into()).await;
    busy.log_in("postgres", "postgres").await;
    busy.query("BEGIN").await;
    (binary, busy)
}

/// Sends a cancel request.
async fn request_of(binary: &Binary, (pid, key): (u32, &[u8])) -> Raw {
    let mut raw = Raw::connect(([127, 0, 0, 1], binary.port()).into()).await;
    let mut out = Vec::new();
    write::cancel_request(&mut out, pid, key).unwrap();
    raw.send(&out).await;
    raw
}

/// Waits until a row is in this state.
async fn somebody_is(console: &tokio_postgres::Client, show: &str, state: &str) {
    until(state, || async { rows(console, show).await.iter().any(|row| row["state"] == state) }).await;
}

/// The number of the connection that a line of the log is about.
fn number(line: &str) -> u64 {
    let (_, rest) = line.split_once("-0x").unwrap();
    u64::from_str_radix(rest.split(':').next().unwrap(), 16).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_has_the_fate_of_each_request() {
    let pg = postgres().await;
    let (binary, mut busy) = logging(&pg, "").await;
    let (pid, key) = busy.key.clone();
    let opened = "new connection to server (from ";
    assert_eq!(binary.logged(opened).len(), 1);
    request_of(&binary, (pid, &key)).await.until_closed().await;
    let sent = binary.logged("closing because: successfully sent cancel request (age=0s)");
    assert_eq!((sent.len(), binary.logged(opened).len()), (2, 2), "{sent:?}");
    assert!(sent[0].contains(" S-0x") && sent[0].contains(": postgres/postgres@127.0.0.1:"), "{sent:?}");
    assert!(sent[1].contains(" C-0x") && sent[1].contains(": postgres/(nouser)@127.0.0.1:"), "{sent:?}");
    // Each has a number of its own, and the next session the one after: nothing else takes one.
    assert_eq!(number(&sent[0]), number(&sent[1]) + 1);
    let mut next = Raw::connect(([127, 0, 0, 1], binary.port()).into()).await;
    next.log_in("postgres", "postgres").await;
    assert_eq!(number(binary.logged("login attempt").last().unwrap()), number(&sent[0]) + 1);
    busy.query("ROLLBACK").await;
    request_of(&binary, (pid, &key)).await.until_closed().await;
    assert_eq!(binary.logged("closing because: cancel request for idle client (age=0s)").len(), 1);
    request_of(&binary, (pid, &[0; 4])).await.until_closed().await;
    request_of(&binary, (pid, &[0; 32])).await.until_closed().await;
    assert_eq!(binary.logged("closing because: failed cancel request (age=0s)").len(), 2);
    let console = connect(&binary.local_conninfo("pgbouncer", "pgbouncer")).await.unwrap();
    console.cancel_token().cancel_query(NoTls).await.unwrap();
    until("the console's", || async {
        binary.logged("closing because: cancel request for console client (age=0s)").len() == 1
    })
    .await;
    assert_eq!((binary.logged("pooler error").len(), binary.logged(opened).len()), (0, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_waited_until_its_client_was_idle_hits_nobody() {
    let pg = postgres().await;
    let (binary, mut busy) = logging(&pg, "").await;
    let mut neighbour = Raw::connect(([127, 0, 0, 1], binary.port()).into()).await;
    neighbour.log_in("postgres", "postgres").await;
    pg.freeze_postmaster().unwrap();
    let (pid, key) = busy.key.clone();
    let mut first = request_of(&binary, (pid, &key)).await;
    until("the first to be carried", || async { binary.logged("new connection to server").len() == 2 }).await;
    let mut second = request_of(&binary, (pid, &key)).await;
    let console = connect(&binary.local_conninfo("pgbouncer", "pgbouncer")).await.unwrap();
    somebody_is(&console, "SHOW CLIENTS", "waiting_cancel_req").await;
    neighbour.send_query("SELECT pg_sleep(0.2)").await;
    busy.query("COMMIT").await;
    pg.thaw();
    assert!(first.until_closed().await.is_empty() && second.until_closed().await.is_empty());
    let line = "closing because: not sending cancel request for client that is now idle";
    assert_eq!(binary.logged(line).len(), 1);
    let frames = neighbour.until_ready().await;
    assert_eq!(frames[1].0, b'D', "undisturbed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_waits_too_long_is_closed_and_one_that_is_carried_is_not() {
    let pg = postgres().await;
    let (binary, busy) = logging(&pg, "cancel_wait_timeout = 0").await;
    pg.freeze_postmaster().unwrap();
    let (pid, key) = busy.key.clone();
    let mut first = request_of(&binary, (pid, &key)).await;
    until("the first to be carried", || async { binary.logged("new connection to server").len() == 2 }).await;
    let mut second = request_of(&binary, (pid, &key)).await;
    let console = connect(&binary.local_conninfo("pgbouncer", "pgbouncer")).await.unwrap();
    somebody_is(&console, "SHOW CLIENTS", "waiting_cancel_req").await;
    // Without a limit it waits; a new one counts for those who wait already.
    console.simple_query("SET cancel_wait_timeout = '0.5'").await.unwrap();
    assert!(second.until_closed().await.is_empty(), "a cancel request is answered by nothing");
    let lines = binary.logged("closing because: cancel_wait_timeout (age=");
    assert!(lines.len() == 1 && lines[0].contains(" C-0x"), "{lines:?}");
    pg.thaw();
    assert!(first.until_closed().await.is_empty());
    assert_eq!(binary.logged("closing because: successfully sent cancel request").len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_reaches_nobody_waits_and_tries_again() {
    let fake = Fake::start(|mut stream| async move {
        // Answers nothing, so that the client stays busy.
        while message(&mut stream).await.is_some() {}
    })
    .await;
    let databases = format!("postgres = {}", fake.entry());
    let settings = "logfile = @DIR@/log\nserver_login_retry = 0.1\ncancel_wait_timeout = 1\n\
                    server_tls_sslmode = disable";
    let binary = Binary::start(&databases, settings).await;
    let mut busy = Raw::connect(([127, 0, 0, 1], binary.port()).into()).await;
    busy.log_in("postgres", "postgres").await;
    busy.send_query("SELECT 1").await;
    let console = connect(&binary.local_conninfo("pgbouncer", "pgbouncer")).await.unwrap();
    somebody_is(&console, "SHOW SERVERS", "active").await;
    fake.refuse().await;
    let (pid, key) = busy.key.clone();
    request_of(&binary, (pid, &key)).await.until_closed().await;
    assert!(binary.logged("closing because: connect failed (age=0s)").len() > 1, "it tried again");
    assert_eq!(binary.logged("closing because: cancel_wait_timeout (age=").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_ends_the_query_that_a_pause_waits_for() {
    let pg = postgres().await;
    let bouncer = Bouncer::on(&pg, "default_pool_size = 1").await;
    let mut busy = bouncer.raw_session().await;
    busy.send_query("SELECT pg_sleep(20)").await;
    bouncer.pool_becomes("sv_active", 1).await;
    let console = bouncer.console().await;
    let (paused, ()) = within("both", async {
        tokio::join!(console.simple_query("PAUSE"), async {
            until("the pause", || async {
                bouncer
                    .show("SHOW STATE")
                    .await
                    .iter()
                    .any(|row| row["key"] == "paused" && row["value"] == "yes")
            })
            .await;
            cancel_of(&bouncer, &busy).await;
        })
    })
    .await;
    paused.unwrap();
    assert!(busy.until_ready().await.iter().any(|(tag, _)| *tag == b'E'));
}
