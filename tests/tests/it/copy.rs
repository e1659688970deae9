//! COPY in both directions, its errors, and large streams in bounded memory.

use futures_util::{SinkExt as _, StreamExt as _, pin_mut};
use howdah_protocol::write;

use crate::support::{Binary, Bouncer, connect, entry, error_of, postgres, tags, until, within};

/// The most that the process may grow over a stream of 64 MB (bytes).
const GROWTH_MAX: u64 = 32 * 1024 * 1024;

/// Bytes of the streams.
const STREAM: u64 = 64 * 1024 * 1024;

#[tokio::test(flavor = "multi_thread")]
async fn copy_in_and_out_by_a_driver() {
    let pg = postgres().await;
    let bouncer = Bouncer::on(&pg, "default_pool_size = 1").await;
    let client = bouncer.connect().await;
    client.batch_execute("CREATE TABLE t (i int, s text)").await.unwrap();
    let sink = client.copy_in("COPY t FROM STDIN").await.unwrap();
    pin_mut!(sink);
    for number in 0..1000 {
        let line = format!("{number}\t{}\n", "z".repeat(500));
        sink.send(bytes(line)).await.unwrap();
    }
    assert_eq!(sink.finish().await.unwrap(), 1000);
    let stream = client.copy_out("COPY (SELECT i FROM t ORDER BY i) TO STDOUT").await.unwrap();
    pin_mut!(stream);
    let mut text = Vec::new();
    while let Some(chunk) = within("a chunk", stream.next()).await {
        text.extend_from_slice(&chunk.unwrap());
    }
    let expected: String = (0..1000).map(|number| format!("{number}\n")).collect();
    assert_eq!(String::from_utf8(text).unwrap(), expected);
    bouncer.pool_is_intact(1).await;
}

fn bytes(text: String) -> std::io::Cursor<Vec<u8>> {
    std::io::Cursor::new(text.into_bytes())
}

