//! A fixed workload, and what it counts as; numbers of connections in the log are their ids.

use howdah_protocol::write;

use super::client::{answer, ask, start, table};
use super::compare;
use super::facts::Facts;
use super::running::Running;
use super::shows::console;
use crate::support::Raw;

/// A batch of the extended protocol: messages, then Sync.
fn extended(name: &str, sql: &str) -> Vec<u8> {
    let mut out = Vec::new();
    write::parse(&mut out, name.as_bytes(), sql.as_bytes(), write::NO_TYPES).unwrap();
    let body = [b"\0", name.as_bytes(), b"\0\0\0\0\0\0\0"].concat();
    out.push(b'B');
    out.extend_from_slice(&u32::try_from(body.len() + 4).unwrap().to_be_bytes());
    out.extend_from_slice(&body);
    out.extend_from_slice(b"E\0\0\0\x09\0\0\0\0\0S\0\0\0\x04");
    out
}

async fn session(pooler: &Running, database: &str) -> Raw {
    let mut raw = Raw::connect(pooler.address()).await;
    start(&mut raw, &[("user", "postgres"), ("database", database)]).await;
    raw
}

/// Steps by name: each is a client of its own.
const STEPS: [(&str, &[&str]); 11] = [
    ("login only", &[]),
    ("one query", &["SELECT 1"]),
    ("empty query", &[""]),
    ("two in one", &["SELECT 1; SELECT 2"]),
    ("transaction", &["BEGIN", "SELECT 1", "SELECT 2", "COMMIT"]),
    ("error", &["SELECT 1/0"]),
    ("error in a transaction", &["BEGIN", "SELECT 1/0", "SELECT 1", "ROLLBACK"]),
    ("left in a transaction", &["BEGIN", "SELECT 1"]),
    ("left in a failed transaction", &["BEGIN", "SELECT 1/0"]),
    ("long", &["SELECT repeat('x', 10000)"]),
    ("set", &["SET work_mem = '1MB'", "SHOW work_mem"]),
];

async fn figures(pooler: &Running, facts: &mut Facts, step: &str) {
    let mut viewer = console(pooler, "viewer").await;
    let (columns, rows) = table(&mut viewer, "SHOW STATS_TOTALS").await.unwrap();
    for row in rows.iter().filter(|row| row[0] != "\"pgbouncer\"") {
        for (i, (name, _)) in columns.iter().enumerate().skip(1).filter(|(_, (n, _))| !n.ends_with("_time")) {
            facts.note(&format!("{step} {} {name}", row[0].trim_matches('"')), row[i].clone());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_counts() {
    compare("counters", "default_pool_size = 1", |pooler| async move {
        let mut facts = Facts::default();
        for (step, queries) in STEPS {
            let mut raw = session(&pooler, "postgres").await;
            for query in queries {
                ask(&mut raw, query).await;
            }
            raw.send(b"X\0\0\0\x04").await;
            raw.until_closed().await;
            figures(&pooler, &mut facts, step).await;
        }
        let batches = [
            ("unnamed", extended("", "SELECT 1")),
            ("named", extended("s1", "SELECT 2")),
            ("two batches at once", [extended("", "SELECT 1"), extended("", "SELECT 2")].concat()),
            ("failing", extended("", "SELECT 1/0")),
        ];
        for (step, bytes) in batches {
            let mut raw = session(&pooler, "other").await;
            raw.send(&bytes).await;
            answer(&mut raw).await;
            if step.starts_with("two") {
                answer(&mut raw).await;
            }
            raw.send(b"X\0\0\0\x04").await;
            raw.until_closed().await;
            figures(&pooler, &mut facts, step).await;
        }
        let mut refused = Raw::connect(pooler.address()).await;
        start(&mut refused, &[("user", "nobody"), ("database", "other")]).await;
        figures(&pooler, &mut facts, "refused").await;
        facts
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_console_counts() {
    compare("console", "", |pooler| async move {
        let mut facts = Facts::default();
        for step in ["first", "second"] {
            let mut boss = console(&pooler, "boss").await;
            ask(&mut boss, "SHOW LISTS").await;
            ask(&mut boss, "nonsense").await;
            ask(&mut boss, "RELOAD").await;
            let (columns, rows) = table(&mut boss, "SHOW STATS").await.unwrap();
            for row in rows.iter().filter(|row| row[0] == "\"pgbouncer\"") {
                for (i, (name, _)) in
                    columns.iter().enumerate().filter(|(_, (name, _))| !name.ends_with("_time"))
                {
                    facts.note(&format!("{step} STATS {name}"), row[i].clone());
                }
            }
            if let Ok((_, rows)) = table(&mut boss, "SHOW TOTALS").await {
                for row in rows.iter().filter(|row| !row[0].ends_with("_time\"")) {
                    facts.note(&format!("{step} TOTALS {}", row[0].trim_matches('"')), row[1].clone());
                }
            }
        }
        facts
    })
    .await;
}
