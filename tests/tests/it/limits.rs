//! How many clients and servers there may be, who is refused, and that the counts go back (PGBOUNCER_BEHAVIOUR.md
//! section 6). That the books of servers are exact in every order of events is tested in the crate `pool`.

use futures_util::future::join_all;
use howdah_testkit::{Options, Postgres};
use tokio_postgres::Client;

use crate::support::{Seen, connect, entry, postgres, sentence, tags, until, within};

const FULL: &str = "no more connections allowed (max_client_conn)";
const DB: &str = "client connections exceeded (max_db_client_connections)";
const USER: &str = "client connections exceeded (max_user_client_connections)";

/// A server that lets everybody in from here, with roles of the test's names.
async fn open_server() -> Postgres {
    let options = Options::default().hba_line("host all all 127.0.0.1/32 trust").sql(
        "CREATE ROLE alice LOGIN; CREATE ROLE bob LOGIN; CREATE ROLE carol LOGIN; CREATE ROLE dora LOGIN",
    );
    Postgres::single(options).await.unwrap()
}

/// As many clients as come in before this refusal; it comes again when somebody tries again.
async fn most(seen: &Seen, user: &str, database: &str, refusal: &str) -> Vec<Client> {
    let mut clients = Vec::new();
    let end = loop {
        match seen.connect(user, database).await {
            Ok(client) => clients.push(client),
            Err(sentence) => break sentence,
        }
    };
    assert_eq!(end, refusal, "behind {} clients", clients.len());
    for _ in 0..3 {
        assert_eq!(seen.connect(user, database).await.err().as_deref(), Some(refusal));
    }
    clients
}

async fn clients_of_database(seen: &Seen, name: &str) -> (String, String) {
    let row = seen.row("SHOW DATABASES", ("name", name)).await;
    (row["current_client_connections"].clone(), row["max_client_connections"].clone())
}

async fn clients_of_user(seen: &Seen, name: &str) -> (String, String) {
    let row = seen.row("SHOW USERS", ("name", name)).await;
    (row["current_client_connections"].clone(), row["max_user_client_connections"].clone())
}

