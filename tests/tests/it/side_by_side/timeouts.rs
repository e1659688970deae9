//! What ends by time: the client's error, and every line of the log.

use std::collections::BTreeMap;

use super::client::{answer, ask, start};
use super::compare;
use super::facts::Facts;
use super::login::log_line;
use super::running::Running;
use crate::support::{Raw, until};

const KNOWN: [(&str, &str); 2] = [("user", "postgres"), ("database", "postgres")];

async fn session(pooler: &Running) -> Raw {
    let mut raw = Raw::connect(pooler.address()).await;
    start(&mut raw, &KNOWN).await;
    raw
}

/// Sets a limit of one second, lets it run out over what was begun, and takes it back.
async fn runs_out(pooler: &Running, console: &mut Raw, key: &str, begin: &str) -> String {
    ask(console, &format!("SET {key} = 1")).await;
    let mut raw = session(pooler).await;
    raw.send_query(begin).await;
    if !begin.contains("sleep") {
        answer(&mut raw).await;
    }
    let end = answer(&mut raw).await.join("\n");
    ask(console, &format!("SET {key} = 0")).await;
    end
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ends_by_time() {
    let settings = "log_stats = 0\nquery_wait_timeout = 0\nserver_idle_timeout = 0\ndefault_pool_size = 1";
    compare("timeouts", settings, |pooler| async move {
        let mut facts = Facts::default();
        let mut console = super::shows::console(&pooler, "boss").await;
        let from = pooler.log().len();
        for (key, begin) in [
            ("query_timeout", "SELECT pg_sleep(20)"),
            ("idle_transaction_timeout", "BEGIN"),
            ("client_idle_timeout", "SELECT 1"),
        ] {
            facts.note(key, runs_out(&pooler, &mut console, key, begin).await);
        }
        let mut holder = session(&pooler).await;
        ask(&mut holder, "BEGIN").await;
        // (1.18 ends the holder by query_timeout, too, though nothing runs there.)
        let end = runs_out(&pooler, &mut console, "query_wait_timeout", "SELECT pg_sleep(0)").await;
        facts.note("query_wait_timeout", end);
        ask(&mut holder, "COMMIT").await;
        ask(&mut console, "SET server_idle_timeout = 1").await;
        until("the server to go", || async { pooler.log()[from..].contains("server idle timeout") }).await;
        ask(&mut holder, "SELECT 1").await;
        ask(&mut console, "SET server_idle_timeout = 0").await;
        ask(&mut console, "SET server_lifetime = 1").await;
        until("the server to go", || async { pooler.log()[from..].contains("server lifetime over") }).await;
        let mut lines = BTreeMap::new();
        for line in pooler.log()[from..].lines() {
            *lines.entry(log_line(&pooler, line)).or_insert(0) += 1;
        }
        for (line, times) in lines {
            facts.note(&line, times.to_string());
        }
        facts
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_that_are_set_for_a_client() {
    compare("varcache", "log_stats = 0\nverbose = 1\ndefault_pool_size = 1", |pooler| async move {
        let mut facts = Facts::default();
        for (name, value) in [("DateStyle", "ISO"), ("DateStyle", "German"), ("application_name", "it's")] {
            let mut raw = Raw::connect(pooler.address()).await;
            let from = pooler.log().len();
            start(&mut raw, &[KNOWN[0], KNOWN[1], (name, value)]).await;
            ask(&mut raw, "SELECT 1").await;
            ask(&mut raw, "SELECT 1").await;
            let log = pooler.log()[from..].to_owned();
            let lines = log.lines().filter(|line| line.contains("varcache_apply: "));
            let lines: Vec<String> = lines.map(|line| log_line(&pooler, line)).collect();
            facts.note(&format!("{name}={value}"), lines.join("\n"));
        }
        facts
    })
    .await;
}