/// CopyData with each of these lines.
fn data(out: &mut Vec<u8>, lines: &[&str]) {
    for line in lines {
        write::copy_data(out, line.as_bytes()).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn copy_by_simple_and_extended_protocol_and_its_errors() {
    let pg = postgres().await;
    pg.psql("CREATE TABLE t (i int)").await.unwrap();
    let bouncer = Bouncer::on(&pg, "default_pool_size = 1").await;
    let mut raw = bouncer.raw_session().await;
    let mut out = Vec::new();
    // By a simple query, well and badly.
    for (lines, end, expected) in [
        (&["1\n", "2\n"][..], "done", "CZ"),
        (&["3\n", "oops\n", "4\n"], "done", "EZ"),
        (&["5\n"], "fail", "EZ"),
        (&[], "done", "CZ"),
    ] {
        raw.send_query("COPY t FROM STDIN").await;
        assert_eq!(raw.frame().await.unwrap().0, b'G');
        data(&mut out, lines);
        match end {
            "done" => write::copy_done(&mut out),
            _ => write::copy_fail(&mut out, b"changed my mind").unwrap(),
        }
        raw.send(&out).await;
        out.clear();
        assert_eq!(tags(&raw.until_ready().await), expected, "{lines:?} {end}");
        bouncer.pool_is_intact(1).await;
    }
    // By the extended protocol, everything at once: the Sync before the data is ignored by the server.
    for (lines, expected) in [(&["6\n"][..], "12GCZ"), (&["oops\n"], "12GEZ")] {
        write::parse(&mut out, b"", b"COPY t FROM STDIN", &[0, 0]).unwrap();
        write::bind(&mut out, b"", b"", &[0, 0, 0, 0, 0, 0]).unwrap();
        write::execute(&mut out, b"", 0).unwrap();
        data(&mut out, lines);
        write::copy_done(&mut out);
        write::sync(&mut out);
        raw.send(&out).await;
        out.clear();
        assert_eq!(tags(&raw.until_ready().await), expected, "{lines:?}");
        bouncer.pool_is_intact(1).await;
    }
    // With a Sync right behind Execute, as libpq sends it.
    write::parse(&mut out, b"", b"COPY t FROM STDIN", &[0, 0]).unwrap();
    write::bind(&mut out, b"", b"", &[0, 0, 0, 0, 0, 0]).unwrap();
    write::execute(&mut out, b"", 0).unwrap();
    write::sync(&mut out);
    raw.send(&out).await;
    out.clear();
    let mut seen = String::new();
    while !seen.ends_with('G') {
        seen.push(char::from(raw.frame().await.unwrap().0));
    }
    assert_eq!(seen, "12G");
    data(&mut out, &["7\n"]);
    write::copy_done(&mut out);
    write::sync(&mut out);
    raw.send(&out).await;
    assert_eq!(tags(&raw.until_ready().await), "CZ");
    assert_eq!(raw.value("SELECT string_agg(i::text, ',' ORDER BY i) FROM t").await, "1,2,6,7");
    bouncer.pool_is_intact(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_late_after_a_failed_copy_means_nothing() {
    let pg = postgres().await;
    pg.psql("CREATE TABLE t (i int)").await.unwrap();
    let bouncer = Bouncer::on(&pg, "default_pool_size = 1").await;
    for in_transaction in [false, true] {
        let mut raw = bouncer.raw_session().await;
        if in_transaction {
            raw.query("BEGIN").await;
        }
        raw.send_query("COPY t FROM STDIN").await;
        assert_eq!(raw.frame().await.unwrap().0, b'G');
        let mut out = Vec::new();
        data(&mut out, &["oops\n"]);
        raw.send(&out).await;
        let frames = raw.until_ready().await;
        assert_eq!(error_of(&frames[0]).0, "22P02");
        // The client has not looked yet and goes on.
        out.clear();
        data(&mut out, &["1\n", "2\n"]);
        write::copy_done(&mut out);
        raw.send(&out).await;
        if in_transaction {
            assert_eq!(tags(&raw.query("ROLLBACK").await), "CZ");
        }
        assert_eq!(raw.value("SELECT 'still here'").await, "still here");
        let mut second = bouncer.raw_session().await;
        assert_eq!(second.value("SELECT 'served'").await, "served");
        bouncer.pool_is_intact(1).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_of_a_missing_table_and_its_data() {
    let pg = postgres().await;
    let bouncer = Bouncer::on(&pg, "default_pool_size = 1").await;
    let mut raw = bouncer.raw_session().await;
    let mut out = Vec::new();
    write::query(&mut out, b"COPY nowhere FROM STDIN").unwrap();
    data(&mut out, &["1\n"]);
    write::copy_done(&mut out);
    raw.send(&out).await;
    assert_eq!(tags(&raw.until_ready().await), "EZ");
    assert_eq!(raw.value("SELECT 1").await, "1");
    bouncer.pool_is_intact(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn large_streams_pass_in_bounded_memory() {
    let pg = postgres().await;
    pg.psql("CREATE TABLE sink (s text)").await.unwrap();
    let binary = Binary::start(&format!("postgres = {}", entry(&pg, "")), "").await;
    let client = connect(&binary.conninfo("postgres", "postgres")).await.unwrap();
    client.batch_execute("SELECT 1").await.unwrap();
    let before = binary.resident();
    // A result of many rows, one of few huge ones, a COPY out and a COPY in.
    for sql in [
        "SELECT repeat('x', 1000) FROM generate_series(1, 65536)",
        "SELECT repeat('x', 16777216) FROM generate_series(1, 4)",
    ] {
        let rows = client.query_raw(sql, std::iter::empty::<i32>()).await.unwrap();
        pin_mut!(rows);
        let mut bytes = 0;
        while let Some(row) = within("a row", rows.next()).await {
            bytes += row.unwrap().get::<_, &str>(0).len() as u64;
        }
        assert!(bytes > STREAM * 9 / 10);
    }
    let copy = "COPY (SELECT repeat('x', 1000) FROM generate_series(1, 65536)) TO STDOUT";
    let stream = client.copy_out(copy).await.unwrap();
    pin_mut!(stream);
    let mut bytes = 0;
    while let Some(chunk) = within("a chunk", stream.next()).await {
        bytes += chunk.unwrap().len() as u64;
    }
    assert!(bytes > STREAM * 9 / 10);
    let sink = client.copy_in("COPY sink FROM STDIN").await.unwrap();
    pin_mut!(sink);
    let line = format!("{}\n", "y".repeat(65_535));
    for _ in 0..STREAM / 65_536 {
        sink.send(self::bytes(line.clone())).await.unwrap();
    }
    assert_eq!(within("the end of COPY", sink.finish()).await.unwrap(), STREAM / 65_536);
    let grown = binary.peak().saturating_sub(before);
    assert!(grown < GROWTH_MAX, "grew by {grown} bytes");
    until("the server to be free", || async {
        pg.value("SELECT count(*) FROM pg_stat_activity WHERE state <> 'idle' AND pid <> pg_backend_pid() AND backend_type = 'client backend'").await.unwrap() == "0"
    })
    .await;
}
