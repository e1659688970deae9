//! What ends, or is told, by time (PGBOUNCER_BEHAVIOUR.md section 7), beside what `pooling.rs` has.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use howdah_protocol::read::TransactionStatus;
use howdah_protocol::write;
use howdah_testkit::{Options, Postgres};
use tokio::io::AsyncWriteExt;

use crate::support::{
    Binary, Bouncer, Fake, Raw, Seen, connect, entry, error_of, message, postgres, sentence, tags, until,
};

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

/// A server with roles for users of different limits.
async fn roles() -> Postgres {
    let options = Options::default().hba_line("host all all 127.0.0.1/32 trust").sql(
        "CREATE ROLE alice LOGIN; CREATE ROLE bob LOGIN; CREATE ROLE carol LOGIN; CREATE ROLE forced LOGIN",
    );
    Postgres::single(options).await.unwrap()
}

/// What each limit is about: what the client does before it only waits for its end.
#[derive(Clone, Copy)]
enum Stands {
    Idle,
    InTransaction,
    InQuery,
}

impl Stands {
    async fn begin(self, raw: &mut Raw) {
        match self {
            Self::Idle => drop(raw.query("SELECT 1").await),
            Self::InTransaction => drop(raw.query("BEGIN").await),
            Self::InQuery => raw.send_query("SELECT pg_sleep(2.5)").await,
        }
    }
}

/// Setting, the sentence, what stands still, and whether the server is closed with it.
const LIMITS: [(&str, &str, Stands, bool); 5] = [
    ("query_timeout", "query timeout", Stands::InQuery, true),
    ("idle_transaction_timeout", "idle transaction timeout", Stands::InTransaction, true),
    ("transaction_timeout", "transaction timeout", Stands::InTransaction, true),
    ("transaction_timeout", "transaction timeout", Stands::InQuery, true),
    ("client_idle_timeout", "client_idle_timeout", Stands::Idle, false),
];

