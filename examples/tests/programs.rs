//! The example programs do what they say, against a real server.

// A test may panic.
#![allow(clippy::unwrap_used)]

use std::process::{Command, Output};

use howdah_testkit::{Options, Postgres};

async fn server() -> Postgres {
    Postgres::single(Options::default().user("app", "secret").sql("CREATE DATABASE app OWNER app"))
        .await
        .unwrap()
}

fn conninfo(server: &Postgres) -> String {
    format!("host={} port={} user=app password=secret dbname=app", server.host(), server.port())
}

async fn run(program: &str, arguments: Vec<String>) -> Output {
    let mut command = Command::new(program);
    command.args(arguments);
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn embed_shares_two_servers_between_twelve_sessions() {
    let server = server().await;
    let output = run(env!("CARGO_BIN_EXE_embed"), vec![conninfo(&server)]).await;
    assert!(output.status.success(), "{output:?}");
    // The sum of number + round over 12 sessions and 10 rounds.
    assert_eq!(text(&output), "12 sessions shared 2 server connections; their sum is 1440\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn example_prints_what_it_wrote_and_read() {
    let server = server().await;
    let arguments = ["--once", "2", "--every", "10"].map(str::to_owned);
    let arguments = std::iter::once(conninfo(&server)).chain(arguments).collect();
    let output = run(env!("CARGO_BIN_EXE_example"), arguments).await;
    assert!(output.status.success(), "{output:?}");
    let text = text(&output);
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with("Session")).collect();
    let round = |id: u32| {
        [
            "Create Data :".to_owned(),
            format!("{{{id} Test}}"),
            "IP DB Master: 127.0.0.1".to_owned(),
            "Read Data :".to_owned(),
            format!("{{{id} Test}}"),
            "IP DB Slave : 127.0.0.1".to_owned(),
        ]
    };
    assert_eq!(lines, [round(1), round(2)].concat());
    let sessions: Vec<&str> = text.lines().filter(|line| line.starts_with("Session")).collect();
    assert!(sessions[1].ends_with(": 2 rows acknowledged, 2 there"), "{sessions:?}");
    let port = |line: &str| line.split(':').next().map(str::to_owned);
    assert_eq!(port(sessions[0]), port(sessions[1]), "one session");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn example_ends_when_its_session_is_lost() {
    let server = server().await;
    let program = env!("CARGO_BIN_EXE_example");
    let mut command = Command::new(program);
    command.args([conninfo(&server), "--every".to_owned(), "10".to_owned()]);
    let running = tokio::task::spawn_blocking(move || command.output().unwrap());
    let rows = "SELECT count(*) FROM pg_stat_activity WHERE datname = 'app'";
    howdah_testkit::wait_until("the program's session", howdah_testkit::DEFAULT_DEADLINE, || async {
        server.value(rows).await.is_ok_and(|count| count == "1")
    })
    .await
    .unwrap();
    server.kill9().unwrap();
    let output = running.await.unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(text(&output).contains("The program ends: "), "{output:?}");
}
