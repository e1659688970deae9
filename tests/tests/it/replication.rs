//! Replication connections (PGBOUNCER_BEHAVIOUR.md section 15): PostgreSQL's own programs through the pooler.

use std::path::Path;
use std::process::{Output, Stdio};

use howdah_testkit::{Options, Postgres};
use tokio::process::{Child, Command};

use crate::support::{Binary, Bouncer, entry, says, until, within};

/// A server from which everything can be replicated.
async fn server() -> Postgres {
    let options = Options::default()
        .setting("wal_level", "logical")
        .setting("max_wal_senders", "20")
        .setting("max_replication_slots", "20")
        .hba_line("host replication all 127.0.0.0/8 trust");
    Postgres::single(options).await.unwrap()
}

/// A program of PostgreSQL; killed with its owner.
fn program(pg: &Postgres, name: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(pg.binaries().program(name));
    command.args(arguments).stdin(Stdio::null()).kill_on_drop(true).env("PGCONNECT_TIMEOUT", "10");
    command
}

/// Runs it to its end.
async fn run(pg: &Postgres, name: &str, arguments: &[&str]) -> Output {
    within(name, program(pg, name, arguments).output()).await.unwrap()
}

/// Starts it, and lets it go on.
fn launch(pg: &Postgres, name: &str, arguments: &[&str]) -> Child {
    program(pg, name, arguments).stderr(Stdio::null()).spawn().unwrap()
}

/// The program with one entry `postgres`, and its log.
async fn logged(pg: &Postgres, dir: &Path, settings: &str) -> Binary {
    let logfile = dir.join("log");
    let settings = format!("logfile = {}\n{settings}", logfile.display());
    Binary::start(&format!("postgres = {}", entry(pg, "")), &settings).await
}

