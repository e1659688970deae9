//! The program as an operator starts and stops it: command line, signals, log, pid file
//! (PGBOUNCER_BEHAVIOUR.md sections 1 and 14).

use std::process::{Command, Output};

use crate::support::{Binary, Raw, connect, entry, howdah_program, postgres, sentence, until, within};

fn howdah(arguments: &[&str]) -> Output {
    Command::new(howdah_program()).args(arguments).output().unwrap()
}

#[test]
fn version_help_and_mistakes_of_the_command_line() {
    let version = howdah(&["--version"]);
    assert!(version.status.success());
    assert!(String::from_utf8_lossy(&version.stdout).starts_with("PgBouncer 1.25.2\n"));
    assert!(howdah(&["-V"]).status.success() && howdah(&["-h"]).status.success());
    for arguments in [&["--nonsense"][..], &[], &["-q"]] {
        let output = howdah(arguments);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {text}");
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 2, "{arguments:?}: {text}");
        assert!(
            lines[1].starts_with("Try \"") && lines[1].ends_with("--help\" for more information."),
            "{text}"
        );
    }
}

#[test]
fn a_bad_file_is_told_with_line_and_column() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("bad.ini");
    std::fs::write(&file, "[pgbouncer]\nlisten_port = many\nnonsense = 1\n").unwrap();
    let output = howdah(&[file.to_str().unwrap()]);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1));
    assert!(text.contains("bad.ini:2:") && text.contains("bad.ini:3:"), "{text}");
    let check = howdah(&["check", file.to_str().unwrap()]);
    assert_eq!(check.status.code(), Some(1));
    assert_eq!(howdah(&["/no/such/file.ini"]).status.code(), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_tells_of_every_connection_before_the_client_hears_of_it() {
    let pg = postgres().await;
    let mut binary =
        Binary::start(&format!("postgres = {}", entry(&pg, "")), "logfile = @DIR@/log\npidfile = @DIR@/pid")
            .await;
    let pid = std::fs::read_to_string(binary.dir().join("pid")).unwrap();
    assert_eq!(pid.trim(), binary.pid().to_string());
    let log = || std::fs::read_to_string(binary.dir().join("log")).unwrap();
    for round in 1..=5 {
        let mut raw = Raw::connect(([127, 0, 0, 1], binary.port()).into()).await;
        raw.log_in("postgres", "postgres").await;
        let text = log();
        assert_eq!(
            text.matches("login attempt: db=postgres user=postgres tls=no replication=no").count(),
            round,
            "{text}"
        );
        assert_eq!(text.matches("new connection to server (from 127.0.0.1:").count(), 1, "{text}");
        raw.send(b"X\0\0\0\x04").await;
        raw.until_closed().await;
        let text = log();
        assert_eq!(text.matches("closing because: client close request (age=0s)").count(), round, "{text}");
    }
    let error = connect(&binary.conninfo("postgres", "nowhere")).await.err().unwrap();
    assert_eq!(sentence(&error), "no such database: nowhere");
    let text = log();
    assert!(text.contains("closing because: no such database: nowhere (age=0s)"), "{text}");
    assert!(text.contains("WARNING ") && text.contains("pooler error: no such database: nowhere"), "{text}");
    let line = text.lines().find(|line| line.contains("login attempt")).unwrap();
    let words: Vec<_> = line.split(' ').collect();
    assert_eq!((words[0].len(), words[1].len()), ("2026-01-01".len(), "00:00:00.000".len()), "{line}");
    assert_eq!((words[3], words[4]), (format!("[{}]", pid.trim()).as_str(), "LOG"), "{line}");
    let file = binary.dir().join("pid");
    binary.signal("INT");
    assert!(binary.ended().await.success());
    assert!(!file.exists(), "the pid file goes with the process");
}

#[tokio::test(flavor = "multi_thread")]
async fn hangup_reads_the_file_again() {
    let pg = postgres().await;
    let binary = Binary::start(&format!("postgres = {}", entry(&pg, "")), "").await;
    let client = connect(&binary.conninfo("postgres", "postgres")).await.unwrap();
    client.batch_execute("SELECT 1").await.unwrap();
    assert!(connect(&binary.conninfo("postgres", "later")).await.is_err());
    binary.rewrite(&format!("later = {}", entry(&pg, "dbname=postgres")), "");
    binary.signal("HUP");
    until("the new database", || async { connect(&binary.conninfo("postgres", "later")).await.is_ok() })
        .await;
    let error = client.batch_execute("SELECT 1").await.unwrap_err();
    assert!(error.is_closed() || sentence(&error) == "database removed", "{error}");
    // A file with a mistake changes nothing.
    binary.rewrite("later = host=127.0.0.1 nonsense=1", "");
    binary.signal("HUP");
    for _ in 0..20 {
        assert!(connect(&binary.conninfo("postgres", "later")).await.is_ok());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn terminate_waits_for_clients_and_interrupt_for_servers() {
    let pg = postgres().await;
    let databases = format!("postgres = {}", entry(&pg, ""));
    let mut binary = Binary::start(&databases, "").await;
    let client = connect(&binary.conninfo("postgres", "postgres")).await.unwrap();
    binary.signal("TERM");
    let address = ("127.0.0.1", binary.port());
    until("TCP to be closed", || async { tokio::net::TcpStream::connect(address).await.is_err() }).await;
    for _ in 0..10 {
        client.batch_execute("SELECT 1").await.unwrap();
    }
    assert!(binary.is_running());
    drop(client);
    assert!(binary.ended().await.success());

    let mut binary = Binary::start(&databases, "").await;
    let client = connect(&binary.conninfo("postgres", "postgres")).await.unwrap();
    let other = connect(&binary.conninfo("postgres", "postgres")).await.unwrap();
    client.batch_execute("BEGIN").await.unwrap();
    binary.signal("INT");
    let error = within("the refusal", other.batch_execute("SELECT 1")).await.unwrap_err();
    assert!(error.is_closed() || sentence(&error) == "server shutting down", "{error}");
    assert!(binary.is_running(), "a transaction is finished");
    client.batch_execute("COMMIT").await.unwrap();
    assert!(binary.ended().await.success());

    let mut binary = Binary::start(&databases, "").await;
    let client = connect(&binary.conninfo("postgres", "postgres")).await.unwrap();
    client.batch_execute("BEGIN").await.unwrap();
    binary.signal("QUIT");
    assert!(binary.ended().await.success());
    let again = std::net::TcpListener::bind(("127.0.0.1", binary.port()));
    assert!(again.is_ok() || socket_can_be_reused(binary.port()), "the port is free at once");
}

/// As a server binds: connections that are still closing do not count.
fn socket_can_be_reused(port: u16) -> bool {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.set_reuse_address(true).unwrap();
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], port));
    socket.bind(&address.into()).is_ok() && socket.listen(1).is_ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_process_does_not_take_the_socket() {
    let pg = postgres().await;
    let databases = format!("postgres = {}", entry(&pg, ""));
    let binary = Binary::start(&databases, "").await;
    let output = Command::new(howdah_program()).arg(binary.file()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(connect(&binary.conninfo("postgres", "postgres")).await.is_ok());
}
