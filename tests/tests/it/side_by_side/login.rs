//! Startup packets and what a client is told when it may not go on; the log's lines of it.

use std::collections::BTreeMap;

use super::client::{answer, ask, start};
use super::compare;
use super::facts::Facts;
use super::running::Running;
use crate::support::Raw;

async fn raw(pooler: &Running) -> Raw {
    Raw::connect(pooler.address()).await
}

/// A startup packet of this version with these bytes behind it.
fn packet(version: u32, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 8).unwrap();
    [&length.to_be_bytes()[..], &version.to_be_bytes(), body].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn startup_packets() {
    compare("startup", "ignore_startup_parameters = extra_float_digits", |pooler| async move {
        let mut facts = Facts::default();
        let known = [("user", "postgres"), ("database", "postgres")];
        let parameters: [&[(&str, &str)]; 16] = [
            &known,
            &[("user", "postgres")],
            &[("user", "nobody"), ("database", "postgres")],
            &[("user", "postgres"), ("database", "nodb")],
            &[("user", "nobody"), ("database", "nodb")],
            &[("database", "postgres")],
            &[("user", "postgres"), ("database", "pgbouncer")],
            &[("user", "boss"), ("database", "pgbouncer")],
            &[("user", "viewer"), ("database", "pgbouncer"), ("application_name", "x")],
            &[known[0], known[1], ("extra_float_digits", "3")],
            &[known[0], known[1], ("search_path", "x")],
            &[
                known[0],
                known[1],
                ("client_encoding", "LATIN1"),
                ("DateStyle", "German"),
                ("TimeZone", "UTC"),
            ],
            &[known[0], known[1], ("client_encoding", "nonsense")],
            &[known[0], known[1], ("application_name", "")],
            &[known[0], known[1], ("options", "-c search_path=x")],
            &[known[0], known[1], ("options", "-c datestyle=ISO")],
        ];
        for said in parameters {
            let mut raw = raw(&pooler).await;
            let mut lines = start(&mut raw, said).await;
            // PgBouncer sends the tracked parameters last, Howdah all in the server's order: nobody asks for an order.
            lines.sort_by_key(|line| (line.starts_with("S ").then(|| line.clone()), line.starts_with("Z ")));
            facts.note(&format!("{said:?}"), pooler.mask(&lines.join("\n")));
        }
        facts
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn first_bytes() {
    compare("bytes", "", |pooler| async move {
        let mut facts = Facts::default();
        let me = b"user\0postgres\0database\0postgres\0\0";
        let first: [(&str, Vec<u8>); 12] = [
            ("v2", packet(0x0002_0000, me)),
            ("v4", packet(0x0004_0000, me)),
            ("cancel of nobody", packet(80_877_102, &[1, 2, 3, 4, 5, 6, 7, 8])),
            ("no terminator", packet(0x0003_0000, b"user\0postgres\0database\0postgres\0")),
            ("odd", packet(0x0003_0000, b"user\0\0")),
            ("empty", packet(0x0003_0000, b"\0")),
            ("http", b"GET / HTTP/1.0\r\n\r\n".to_vec()),
            ("short", vec![0, 0, 0, 4, 0, 0, 0, 0]),
            ("a query at once", b"Q\0\0\0\x0dSELECT 1\0".to_vec()),
            ("empty user", packet(0x0003_0000, b"user\0\0database\0postgres\0\0")),
            (
                "long name",
                packet(0x0003_0000, &[b"user\0", &[b'x'; 200][..], b"\0database\0postgres\0\0"].concat()),
            ),
            ("twice", packet(0x0003_0000, b"user\0postgres\0user\0alice\0database\0postgres\0\0")),
        ];
        for (name, bytes) in first {
            let mut raw = raw(&pooler).await;
            raw.send_lossy(&bytes).await;
            let lines = answer(&mut raw).await;
            facts.note(name, pooler.mask(&lines.join("\n")));
        }
        for (name, code) in [("ssl", 80_877_103_u32), ("gss", 80_877_104)] {
            let mut raw = raw(&pooler).await;
            raw.send_lossy(&packet(code, b"")).await;
            let byte = raw.byte().await;
            let lines = start(&mut raw, &[("user", "postgres"), ("database", "postgres")]).await;
            facts.note(name, format!("{} {}", char::from(byte), lines.len()));
        }
        facts
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ends_a_session_and_what_the_log_says() {
    compare("ends", "max_client_conn = 4\nclient_idle_timeout = 0\nlog_stats = 0", |pooler| async move {
        let mut facts = Facts::default();
        let known = [("user", "postgres"), ("database", "postgres")];
        let from = pooler.log().len();
        let mut first = raw(&pooler).await;
        start(&mut first, &known).await;
        first.send_lossy(b"X\0\0\0\x04").await;
        first.until_closed().await;
        let mut second = raw(&pooler).await;
        start(&mut second, &known).await;
        drop(second);
        crate::support::until("the end", || async { pooler.log()[from..].contains("client unexpected eof") })
            .await;
        let mut console = super::shows::console(&pooler, "boss").await;
        let mut wrong = raw(&pooler).await;
        start(&mut wrong, &known).await;
        wrong.send_lossy(b"?\0\0\0\x04").await;
        facts.note("a bad packet", answer(&mut wrong).await.join("\n"));
        let mut killed = raw(&pooler).await;
        start(&mut killed, &known).await;
        facts.note("KILL", ask(&mut console, "KILL postgres").await.join("\n"));
        facts.note("killed", answer(&mut killed).await.join("\n"));
        ask(&mut console, "RESUME postgres").await;
        ask(&mut console, "DISABLE postgres").await;
        facts.note("disabled", start(&mut raw(&pooler).await, &known).await.join("\n"));
        ask(&mut console, "ENABLE postgres").await;
        let mut many = Vec::new();
        for _ in 0..3 {
            let mut raw = raw(&pooler).await;
            start(&mut raw, &known).await;
            many.push(raw);
        }
        facts.note("one too many", start(&mut raw(&pooler).await, &known).await.join("\n"));
        note_lines(&mut facts, &pooler, from);
        facts
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_becomes_of_cancel_requests_and_what_the_log_says() {
    compare("cancels", "default_pool_size = 1\nlog_stats = 0", |pooler| async move {
        let mut facts = Facts::default();
        let mut console = super::shows::console(&pooler, "boss").await;
        let mut session = raw(&pooler).await;
        session.log_in("postgres", "postgres").await;
        session.query("SELECT 1").await;
        let key = session.key.clone();
        let from = pooler.log().len();
        facts.note("idle", cancel(&pooler, &key).await);
        facts.note("unknown", cancel(&pooler, &(key.0, vec![0; 4])).await);
        session.send_query("SELECT pg_sleep(20)").await;
        let console = tokio::sync::Mutex::new(&mut console);
        crate::support::until("the query to run", || async {
            let servers = ask(*console.lock().await, "SHOW SERVERS").await;
            servers.iter().any(|line| line.contains("\"S\"|") && line.contains("\"active\""))
        })
        .await;
        facts.note("busy", cancel(&pooler, &key).await);
        facts.note("its query", answer(&mut session).await.join("\n"));
        note_lines(&mut facts, &pooler, from);
        facts
    })
    .await;
}

/// Sends a cancel request; what it is answered by.
async fn cancel(pooler: &Running, (pid, secret): &(u32, Vec<u8>)) -> String {
    let mut raw = raw(pooler).await;
    let mut out = Vec::new();
    howdah_protocol::write::cancel_request(&mut out, *pid, secret).unwrap();
    raw.send(&out).await;
    answer(&mut raw).await.join("\n")
}

/// The log's lines from a place on, each with how often it came.
fn note_lines(facts: &mut Facts, pooler: &Running, from: usize) {
    let mut lines = BTreeMap::new();
    for line in pooler.log()[from..].lines() {
        *lines.entry(log_line(pooler, line)).or_insert(0) += 1;
    }
    for (line, times) in lines {
        facts.note(&line, times.to_string());
    }
}

/// A log line without time, pid, pointer, ports and ages.
pub(super) fn log_line(pooler: &Running, line: &str) -> String {
    let text = line.splitn(5, ' ').nth(4).unwrap_or(line);
    let text = pooler.mask(text);
    let mut out = String::new();
    let mut rest = text.as_str();
    while let Some((before, after)) = rest.split_once("127.0.0.1:") {
        out.push_str(before);
        out.push_str("127.0.0.1:");
        rest = after;
        if after.starts_with(|c: char| c.is_ascii_digit()) {
            out.push_str("ANY");
            rest = after.trim_start_matches(|c: char| c.is_ascii_digit());
        }
    }
    out.push_str(rest);
    match out.split_once("(age=") {
        Some((before, after)) => {
            format!("{before}(age={}", after.trim_start_matches(|c: char| c.is_ascii_digit()))
        }
        None => out,
    }
}
