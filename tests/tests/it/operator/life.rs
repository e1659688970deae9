//! Log lines, sessions and servers, signals and the end.

use super::{admin, log, log_end, rows, value};
use crate::support::{Binary, Raw, connect, entry, postgres, sentence, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_in_statement_pooling_ends_both_sides() {
    let pg = postgres().await;
    let databases = format!("postgres = {}", entry(&pg, ""));
    let binary = Binary::start(&databases, "logfile = @DIR@/log\npool_mode = statement").await;
    let from = log_end(&binary);
    let client = connect(&binary.conninfo("postgres", "postgres")).await.unwrap();
    let error = client.batch_execute("BEGIN").await.expect_err("the client must not take it for done");
    let reason = "transaction blocks not allowed in statement pooling mode";
    assert_eq!(sentence(&error), reason);
    let said = log(&binary, from);
    for line in ["LOG S-0x", "LOG C-0x"] {
        let found =
            said.lines().any(|l| l.contains(line) && l.contains(&format!("closing because: {reason} (age=")));
        assert!(found, "{line}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_entry_works_again_after_a_restart_of_postgresql() {
    let pg = postgres().await;
    let databases = format!("a = {0}\nb = {0} user=postgres\nc = {0}", entry(&pg, "dbname=postgres"));
    let binary = Binary::start(&databases, "logfile = @DIR@/log\nserver_login_retry = 1").await;
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let mut load = Vec::new();
    for database in ["a", "b", "c", "a"] {
        let (conninfo, stopped) = (binary.conninfo("postgres", database), stopped.clone());
        load.push(tokio::spawn(async move {
            let mut answers = 0_u32;
            while !*stopped.borrow() {
                let Ok(client) = connect(&conninfo).await else { continue };
                while !*stopped.borrow() && client.simple_query("SELECT 1").await.is_ok() {
                    answers += 1;
                }
            }
            answers
        }));
    }
    let console = admin(&binary).await;
    let queries = || async {
        let totals = rows(&console, "SHOW STATS_TOTALS").await;
        totals.iter().map(|row| row[3].parse::<u64>().unwrap()).sum::<u64>()
    };
    until("some load", || async { queries().await > 100 }).await;
    pg.stop().await.unwrap();
    pg.start().await.unwrap();
    let then = queries().await;
    until("load again", || async { queries().await > then + 100 }).await;
    stop.send(true).unwrap();
    for task in load {
        assert!(task.await.unwrap() > 0);
    }
    for database in ["a", "b", "c"] {
        let client = connect(&binary.conninfo("postgres", database)).await.unwrap();
        assert_eq!(value(&client, "SELECT 1").await, "1", "{database}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn signals_pause_and_resume_and_say_when_there_is_nothing_to_do() {
    let pg = postgres().await;
    let databases = format!("postgres = {}", entry(&pg, ""));
    let binary = Binary::start(&databases, "logfile = @DIR@/log").await;
    let console = admin(&binary).await;
    for (signal, line, paused) in [
        ("USR1", "got SIGUSR1, pausing all activity", "yes"),
        ("USR1", "got SIGUSR1, but already paused/suspended", "yes"),
        ("USR2", "got SIGUSR2, continuing from PAUSE", "no"),
        ("USR2", "got SIGUSR2, but not paused/suspended", "no"),
    ] {
        let from = log_end(&binary);
        binary.signal(signal);
        until(line, || async { log(&binary, from).contains(&format!(" LOG {line}\n")) }).await;
        until(paused, || async {
            rows(&console, "SHOW STATE").await.contains(&vec!["paused".to_owned(), paused.to_owned()])
        })
        .await;
        assert!(!log(&binary, from).contains(" ERROR "), "{}", log(&binary, from));
    }
    connect(&binary.conninfo("postgres", "postgres")).await.unwrap();
}

/// The line without what is of this run: `None` when it does not begin as PgBouncer's lines do.
fn text_of_line(line: &str, pid: u32) -> Option<&str> {
    let shape: String = line.get(..24)?.chars().map(|c| if c.is_ascii_digit() { '9' } else { c }).collect();
    let rest =
        line[24..].strip_prefix("UTC ").or_else(|| line[24..].split_once(' ').map(|(_, rest)| rest))?;
    let rest = rest.strip_prefix(&format!("[{pid}] "))?;
    let (level, _) = rest.split_once(' ')?;
    let known = ["FATAL", "ERROR", "WARNING", "LOG", "DEBUG", "NOISE"].contains(&level);
    (shape == "9999-99-99 99:99:99.999 " && known).then_some(rest)
}

#[tokio::test(flavor = "multi_thread")]
async fn log_lines_have_pgbouncers_form() {
    let pg = postgres().await;
    let databases = format!("postgres = {}", entry(&pg, ""));
    let settings = "logfile = @DIR@/log\nlisten_addr = 127.0.0.1, ::1\nverbose = 2\nstats_period = 1";
    let binary = Binary::start(&databases, settings).await;
    for address in ["127.0.0.1", "::1"] {
        let conninfo = binary.conninfo("postgres", "postgres").replace("127.0.0.1", address);
        connect(&conninfo).await.unwrap().simple_query("SELECT 1").await.unwrap();
    }
    drop(admin(&binary).await);
    let mut raw = Raw::connect(([127, 0, 0, 1], binary.port()).into()).await;
    raw.startup(&[("database", "postgres")]).await;
    raw.is_refused("no username supplied").await;
    until("the statistics", || async { log(&binary, 0).contains(" LOG stats: ") }).await;
    let all = log(&binary, 0);
    let lines: Vec<&str> = all
        .lines()
        .map(|line| text_of_line(line, binary.pid()).unwrap_or_else(|| panic!("not a line: {line}")))
        .collect();
    let has =
        |prefix: &str, rest: &str| lines.iter().any(|line| line.starts_with(prefix) && line.contains(rest));
    let own = std::process::id();
    let unix = format!(": pgbouncer/pgbouncer@unix({own}):{} ", binary.port());
    for (prefix, rest) in [
        ("LOG C-0x", ": postgres/postgres@127.0.0.1:"),
        ("LOG C-0x", ": postgres/postgres@[::1]:"),
        ("LOG C-0x", unix.as_str()),
        ("LOG C-0x", ": (nodb)/(nouser)@127.0.0.1:"),
        ("WARNING C-0x", " pooler error: no username supplied"),
        ("LOG S-0x", " new connection to server (from "),
    ] {
        assert!(has(prefix, rest), "{prefix} {rest}: {all}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sigquit_ends_at_once_and_the_port_is_free() {
    let pg = postgres().await;
    let databases = format!("postgres = {}", entry(&pg, ""));
    let mut binary = Binary::start(&databases, "logfile = @DIR@/log\npidfile = @DIR@/pid").await;
    let mut busy = Raw::connect(([127, 0, 0, 1], binary.port()).into()).await;
    busy.log_in("postgres", "postgres").await;
    busy.send_query("SELECT pg_sleep(600)").await;
    let console = admin(&binary).await;
    until("the query to run", || async {
        rows(&console, "SHOW POOLS").await.iter().any(|row| row[0] == "postgres" && row[6] == "1")
    })
    .await;
    binary.signal("QUIT");
    assert!(binary.ended().await.success());
    // Bound without SO_REUSEADDR's help in listening: nobody holds it any more.
    let listener = std::net::TcpListener::bind(("127.0.0.1", binary.port()));
    assert!(listener.is_ok(), "{listener:?}");
    assert!(!binary.dir().join("pid").exists());
    let said = log(&binary, 0);
    assert!(said.contains(" LOG got SIGQUIT, fast exit\n"), "{said}");
    assert!(!said.contains("client disconnected with query in progress"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_later_login_needs_no_server() {
    let pg = postgres().await;
    let databases = format!("postgres = {}", entry(&pg, "pool_size=1"));
    let binary = Binary::start(&databases, "logfile = @DIR@/log").await;
    let first = connect(&binary.conninfo("postgres", "postgres")).await.unwrap();
    first.batch_execute("BEGIN").await.unwrap();
    // The only server is taken; who logs in now gets the parameters that the first one got.
    let mut raw = Raw::connect(([127, 0, 0, 1], binary.port()).into()).await;
    let frames = raw.log_in("postgres", "postgres").await;
    let names: Vec<_> = frames
        .iter()
        .filter(|(tag, _)| *tag == b'S')
        .map(|(_, body)| String::from_utf8_lossy(body.split(|byte| *byte == 0).next().unwrap()).into_owned())
        .collect();
    for name in ["server_version", "client_encoding", "integer_datetimes", "TimeZone"] {
        assert!(names.contains(&name.to_owned()), "{name} is not in {names:?}");
    }
    first.batch_execute("COMMIT").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn no_reset_query_outside_of_session_pooling() {
    let pg = postgres().await;
    let databases = format!("postgres = {}", entry(&pg, "pool_size=1"));
    for mode in ["transaction", "statement"] {
        let binary = Binary::start(&databases, &format!("logfile = @DIR@/log\npool_mode = {mode}")).await;
        let client = connect(&binary.conninfo("postgres", "postgres")).await.unwrap();
        client.simple_query("SET search_path = left_behind").await.unwrap();
        drop(client);
        let next = connect(&binary.conninfo("postgres", "postgres")).await.unwrap();
        assert_eq!(value(&next, "SHOW search_path").await, "left_behind", "{mode}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_that_waits_for_servers_turns_clients_away() {
    let pg = postgres().await;
    let databases = format!("postgres = {}", entry(&pg, "pool_size=1"));
    let mut binary = Binary::start(&databases, "logfile = @DIR@/log").await;
    let console = admin(&binary).await;
    let busy = connect(&binary.conninfo("postgres", "postgres")).await.unwrap();
    busy.batch_execute("BEGIN").await.unwrap();
    let mut waiting = Raw::connect(([127, 0, 0, 1], binary.port()).into()).await;
    waiting.log_in("postgres", "postgres").await;
    let mut idle = Raw::connect(([127, 0, 0, 1], binary.port()).into()).await;
    idle.log_in("postgres", "postgres").await;
    waiting.send_query("SELECT 1").await;
    until("one to wait", || async {
        rows(&console, "SHOW POOLS").await.iter().any(|row| row[0] == "postgres" && row[3] == "1")
    })
    .await;
    console.simple_query("SHUTDOWN WAIT_FOR_SERVERS").await.unwrap();
    waiting.is_refused("server shutting down").await;
    idle.send_query("SELECT 1").await;
    idle.is_refused("server shutting down").await;
    assert_eq!(value(&busy, "SELECT 3").await, "3", "a transaction goes on");
    assert!(binary.is_running());
    // (The answer may be cut off by the end that follows it.)
    let _ = busy.batch_execute("COMMIT").await;
    assert!(binary.ended().await.success());
    assert!(!binary.dir().join(format!(".s.PGSQL.{}", binary.port())).exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_to_wait_ends_a_suspended_process_at_once() {
    let pg = postgres().await;
    let databases = format!("postgres = {}", entry(&pg, ""));
    for signal in ["TERM", "INT"] {
        let mut binary = Binary::start(&databases, "logfile = @DIR@/log").await;
        let _client = connect(&binary.conninfo("postgres", "postgres")).await.unwrap();
        let console = admin(&binary).await;
        console.simple_query("SUSPEND").await.unwrap();
        binary.signal(signal);
        assert!(binary.ended().await.success());
        let said = log(&binary, 0);
        assert!(said.contains(&format!(" LOG got SIG{signal}, fast exit\n")), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_to_wait_says_for_what_and_when_that_is_over() {
    let pg = postgres().await;
    let databases = format!("postgres = {}", entry(&pg, ""));
    for (signal, first, last) in [
        (
            "TERM",
            "got SIGTERM, shutting down, waiting for all clients disconnect",
            "client connections dropped, exiting",
        ),
        (
            "INT",
            "got SIGINT, shutting down, waiting for all servers connections to be released",
            "server connections dropped, exiting",
        ),
    ] {
        let mut binary = Binary::start(&databases, "logfile = @DIR@/log").await;
        let client = connect(&binary.conninfo("postgres", "postgres")).await.unwrap();
        client.batch_execute("BEGIN").await.unwrap();
        binary.signal(signal);
        until(first, || async { log(&binary, 0).contains(&format!(" LOG {first}\n")) }).await;
        assert!(!log(&binary, 0).contains(last));
        client.batch_execute("SELECT 1").await.unwrap();
        // (The answer may be cut off by the end that follows it.)
        let _ = client.batch_execute("COMMIT").await;
        drop(client);
        assert!(binary.ended().await.success());
        let said = log(&binary, 0);
        assert!(said.contains(&format!(" LOG {last}\n")), "{said}");
    }
}
