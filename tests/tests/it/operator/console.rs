//! The console as scripts use it: logins, ids, refusals, what is logged.

use super::{admin, ids, log, log_end, over_unix, value};
use crate::support::{Binary, Raw, connect, entry, error_of, postgres, sentence, until};

#[tokio::test(flavor = "multi_thread")]
async fn ids_are_counted_without_gaps() {
    let pg = postgres().await;
    let databases = format!("postgres = {}", entry(&pg, ""));
    let binary = Binary::start(&databases, "logfile = @DIR@/log\nserver_lifetime = 0").await;
    let console = admin(&binary).await;
    // The connection that only looked whether it listens is gone.
    until("the console alone", || async { ids(&console, "SHOW CLIENTS").await.len() == 1 }).await;
    let i = ids(&console, "SHOW CLIENTS").await[0];
    for n in 1..=5 {
        let client = connect(&binary.conninfo("postgres", "postgres")).await.unwrap();
        client.batch_execute("BEGIN").await.unwrap();
        assert_eq!(ids(&console, "SHOW CLIENTS").await, [i, i + 2 * n - 1], "round {n}");
        assert_eq!(ids(&console, "SHOW SERVERS").await, [i + 2 * n], "round {n}");
        client.batch_execute("COMMIT").await.unwrap();
        assert_eq!(ids(&console, "SHOW SERVERS").await, [0_u64; 0], "it is of one use");
        drop(client);
        until("the client to be gone", || async { ids(&console, "SHOW CLIENTS").await.len() == 1 }).await;
    }
    let (second, third) = (admin(&binary).await, admin(&binary).await);
    assert_eq!(ids(&third, "SHOW CLIENTS").await, [i, i + 11, i + 12]);
    drop(second);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ends_a_console_is_told_and_logged() {
    let pg = postgres().await;
    let databases = format!("postgres = {}", entry(&pg, ""));
    let binary = Binary::start(&databases, "logfile = @DIR@/log\nadmin_users = postgres").await;
    let from = log_end(&binary);
    let mut raw = Raw::connect(([127, 0, 0, 1], binary.port()).into()).await;
    raw.log_in("postgres", "pgbouncer").await;
    raw.send_query("nonsense").await;
    assert_eq!(error_of(&raw.until_ready().await[0]).1, "invalid command 'nonsense', use SHOW HELP;");
    let said = log(&binary, from);
    assert!(said.contains(" ERROR invalid command 'nonsense', use SHOW HELP;\n"), "{said}");
    assert!(said.contains(" pooler error: invalid command 'nonsense', use SHOW HELP;\n"), "{said}");

    // Parse: two errors, and the end.
    raw.send(b"P\0\0\0\x10\0SELECT 1\0\0\0").await;
    let frames = raw.until_closed().await;
    assert_eq!(error_of(&frames[0]).1, "extended query protocol not supported by admin console");
    assert_eq!(error_of(frames.last().unwrap()), ("08P01".to_owned(), "bad packet".to_owned()));
    let said = log(&binary, from);
    assert_eq!(said.matches(" closing because: bad packet (age=0s)\n").count(), 1, "{said}");
    assert_eq!(said.matches(" pooler error: bad packet\n").count(), 1, "{said}");

    // PgBouncer dies of this one.
    let mut raw = Raw::connect(([127, 0, 0, 1], binary.port()).into()).await;
    raw.log_in("postgres", "pgbouncer").await;
    let console = admin(&binary).await;
    let clients = || async { ids(&console, "SHOW CLIENTS").await };
    until("the two consoles alone", || async { clients().await.len() == 2 }).await;
    let own = clients().await.into_iter().min().unwrap();
    raw.send_query(&format!("KILL_CLIENT {own}")).await;
    raw.is_refused("admin forced disconnect").await;
    let said = log(&binary, from);
    assert_eq!(said.matches(" closing because: admin forced disconnect (age=").count(), 1, "{said}");
    assert_eq!(said.matches(" pooler error: admin forced disconnect\n").count(), 1, "{said}");
    assert_eq!(value(&admin(&binary).await, "SHOW VERSION").await, "PgBouncer 1.25.2");
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_are_logged_once_each() {
    let pg = postgres().await;
    let databases = format!("postgres = {}", entry(&pg, ""));
    let binary = Binary::start(&databases, "logfile = @DIR@/log\nsuspend_timeout = 2").await;
    let console = admin(&binary).await;
    for (command, line) in [
        ("PAUSE", "PAUSE command issued"),
        ("RESUME", "RESUME command issued"),
        ("PAUSE postgres", "PAUSE 'postgres' command issued"),
        ("RESUME postgres", "RESUME 'postgres' command issued"),
        ("DISABLE postgres", "DISABLE 'postgres' command issued"),
        ("ENABLE postgres", "ENABLE 'postgres' command issued"),
        ("RECONNECT", "RECONNECT command issued"),
        ("RECONNECT postgres", "RECONNECT 'postgres' command issued"),
        ("WAIT_CLOSE", "WAIT_CLOSE command issued"),
        ("SUSPEND", "SUSPEND command issued"),
        ("RESUME", "RESUME command issued"),
        ("RELOAD", "RELOAD command issued"),
        ("KILL postgres", "KILL 'postgres' command issued"),
        ("RESUME postgres", "RESUME 'postgres' command issued"),
    ] {
        let from = log_end(&binary);
        console.simple_query(command).await.unwrap_or_else(|e| panic!("{command}: {}", sentence(&e)));
        let said = log(&binary, from);
        assert_eq!(said.matches(&format!(" LOG {line}\n")).count(), 1, "{command}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_admin_login_on_the_unix_socket() {
    let pg = postgres().await;
    let databases = format!("postgres = {}", entry(&pg, ""));
    for auth in ["scram-sha-256", "hba\nauth_hba_file = @DIR@/hba", "md5", "plain", "any"] {
        let settings = format!("logfile = @DIR@/log\nauth_type = {auth}\nadmin_users = somebody");
        let started = std::time::Instant::now();
        let binary = Binary::start_with(&databases, &settings, &[("hba", "local all all reject\n")]).await;
        let host = binary.dir().display();
        let port = binary.port();
        // (The driver offers client_encoding=UTF8 by itself.)
        let login = format!("host={host} port={port} user=pgbouncer dbname=pgbouncer password=fake");
        let console = over_unix(&login).await;
        assert!(started.elapsed().as_secs() < 5, "scripts give up after five seconds");
        console.simple_query("RELOAD").await.unwrap();
        let said = log(&binary, 0);
        assert_eq!(said.matches(" pgbouncer access from unix socket\n").count(), 1, "{said}");
        let socket = binary.dir().join(format!(".s.PGSQL.{port}"));
        let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(socket).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o777);
    }
    // `any` asks for a forced user.
    let databases = format!("postgres = {}", entry(&pg, "user=postgres"));
    let binary =
        Binary::start(&databases, "logfile = @DIR@/log\nauth_type = any\nadmin_users = somebody").await;
    let mut raw = Raw::connect(([127, 0, 0, 1], binary.port()).into()).await;
    raw.startup(&[("user", "pgbouncer"), ("database", "pgbouncer")]).await;
    raw.is_refused("not allowed").await;
    // Larger than `pkt_buf` (4096) by far.
    let mut raw = Raw::connect(([127, 0, 0, 1], binary.port()).into()).await;
    let long = "x".repeat(9_000);
    raw.startup(&[("user", "postgres"), ("database", "postgres"), ("application_name", &long)]).await;
    assert_eq!(raw.until_ready().await.last().unwrap().1, b"I");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lengths_of_a_command_are_limited() {
    let binary = Binary::start("", "logfile = @DIR@/log").await;
    let console = admin(&binary).await;
    let refusal = async |command: &str| sentence(&console.simple_query(command).await.unwrap_err());
    let of = |length: usize| "a".repeat(length);
    assert_eq!(refusal(&of(15)).await, format!("invalid command '{}', use SHOW HELP;", of(15)));
    assert_eq!(refusal(&of(16)).await, "bad arguments");
    assert_eq!(refusal(&format!("PAUSE {}", of(63))).await, format!("no such database: {}", of(63)));
    assert_eq!(refusal(&format!("PAUSE {}", of(64))).await, "bad arguments");
    console.simple_query(&format!("SET server_reset_query = '{}'", of(253))).await.unwrap();
    assert_eq!(refusal(&format!("SET server_reset_query = '{}'", of(256))).await, "bad arguments");
}
