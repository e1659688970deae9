//! Hostile bytes and sudden ends, on both sides: each gives a clear error or a clean close, and the pool is intact
//! afterwards.

use std::process::Command;
use std::time::Duration;

use howdah_protocol::read::{TargetKind, TransactionStatus};
use howdah_protocol::write;
use howdah_testkit::{Options, Postgres};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{
    Bouncer, DEADLINE, Fake, Raw, connect, entry, error_of, message, postgres, sentence, tags, until, within,
};

/// The most that the process may grow while a client does not read (bytes).
const GROWTH_MAX: u64 = 48 * 1024 * 1024;

/// More than anybody may take of questions whose answers are not read (bytes).
const FLOOD: usize = 400 * 1024 * 1024;

/// Resident memory of this process, in bytes.
fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

/// A frame as it should not be made.
fn frame(tag: u8, length: u32, body: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(body);
    out
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_passwords_and_unknown_users_hear_the_same() {
    let options = Options::default().user("alice", "secret").md5_user("carol", "third");
    let pg = Postgres::single(options).await.unwrap();
    let methods = [
        ("plain", "password authentication failed"),
        ("md5", "password authentication failed"),
        ("scram-sha-256", "SASL authentication failed"),
    ];
    for (method, refusal) in methods {
        let bouncer = Bouncer::on(&pg, &format!("auth_type = {method}")).await;
        let log_in = |user: &str, password: &str, database: &str| {
            let conninfo = format!("{} password={password}", bouncer.conninfo(user, database));
            async move { connect(&conninfo).await }
        };
        for (user, password) in
            [("alice", "wrong"), ("nobody", "secret"), ("postgres", "empty"), ("alice", "secretx")]
        {
            for database in ["postgres", "nowhere"] {
                let error = log_in(user, password, database).await.err().unwrap();
                assert_eq!(sentence(&error), refusal, "{method} {user} {database}");
                assert_eq!(error.code().unwrap().code(), "08P01");
            }
        }
        let error = log_in("alice", "secret", "nowhere").await.err().unwrap();
        assert_eq!(sentence(&error), "no such database: nowhere", "{method}");
        let client = log_in("alice", "secret", "postgres").await.unwrap();
        let row = client.query_one("SELECT current_user::text", &[]).await.unwrap();
        assert_eq!(row.get::<_, &str>(0), "alice", "{method}");
        let carol = log_in("carol", "third", "postgres").await;
        if method == "scram-sha-256" {
            // A secret that is stored as md5 cannot serve SCRAM.
            assert_eq!(sentence(&carol.err().unwrap()), refusal);
        } else {
            let row = carol.unwrap().query_one("SELECT current_user::text", &[]).await.unwrap();
            assert_eq!(row.get::<_, &str>(0), "carol", "{method}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_users_are_asked_as_known_ones_are() {
    let pg = postgres().await;
    for (method, code) in [("plain", 3_u32), ("md5", 5), ("scram-sha-256", 10)] {
        let bouncer = Bouncer::on(&pg, &format!("auth_type = {method}")).await;
        for user in ["alice", "nobody"] {
            let mut raw = bouncer.raw().await;
            raw.startup(&[("user", user), ("database", "nowhere")]).await;
            let (tag, body) = raw.frame().await.unwrap();
            assert_eq!((tag, &body[..4]), (b'R', &code.to_be_bytes()[..]), "{method} {user}");
        }
    }
    let bouncer = Bouncer::on(&pg, "").await;
    let mut raw = bouncer.raw().await;
    raw.startup(&[("user", "nobody"), ("database", "postgres")]).await;
    raw.is_refused("\"trust\" authentication failed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_frames_end_their_client_only() {
    let pg = postgres().await;
    let bouncer = Bouncer::on(&pg, "default_pool_size = 1\nmax_packet_size = 1000000").await;
    let mut good = bouncer.raw_session().await;
    let cases: [(Vec<u8>, &str); 8] = [
        (frame(b'Q', 3, b""), "message 'Q' from client"),
        (frame(b'Q', 0, b""), "message 'Q' from client"),
        (frame(b'Q', u32::MAX, b"SELECT"), "message 'Q' from client"),
        (frame(b'Q', 1_000_001, b"SELECT"), "message 'Q' from client"),
        (frame(b'P', 0x7fff_ffff, b""), "message 'P' from client"),
        (frame(b'S', 1_000, b"x"), "message 'S' from client"),
        (frame(b'!', 4, b""), "unknown pkt"),
        (frame(0, 0, &[0; 64]), "unknown pkt"),
    ];
    for in_transaction in [false, true] {
        for (bytes, expected) in &cases {
            let mut raw = bouncer.raw_session().await;
            if in_transaction {
                raw.query("BEGIN").await;
            }
            raw.send(bytes).await;
            let frames = raw.until_closed().await;
            let (code, message) = error_of(frames.last().unwrap_or_else(|| panic!("{expected}: no error")));
            assert!(code == "08P01" && message.starts_with(expected), "{code} {message}: not {expected}");
            assert_eq!(good.value("SELECT 1").await, "1");
        }
    }
    bouncer.pool_is_intact(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_bodies_end_their_client_only() {
    let pg = postgres().await;
    let bouncer = Bouncer::on(&pg, "default_pool_size = 1").await;
    let mut good = bouncer.raw_session().await;
    // A name without its end; a Bind and a Describe of what was never prepared; a Parse of a name in use.
    let cases: [(Vec<u8>, &str); 5] = [
        (frame(b'P', 8, b"name"), "broken message"),
        (frame(b'B', 13, b"name name"), "broken message"),
        (frame(b'D', 7, b"Xa\0"), "broken message"),
        (frame(b'D', 7, b"Sa\0"), "prepared statement did not exist"),
        (frame(b'B', 13, b"\0a\0\0\0\0\0\0\0"), "prepared statement did not exist"),
    ];
    for (bytes, expected) in &cases {
        let mut raw = bouncer.raw_session().await;
        raw.send(bytes).await;
        let frames = raw.until_closed().await;
        let (_, message) = error_of(frames.last().unwrap_or_else(|| panic!("{expected}: no error")));
        assert!(message.starts_with(expected), "{message}: not {expected}");
        assert_eq!(good.value("SELECT 1").await, "1");
    }
    let mut raw = bouncer.raw_session().await;
    let mut out = Vec::new();
    write::parse(&mut out, b"twice", b"SELECT 1", &[0, 0]).unwrap();
    write::sync(&mut out);
    raw.send(&out).await;
    assert_eq!(tags(&raw.until_ready().await), "1Z");
    raw.send(&out).await;
    raw.is_refused("prepared statement name is already in use").await;
    assert_eq!(good.value("SELECT 1").await, "1");
    bouncer.pool_becomes("sv_active", 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_before_the_startup_packet() {
    let pg = postgres().await;
    let bouncer = Bouncer::on(&pg, "client_login_timeout = 1\ntcp_defer_accept = 0").await;
    let cases: [&[u8]; 7] = [
        b"GET / HTTP/1.1\r\nHost: db\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        &[0; 64],
        &[0xff; 64],
        b"\0\0\0\x08\x04\xd2\x16\x2fmore",
        b"\0\0\0\x10\x00\x03\x00\x00user\0nobo",
        b"\0\0\0\x07\0\0\0",
    ];
    for bytes in cases {
        let mut raw = bouncer.raw().await;
        raw.send(bytes).await;
        let frames = raw.until_closed().await;
        let told = frames.last().unwrap_or_else(|| panic!("{}: no error", bytes.escape_ascii()));
        assert_eq!(error_of(told).0, "08P01", "{}", bytes.escape_ascii());
    }
    // Half a packet and then silence is not waited for longer than client_login_timeout.
    for half in [&b""[..], b"\0\0", b"\0\0\0\x20\x00\x03\x00\x00user\0"] {
        let mut raw = bouncer.raw().await;
        raw.send(half).await;
        raw.is_refused("client_login_timeout").await;
    }
    assert_eq!(bouncer.connect().await.query_one("SELECT 1", &[]).await.unwrap().get::<_, i32>(0), 1);
    until("nobody but the console", || async { bouncer.show("SHOW CLIENTS").await.len() == 1 }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_stops_reading_slows_its_server_only() {
    let pg = postgres().await;
    let bouncer = Bouncer::on(&pg, "default_pool_size = 2").await;
    let mut lazy = bouncer.raw_session().await;
    let before = resident();
    // 400 MB.
    lazy.send_query("SELECT repeat('x', 1000000) FROM generate_series(1, 400)").await;
    let watch = bouncer.connect().await;
    until("the server to wait for its client", || async {
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'ClientWrite'";
        watch.query_one(sql, &[]).await.unwrap().get::<_, i64>(0) == 1
    })
    .await;
    for number in 0..50_i32 {
        assert_eq!(watch.query_one("SELECT $1::int4", &[&number]).await.unwrap().get::<_, i32>(0), number);
    }
    let growth = resident().saturating_sub(before);
    assert!(growth < GROWTH_MAX, "grew by {growth} bytes");
    drop(lazy);
    drop(watch);
    bouncer.pool_is_intact(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_read_small_answers_is_read_from_no_further() {
    let pg = postgres().await;
    let bouncer = Bouncer::on(&pg, "default_pool_size = 1").await;
    let mut lazy = bouncer.raw_session().await;
    let before = resident();
    let mut out = Vec::new();
    for _ in 0..500 {
        write::parse(&mut out, b"", b"SELECT repeat('y', 2000)", &[0, 0]).unwrap();
        write::bind(&mut out, b"", b"", &[0, 0, 0, 0, 0, 0]).unwrap();
        write::execute(&mut out, b"", 0).unwrap();
        write::sync(&mut out);
    }
    floods(&mut lazy, &out).await;
    let growth = resident().saturating_sub(before);
    assert!(growth < GROWTH_MAX, "grew by {growth} bytes");
    drop(lazy);
    bouncer.pool_becomes("sv_active", 0).await;
    // The same with answers that are the pooler's own and cost no server any work.
    let mut lazy = bouncer.raw_session().await;
    let before = resident();
    out.clear();
    for _ in 0..2_000 {
        write::parse(&mut out, b"s", b"SELECT 1", &[0, 0]).unwrap();
        write::close(&mut out, TargetKind::Statement, b"s").unwrap();
    }
    floods(&mut lazy, &out).await;
    let growth = resident().saturating_sub(before);
    assert!(growth < GROWTH_MAX, "grew by {growth} bytes of own replies");
    drop(lazy);
    bouncer.pool_becomes("sv_active", 0).await;
    assert_eq!(bouncer.connect().await.query_one("SELECT 1", &[]).await.unwrap().get::<_, i32>(0), 1);
}

/// Sends without end and reads nothing, until nobody takes its bytes any more.
async fn floods(lazy: &mut Raw, out: &[u8]) {
    let stuck = tokio::time::timeout(Duration::from_secs(4), async {
        let mut sent = 0;
        while sent < FLOOD && lazy.stream.write_all(out).await.is_ok() {
            sent += out.len();
        }
    });
    assert!(stuck.await.is_err(), "{FLOOD} bytes of questions were taken and no answer was read");
}

/// A raw session that vanishes after this.
async fn leave_after(bouncer: &Bouncer, queries: &[&str], last: &[u8]) {
    let mut raw = bouncer.raw_session().await;
    for sql in queries {
        raw.query(sql).await;
    }
    raw.send(last).await;
}

fn query(sql: &str) -> Vec<u8> {
    let mut out = Vec::new();
    write::query(&mut out, sql.as_bytes()).unwrap();
    out
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_vanish_in_any_state_leave_the_pool_intact() {
    let pg = postgres().await;
    pg.psql("CREATE TABLE t (i int)").await.unwrap();
    let bouncer = Bouncer::on(&pg, "default_pool_size = 1").await;
    let half = query("INSERT INTO t VALUES (5)");
    let copy = frame(b'd', 4 + 2, b"6\n");
    let cases: [(&str, &[&str], Vec<u8>); 6] = [
        ("idle", &["SELECT 1"], vec![]),
        ("in a transaction", &["BEGIN", "INSERT INTO t VALUES (1)"], vec![]),
        ("in a failed transaction", &["BEGIN", "SELECT 1/0"], vec![]),
        ("in the middle of a query", &[], query("SELECT pg_sleep(20)")),
        ("in the middle of a frame", &[], half[..half.len() - 2].to_vec()),
        ("in the middle of a frame of a transaction", &["BEGIN"], half[..4].to_vec()),
    ];
    for (state, queries, last) in &cases {
        leave_after(&bouncer, queries, last).await;
        let next = bouncer.connect().await;
        let answer = within(state, next.query_one("SELECT count(*) FROM t", &[])).await.unwrap();
        assert_eq!(answer.get::<_, i64>(0), 0, "{state}");
    }
    let mut raw = bouncer.raw_session().await;
    raw.send_query("COPY t FROM STDIN").await;
    assert_eq!(raw.frame().await.unwrap().0, b'G');
    raw.send(&copy).await;
    raw.send(&copy[..3]).await;
    drop(raw);
    let next = bouncer.connect().await;
    let answer = next.query_one("SELECT count(*) FROM t", &[]).await.unwrap();
    assert_eq!(answer.get::<_, i64>(0), 0, "in the middle of a COPY");
    bouncer.pool_is_intact(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_waiting_client_that_vanishes_takes_no_server() {
    let pg = postgres().await;
    let bouncer = Bouncer::on(&pg, "default_pool_size = 1").await;
    let mut holder = bouncer.raw_session().await;
    holder.query("BEGIN").await;
    let mut waiting = Vec::new();
    for _ in 0..5 {
        let mut raw = bouncer.raw_session().await;
        raw.send_query("SELECT 1").await;
        waiting.push(raw);
    }
    bouncer.pool_becomes("cl_waiting", 5).await;
    let mut patient = waiting.pop().unwrap();
    waiting.clear();
    bouncer.pool_becomes("cl_waiting", 1).await;
    holder.query("COMMIT").await;
    assert_eq!(tags(&patient.until_ready().await), "TDCZ");
    bouncer.pool_is_intact(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_did_not_arrive_whole_is_not_committed() {
    let pg = postgres().await;
    pg.psql("CREATE TABLE t (i int)").await.unwrap();
    let bouncer = Bouncer::on(&pg, "default_pool_size = 1").await;
    let mut commit = Vec::new();
    write::parse(&mut commit, b"", b"COMMIT", &[0, 0]).unwrap();
    write::bind(&mut commit, b"", b"", &[0, 0, 0, 0, 0, 0]).unwrap();
    write::execute(&mut commit, b"", 0).unwrap();
    let simple = query("COMMIT");
    for (missing, whole) in (1..=6).flat_map(|missing| [(missing, &commit), (missing, &simple)]) {
        let mut raw = bouncer.raw_session().await;
        raw.query("BEGIN").await;
        raw.query("INSERT INTO t VALUES (1)").await;
        let pid = raw.value("SELECT pg_backend_pid()").await;
        raw.send(&whole[..whole.len() - missing]).await;
        drop(raw);
        // Its transaction is over, one way or the other, when its server is gone.
        until("the server to end", || async {
            let sql = format!("SELECT count(*) FROM pg_stat_activity WHERE pid = {pid}");
            pg.value(&sql).await.unwrap() == "0"
        })
        .await;
        assert_eq!(pg.value("SELECT count(*) FROM t").await.unwrap(), "0", "{missing} bytes were missing");
    }
    bouncer.pool_is_intact(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_terminated_is_said_so_or_replaced() {
    let pg = postgres().await;
    let bouncer = Bouncer::on(&pg, "default_pool_size = 2").await;
    // Idle: replaced before anybody sees it.
    let mut raw = bouncer.raw_session().await;
    let first = raw.value("SELECT pg_backend_pid()").await;
    pg.psql(&format!("SELECT pg_terminate_backend({first}, 5000)")).await.unwrap();
    let second = raw.value("SELECT pg_backend_pid()").await;
    assert_ne!(first, second);
    // In a transaction: the client is told.
    raw.query("BEGIN").await;
    let pid = raw.value("SELECT pg_backend_pid()").await;
    pg.psql(&format!("SELECT pg_terminate_backend({pid}, 5000)")).await.unwrap();
    let frames = raw.until_closed().await;
    assert_eq!(error_of(&frames[0]).0, "57P01");
    // In the middle of a query: the server's own words.
    let mut raw = bouncer.raw_session().await;
    let pid = raw.value("SELECT pg_backend_pid()").await;
    raw.send_query("SELECT pg_sleep(20)").await;
    bouncer.pool_becomes("sv_active", 1).await;
    pg.psql(&format!("SELECT pg_terminate_backend({pid}, 5000)")).await.unwrap();
    let frames = raw.until_closed().await;
    let told = frames.iter().find(|(tag, _)| *tag == b'E').expect("an error");
    assert_eq!(error_of(told).0, "57P01");
    assert_eq!(bouncer.connect().await.query_one("SELECT 1", &[]).await.unwrap().get::<_, i32>(0), 1);
    bouncer.pool_is_intact(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_killed_in_the_middle_of_a_result() {
    let pg = postgres().await;
    let bouncer = Bouncer::on(&pg, "default_pool_size = 2\nserver_login_retry = 0.2").await;
    let mut raw = bouncer.raw_session().await;
    let pid = raw.value("SELECT pg_backend_pid()").await;
    raw.send_query("SELECT repeat('x', 1000000) FROM generate_series(1, 1000)").await;
    assert_eq!(raw.frame().await.unwrap().0, b'T');
    assert_eq!(raw.frame().await.unwrap().0, b'D');
    // The server's other processes end with it and it recovers, as after any crash.
    assert!(Command::new("kill").args(["-9", &pid]).status().unwrap().success());
    raw.ends_properly().await;
    until("the server to be up again", || async {
        let Ok(client) = bouncer.try_connect("").await else { return false };
        client.query_one("SELECT 1", &[]).await.is_ok()
    })
    .await;
    bouncer.pool_becomes("sv_active", 0).await;
    bouncer.pool_becomes("cl_waiting", 0).await;
}

/// A fake server that answers the first query of each connection with these bytes and closes.
async fn answers(bytes: Vec<u8>) -> Fake {
    Fake::start(move |mut stream| {
        let bytes = bytes.clone();
        async move {
            while let Some((tag, body)) = message(&mut stream).await {
                if tag == b'Q' && body != b"\0" {
                    // The pooler may have seen enough.
                    let _ = stream.write_all(&bytes).await;
                    return;
                }
            }
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_dies_in_a_row_never_gives_half_a_row_and_an_error() {
    let mut row = Vec::new();
    write::data_row(&mut row, &[Some(&[b'x'; 100_000])]).unwrap();
    for length in [1, 4, 5, 6, 100, 50_000, row.len() - 1] {
        let fake = answers(row[..length].to_vec()).await;
        let bouncer = Bouncer::with(&format!("postgres = {}", fake.entry()), "").await;
        let mut raw = bouncer.raw_session().await;
        raw.send_query("SELECT 1").await;
        raw.ends_properly().await;
        bouncer.pool_is_intact(0).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_sends_garbage_is_closed() {
    let mut ready = Vec::new();
    write::ready_for_query(&mut ready, TransactionStatus::Idle);
    let cases: [Vec<u8>; 8] = [
        frame(b'!', 4, b""),
        frame(b'D', 3, b""),
        frame(b'Z', 5, b"?"),
        frame(b'Z', 9, b"Ixxxx"),
        frame(b'C', 0x7fff_ffff, b""),
        frame(b'1', 4, b""),
        [ready.clone(), ready].concat(),
        b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(),
    ];
    for bytes in cases {
        let fake = answers(bytes.clone()).await;
        let bouncer = Bouncer::with(&format!("postgres = {}", fake.entry()), "").await;
        for _ in 0..2 {
            let mut raw = bouncer.raw_session().await;
            raw.send_query("SELECT 1").await;
            raw.ends_properly().await;
        }
        bouncer.pool_is_intact(0).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_speaks_another_protocol_refuses_the_login() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 64];
            if stream.read(&mut request).await.is_ok() {
                let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
            }
        }
    });
    let databases = format!("postgres = host=127.0.0.1 port={port}");
    let bouncer = Bouncer::with(&databases, "server_login_retry = 30").await;
    let mut raw = bouncer.raw().await;
    raw.startup(&[("user", "postgres"), ("database", "postgres")]).await;
    let frames = raw.until_closed().await;
    assert_eq!(tags(&frames), "E");
    bouncer.pool_is_intact(0).await;
    server.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_splits_every_message_is_understood() {
    let fake = Fake::start(|mut stream| async move {
        while let Some((_, body)) = message(&mut stream).await {
            let mut out = Vec::new();
            write::row_description(&mut out, &[]).unwrap();
            write::data_row(&mut out, &[Some(&body[..body.len() - 1])]).unwrap();
            write::command_complete(&mut out, b"SELECT 1").unwrap();
            write::ready_for_query(&mut out, TransactionStatus::Idle);
            for byte in out {
                if stream.write_all(&[byte]).await.is_err() || stream.flush().await.is_err() {
                    return;
                }
                tokio::task::yield_now().await;
            }
        }
    })
    .await;
    let bouncer = Bouncer::with(&format!("postgres = {}", fake.entry()), "").await;
    let mut raw = bouncer.raw_session().await;
    for sql in ["one", "a second one", "three"] {
        assert_eq!(raw.value(sql).await, sql);
    }
    bouncer.pool_is_intact(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn random_bytes_break_nothing() {
    use rand::{Rng as _, SeedableRng as _};
    let pg = postgres().await;
    let bouncer = Bouncer::on(&pg, "default_pool_size = 2\nclient_login_timeout = 2").await;
    let seed: u64 = rand::random();
    let mut random = rand::rngs::StdRng::seed_from_u64(seed);
    let tags_of_clients = b"QPBDECHSFdcfXp";
    for round in 0..60 {
        let mut bytes: Vec<u8> = Vec::new();
        for _ in 0..random.random_range(1..20) {
            let body: Vec<u8> = (0..random.random_range(0..40)).map(|_| random.random()).collect();
            let tag = tags_of_clients[random.random_range(0..tags_of_clients.len())];
            let lie = random.random_range(0..10) == 0;
            let length =
                if lie { random.random_range(0..100) } else { u32::try_from(body.len()).unwrap() + 4 };
            bytes.extend(frame(tag, length, &body));
        }
        let mut raw = if round % 3 == 0 { bouncer.raw().await } else { bouncer.raw_session().await };
        raw.send_lossy(&bytes).await;
        // Half of them wait for what comes, half are gone at once.
        if round % 2 == 0 {
            let _ = raw.stream.shutdown().await;
            let mut rest = Vec::new();
            let _ = tokio::time::timeout(DEADLINE, raw.stream.read_to_end(&mut rest)).await.expect("an end");
        }
    }
    let good = bouncer.connect().await;
    let one = within("a good client", good.query_one("SELECT 1", &[])).await;
    assert_eq!(one.unwrap().get::<_, i32>(0), 1, "seed {seed}");
    drop(good);
    until("the pool to be unused", || async {
        bouncer.pool("postgres", "sv_active").await == 0 && bouncer.pool("postgres", "cl_waiting").await == 0
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_of_clients_are_said_and_given_back() {
    let pg = postgres().await;
    let databases = format!("postgres = {}", entry(&pg, "max_db_client_connections=2"));
    let settings = "max_client_conn = 5\nmax_user_client_connections = 3\ntcp_defer_accept = 0";
    let bouncer =
        Bouncer::with(&format!("{databases}\nother = {}", entry(&pg, "dbname=postgres")), settings).await;
    for _ in 0..3 {
        let (a, b) = (bouncer.raw_session().await, bouncer.raw_session().await);
        let mut third = bouncer.raw().await;
        third.startup(&[("user", "postgres"), ("database", "postgres")]).await;
        third.is_refused("client connections exceeded (max_db_client_connections)").await;
        let mut c = bouncer.raw().await;
        c.log_in("postgres", "other").await;
        let mut fourth = bouncer.raw().await;
        fourth.startup(&[("user", "postgres"), ("database", "other")]).await;
        fourth.is_refused("client connections exceeded (max_user_client_connections)").await;
        let (x, y) = (bouncer.raw().await, bouncer.raw().await);
        until("two that are logging in", || async {
            let lists = bouncer.show("SHOW LISTS").await;
            lists.iter().any(|row| row["list"] == "login_clients" && row["items"] == "2")
        })
        .await;
        let mut sixth: Raw = bouncer.raw().await;
        sixth.startup(&[("user", "postgres"), ("database", "postgres")]).await;
        sixth.is_refused("no more connections allowed (max_client_conn)").await;
        drop((a, b, c, x, y));
        until("the clients to be gone", || async {
            let lists = bouncer.show("SHOW LISTS").await;
            let login = lists.iter().any(|row| row["list"] == "login_clients" && row["items"] == "0");
            login && bouncer.show("SHOW CLIENTS").await.len() == 1
        })
        .await;
    }
}
