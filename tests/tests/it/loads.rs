//! What an operator does again and again under load costs no transaction: RELOAD, PAUSE and RESUME, RECONNECT, SET
//! (PGBOUNCER_BEHAVIOUR.md section 4). `HOWDAH_LOAD_SECONDS=60` plays each as long as issue 5 asks for.

use std::time::Duration;

use crate::support::{Bench, Binary, connect, entry, load_time, postgres, within};

/// How long each is played in CI.
const SHORT: Duration = Duration::from_secs(3);

/// The protocols of pgbench.
const PROTOCOLS: [&str; 3] = ["simple", "extended", "prepared"];

/// Plays these commands in a loop, each after the file was written anew with one of the sizes, under pgbench in every
/// protocol; says how many rounds that were.
async fn loops(pool_mode: &str, commands: &[&str]) {
    let pg = postgres().await;
    for protocol in PROTOCOLS {
        let databases = format!("postgres = {}", entry(&pg, ""));
        let settings = |size: u32| {
            format!(
                "pool_mode = {pool_mode}\nmax_client_conn = 200\ndefault_pool_size = {size}\nlogfile = @DIR@/log"
            )
        };
        let binary = Binary::start(&databases, &settings(20)).await;
        let host = binary.dir().display();
        let admin = format!("host={host} port={} user=pgbouncer dbname=pgbouncer", binary.port());
        let console = connect(&admin).await.unwrap();
        let mut bench = Bench::start(binary.dir(), binary.port(), protocol, load_time(SHORT));
        let mut rounds = 0_u32;
        while bench.is_running() {
            binary.rewrite(&databases, &settings(20 + rounds % 3));
            for command in commands {
                within(command, console.simple_query(command)).await.unwrap();
            }
            rounds += 1;
        }
        bench.nothing_failed(&format!("{rounds} rounds of {commands:?}, {pool_mode} pooling"));
        assert!(rounds > 1, "{commands:?} was played once only");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reload_in_a_loop_fails_no_transaction() {
    loops("transaction", &["RELOAD"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pause_and_resume_in_a_loop_fail_no_transaction() {
    loops("transaction", &["PAUSE", "RESUME", "PAUSE postgres", "RESUME postgres"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reconnect_and_set_in_a_loop_fail_no_transaction() {
    loops("transaction", &["RECONNECT", "SET default_pool_size = 5", "RECONNECT postgres"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reload_in_a_loop_leaves_sessions_alone() {
    loops("session", &["RELOAD", "RECONNECT"]).await;
}