fn log(dir: &Path) -> String {
    std::fs::read_to_string(dir.join("log")).unwrap()
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// IDENTIFY_SYSTEM by psql.
async fn identify(pg: &Postgres, conninfo: &str) -> Output {
    run(pg, "psql", &["-XAt", "-d", conninfo, "-c", "IDENTIFY_SYSTEM"]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn psql_asks_who_the_server_is_in_both_kinds_of_session() {
    let pg = server().await;
    let system = pg.value("SELECT system_identifier FROM pg_control_system()").await.unwrap();
    let bouncer = Bouncer::on(&pg, "default_pool_size = 1").await;
    for (kind, database) in [("database", "|postgres"), ("yes", "|")] {
        let conninfo = format!("{} replication={kind}", bouncer.conninfo("postgres", "postgres"));
        let output = identify(&pg, &conninfo).await;
        let line = text(&output);
        assert!(output.status.success() && line.starts_with(&system), "{kind}: {line}");
        assert!(line.trim_end().ends_with(database), "{kind}: {line}");
    }
    // Nothing is left behind, and the only place is free again.
    bouncer.pool_is_intact(0).await;
    let client = bouncer.connect().await;
    assert_eq!(client.query_one("SELECT 1", &[]).await.unwrap().get::<_, i32>(0), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn its_parameters_and_options_reach_the_server_untouched() {
    let pg = server().await;
    let bouncer = Bouncer::on(&pg, "").await;
    let conninfo = format!(
        "{} replication=database options='-c work_mem=123kB -c extra_float_digits=1' application_name=mine",
        bouncer.conninfo("postgres", "postgres")
    );
    let show = "SELECT current_setting('work_mem') || current_setting('application_name')";
    let output = run(&pg, "psql", &["-XAt", "-d", &conninfo, "-c", show]).await;
    assert_eq!(text(&output).trim(), "123kBmine");
    let ordinary = bouncer.conninfo("postgres", "postgres");
    assert!(run(&pg, "psql", &["-XAt", "-d", &ordinary, "-c", "SELECT 1"]).await.status.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn wal_is_received_and_a_base_backup_is_taken() {
    let pg = server().await;
    // The database that these programs always name.
    let entries = format!("replication = {}", entry(&pg, ""));
    let bouncer = Bouncer::with(&entries, "default_pool_size = 3").await;
    let dir = tempfile::tempdir().unwrap();
    let place = |name: &str| dir.path().join(name).display().to_string();
    let conninfo = bouncer.conninfo("postgres", "postgres");
    // Two connections at once: the backup's and the one that streams the log.
    let backup = place("backup");
    let output =
        run(&pg, "pg_basebackup", &["-d", &conninfo, "-D", &backup, "-Xs", "-Fp", "-c", "fast"]).await;
    assert!(output.status.success(), "{}", text(&output));
    assert!(dir.path().join("backup/backup_label").is_file());
    std::fs::create_dir(dir.path().join("wal")).unwrap();
    let target = pg.value("SELECT pg_current_wal_lsn()").await.unwrap();
    let arguments = ["-d", &conninfo, "-D", &place("wal"), "--no-loop", "-E", &target];
    let mut receiver = launch(&pg, "pg_receivewal", &arguments);
    pg.psql("CREATE TABLE t AS SELECT generate_series(1, 1000) AS i").await.unwrap();
    pg.psql("SELECT pg_switch_wal()").await.unwrap();
    let status = within("pg_receivewal to come to the end", receiver.wait()).await.unwrap();
    assert!(status.success(), "{status}");
    until("the places to be free", || async { bouncer.pool("replication", "sv_active").await == 0 }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_are_decoded_and_show_says_what_it_is() {
    let pg = server().await;
    pg.psql("CREATE TABLE t (i int)").await.unwrap();
    pg.psql("SELECT pg_create_logical_replication_slot('s', 'test_decoding')").await.unwrap();
    let bouncer = Bouncer::on(&pg, "").await;
    let out = tempfile::NamedTempFile::new().unwrap();
    let file = out.path().display().to_string();
    let conninfo = bouncer.conninfo("postgres", "postgres");
    let arguments = ["-d", &conninfo, "-S", "s", "--start", "-n", "-f", &file];
    let mut receiver = launch(&pg, "pg_recvlogical", &arguments);
    until("the stream in SHOW", || async {
        let clients = bouncer.show("SHOW CLIENTS").await;
        let servers = bouncer.show("SHOW SERVERS").await;
        let streams = |rows: &[crate::support::Row]| {
            rows.iter().any(|row| {
                row["replication"] == "logical" && row["state"] == "active" && !row["link"].is_empty()
            })
        };
        streams(&clients) && streams(&servers)
    })
    .await;
    pg.psql("INSERT INTO t VALUES (4711)").await.unwrap();
    until("the change", || async {
        std::fs::read_to_string(out.path()).unwrap().contains("INSERT: i[integer]:4711")
    })
    .await;
    // Held still and let go on, since the console's session ends: the stream goes on.
    bouncer.show("SUSPEND").await;
    pg.psql("INSERT INTO t VALUES (4712)").await.unwrap();
    until("the change behind SUSPEND", || async {
        std::fs::read_to_string(out.path()).unwrap().contains("INSERT: i[integer]:4712")
    })
    .await;
    // A client of the same entry is not disturbed by it.
    assert_eq!(bouncer.connect().await.query_one("SELECT 1", &[]).await.unwrap().get::<_, i32>(0), 1);
    receiver.kill().await.unwrap();
    bouncer.pool_is_intact(1).await;
    until("the walsender to be gone", || async {
        pg.value("SELECT count(*) FROM pg_stat_replication").await.unwrap() == "0"
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_goes_through() {
    let (source, target) = (server().await, server().await);
    source.psql("CREATE TABLE t (i int PRIMARY KEY); CREATE PUBLICATION p FOR TABLE t").await.unwrap();
    target.psql("CREATE TABLE t (i int PRIMARY KEY)").await.unwrap();
    let bouncer =
        Bouncer::on(&source, "pool_mode = transaction\nignore_startup_parameters = extra_float_digits").await;
    let conninfo = bouncer.conninfo("postgres", "postgres");
    source.psql("INSERT INTO t VALUES (1)").await.unwrap();
    target.psql(&format!("CREATE SUBSCRIPTION s CONNECTION '{conninfo}' PUBLICATION p")).await.unwrap();
    source.psql("INSERT INTO t VALUES (2)").await.unwrap();
    until("both rows", || async { target.value("SELECT count(*) FROM t").await.unwrap() == "2" }).await;
    target.psql("DROP SUBSCRIPTION s").await.unwrap();
    until("the slot to be gone", || async {
        source.value("SELECT count(*) FROM pg_replication_slots").await.unwrap() == "0"
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_clients_take_turns_over_a_pool_of_two() {
    let pg = server().await;
    let bouncer = Bouncer::on(&pg, "default_pool_size = 2").await;
    let conninfo = format!("{} replication=database", bouncer.conninfo("postgres", "postgres"));
    let arguments = ["-XAt", "-d", &conninfo, "-c", "SELECT pg_sleep(0.2)", "-c", "SELECT 'done'"];
    let ten: Vec<_> = (0..10).map(|_| run(&pg, "psql", &arguments)).collect();
    let all = within("ten clients", futures_util::future::join_all(ten));
    let most = async {
        loop {
            let seen = bouncer.pool("postgres", "sv_active").await;
            assert!(seen <= 2, "{seen} at once");
        }
    };
    let outputs = tokio::select! { outputs = all => outputs, () = most => unreachable!() };
    assert!(outputs.into_iter().all(|output| text(&output).ends_with("done\n")));
    bouncer.pool_is_intact(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_server_is_evicted_for_it() {
    let pg = server().await;
    let dir = tempfile::tempdir().unwrap();
    let bouncer = logged(&pg, dir.path(), "default_pool_size = 1").await;
    let conninfo = bouncer.conninfo("postgres", "postgres");
    let ordinary = ["-XAt", "-d", &conninfo, "-c", "SELECT 1"];
    assert!(run(&pg, "psql", &ordinary).await.status.success());
    let output = identify(&pg, &format!("{conninfo} replication=yes")).await;
    assert!(output.status.success(), "{}", text(&output));
    assert_eq!(log(dir.path()).matches("closing because: evicted").count(), 1, "{}", log(dir.path()));
    assert!(run(&pg, "psql", &ordinary).await.status.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_the_server_refuses_is_told_and_logged_twice() {
    let pg = Postgres::single(Options::default().hba_line("host replication all 127.0.0.0/8 reject"))
        .await
        .unwrap();
    let dir = tempfile::tempdir().unwrap();
    let bouncer = logged(&pg, dir.path(), "").await;
    let conninfo = bouncer.conninfo("postgres", "postgres");
    let output = identify(&pg, &format!("{conninfo} replication=yes")).await;
    assert!(!output.status.success() && text(&output).contains("login failed"), "{}", text(&output));
    let log = log(dir.path());
    assert_eq!(log.matches("closing because: login failed (age=").count(), 2, "{log}");
    assert!(log.contains("pg_hba.conf rejects replication connection"), "{log}");
    assert!(run(&pg, "psql", &["-XAt", "-d", &conninfo, "-c", "SELECT 1"]).await.status.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_kind_of_replication_is_refused() {
    let pg = server().await;
    let bouncer = Bouncer::on(&pg, "").await;
    let mut raw = bouncer.raw().await;
    raw.startup(&[("user", "postgres"), ("database", "postgres"), ("replication", "perhaps")]).await;
    raw.is_refused("invalid value for parameter \"replication\": \"perhaps\"").await;
    let error = bouncer.try_connect("options='-c work_mem=1MB'").await.unwrap_err();
    assert!(says(&error, "unsupported startup parameter in options: work_mem"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_and_a_dead_server_end_it() {
    let pg = server().await;
    let bouncer = Bouncer::on(&pg, "").await;
    let conninfo = format!("{} replication=database", bouncer.conninfo("postgres", "postgres"));
    for how in ["KILL postgres", "terminate"] {
        let mut psql = launch(&pg, "psql", &["-XAt", "-d", &conninfo, "-c", "SELECT pg_sleep(60)"]);
        bouncer.pool_becomes("sv_active", 1).await;
        if how == "terminate" {
            pg.psql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)' AND pid <> pg_backend_pid()")
                .await
                .unwrap();
        } else {
            bouncer.show(how).await;
        }
        assert!(!within("psql to end", psql.wait()).await.unwrap().success(), "{how}");
        if how != "terminate" {
            bouncer.show("RESUME postgres").await;
        }
        bouncer.pool_is_intact(0).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_of_auth_query_replicates() {
    let options = Options::default()
        .setting("wal_level", "logical")
        .hba_line("host all looker 127.0.0.1/32 trust")
        .hba_line("host replication dora 127.0.0.1/32 scram-sha-256")
        .sql("CREATE ROLE looker SUPERUSER LOGIN; CREATE ROLE dora LOGIN REPLICATION PASSWORD 'dwarf'");
    let pg = Postgres::single(options).await.unwrap();
    let databases = format!("postgres = {}", entry(&pg, ""));
    let bouncer = Bouncer::with(&databases, "auth_type = scram-sha-256\nauth_user = looker").await;
    for kind in ["database", "yes"] {
        let at = |password: &str| {
            format!("{} replication={kind} password={password}", bouncer.conninfo("dora", "postgres"))
        };
        let output = identify(&pg, &at("dwarf")).await;
        assert!(output.status.success(), "{kind}: {}", text(&output));
        let output = identify(&pg, &at("wrong")).await;
        assert!(text(&output).contains("SASL authentication failed"), "{kind}: {}", text(&output));
    }
}