#[tokio::test(flavor = "multi_thread")]
async fn each_limit_is_said_to_the_client_and_in_the_log() {
    let pg = roles().await;
    for (setting, reason, stands, closes_server) in LIMITS {
        let seen = Seen::on(&pg, &format!("{setting} = 0.5")).await;
        let mut raw = seen.raw_session("alice", "postgres").await;
        stands.begin(&mut raw).await;
        let begun = Instant::now();
        raw.is_refused(reason).await;
        assert!(begun.elapsed() < Duration::from_millis(1900), "{setting}: {:?}", begun.elapsed());
        // Of the client, and of the server that it ends.
        let closed = seen.lines(&format!("closing because: {reason} (age="));
        assert_eq!(closed, 1 + usize::from(closes_server), "{setting}: {}", seen.log());
        assert_eq!(seen.lines(&format!("pooler error: {reason}")), 1, "{setting}");
        assert_eq!(seen.lines("WARNING C-0x"), 1, "{setting}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_users_own_limit_wins_in_both_directions() {
    let pg = roles().await;
    for (setting, reason, stands, _) in LIMITS {
        // The global one is short, and a user's long; then the other way round.
        let seen = Seen::on(&pg, &format!("{setting} = 0.5\n[users]\nbob = {setting}=60")).await;
        let mut bob = seen.raw_session("bob", "postgres").await;
        stands.begin(&mut bob).await;
        let mut alice = seen.raw_session("alice", "postgres").await;
        stands.begin(&mut alice).await;
        alice.is_refused(reason).await;
        if matches!(stands, Stands::InQuery) {
            assert_eq!(tags(&bob.until_ready().await), "TDCZ", "{setting}");
        }
        assert!(tags(&bob.query("SELECT 2").await).ends_with('Z'), "{setting}");
        let seen = Seen::on(&pg, &format!("{setting} = 60\n[users]\nbob = {setting}=0.5")).await;
        let mut alice = seen.raw_session("alice", "postgres").await;
        stands.begin(&mut alice).await;
        let mut bob = seen.raw_session("bob", "postgres").await;
        stands.begin(&mut bob).await;
        bob.is_refused(reason).await;
        if matches!(stands, Stands::InQuery) {
            assert_eq!(tags(&alice.until_ready().await), "TDCZ", "{setting}");
        }
        assert!(tags(&alice.query("SELECT 2").await).ends_with('Z'), "{setting}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_server_does_is_limited_by_the_forced_user_and_the_clients_idleness_by_its_own() {
    let pg = roles().await;
    let databases = format!("postgres = {}", entry(&pg, "user=forced"));
    let users = "[users]\nforced = query_timeout=0.5 client_idle_timeout=0.2\nalice = query_timeout=60";
    let seen = Seen::with(&databases, users).await;
    let mut raw = seen.raw_session("alice", "postgres").await;
    let begun = Instant::now();
    until("some idleness", || async { begun.elapsed().as_millis() > 1000 }).await;
    raw.send_query("SELECT pg_sleep(20)").await;
    raw.is_refused("query timeout").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_wait_for_a_server_is_limited_by_user_entry_and_default() {
    let pg = roles().await;
    let databases = format!(
        "postgres = {}\nentry = {}",
        entry(&pg, "user=forced"),
        entry(&pg, "dbname=postgres user=forced query_wait_timeout=0.5")
    );
    let settings = "default_pool_size = 1\nquery_wait_timeout = 60\n[users]\nbob = query_wait_timeout=0.5\n\
                    carol = query_wait_timeout=50";
    let seen = Seen::with(&databases, settings).await;
    for (database, ends, stays) in
        [("postgres", ["bob", "bob"], ["alice", "carol"]), ("entry", ["alice", "bob"], ["carol", "carol"])]
    {
        let mut holder = seen.raw_session("alice", database).await;
        holder.query("BEGIN").await;
        let mut patient = Vec::new();
        for user in stays {
            let mut raw = seen.raw_session(user, database).await;
            raw.send_query("SELECT 1").await;
            patient.push(raw);
        }
        for user in ends {
            let mut raw = seen.raw_session(user, database).await;
            let begun = Instant::now();
            raw.send_query("SELECT 1").await;
            raw.is_refused("query_wait_timeout").await;
            let took = begun.elapsed();
            assert!(
                took > Duration::from_millis(450) && took < Duration::from_millis(1900),
                "{user}: {took:?}"
            );
        }
        seen.pool_becomes(database, "cl_waiting", 2).await;
        holder.query("COMMIT").await;
        for raw in &mut patient {
            assert_eq!(tags(&raw.until_ready().await), "TDCZ", "{database}");
        }
    }
    assert_eq!(seen.lines("closing because: query_wait_timeout (age="), 4);
    assert_eq!(seen.lines("pooler error: query_wait_timeout"), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_counts_from_its_begin_and_its_idleness_from_the_last_answer() {
    let pg = roles().await;
    let seen = Seen::on(&pg, "idle_transaction_timeout = 1").await;
    let mut raw = seen.raw_session("alice", "postgres").await;
    raw.query("BEGIN").await;
    for _ in 0..4 {
        // Longer than the limit in sum, and each less.
        assert_eq!(tags(&raw.query("SELECT pg_sleep(0.6)").await), "TDCZ");
    }
    let idle = Instant::now();
    raw.is_refused("idle transaction timeout").await;
    assert!(idle.elapsed() > Duration::from_millis(950), "{:?}", idle.elapsed());
    let seen = Seen::on(&pg, "transaction_timeout = 1.5").await;
    let mut raw = seen.raw_session("alice", "postgres").await;
    // Outside of transactions, nothing adds up.
    for _ in 0..3 {
        assert_eq!(tags(&raw.query("SELECT pg_sleep(0.6)").await), "TDCZ");
    }
    let begun = Instant::now();
    raw.query("BEGIN").await;
    assert_eq!(tags(&raw.query("SELECT pg_sleep(0.6)").await), "TDCZ");
    raw.is_refused("transaction timeout").await;
    assert!(begun.elapsed() > Duration::from_millis(1450), "{:?}", begun.elapsed());
    // In one message with what keeps it busy.
    let mut raw = seen.raw_session("alice", "postgres").await;
    raw.send_query("BEGIN; SELECT pg_sleep(20)").await;
    raw.is_refused("transaction timeout").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_says_why_a_server_was_closed() {
    let pg = postgres().await;
    let databases = format!(
        "idle = {}\nonce = {}\nlong = {}",
        entry(&pg, "dbname=postgres"),
        entry(&pg, "dbname=postgres server_lifetime=0"),
        entry(&pg, "dbname=postgres server_lifetime=3600"),
    );
    let seen = Seen::with(&databases, "server_lifetime = 0.5\nserver_idle_timeout = 0").await;
    for database in ["once", "idle", "long"] {
        seen.raw_session("postgres", database).await.query("SELECT 1").await;
    }
    let closed = |entry: &str, reason: &str| {
        let of_entry = format!(" {entry}/postgres@");
        let line = format!("closing because: {reason} (age=");
        seen.log().lines().filter(|text| text.contains(&of_entry) && text.contains(&line)).count()
    };
    // The login had waited for it; the query was its one use.
    until("one that served once", || async { closed("once", "server lifetime over") == 1 }).await;
    until("one that is too old", || async { closed("idle", "server lifetime over") == 1 }).await;
    assert_eq!(seen.pool("long", "sv_idle").await, 1, "the entry's own is longer");
    assert_eq!(seen.row("SHOW DATABASES", ("name", "once")).await["server_lifetime"], "0");
    assert_eq!(seen.row("SHOW DATABASES", ("name", "long")).await["server_lifetime"], "3600");
    seen.console.simple_query("SET server_idle_timeout = '0.5'").await.unwrap();
    until("one that was idle", || async { closed("long", "server idle timeout") == 1 }).await;
}

/// A port where connections are never answered: nobody accepts, and there is no room for more. Keeps its sockets.
fn silent_port() -> (u16, Vec<socket2::Socket>) {
    let listener = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    listener.bind(&std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    listener.listen(0).unwrap();
    let address = listener.local_addr().unwrap();
    let mut sockets = vec![listener];
    // The first ones are taken by the kernel; the others only fill its queue.
    for _ in 0..4 {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        socket.set_nonblocking(true).unwrap();
        // In progress, or done.
        let _ = socket.connect(&address);
        sockets.push(socket);
    }
    (address.as_socket().unwrap().port(), sockets)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_behind_a_wall_is_given_up_after_the_timeout_and_tried_again() {
    let (port, sockets) = silent_port();
    let settings = "server_connect_timeout = 0.5\nserver_login_retry = 0.3\nquery_wait_timeout = 3";
    let seen = Seen::with(&format!("postgres = host=127.0.0.1 port={port}"), settings).await;
    assert_eq!(seen.connect("postgres", "postgres").await.err().as_deref(), Some("query_wait_timeout"));
    let tries = seen.lines("closing because: connect timeout (age=");
    assert!((2..=5).contains(&tries), "{tries}: {}", seen.log());
    drop(sockets);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_connection_is_tried_again_after_server_login_retry() {
    let pg = postgres().await;
    let databases = format!("postgres = {}", entry(&pg, ""));
    pg.stop().await.unwrap();
    let seen = Seen::with(&databases, "server_login_retry = 1").await;
    let conninfo = seen.binary.conninfo("postgres", "postgres");
    let login =
        tokio::spawn(async move { connect(&conninfo).await.map(drop).map_err(|error| sentence(&error)) });
    until("two tries", || async { seen.lines("closing because: connect failed (age=0s)") == 2 }).await;
    let times: Vec<f64> = seen
        .log()
        .lines()
        .filter(|line| line.contains("closing because: connect failed"))
        .map(|line| line.split(' ').nth(1).unwrap().split(':').next_back().unwrap().parse().unwrap())
        .collect();
    let gap = (times[1] - times[0]).rem_euclid(60.0);
    assert!((0.9..2.5).contains(&gap), "{times:?}");
    assert_eq!(seen.pool("postgres", "cl_waiting").await, 1);
    pg.start().await.unwrap();
    assert_eq!(crate::support::within("the login", login).await.unwrap(), Ok(()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_takes_nothing_any_more_has_crashed_after_tcp_user_timeout() {
    // It logs everybody in and reads no further.
    let fake = Fake::start(|stream| async move {
        std::future::pending::<()>().await;
        drop(stream);
    })
    .await;
    let databases = format!("postgres = {}", fake.entry());
    let settings = "tcp_user_timeout = 1000\nquery_timeout = 12\ntcp_socket_buffer = 8192";
    let seen = Seen::with(&databases, settings).await;
    let raw = seen.raw_session("postgres", "postgres").await;
    let mut query = Vec::new();
    write::query(&mut query, &vec![b'x'; 8 << 20]).unwrap();
    let (mut reader, mut writer) = raw.stream.into_split();
    // More than the socket takes: the client is cut off in the middle of it.
    let sending = tokio::spawn(async move { writer.write_all(&query).await });
    let mut answer = Vec::new();
    let end =
        crate::support::within("the end", tokio::io::AsyncReadExt::read_to_end(&mut reader, &mut answer));
    // A reset is an end as well, since there is more to read.
    let _ = end.await;
    let said = answer.windows(20).any(|window| window == b"server conn crashed?");
    assert!(said || answer.is_empty(), "{}", answer.escape_ascii());
    assert_eq!(seen.lines("closing because: server conn crashed? (age="), 2, "{}", seen.log());
    assert_eq!(seen.lines("query timeout"), 0);
    sending.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_that_gets_no_answer_holds_its_client_until_one_comes() {
    let is_open = Arc::new(AtomicBool::new(true));
    let asked = Arc::new(AtomicU32::new(0));
    let (gate, count) = (Arc::clone(&is_open), Arc::clone(&asked));
    let fake = Fake::start(move |mut stream| {
        let (gate, count) = (Arc::clone(&gate), Arc::clone(&count));
        async move {
            while let Some((_, body)) = message(&mut stream).await {
                let is_check = body == b"\0";
                count.fetch_add(u32::from(is_check), Ordering::Relaxed);
                until("the traffic to be back", || async { gate.load(Ordering::Relaxed) }).await;
                let mut out = Vec::new();
                match is_check {
                    true => write::empty_query_response(&mut out),
                    false => write::command_complete(&mut out, b"SELECT 0").unwrap(),
                }
                write::ready_for_query(&mut out, TransactionStatus::Idle);
                if stream.write_all(&out).await.is_err() {
                    return;
                }
            }
        }
    })
    .await;
    let bouncer = Bouncer::with(&format!("postgres = {}", fake.entry()), "server_check_delay = 1").await;
    let mut raw = bouncer.raw_session().await;
    raw.query("one").await;
    let idle = Instant::now();
    until("some idleness", || async { idle.elapsed().as_millis() > 1300 }).await;
    is_open.store(false, Ordering::Relaxed);
    raw.send_query("two").await;
    until("the check", || async { asked.load(Ordering::Relaxed) == 1 }).await;
    bouncer.pool_becomes("sv_tested", 1).await;
    is_open.store(true, Ordering::Relaxed);
    assert_eq!(tags(&raw.until_ready().await), "CZ");
    bouncer.pool_is_intact(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_does_not_come_to_its_end_is_ended() {
    let (port, sockets) = silent_port();
    let databases = format!(
        "postgres = host=127.0.0.1 port={port}\nasked = host=127.0.0.1 port={port} auth_user=postgres"
    );
    let settings =
        "client_login_timeout = 1\nauth_type = plain\ntcp_defer_accept = 0\nserver_login_retry = 0.2";
    let seen = Seen::with(&databases, settings).await;
    // It says nothing; it says who it is, and not its password.
    let mut silent = seen.raw().await;
    silent.is_refused("client_login_timeout").await;
    let mut silent = seen.raw().await;
    silent.startup(&[("user", "alice"), ("database", "postgres")]).await;
    assert_eq!(silent.frame().await.unwrap().0, b'R');
    silent.is_refused("client_login_timeout").await;
    // The first of its pool waits for a server, and so does one whom a server is to know.
    let conninfo = format!("{} password=secret", seen.binary.conninfo("alice", "postgres"));
    let refusal = sentence(&connect(&conninfo).await.unwrap_err());
    assert_eq!(refusal, "client_login_timeout (server down)");
    let conninfo = format!("{} password=x", seen.binary.conninfo("whoever", "asked"));
    let refusal = sentence(&connect(&conninfo).await.unwrap_err());
    assert_eq!(refusal, "client_login_timeout (server down)");
    assert_eq!(
        seen.lines("closing because: client_login_timeout (server down) (age=1s)"),
        2,
        "{}",
        seen.log()
    );
    drop(sockets);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_waits_is_ended_by_query_timeout_under_its_own_name() {
    let pg = postgres().await;
    let seen = Seen::on(&pg, "default_pool_size = 1\nquery_timeout = 0.5").await;
    let mut holder = seen.raw_session("postgres", "postgres").await;
    holder.query("BEGIN").await;
    let mut raw = seen.raw_session("postgres", "postgres").await;
    raw.send_query("SELECT 1").await;
    let frames = raw.until_closed().await;
    assert_eq!(error_of(frames.last().unwrap()), ("08P01".to_owned(), "query_timeout".to_owned()));
    assert_eq!(seen.lines("closing because: query_timeout (age="), 1);
    assert_eq!(seen.lines("query timeout"), 0);
}
