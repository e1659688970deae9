//! Secrets of every kind, on both sides (PGBOUNCER_BEHAVIOUR.md section 5).

use howdah_protocol::write;
use howdah_testkit::{Options, Postgres};

use crate::support::{Binary, Bouncer, Seen, connect, entry, sentence, until, within};

/// A pooler whose user list has these lines; the directory keeps the file.
async fn bouncer(databases: &str, auth_type: &str, users: &str) -> (Bouncer, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("users.txt");
    std::fs::write(&file, users).unwrap();
    let settings = format!("auth_type = {auth_type}\nauth_file = {}\nmax_client_conn = 1000", file.display());
    (Bouncer::with(databases, &settings).await, dir)
}

/// Who the server thinks that this user is.
async fn who(bouncer: &Bouncer, user: &str, password: &str) -> Result<String, String> {
    let conninfo = format!("{} password={password}", bouncer.conninfo(user, "postgres"));
    let client = connect(&conninfo).await.map_err(|error| sentence(&error))?;
    let row = client.query_one("SELECT current_user::text", &[]).await.map_err(|error| sentence(&error))?;
    Ok(row.get(0))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scram_secret_is_passed_through() {
    let pg = Postgres::single(Options::default().user("alice", "secret")).await.unwrap();
    let secret = pg.value("SELECT rolpassword FROM pg_authid WHERE rolname = 'alice'").await.unwrap();
    assert!(secret.starts_with("SCRAM-SHA-256$"));
    let users = format!("\"alice\" \"{secret}\"\n");
    let (bouncer, _dir) = bouncer(&format!("postgres = {}", entry(&pg, "")), "scram-sha-256", &users).await;
    for _ in 0..3 {
        assert_eq!(who(&bouncer, "alice", "secret").await.unwrap(), "alice");
        assert_eq!(who(&bouncer, "alice", "wrong").await.unwrap_err(), "SASL authentication failed");
        // Another server, with what the login has proved.
        pg.psql("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = 'alice'")
            .await
            .unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_list_serves_all_kinds_of_secrets() {
    let options = Options::default().user("plain", "pw1").user("scram", "pw2").md5_user("md5er", "pw3");
    let pg = Postgres::single(options).await.unwrap();
    let secret = |name: &str| {
        let sql = format!("SELECT rolpassword FROM pg_authid WHERE rolname = '{name}'");
        let pg = &pg;
        async move { pg.value(&sql).await.unwrap() }
    };
    let users = format!(
        "; a comment\n\"plain\" \"pw1\"\n\"scram\" \"{}\"\n\"md5er\" \"{}\"\n\"empty\" \"\"\n",
        secret("scram").await,
        secret("md5er").await
    );
    let databases = format!("postgres = {}", entry(&pg, ""));
    // auth_type = plain takes any kind.
    let (front, _dir) = bouncer(&databases, "plain", &users).await;
    for (user, password) in [("plain", "pw1"), ("md5er", "pw3")] {
        assert_eq!(who(&front, user, "nonsense").await.unwrap_err(), "password authentication failed");
        assert_eq!(who(&front, user, password).await.as_deref(), Ok(user));
    }
    // A SCRAM secret serves the server only when the client has logged in by SCRAM.
    assert_eq!(who(&front, "scram", "nonsense").await.unwrap_err(), "password authentication failed");
    assert_eq!(who(&front, "scram", "pw2").await.unwrap_err(), "wrong password type");
    assert_eq!(who(&front, "empty", "x").await.unwrap_err(), "password authentication failed");
    // auth_type = md5: a user with a SCRAM secret logs in by SCRAM.
    let (front, _dir) = bouncer(&databases, "md5", &users).await;
    for (user, password) in [("plain", "pw1"), ("scram", "pw2"), ("md5er", "pw3")] {
        assert!(who(&front, user, "nonsense").await.is_err());
        assert_eq!(who(&front, user, password).await.as_deref(), Ok(user));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forced_user_cannot_borrow_the_clients_keys() {
    let pg = Postgres::single(Options::default().user("alice", "secret")).await.unwrap();
    let secret = pg.value("SELECT rolpassword FROM pg_authid WHERE rolname = 'alice'").await.unwrap();
    let users = format!("\"alice\" \"{secret}\"\n");
    let databases = format!("postgres = {}", entry(&pg, "user=alice"));
    let (front, _dir) = bouncer(&databases, "scram-sha-256", &users).await;
    assert_eq!(who(&front, "alice", "secret").await.unwrap_err(), "wrong password type");
    let databases = format!("postgres = {}", entry(&pg, "user=alice password=secret"));
    let (front, _dir) = bouncer(&databases, "scram-sha-256", &users).await;
    assert_eq!(who(&front, "alice", "secret").await.unwrap(), "alice");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_password_fails_new_servers_and_spares_live_ones() {
    let pg = Postgres::single(Options::default().user("alice", "secret")).await.unwrap();
    let databases = format!("postgres = {}", entry(&pg, ""));
    let (front, _dir) = bouncer(&databases, "scram-sha-256", "\"alice\" \"secret\"\n").await;
    let conninfo = format!("{} password=secret", front.conninfo("alice", "postgres"));
    let (first, second) = (connect(&conninfo).await.unwrap(), connect(&conninfo).await.unwrap());
    first.batch_execute("BEGIN").await.unwrap();
    pg.psql("ALTER ROLE alice PASSWORD 'other'").await.unwrap();
    let waits = tokio::spawn(async move { second.batch_execute("SELECT 1").await });
    front.pool_becomes("cl_waiting", 1).await;
    first.batch_execute("SELECT 2; COMMIT").await.unwrap();
    within("the server that lives", waits).await.unwrap().unwrap();
    assert_eq!(who(&front, "alice", "secret").await.unwrap(), "alice", "by the server that lives");
    pg.psql("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = 'alice'")
        .await
        .unwrap();
    let error = connect(&conninfo).await.unwrap().batch_execute("SELECT 1").await.unwrap_err();
    assert!(sentence(&error).contains("password authentication failed for user \"alice\""), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn very_long_passwords_work() {
    let long = "p".repeat(2_000);
    let pg = Postgres::single(Options::default().user("alice", &long)).await.unwrap();
    let databases = format!("postgres = {}", entry(&pg, ""));
    let users = format!("\"alice\" \"{long}\"\n");
    for method in ["plain", "md5", "scram-sha-256"] {
        let (front, _dir) = bouncer(&databases, method, &users).await;
        assert_eq!(who(&front, "alice", &long).await.unwrap(), "alice", "{method}");
        assert!(who(&front, "alice", &format!("{long}x")).await.is_err(), "{method}");
    }
    // Only up to the longest that PgBouncer takes; here no server is asked.
    let longest = "q".repeat(65_530);
    let (front, _dir) = bouncer(&databases, "plain", &format!("\"bob\" \"{longest}\"\n")).await;
    let error = who(&front, "bob", &longest).await.unwrap_err();
    assert!(error.contains("bob"), "the server's refusal, after the pooler's consent: {error}");
    assert_eq!(who(&front, "bob", "short").await.unwrap_err(), "password authentication failed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_logins_ends_without_an_error() {
    let pg = Postgres::single(Options::default().user("alice", "secret")).await.unwrap();
    let databases = format!("postgres = {}", entry(&pg, ""));
    let (front, _dir) = bouncer(&databases, "scram-sha-256", "\"alice\" \"secret\"\n").await;
    let all = futures_util::future::join_all((0..200).map(|_| who(&front, "alice", "secret")));
    for answer in within("all logins", all).await {
        assert_eq!(answer.as_deref(), Ok("alice"));
    }
    let attempts = pg.value("SELECT count(*) FROM pg_stat_activity WHERE usename = 'alice'").await.unwrap();
    assert!(attempts.parse::<u32>().unwrap() <= 20, "{attempts} servers");
}

#[tokio::test(flavor = "multi_thread")]
async fn anybody_is_the_forced_user() {
    let pg = Postgres::single(Options::default().user("alice", "secret")).await.unwrap();
    let databases = format!(
        "postgres = {}\nforced = {}",
        entry(&pg, ""),
        entry(&pg, "dbname=postgres user=alice password=secret")
    );
    let (front, _dir) = bouncer(&databases, "any", "\"root\" \"x\"\n").await;
    let at = |dbname: &str| format!("{} password=x", front.conninfo("whoever", dbname));
    let client = connect(&at("forced")).await.unwrap();
    let row = client.query_one("SELECT current_user::text", &[]).await.unwrap();
    assert_eq!(row.get::<_, String>(0), "alice");
    let clients = front.show("SHOW CLIENTS").await;
    assert!(clients.iter().any(|row| row["user"] == "alice" && row["database"] == "forced"), "{clients:?}");
    for dbname in ["postgres", "nowhere"] {
        let error = connect(&at(dbname)).await.unwrap_err();
        assert_eq!(sentence(&error), "bouncer config error", "{dbname}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_proof_comes_before_the_database() {
    let pg = Postgres::single(Options::default()).await.unwrap();
    let databases = format!("postgres = {}", entry(&pg, ""));
    for (auth_type, refusal) in [
        ("plain", "password authentication failed"),
        ("md5", "password authentication failed"),
        ("scram-sha-256", "SASL authentication failed"),
    ] {
        let (front, _dir) = bouncer(&databases, auth_type, "\"alice\" \"secret\"\n\"empty\" \"\"\n").await;
        let login = |user: &'static str, password: &'static str, dbname: &'static str| {
            let conninfo = format!("{} password={password}", front.conninfo(user, dbname));
            async move { sentence(&connect(&conninfo).await.unwrap_err()) }
        };
        assert_eq!(login("alice", "wrong", "nowhere").await, refusal, "{auth_type}");
        assert_eq!(login("alice", "secret", "nowhere").await, "no such database: nowhere", "{auth_type}");
        for user in ["unheard", "empty"] {
            assert_eq!(login(user, "x", "postgres").await, refusal, "{auth_type}: {user}");
            assert_eq!(login(user, "x", "nowhere").await, refusal, "{auth_type}: {user}");
        }
        front.show("DISABLE postgres").await;
        assert_eq!(login("alice", "wrong", "postgres").await, refusal, "{auth_type}");
        assert_eq!(login("alice", "secret", "postgres").await, "database \"postgres\" is disabled");
        let names: Vec<String> =
            front.show("SHOW USERS").await.into_iter().map(|row| row["name"].clone()).collect();
        assert!(!names.contains(&"unheard".to_owned()), "{names:?}");
    }
    let (front, _dir) = bouncer(&databases, "trust", "\"alice\" \"secret\"\n").await;
    let login = |user: &'static str, dbname: &'static str| {
        let conninfo = front.conninfo(user, dbname);
        async move { sentence(&connect(&conninfo).await.unwrap_err()) }
    };
    assert_eq!(login("alice", "nowhere").await, "no such database: nowhere");
    assert_eq!(login("unheard", "nowhere").await, "\"trust\" authentication failed");
    assert_eq!(login("unheard", "postgres").await, "\"trust\" authentication failed");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_longest_password_serves_the_server_too() {
    let longest = "q".repeat(65_530);
    let options = Options::default().hba_line("host all alice 127.0.0.1/32 password").user("alice", &longest);
    let pg = Postgres::single(options).await.unwrap();
    let databases = format!("postgres = {}", entry(&pg, ""));
    let (front, _dir) = bouncer(&databases, "plain", &format!("\"alice\" \"{longest}\"\n")).await;
    assert_eq!(who(&front, "alice", &longest).await.as_deref(), Ok("alice"));
    let refusal = who(&front, "alice", &format!("{longest}q")).await.unwrap_err();
    assert_eq!(refusal, "password authentication failed");
}

#[tokio::test(flavor = "multi_thread")]
async fn all_who_wait_hear_of_one_refusal() {
    let pg = Postgres::single(Options::default().user("alice", "other")).await.unwrap();
    let settings = "auth_type = plain\nlogfile = @DIR@/log";
    let binary = Binary::start(&format!("postgres = {}", entry(&pg, "")), settings).await;
    let local =
        format!("host={} port={} user=pgbouncer dbname=pgbouncer", binary.dir().display(), binary.port());
    let console = connect(&local).await.unwrap();
    console.simple_query("PAUSE").await.unwrap();
    let conninfo = format!("{} password=secret", binary.conninfo("alice", "postgres"));
    let waiting: Vec<_> = (0..3)
        .map(|_| {
            let conninfo = conninfo.clone();
            tokio::spawn(async move { connect(&conninfo).await.map(drop).map_err(|error| sentence(&error)) })
        })
        .collect();
    until("three who wait", || async {
        let rows = console.simple_query("SHOW POOLS").await.unwrap();
        rows.iter().any(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => row.get("cl_waiting") == Some("3"),
            _ => false,
        })
    })
    .await;
    console.simple_query("RESUME").await.unwrap();
    let refusal = "password authentication failed for user \"alice\"";
    for client in waiting {
        assert_eq!(within("the refusal", client).await.unwrap().unwrap_err(), refusal);
    }
    let log = std::fs::read_to_string(binary.dir().join("log")).unwrap();
    assert_eq!(log.matches("closing because: password authentication failed for user").count(), 4, "{log}");
    assert_eq!(log.matches(&format!("server login failed: FATAL {refusal}")).count(), 1, "{log}");
    let error = sentence(&connect(&conninfo).await.unwrap_err());
    let cached = format!("server login has been failing, cached error: {refusal} (server_login_retry)");
    assert_eq!(error, cached);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_server_refuses_keeps_its_sqlstate_and_is_in_the_log() {
    let options = Options::default()
        .hba_line("host all closed 127.0.0.1/32 reject")
        .hba_line("host all all 127.0.0.1/32 trust")
        .sql("CREATE ROLE sleeper NOLOGIN; CREATE ROLE closed LOGIN; CREATE ROLE awake LOGIN");
    let pg = Postgres::single(options).await.unwrap();
    let databases = format!(
        "sleeper = {}\nclosed = {}\nabsent = {}",
        entry(&pg, "dbname=postgres user=sleeper"),
        entry(&pg, "dbname=postgres user=closed"),
        entry(&pg, "dbname=no_such_place user=awake"),
    );
    let seen = Seen::with(&databases, "").await;
    for (database, code, begins) in [
        ("sleeper", "28000", "role \"sleeper\" is not permitted to log in"),
        ("closed", "28000", "pg_hba.conf rejects connection for host \"127.0.0.1\", user \"closed\""),
        ("absent", "3D000", "database \"no_such_place\" does not exist"),
    ] {
        let error = connect(&seen.binary.conninfo("postgres", database)).await.unwrap_err();
        let error = error.as_db_error().unwrap();
        assert_eq!((error.code().code(), error.severity()), (code, "FATAL"), "{database}");
        let text = error.message();
        assert!(text.starts_with(begins), "{error:?}");
        let refused = format!("server login failed: FATAL {text}");
        assert_eq!(seen.lines(&refused), 1, "{database}");
        assert_eq!(seen.lines(&format!("closing because: {text} (age=")), 2, "{database}: {}", seen.log());
        // One who comes during server_login_retry is told at once, and the server is not asked.
        let again = sentence(&connect(&seen.binary.conninfo("postgres", database)).await.unwrap_err());
        let cached = format!("server login has been failing, cached error: {text} (server_login_retry)");
        assert_eq!(again, cached);
        assert_eq!(seen.lines(&refused), 1, "{database}");
    }
    assert_eq!(seen.lines(" WARNING S-0x"), 3, "{}", seen.log());
}

/// A server that tells the first two who come that it is starting up; the others reach this one.
async fn starting(target: (String, u16)) -> (u16, tokio::task::JoinHandle<()>) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut out = Vec::new();
    let report = write::Report::new("FATAL", "57P03", "the database system is starting up");
    write::error_response(&mut out, &report);
    let task = tokio::spawn(async move {
        let mut number = 0;
        while let Ok((mut stream, _)) = listener.accept().await {
            number += 1;
            if number > 2 {
                let mut behind = tokio::net::TcpStream::connect(target.clone()).await.unwrap();
                tokio::spawn(async move { tokio::io::copy_bidirectional(&mut stream, &mut behind).await });
                continue;
            }
            let mut packet = [0; 1024];
            if stream.read(&mut packet).await.unwrap() == 8 {
                stream.write_all(b"N").await.unwrap();
                let _ = stream.read(&mut packet).await;
            }
            let _ = stream.write_all(&out).await;
        }
    });
    (port, task)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_starts_up_is_waited_for() {
    let pg = Postgres::single(Options::default()).await.unwrap();
    let (port, task) = starting((pg.host(), pg.port())).await;
    let databases = format!("postgres = host=127.0.0.1 port={port}");
    let seen = Seen::with(&databases, "server_login_retry = 0.5").await;
    let waiting: Vec<_> = (0..3)
        .map(|_| {
            let conninfo = seen.binary.conninfo("postgres", "postgres");
            tokio::spawn(async move { connect(&conninfo).await.map(drop).map_err(|error| sentence(&error)) })
        })
        .collect();
    for client in waiting {
        assert_eq!(within("the login", client).await.unwrap(), Ok(()));
    }
    let line = "server login failed: FATAL the database system is starting up";
    assert_eq!(seen.lines(line), 2, "{}", seen.log());
    task.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn scram_keys_outlive_reconnect_and_many_logins_and_a_forced_user_has_none() {
    let pg = Postgres::single(Options::default().user("alice", "secret")).await.unwrap();
    let secret = pg.value("SELECT rolpassword FROM pg_authid WHERE rolname = 'alice'").await.unwrap();
    let users = format!("\"alice\" \"{secret}\"\n");
    let databases =
        format!("postgres = {}\nforced = {}", entry(&pg, ""), entry(&pg, "dbname=postgres user=alice"));
    let settings = "auth_type = scram-sha-256\nauth_file = @DIR@/users\ndefault_pool_size = 2";
    let seen = Seen::with_files(&databases, settings, &[("users", &users)]).await;
    let conninfo = format!("{} password=secret", seen.binary.conninfo("alice", "postgres"));
    let stays = connect(&conninfo).await.unwrap();
    for _ in 0..10 {
        let client = connect(&conninfo).await.unwrap();
        client.batch_execute("SELECT 1").await.unwrap();
        seen.console.simple_query("RECONNECT").await.unwrap();
        stays.batch_execute("SELECT 1").await.unwrap();
    }
    assert!(seen.lines("new connection to server (from") >= 10, "{}", seen.log());
    let forced = format!("{} password=secret", seen.binary.conninfo("alice", "forced"));
    assert_eq!(sentence(&connect(&forced).await.unwrap_err()), "wrong password type");
    assert_eq!(seen.lines("cannot do SCRAM authentication: "), 1, "{}", seen.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn set_reads_the_files_that_it_names_at_once() {
    let pg = Postgres::single(Options::default().hba_line("host all all 127.0.0.1/32 trust")).await.unwrap();
    pg.psql("CREATE ROLE dora LOGIN").await.unwrap();
    let files = [
        ("others", "\"dora\" \"\"\n"),
        ("closed.conf", "host all all all reject\n"),
        ("open.conf", "host all all all trust\n"),
    ];
    let databases = format!("postgres = {}", entry(&pg, ""));
    let seen = Seen::with_files(&databases, "auth_hba_file = @DIR@/open.conf", &files).await;
    let dir = seen.binary.dir().display().to_string();
    let set = async |key: &str, value: &str| {
        seen.console.simple_query(&format!("SET {key} = '{value}'")).await.unwrap();
    };
    let login = async |user: &str| seen.connect(user, "postgres").await.err();
    let unknown = Some("\"trust\" authentication failed".to_owned());
    assert_eq!(login("dora").await, unknown);
    set("auth_file", &format!("{dir}/others")).await;
    assert_eq!(login("dora").await, None);
    assert_eq!(login("postgres").await, unknown);
    // One that is not there leaves the users as they are.
    set("auth_file", &format!("{dir}/missing")).await;
    assert_eq!(login("dora").await, None);
    assert_eq!(seen.lines("read auth_file"), 1, "{}", seen.log());
    set("auth_type", "hba").await;
    assert_eq!(login("dora").await, None);
    let rejected = Some("login rejected".to_owned());
    for (file, answer) in [("closed.conf", &rejected), ("open.conf", &None), ("missing.conf", &rejected)] {
        set("auth_hba_file", &format!("{dir}/{file}")).await;
        assert_eq!(login("dora").await, *answer, "{file}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn scram_keys_outlive_a_takeover() {
    let pg = Postgres::single(Options::default().user("alice", "secret")).await.unwrap();
    let secret = pg.value("SELECT rolpassword FROM pg_authid WHERE rolname = 'alice'").await.unwrap();
    let users = format!("\"alice\" \"{secret}\"\n");
    let settings = "auth_type = scram-sha-256\nauth_file = @DIR@/users";
    let databases = format!("postgres = {}", entry(&pg, ""));
    let mut binary = Binary::start_with(&databases, settings, &[("users", &users)]).await;
    let conninfo = format!("{} password=secret", binary.conninfo("alice", "postgres"));
    let stays = connect(&conninfo).await.unwrap();
    stays.batch_execute("SELECT 1").await.unwrap();
    let local =
        format!("host={} port={} user=pgbouncer dbname=pgbouncer", binary.dir().display(), binary.port());
    until("the Unix socket", || async { connect(&local).await.is_ok() }).await;
    let old = std::sync::Mutex::new(binary.restart(&["-R"]).await);
    until("the old process to end", || async { old.lock().unwrap().try_wait().unwrap().is_some() }).await;
    until("the new console", || async { connect(&local).await.is_ok() }).await;
    // A server that the new process has to open itself.
    let console = connect(&local).await.unwrap();
    console.simple_query("RECONNECT").await.unwrap();
    within("the session from before", stays.batch_execute("SELECT 2")).await.unwrap();
    connect(&conninfo).await.unwrap().batch_execute("SELECT 3").await.unwrap();
}
