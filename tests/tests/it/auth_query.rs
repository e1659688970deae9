//! Users who are in no file: `auth_query`, `auth_user` and `auth_dbname` (PGBOUNCER_BEHAVIOUR.md section 5).

use std::collections::BTreeSet;

use howdah_protocol::read;
use howdah_testkit::{Options, Postgres};

use crate::support::{Binary, Bouncer, Seen, connect, entry, sentence, until, within};

/// A server with users of all kinds; `looker` may ask for them and needs no password.
async fn server() -> Postgres {
    let options = Options::default()
        .user("dora", "dwarf")
        .md5_user("emil", "elf")
        .hba_line("host all looker 127.0.0.1/32 trust")
        .database("authdb")
        .sql("CREATE ROLE looker SUPERUSER LOGIN")
        .sql("CREATE ROLE blank LOGIN")
        .sql("CREATE ROLE late LOGIN PASSWORD 'late' VALID UNTIL '2020-01-01'");
    Postgres::single(options).await.unwrap()
}

/// Who the server thinks that this user is.
async fn who(bouncer: &Bouncer, dbname: &str, user: &str, password: &str) -> Result<String, String> {
    let conninfo = format!("{} password={password}", bouncer.conninfo(user, dbname));
    who_at(&conninfo).await
}

async fn who_at(conninfo: &str) -> Result<String, String> {
    let client = connect(conninfo).await.map_err(|error| sentence(&error))?;
    let row = client.query_one("SELECT current_user::text", &[]).await.map_err(|error| sentence(&error))?;
    Ok(row.get(0))
}