fn pair(current: usize, most: usize) -> (String, String) {
    (current.to_string(), most.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn max_client_conn_refuses_again_and_again_and_counts_the_console() {
    let pg = postgres().await;
    let seen = Seen::on(&pg, "max_client_conn = 4").await;
    // The console is one of them, and is let in itself.
    let clients = most(&seen, "postgres", "postgres", FULL).await;
    assert_eq!(clients.len(), 3);
    let another = format!(
        "host={} port={} user=pgbouncer dbname=pgbouncer",
        seen.binary.dir().display(),
        seen.binary.port()
    );
    connect(&another).await.unwrap();
    assert_eq!(seen.lines(&format!("closing because: {FULL} (age=0s)")), 4);
    assert_eq!(seen.lines(&format!("pooler error: {FULL}")), 4);
    drop(clients);
    until("room again", || async { seen.connect("postgres", "postgres").await.is_ok() }).await;
    seen.console.simple_query("SET max_client_conn = 2").await.unwrap();
    until("room for one", || async { seen.show("SHOW CLIENTS").await.len() == 1 }).await;
    assert_eq!(most(&seen, "postgres", "postgres", FULL).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_is_free_as_soon_as_its_client_has_gone() {
    let pg = postgres().await;
    let settings = "max_user_client_connections = 1\nmax_db_client_connections = 1";
    let seen = Seen::on(&pg, settings).await;
    for round in 0..50 {
        let mut raw = seen.raw().await;
        raw.startup(&[("user", "postgres"), ("database", "postgres")]).await;
        let first = raw.frame().await.unwrap();
        assert_eq!(first.0, b'R', "round {round}: {first:?}");
        raw.until_ready().await;
        // Terminate, or the end of the connection alone.
        if round % 2 == 0 {
            raw.send(b"X\0\0\0\x04").await;
        }
        drop(raw);
    }
    assert_eq!(seen.lines(DB) + seen.lines(USER), 0, "{}", seen.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entrys_limit_of_clients_wins_over_the_global_one() {
    let pg = open_server().await;
    let databases = format!(
        "common = {}\nless = {}\nmore = {}",
        entry(&pg, "dbname=postgres"),
        entry(&pg, "dbname=postgres max_db_client_connections=1"),
        entry(&pg, "dbname=postgres max_db_client_connections=3"),
    );
    let seen = Seen::with(&databases, "max_db_client_connections = 2").await;
    let mut all = Vec::new();
    for (database, limit) in [("common", 2), ("less", 1), ("more", 3)] {
        let clients = most(&seen, "alice", database, DB).await;
        assert_eq!(clients.len(), limit, "{database}");
        assert_eq!(clients_of_database(&seen, database).await, pair(limit, limit));
        // Whoever the next one is: it is the database that is full.
        assert_eq!(seen.connect("bob", database).await.err().as_deref(), Some(DB), "{database}");
        all.push(clients);
    }
    let line = format!("closing because: {DB} (age=0s)");
    assert_eq!(seen.lines(&line), 15, "{}", seen.log());
    drop(all);
    for (database, limit) in [("common", 2), ("less", 1), ("more", 3)] {
        let none = pair(0, limit);
        until("nobody", || async { clients_of_database(&seen, database).await == none }).await;
    }
    // SET is in force for the next client.
    seen.console.simple_query("SET max_db_client_connections = 4").await.unwrap();
    assert_eq!(most(&seen, "alice", "common", DB).await.len(), 4);
    assert_eq!(most(&seen, "alice", "less", DB).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_users_limit_of_clients_wins_over_the_global_one_and_counts_over_entries() {
    let pg = open_server().await;
    let databases =
        format!("one = {}\ntwo = {}", entry(&pg, "dbname=postgres"), entry(&pg, "dbname=postgres"));
    let settings = "max_user_client_connections = 2\n[users]\nbob = max_user_client_connections=1\n\
                    carol = max_user_client_connections=4";
    let seen = Seen::with(&databases, settings).await;
    for (user, limit) in [("alice", 2), ("bob", 1), ("carol", 4)] {
        assert_eq!(clients_of_user(&seen, user).await, pair(0, limit));
        let held = seen.connect(user, "one").await.unwrap();
        let clients = most(&seen, user, "two", USER).await;
        assert_eq!(clients.len(), limit - 1, "{user}");
        assert_eq!(seen.connect(user, "one").await.err().as_deref(), Some(USER), "{user}");
        assert_eq!(clients_of_user(&seen, user).await, pair(limit, limit));
        drop((held, clients));
        until("nobody", || async { clients_of_user(&seen, user).await == pair(0, limit) }).await;
    }
    assert_eq!(seen.lines(&format!("pooler error: {USER}")), 15, "{}", seen.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_go_back_on_refused_logins_and_failures_of_the_server() {
    let pg = Postgres::single(Options::default().user("alice", "secret")).await.unwrap();
    let databases = format!(
        "postgres = {}\nabsent = {}\nbroken = {}",
        entry(&pg, ""),
        entry(&pg, "dbname=no_such_place"),
        entry(&pg, "dbname=postgres user=alice password=wrong"),
    );
    let settings = "auth_type = plain\nmax_user_client_connections = 1\nmax_db_client_connections = 1\n\
                    server_login_retry = 0.1";
    let seen = Seen::with(&databases, settings).await;
    let login = |database: &'static str, password: &'static str| {
        let conninfo = format!("{} password={password}", seen.binary.conninfo("alice", database));
        async move { connect(&conninfo).await.map_err(|error| sentence(&error)) }
    };
    for _ in 0..3 {
        for (database, password, refusal) in [
            ("postgres", "wrong", "password authentication failed"),
            ("nowhere", "secret", "no such database: nowhere"),
        ] {
            assert_eq!(login(database, password).await.err().as_deref(), Some(refusal));
        }
        for database in ["absent", "broken"] {
            let refusal = login(database, "secret").await.unwrap_err();
            assert!(!refusal.contains("exceeded"), "{database}: {refusal}");
            until("nobody", || async { clients_of_database(&seen, database).await == pair(0, 1) }).await;
        }
        until("nobody", || async { clients_of_user(&seen, "alice").await == pair(0, 1) }).await;
    }
    // A client whose server is lost gives its place back, too.
    for _ in 0..3 {
        let client = login("postgres", "secret").await.unwrap();
        assert_eq!(clients_of_user(&seen, "alice").await, pair(1, 1));
        assert!(client.batch_execute("SELECT pg_terminate_backend(pg_backend_pid())").await.is_err());
        until("nobody", || async { clients_of_database(&seen, "postgres").await == pair(0, 1) }).await;
        assert_eq!(clients_of_user(&seen, "alice").await, pair(0, 1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn viewers_of_the_console_are_limited_and_admins_only_counted() {
    let pg = open_server().await;
    let settings = "admin_users = alice\nstats_users = bob, dora\nmax_user_client_connections = 2";
    let databases = format!("postgres = {}", entry(&pg, ""));
    let users = ("users", "\"alice\" \"\"\n\"bob\" \"\"\n\"dora\" \"\"\n");
    let settings = format!("{settings}\nauth_file = @DIR@/users");
    let seen = Seen::with_files(&databases, &settings, &[users]).await;
    // The user of the local console is one of them.
    assert_eq!(clients_of_user(&seen, "pgbouncer").await, pair(1, 2));
    let viewers = most(&seen, "bob", "pgbouncer", USER).await;
    assert_eq!(viewers.len(), 2);
    assert_eq!(clients_of_user(&seen, "bob").await, pair(2, 2));
    assert_eq!(seen.connect("bob", "postgres").await.err().as_deref(), Some(USER));
    let mut admins = Vec::new();
    for number in 1..=3 {
        admins.push(seen.connect("alice", "pgbouncer").await.unwrap());
        assert_eq!(clients_of_user(&seen, "alice").await, pair(number, 2));
    }
    // They count: there is no place left for the same user's clients.
    assert_eq!(seen.connect("alice", "postgres").await.err().as_deref(), Some(USER));
    assert_eq!(clients_of_database(&seen, "pgbouncer").await, pair(6, 0));
    drop((viewers, admins));
    until("nobody but this one", || async { clients_of_database(&seen, "pgbouncer").await == pair(1, 0) })
        .await;
    assert_eq!(clients_of_user(&seen, "alice").await, pair(0, 2));
    // The limit of an entry's clients is the console's, too.
    seen.console.simple_query("SET max_db_client_connections = 2").await.unwrap();
    let viewers = most(&seen, "dora", "pgbouncer", DB).await;
    assert_eq!(viewers.len(), 1);
    let admin = seen.connect("alice", "pgbouncer").await.unwrap();
    assert_eq!(clients_of_database(&seen, "pgbouncer").await, pair(3, 2));
    drop((viewers, admin));
    until("nobody but this one", || async { clients_of_database(&seen, "pgbouncer").await == pair(1, 2) })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_minimum_stops_at_every_cap_and_evicts_nobody() {
    let pg = open_server().await;
    let forced = |name: &str, more: &str| entry(&pg, &format!("dbname=postgres user={name} {more}"));
    // Each line: entries, settings, and what is reached.
    let cases = [
        (
            format!("one = {}", forced("alice", "min_pool_size=5 max_db_connections=2")),
            String::new(),
            "max_db_connections",
        ),
        (
            format!("one = {}", forced("alice", "min_pool_size=5")),
            "[users]\nalice = max_user_connections=2".to_owned(),
            "max_user_connections",
        ),
        (
            format!(
                "one = {}\ntwo = {}",
                forced("alice", "min_pool_size=5"),
                forced("alice", "min_pool_size=5")
            ),
            "max_user_connections = 2".to_owned(),
            "max_user_connections over two entries",
        ),
        (format!("one = {}", forced("alice", "min_pool_size=5 pool_size=2")), String::new(), "pool_size"),
    ];
    for (databases, settings, what) in cases {
        let seen = Seen::with(&databases, &settings).await;
        let new = "new connection to server (from";
        until(what, || async { seen.lines(new) == 2 }).await;
        // Three more rounds of the maintenance.
        let begun = std::time::Instant::now();
        until("some rounds", || async { begun.elapsed().as_millis() > 1200 }).await;
        assert_eq!(seen.lines(new), 2, "{what}: {}", seen.log());
        assert_eq!(seen.lines("closing because: evicted"), 0, "{what}");
        let count = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'alice'";
        assert_eq!(pg.value(count).await.unwrap(), "2", "{what}");
        drop(seen);
        until("the servers to be gone", || async { pg.value(count).await.unwrap() == "0" }).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_minimum_grows_by_one_a_round() {
    let pg = open_server().await;
    let seen =
        Seen::with(&format!("one = {}", entry(&pg, "dbname=postgres user=alice min_pool_size=4")), "").await;
    seen.pool_becomes("one", "sv_idle", 4).await;
    let times: Vec<f64> = seen
        .log()
        .lines()
        .filter(|line| line.contains("new connection to server (from"))
        .map(|line| line.split(' ').nth(1).unwrap().split(':').next_back().unwrap().parse().unwrap())
        .collect();
    assert_eq!(times.len(), 4);
    for two in times.windows(2) {
        let gap = (two[1] - two[0]).rem_euclid(60.0);
        assert!((0.15..2.0).contains(&gap), "{gap} s between two of {times:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_reserve_is_taken_one_by_one_and_said_in_the_log() {
    let pg = open_server().await;
    let databases = format!(
        "plain = {}\nalias = {}\nown = {}",
        entry(&pg, "dbname=postgres"),
        entry(&pg, "dbname=postgres reserve_pool=2"),
        entry(&pg, "dbname=postgres reserve_pool_size=2"),
    );
    let settings = "default_pool_size = 1\nreserve_pool_size = 1\nreserve_pool_timeout = 0.5\n[users]\n\
                    bob = reserve_pool_size=3";
    let seen = Seen::with(&databases, settings).await;
    let mut said = 0;
    for (user, database, reserve) in
        [("alice", "plain", 1), ("alice", "alias", 2), ("alice", "own", 2), ("bob", "own", 3)]
    {
        let mut clients = Vec::new();
        for _ in 0..=reserve {
            let mut raw = seen.raw_session(user, database).await;
            assert_eq!(tags(&raw.query("BEGIN").await), "CZ");
            clients.push(raw);
        }
        said += reserve;
        assert_eq!(seen.lines("taking connection from reserve_pool"), said, "{}", seen.log());
        let mut last = seen.raw_session(user, database).await;
        last.send_query("SELECT 1").await;
        seen.pool_becomes(database, "cl_waiting", 1).await;
        assert_eq!(seen.pool(database, "sv_active").await, reserve as i64 + 1);
        clients[0].query("COMMIT").await;
        assert_eq!(tags(&last.until_ready().await), "TDCZ");
        drop((clients, last));
        seen.pool_becomes(database, "sv_active", 0).await;
    }
    let row = seen.row("SHOW USERS", ("name", "bob")).await;
    assert_eq!(row["reserve_pool_size"].trim(), "3");
    assert_eq!(seen.row("SHOW USERS", ("name", "carol")).await["reserve_pool_size"], "");
    assert_eq!(seen.row("SHOW DATABASES", ("name", "alias")).await["reserve_pool_size"], "2");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_size_of_a_pool_is_the_users_then_the_entrys_then_the_default() {
    let pg = open_server().await;
    let databases = format!(
        "plain = {}\nsized = {}\nforced = {}",
        entry(&pg, "dbname=postgres"),
        entry(&pg, "dbname=postgres pool_size=2"),
        entry(&pg, "dbname=postgres user=bob"),
    );
    let seen = Seen::with(&databases, "default_pool_size = 1\n[users]\nbob = pool_size=3").await;
    for (user, database, size) in [
        ("alice", "plain", 1),
        ("alice", "sized", 2),
        ("bob", "sized", 3),
        // The forced user's, whoever the clients are.
        ("alice", "forced", 3),
    ] {
        let mut clients = Vec::new();
        for _ in 0..size {
            let mut raw = seen.raw_session(user, database).await;
            raw.query("BEGIN").await;
            clients.push(raw);
        }
        let mut last = seen.raw_session(user, database).await;
        last.send_query("SELECT 1").await;
        seen.pool_becomes(database, "cl_waiting", 1).await;
        assert_eq!(seen.pool(database, "sv_active").await, size, "{user} {database}");
        drop((clients, last));
        seen.pool_becomes(database, "sv_active", 0).await;
    }
}

/// The most connections of these users that PostgreSQL has listed at any moment, and those at the end.
async fn listed<T>(pg: &Postgres, users: &str, work: impl Future<Output = T>) -> (i64, i64) {
    let watcher = pg.connect().await.unwrap();
    let sql = format!("SELECT count(*) FROM pg_stat_activity WHERE usename IN ({users})");
    let count = async || watcher.query_one(&sql, &[]).await.unwrap().get::<_, i64>(0);
    let mut most = 0;
    let mut work = std::pin::pin!(work);
    loop {
        tokio::select! {
            _ = &mut work => return (most, count().await),
            now = count() => most = most.max(now),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_over_users_and_entries_reach_their_limits_exactly() {
    let pg = open_server().await;
    let databases = format!(
        "limited = {}\none = {}\ntwo = {}\nthree = {}",
        entry(&pg, "dbname=postgres max_db_connections=4"),
        entry(&pg, "dbname=postgres user=dora"),
        entry(&pg, "dbname=postgres user=dora"),
        entry(&pg, "dbname=postgres user=dora"),
    );
    let seen = Seen::with(&databases, "[users]\ndora = max_user_connections=3").await;
    let rest = async |user: &str, database: &str| {
        let client = seen.connect(user, database).await.unwrap();
        client.batch_execute("SELECT pg_sleep(0.3)").await.unwrap();
    };
    let users = ["alice", "bob", "carol"];
    let all = (0..12).map(|number| rest(users[number % 3], "limited"));
    let work = within("all of them", join_all(all));
    assert_eq!(listed(&pg, "'alice', 'bob', 'carol'", work).await, (4, 4), "{}", seen.log());
    let row = seen.row("SHOW DATABASES", ("name", "limited")).await;
    assert_eq!((row["current_connections"].as_str(), row["max_connections"].as_str()), ("4", "4"));
    let all = (0..9).map(|number| rest("alice", ["one", "two", "three"][number % 3]));
    let work = within("all of them", join_all(all));
    assert_eq!(listed(&pg, "'dora'", work).await, (3, 3), "{}", seen.log());
    let row = seen.row("SHOW USERS", ("name", "dora")).await;
    assert_eq!((row["current_connections"].as_str(), row["max_user_connections"].as_str()), ("3", "3"));
}