/// The names in SHOW USERS.
async fn names(bouncer: &Bouncer) -> BTreeSet<String> {
    bouncer.show("SHOW USERS").await.into_iter().map(|row| row["name"].clone()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn users_are_found_for_every_way_of_proof() {
    let pg = server().await;
    let databases = format!("postgres = {}", entry(&pg, ""));
    for (auth_type, emil, refusal) in [
        ("trust", None, "\"trust\" authentication failed"),
        ("plain", Some("emil"), "password authentication failed"),
        ("md5", Some("emil"), "password authentication failed"),
        ("scram-sha-256", None, "SASL authentication failed"),
    ] {
        let settings = format!("auth_type = {auth_type}\nauth_user = looker");
        let front = Bouncer::with(&databases, &settings).await;
        let login = |user: &'static str, password: &'static str| who(&front, "postgres", user, password);
        assert_eq!(login("nobody", "x").await.unwrap_err(), "no such user", "{auth_type}");
        // Only what authenticates becomes a row.
        let known = names(&front).await;
        assert!(!known.contains("nobody") && !known.contains("dora"), "{auth_type}: {known:?}");
        if auth_type == "trust" {
            assert_eq!(login("looker", "x").await.as_deref(), Ok("looker"));
            assert_eq!(login("blank", "x").await.unwrap_err(), "wrong password type");
        } else {
            let wrong = login("dora", "wrong").await.unwrap_err();
            let expected = if auth_type == "md5" { "SASL authentication failed" } else { refusal };
            assert_eq!(wrong, expected, "{auth_type}");
            assert!(!names(&front).await.contains("dora"), "{auth_type}");
            for (user, password) in [("blank", "x"), ("late", "late")] {
                assert_eq!(login(user, password).await.unwrap_err(), refusal, "{auth_type}: {user}");
            }
            let emils = login("emil", "elf").await;
            assert_eq!(emils.as_deref().ok(), emil, "{auth_type}: {emils:?}");
        }
        if matches!(auth_type, "md5" | "scram-sha-256") {
            assert_eq!(login("dora", "dwarf").await.as_deref(), Ok("dora"), "{auth_type}");
            assert!(names(&front).await.contains("dora"));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_file_wins_and_settings_of_a_user_apply() {
    let pg = server().await;
    let databases = format!("postgres = {}", entry(&pg, ""));
    let settings = "auth_type = md5\nauth_user = looker\nmax_user_client_connections = 5\n[users]\nemil = max_user_client_connections=1 pool_mode=session";
    let front = Bouncer::with(&databases, settings).await;
    pg.psql("CREATE ROLE alice LOGIN PASSWORD 'another'").await.unwrap();
    // The file has `secret`, and the server refuses it, but the pooler does not.
    let refusal = who(&front, "postgres", "alice", "another").await.unwrap_err();
    assert_eq!(refusal, "password authentication failed");
    let refusal = who(&front, "postgres", "alice", "secret").await.unwrap_err();
    assert_eq!(refusal, "password authentication failed for user \"alice\"");
    let conninfo = format!("{} password=elf", front.conninfo("emil", "postgres"));
    let first = connect(&conninfo).await.unwrap();
    let refusal = who_at(&conninfo).await.unwrap_err();
    assert_eq!(refusal, "client connections exceeded (max_user_client_connections)");
    let rows = front.show("SHOW USERS").await;
    let emil = rows.iter().find(|row| row["name"] == "emil").unwrap();
    let of = |column: &str| emil[column].as_str();
    assert_eq!((of("pool_mode"), of("current_client_connections")), ("session", "1"));
    drop(first);
    until("room for one more", || async { who_at(&conninfo).await.is_ok() }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_and_how_it_is_asked() {
    let pg = server().await;
    let own = "auth_query='SELECT usename, passwd FROM pg_shadow WHERE usename=$1 AND current_database()=$$authdb$$'";
    let databases = format!(
        "authdb = {}\nown = {}\nforced = {}\nother = {}\nmissing = {}\nreserved = {}",
        entry(&pg, ""),
        entry(&pg, &format!("dbname=postgres auth_user=looker auth_dbname=authdb {own}")),
        entry(&pg, "dbname=postgres user=looker"),
        // The name that the answer gives is who the client is.
        entry(
            &pg,
            "dbname=postgres auth_query='SELECT $$dora$$, passwd FROM pg_shadow WHERE usename=$$dora$$ AND $1 <> $$$$'"
        ),
        entry(&pg, "dbname=postgres auth_dbname=nowhere"),
        entry(&pg, "dbname=postgres auth_dbname=pgbouncer"),
    );
    let front = Bouncer::with(&databases, "auth_type = md5\nauth_user = looker").await;
    assert_eq!(who(&front, "own", "dora", "dwarf").await.as_deref(), Ok("dora"));
    let sum = |rows: &[crate::support::Row], database: &str, user: &str| {
        rows.iter().filter(|row| row["database"] == database && row["user"] == user).count()
    };
    let pools = front.show("SHOW POOLS").await;
    assert_eq!(sum(&pools, "authdb", "looker"), 1, "{pools:?}");
    assert_eq!(sum(&pools, "own", "looker"), 0, "{pools:?}");
    // auth_user may be the very user that the entry forces.
    assert_eq!(who(&front, "forced", "dora", "dwarf").await.as_deref(), Ok("looker"));
    assert_eq!(who(&front, "other", "whoever", "dwarf").await.as_deref(), Ok("dora"));
    for broken in ["missing", "reserved"] {
        let refusal = who(&front, broken, "dora", "dwarf").await.unwrap_err();
        assert_eq!(refusal, "bouncer config error", "{broken}");
    }
    // Of a database that does not exist nobody is a user.
    let refusal = who(&front, "nosuchdb", "dora", "dwarf").await.unwrap_err();
    assert_eq!(refusal, "password authentication failed");
    front.show("DISABLE authdb").await;
    let refusal = who(&front, "own", "dora", "dwarf").await.unwrap_err();
    assert_eq!(refusal, "authentication database \"authdb\" is disabled");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fallback_entry_serves_as_auth_dbname_and_a_missing_database_speaks_for_itself() {
    let pg = server().await;
    let databases = format!("* = {}", entry(&pg, ""));
    let front = Bouncer::with(&databases, "auth_type = md5\nauth_user = looker\nauth_dbname = authdb").await;
    assert_eq!(who(&front, "postgres", "dora", "dwarf").await.as_deref(), Ok("dora"));
    let names: Vec<String> =
        front.show("SHOW DATABASES").await.into_iter().map(|row| row["name"].clone()).collect();
    assert!(names.contains(&"authdb".to_owned()), "{names:?}");
    let refusal = who(&front, "nosuchdb", "dora", "dwarf").await.unwrap_err();
    assert_eq!(refusal, "database \"nosuchdb\" does not exist");
    // The same when the question itself meets the missing database.
    let front = Bouncer::with(&databases, "auth_type = md5\nauth_user = looker").await;
    let conninfo = format!("{} password=dwarf", front.conninfo("dora", "nosuchdb"));
    let error = connect(&conninfo).await.unwrap_err();
    let error = error.as_db_error().unwrap();
    assert_eq!((error.code().code(), error.message()), ("3D000", "database \"nosuchdb\" does not exist"));
}

#[tokio::test(flavor = "multi_thread")]
async fn mistakes_of_the_query_are_in_the_log_and_not_with_the_client() {
    let pg = server().await;
    let databases = format!(
        "syntax = {}\none = {}\nthree = {}\nnull = {}\ncopy = {}\nmissing = {}\nreserved = {}",
        entry(&pg, "dbname=postgres auth_query='SELECT nonsense WHERE $1'"),
        entry(&pg, "dbname=postgres auth_query='SELECT $1'"),
        entry(&pg, "dbname=postgres auth_query='SELECT $1, 2, 3'"),
        entry(&pg, "dbname=postgres auth_query='SELECT NULL, $1'"),
        entry(&pg, "dbname=postgres auth_query='COPY pg_am FROM STDIN'"),
        entry(&pg, "dbname=postgres auth_dbname=nowhere"),
        entry(&pg, "dbname=postgres auth_dbname=pgbouncer"),
    );
    let binary = Binary::start(&databases, "auth_type = md5\nauth_user = looker\nlogfile = @DIR@/log").await;
    let log = || std::fs::read_to_string(binary.dir().join("log")).unwrap();
    for (entry, line) in [
        ("syntax", "closing because: error response from auth_query (age="),
        ("one", "closing because: expected 2 columns from auth_query, not 1 (age="),
        ("three", "closing because: expected 2 columns from auth_query, not 3 (age="),
        ("null", "closing because: auth_query response contained null user name (age="),
        ("copy", "closing because: error response from auth_query (age="),
        ("missing", "authentication database \"nowhere\" is not configured"),
        ("reserved", "cannot use the reserved \"pgbouncer\" database as an auth_dbname"),
    ] {
        let before = log().matches(line).count();
        let conninfo = format!("{} password=dwarf", binary.conninfo("dora", entry));
        assert_eq!(who_at(&conninfo).await.unwrap_err(), "bouncer config error", "{entry}");
        assert_eq!(log().matches(line).count(), before + 1, "{entry}: {}", log());
    }
    assert!(log().contains("column \"nonsense\" does not exist"), "{}", log());
    assert!(!log().contains("dwarf") && !log().contains("SCRAM-SHA-256$"));
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_pools_and_counters_are_pgbouncers() {
    let pg = server().await;
    let databases = format!("postgres = {}", entry(&pg, ""));
    let front = Bouncer::with(&databases, "auth_type = md5\nauth_user = looker").await;
    let conninfo = format!("{} password=dwarf", front.conninfo("dora", "postgres"));
    let console = front.console().await;
    let client = connect(&conninfo).await.unwrap();
    client.batch_execute("SELECT 1").await.unwrap();
    // The console is 1, the client 2, the servers of the question and of the client 3 and 4.
    let ids = |rows: Vec<crate::support::Row>| -> Vec<String> {
        rows.into_iter().map(|row| format!("{} {}", row["id"], row["user"])).collect()
    };
    assert_eq!(ids(front.show("SHOW SERVERS").await), ["3 looker", "4 dora"]);
    let clients = ids(front.show("SHOW CLIENTS").await);
    assert!(clients.contains(&"2 dora".to_owned()), "{clients:?}");
    drop((client, console));
    assert!(who(&front, "postgres", "dora", "wrong").await.is_err());
    assert!(who(&front, "postgres", "nobody", "wrong").await.is_err());
    let stats = front.show("SHOW STATS_TOTALS").await;
    let row = stats.iter().find(|row| row["database"] == "postgres").unwrap();
    assert_eq!(row["client_login_count"], "1", "{row:?}");
    assert_eq!(row["query_count"], "1", "the question is none of the clients' queries: {row:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_looked_up_waits_in_the_pool_of_auth_user() {
    let pg = server().await;
    let databases = format!("postgres = {}", entry(&pg, ""));
    let front =
        Bouncer::with(&databases, "auth_type = md5\nauth_user = looker\nserver_login_retry = 0.5").await;
    pg.stop().await.unwrap();
    let conninfo = format!("{} password=dwarf", front.conninfo("dora", "postgres"));
    let waits = tokio::spawn(async move { who_at(&conninfo).await });
    until("the client to wait", || async {
        let pools = front.show("SHOW POOLS").await;
        pools.iter().any(|row| row["user"] == "looker" && row["cl_waiting"] == "1")
    })
    .await;
    let rows = front.show("SHOW CLIENTS").await;
    let row = rows.iter().find(|row| row["database"] == "postgres").unwrap();
    assert_eq!((row["user"].as_str(), row["state"].as_str()), ("(nouser)", "waiting"));
    pg.launch().unwrap();
    assert_eq!(within("the server to be back", waits).await.unwrap().as_deref(), Ok("dora"));
    // A client that goes away while it waits leaves nothing behind.
    pg.stop().await.unwrap();
    let mut gone = front.raw().await;
    gone.startup(&[("user", "emil"), ("database", "postgres")]).await;
    until("the client to wait", || async { front.pool("postgres", "cl_waiting").await == 1 }).await;
    drop(gone);
    until("it to be gone", || async { front.pool("postgres", "cl_waiting").await == 0 }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_auth_user_is_told_to_the_client() {
    let pg = server().await;
    let databases = format!("postgres = {}", entry(&pg, ""));
    let front = Bouncer::with(&databases, "auth_type = md5\nauth_user = emil").await;
    let refusal = who(&front, "postgres", "dora", "dwarf").await.unwrap_err();
    assert_eq!(refusal, "wrong password type", "emil's password is not known to anybody");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_version_is_negotiated_once_and_parameters_stay_with_their_client() {
    let pg = server().await;
    let front = Bouncer::with(
        &format!("postgres = {}", entry(&pg, "")),
        "auth_type = md5\nauth_user = looker\nignore_startup_parameters = search_path",
    )
    .await;
    let mut raw = front.raw().await;
    let mut out = Vec::new();
    let parameters = [
        ("user", "dora"),
        ("database", "postgres"),
        ("search_path", "nowhere"),
        ("_pq_.nonsense", "1"),
        ("application_name", "a_name"),
    ];
    let parameters = parameters.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
    howdah_protocol::write::startup_message(&mut out, (3, 7), parameters).unwrap();
    raw.send(&out).await;
    let first = raw.frame().await.unwrap();
    assert_eq!(first.0, b'v', "{first:?}");
    let negotiation = read::negotiate_protocol_version(&first.1).unwrap();
    assert_eq!(negotiation.newest_minor, 0);
    let second = raw.frame().await.unwrap();
    assert_eq!(second.0, b'R', "then the request for proof: {second:?}");
    let sql =
        "SELECT count(*) FROM pg_stat_activity WHERE usename = 'looker' AND application_name = 'a_name'";
    assert_eq!(pg.value(sql).await.unwrap(), "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn console_users_and_chained_poolers() {
    let pg = server().await;
    let databases = format!("postgres = {}\nauthdb = {}", entry(&pg, ""), entry(&pg, ""));
    let settings =
        "auth_type = md5\nauth_user = looker\nauth_dbname = authdb\nadmin_users = emil\nstats_users = dora";
    let front = Bouncer::with(&databases, settings).await;
    let ask = |user: &'static str, password: &'static str, command: &'static str| {
        let conninfo = format!("{} password={password}", front.conninfo(user, "pgbouncer"));
        async move {
            let client = connect(&conninfo).await.map_err(|error| sentence(&error))?;
            client.simple_query(command).await.map(drop).map_err(|error| sentence(&error))
        }
    };
    assert_eq!(ask("emil", "elf", "SET verbose=0").await, Ok(()));
    assert_eq!(ask("dora", "dwarf", "SHOW VERSION").await, Ok(()));
    assert_eq!(ask("dora", "dwarf", "SET verbose=0").await.unwrap_err(), "admin access needed");
    assert_eq!(ask("dora", "wrong", "SHOW VERSION").await.unwrap_err(), "SASL authentication failed");
    assert_eq!(ask("nobody", "x", "SHOW VERSION").await.unwrap_err(), "no such user");
    // A pooler behind the pooler, and the first one's console as a database.
    let behind = front.address().port();
    let databases = format!(
        "postgres = host=127.0.0.1 port={behind} user=emil password=elf\nconsole = host=127.0.0.1 port={behind} dbname=pgbouncer user=emil password=elf"
    );
    let chained = Bouncer::with(&databases, "").await;
    assert_eq!(who(&chained, "postgres", "alice", "x").await.as_deref(), Ok("emil"));
    let client = connect(&chained.conninfo("alice", "console")).await.unwrap();
    let answer = within("an answer", client.simple_query("SHOW VERSION")).await.unwrap();
    assert!(answer.iter().any(|message| matches!(message, tokio_postgres::SimpleQueryMessage::Row(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_auth_dbname_the_console_cannot_ask() {
    let pg = server().await;
    let databases = format!("postgres = {}", entry(&pg, ""));
    let front = Bouncer::with(&databases, "auth_type = md5\nauth_user = looker\nadmin_users = dora").await;
    let refusal = who(&front, "pgbouncer", "dora", "dwarf").await.unwrap_err();
    assert_eq!(refusal, "bouncer config error");
}

#[tokio::test(flavor = "multi_thread")]
async fn found_users_keep_their_pools_alive() {
    let pg = server().await;
    let databases = format!("postgres = {}", entry(&pg, "min_pool_size=2"));
    let settings = "auth_type = md5\nauth_user = looker\nserver_login_retry = 0.2";
    let front = Bouncer::with(&databases, settings).await;
    let conninfo = format!("{} password=elf", front.conninfo("emil", "postgres"));
    let client = connect(&conninfo).await.unwrap();
    let emils = || async {
        let servers = front.show("SHOW SERVERS").await;
        servers.iter().filter(|row| row["user"] == "emil" && row["state"] == "idle").count()
    };
    until("two servers", || async { emils().await == 2 }).await;
    pg.psql("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = 'emil'")
        .await
        .unwrap();
    until("two servers again", || async { emils().await == 2 }).await;
    client.batch_execute("SELECT 1").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_longest_secret_comes_through_a_query() {
    let longest = "q".repeat(65_530);
    let pg = Postgres::single(
        Options::default()
            .hba_line("host all looker,dora 127.0.0.1/32 trust")
            .sql("CREATE ROLE looker SUPERUSER LOGIN")
            .sql("CREATE ROLE dora LOGIN"),
    )
    .await
    .unwrap();
    let query = "auth_query='SELECT $1, repeat($$q$$, 65530)'";
    let databases = format!("postgres = {}", entry(&pg, query));
    let front = Bouncer::with(&databases, "auth_type = plain\nauth_user = looker\npkt_buf = 75").await;
    let login = |password: String| {
        let front = &front;
        async move { who(front, "postgres", "dora", &password).await }
    };
    assert_eq!(login(longest.clone()).await.as_deref(), Ok("dora"));
    assert_eq!(login(longest[1..].to_owned()).await.unwrap_err(), "password authentication failed");
    assert_eq!(login(format!("{longest}q")).await.unwrap_err(), "password authentication failed");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_console_is_no_place_to_ask_and_a_reload_says_so() {
    let pg = server().await;
    let databases = format!("postgres = {}", entry(&pg, ""));
    let settings = "auth_type = md5\nauth_user = looker";
    let seen = Seen::with(&databases, settings).await;
    let conninfo = format!("{} password=dwarf", seen.binary.conninfo("dora", "postgres"));
    assert_eq!(who_at(&conninfo).await.as_deref(), Ok("dora"));
    let wrong = format!("logfile = @DIR@/log\n{settings}\nauth_dbname = pgbouncer");
    seen.binary.rewrite(&databases, &wrong);
    let error = seen.console.simple_query("RELOAD").await.unwrap_err();
    let error = error.as_db_error().unwrap();
    let told = (error.code().code(), error.message());
    assert_eq!(told, ("F0000", "RELOAD failed, see logs for additional details"));
    let line = "cannot use the reserved \"pgbouncer\" database as an auth_dbname";
    assert_eq!(seen.lines(line), 1, "{}", seen.log());
    assert_eq!(who_at(&conninfo).await.as_deref(), Ok("dora"), "what was before is in force");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_of_a_cluster_asks_its_nodes() {
    let cluster = howdah_testkit::Cluster::builder().replicas(1).start().await.unwrap();
    let primary = cluster.node(0);
    primary.psql("CREATE ROLE dora LOGIN PASSWORD 'dwarf'").await.unwrap();
    let nodes: Vec<String> = cluster.nodes().iter().map(|node| node.address().to_string()).collect();
    let settings = format!(
        "auth_type = md5\nauth_user = postgres\nserver_login_retry = 0.2\n[clusters]\nmain = nodes={} \
         user=postgres failover=follow probe_interval=0.1",
        nodes.join(",")
    );
    let databases =
        "postgres = cluster=main dbname=postgres\nasks = cluster=main dbname=postgres auth_dbname=postgres";
    let front = Bouncer::with(databases, &settings).await;
    for name in ["postgres", "asks"] {
        assert_eq!(who(&front, name, "dora", "dwarf").await.as_deref(), Ok("dora"), "{name}");
        assert_eq!(who(&front, name, "dora", "wrong").await.unwrap_err(), "SASL authentication failed");
        assert_eq!(who(&front, name, "nobody", "x").await.unwrap_err(), "no such user");
    }
    // Without a primary a replica knows the users as well: whoever is wrong is told so, and nobody waits.
    let sql = "SELECT count(*) FROM pg_authid WHERE rolname = 'dora'";
    until("the replica to know her", || async { cluster.node(1).value(sql).await.unwrap() == "1" }).await;
    primary.stop().await.unwrap();
    until("the primary to be seen down", || async {
        let nodes = front.show("SHOW NODES").await;
        !nodes.iter().any(|row| row["role"] == "primary" && row["state"] == "up")
    })
    .await;
    assert_eq!(who(&front, "postgres", "dora", "wrong").await.unwrap_err(), "SASL authentication failed");
    assert_eq!(who(&front, "postgres", "nobody", "x").await.unwrap_err(), "no such user");
}
