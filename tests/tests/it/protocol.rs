//! The wire protocol through the pooler: simple, extended, pipelined, and what drivers never send.

use futures_util::future::join_all;
use howdah_protocol::read::TargetKind;
use howdah_protocol::write;
use tokio_postgres::SimpleQueryMessage;

use crate::support::{Bouncer, error_of, postgres, tags, within};

/// The messages of an extended query with the unnamed statement, up to Execute.
fn unnamed(out: &mut Vec<u8>, sql: &str) {
    write::parse(out, b"", sql.as_bytes(), &[0, 0]).unwrap();
    write::bind(out, b"", b"", &[0, 0, 0, 0, 0, 0]).unwrap();
    write::describe(out, TargetKind::Portal, b"").unwrap();
    write::execute(out, b"", 0).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn simple_and_extended_queries_and_transactions() {
    let pg = postgres().await;
    let bouncer = Bouncer::on(&pg, "default_pool_size = 2").await;
    let mut client = bouncer.connect().await;
    let rows = client.simple_query("SELECT 1 AS one; SELECT 'a' UNION ALL SELECT 'b'").await.unwrap();
    assert_eq!(rows.iter().filter(|row| matches!(row, SimpleQueryMessage::Row(_))).count(), 3);
    let row = client.query_one("SELECT $1::int4 + $2::int4", &[&20_i32, &22_i32]).await.unwrap();
    assert_eq!(row.get::<_, i32>(0), 42);
    client.batch_execute("CREATE TABLE t (i int)").await.unwrap();
    let transaction = client.transaction().await.unwrap();
    transaction.execute("INSERT INTO t VALUES ($1)", &[&1_i32]).await.unwrap();
    transaction.rollback().await.unwrap();
    let transaction = client.transaction().await.unwrap();
    transaction.execute("INSERT INTO t VALUES ($1)", &[&2_i32]).await.unwrap();
    transaction.commit().await.unwrap();
    let sum = client.query_one("SELECT sum(i) FROM t", &[]).await.unwrap();
    assert_eq!(sum.get::<_, i64>(0), 2);
    let error = client.query("SELECT 1/0", &[]).await.unwrap_err();
    assert_eq!(error.code().unwrap().code(), "22012");
    assert_eq!(client.query_one("SELECT 3", &[]).await.unwrap().get::<_, i32>(0), 3);
    bouncer.pool_is_intact(1).await;
}

/// Asks for a number, every fourth time with a text of its own.
async fn echo(
    client: &tokio_postgres::Client,
    statement: &tokio_postgres::Statement,
    number: i32,
) -> Result<tokio_postgres::Row, tokio_postgres::Error> {
    match number % 4 {
        1 => client.query_one("SELECT $1::int4", &[&number]).await,
        _ => client.query_one(statement, &[&number]).await,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pipelines_of_many_queries_keep_their_order() {
    let pg = postgres().await;
    let bouncer = Bouncer::on(&pg, "default_pool_size = 2").await;
    let clients = join_all((0..4).map(|_| bouncer.connect())).await;
    let all = clients.iter().enumerate().map(|(number, client)| async move {
        let statement = client.prepare("SELECT $1::int4").await.unwrap();
        for round in 0..20 {
            // tokio-postgres sends them without waiting for each other.
            let base = i32::try_from(number).unwrap() * 1000 + round * 10;
            let answers = join_all((base..base + 8).map(|number| echo(client, &statement, number)));
            let answers = within("all answers", answers).await;
            let got: Vec<i32> = answers.into_iter().map(|row| row.unwrap().get(0)).collect();
            assert_eq!(got, (base..base + 8).collect::<Vec<_>>());
        }
    });
    join_all(all).await;
    bouncer.pool_becomes("sv_active", 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_greeting_is_a_servers() {
    let pg = postgres().await;
    let bouncer = Bouncer::on(&pg, "").await;
    for round in ["the first client", "a later one"] {
        let mut raw = bouncer.raw().await;
        let frames = raw.log_in("postgres", "postgres").await;
        assert_eq!(frames[0].0, b'R', "{round}");
        let end = tags(&frames);
        assert!(end.ends_with("KZ") && !end.contains('N'), "{round}: {end}");
        let version = frames.iter().any(|(tag, body)| *tag == b'S' && body.starts_with(b"server_version\0"));
        assert!(version, "{round}: no server_version");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn flush_without_sync_gets_its_answers_and_holds_the_server() {
    let pg = postgres().await;
    let bouncer = Bouncer::on(&pg, "").await;
    let mut raw = bouncer.raw_session().await;
    let mut out = Vec::new();
    unnamed(&mut out, "SELECT 7");
    write::flush(&mut out);
    raw.send(&out).await;
    let mut seen = String::new();
    while !seen.ends_with('C') {
        seen.push(char::from(raw.frame().await.unwrap().0));
    }
    assert_eq!(seen, "12TDC");
    assert_eq!(bouncer.pool("postgres", "sv_active").await, 1, "no Sync was sent, so the server is taken");
    out.clear();
    write::sync(&mut out);
    raw.send(&out).await;
    assert_eq!(tags(&raw.until_ready().await), "Z");
    bouncer.pool_is_intact(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_stays_while_anything_is_unanswered() {
    let pg = postgres().await;
    let bouncer = Bouncer::on(&pg, "").await;
    let mut raw = bouncer.raw_session().await;
    let mut out = Vec::new();
    write::sync(&mut out);
    write::parse(&mut out, b"", b"SELECT 1", &[0, 0]).unwrap();
    raw.send(&out).await;
    assert_eq!(tags(&raw.until_ready().await), "Z");
    assert_eq!(bouncer.pool("postgres", "sv_active").await, 1, "a Parse without Sync is unanswered");
    out.clear();
    write::sync(&mut out);
    raw.send(&out).await;
    assert_eq!(tags(&raw.until_ready().await), "1Z");
    bouncer.pool_is_intact(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn simple_queries_of_every_shape() {
    let pg = postgres().await;
    let bouncer = Bouncer::on(&pg, "").await;
    let mut raw = bouncer.raw_session().await;
    assert_eq!(tags(&raw.query("").await), "IZ");
    assert_eq!(tags(&raw.query(" ; ").await), "IZ");
    assert_eq!(tags(&raw.query("SELECT 1; SELECT 2; SELECT 3").await), "TDCTDCTDCZ");
    assert_eq!(tags(&raw.query("SELECT 1; SELECT 1/0; SELECT 3").await), "TDCEZ");
    let notices = raw.query("DO $$ BEGIN RAISE NOTICE 'careful'; END $$").await;
    assert_eq!(tags(&notices), "NCZ");
    assert_eq!(error_of(&notices[0]).1, "careful");
    // Two queries at once: two answers, in order.
    let mut out = Vec::new();
    write::query(&mut out, b"SELECT 1").unwrap();
    write::query(&mut out, b"SELECT 2").unwrap();
    raw.send(&out).await;
    assert_eq!(tags(&raw.until_ready().await), "TDCZ");
    assert_eq!(tags(&raw.until_ready().await), "TDCZ");
    // Byte by byte, as a slow network brings it.
    out.clear();
    write::query(&mut out, b"SELECT 'slow'").unwrap();
    for byte in &out {
        raw.send(&[*byte]).await;
    }
    assert_eq!(tags(&raw.until_ready().await), "TDCZ");
    bouncer.pool_is_intact(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_skips_to_sync_and_later_messages_too() {
    let pg = postgres().await;
    let bouncer = Bouncer::on(&pg, "").await;
    let mut raw = bouncer.raw_session().await;
    let mut out = Vec::new();
    // Not a constant, which would fail at Bind already.
    unnamed(&mut out, "SELECT 1 / i FROM generate_series(0, 1) i");
    write::flush(&mut out);
    raw.send(&out).await;
    let mut seen = String::new();
    while !seen.ends_with('E') {
        seen.push(char::from(raw.frame().await.unwrap().0));
    }
    assert_eq!(seen, "12TE");
    // What arrives after the error, in packets of its own, is skipped as well.
    out.clear();
    unnamed(&mut out, "SELECT 2");
    write::parse(&mut out, b"named", b"SELECT 3", &[0, 0]).unwrap();
    raw.send(&out).await;
    out.clear();
    write::sync(&mut out);
    unnamed(&mut out, "SELECT 4");
    write::sync(&mut out);
    raw.send(&out).await;
    assert_eq!(tags(&raw.until_ready().await), "Z");
    assert_eq!(tags(&raw.until_ready().await), "12TDCZ");
    bouncer.pool_is_intact(1).await;
    // The skipped Parse did not take the name.
    out.clear();
    write::parse(&mut out, b"named", b"SELECT 5", &[0, 0]).unwrap();
    write::sync(&mut out);
    raw.send(&out).await;
    assert_eq!(tags(&raw.until_ready().await), "1Z");
}

#[tokio::test(flavor = "multi_thread")]
async fn portals_are_fetched_in_portions() {
    let pg = postgres().await;
    let bouncer = Bouncer::on(&pg, "").await;
    let mut raw = bouncer.raw_session().await;
    let mut out = Vec::new();
    write::parse(&mut out, b"", b"SELECT * FROM generate_series(1, 5)", &[0, 0]).unwrap();
    write::bind(&mut out, b"p", b"", &[0, 0, 0, 0, 0, 0]).unwrap();
    for _ in 0..3 {
        write::execute(&mut out, b"p", 2).unwrap();
    }
    write::close(&mut out, TargetKind::Portal, b"p").unwrap();
    write::sync(&mut out);
    raw.send(&out).await;
    assert_eq!(tags(&raw.until_ready().await), "12DDsDDsDC3Z");
    bouncer.pool_is_intact(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn function_calls_pass() {
    let pg = postgres().await;
    let bouncer = Bouncer::on(&pg, "").await;
    let mut raw = bouncer.raw_session().await;
    // int4pl(int4, int4) is 177; binary arguments and result (manual 55.7).
    let mut body = 177_u32.to_be_bytes().to_vec();
    body.extend_from_slice(&[0, 1, 0, 1, 0, 2]);
    for argument in [40_i32, 2] {
        body.extend_from_slice(&4_u32.to_be_bytes());
        body.extend_from_slice(&argument.to_be_bytes());
    }
    body.extend_from_slice(&[0, 1]);
    let mut out = vec![b'F'];
    out.extend_from_slice(&u32::try_from(body.len() + 4).unwrap().to_be_bytes());
    out.extend_from_slice(&body);
    raw.send(&out).await;
    let frames = raw.until_ready().await;
    assert_eq!(tags(&frames), "VZ");
    assert_eq!(frames[0].1, [0, 0, 0, 4, 0, 0, 0, 42]);
    bouncer.pool_is_intact(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn large_queries_and_large_values_pass() {
    let pg = postgres().await;
    let bouncer = Bouncer::on(&pg, "").await;
    let client = bouncer.connect().await;
    for size in [2_048_usize, 4_095, 4_096, 16_384, 16_385, 40_000, 3_000_000] {
        let text = "x".repeat(size);
        let row = client.query_one("SELECT length($1::text), $1::text", &[&text]).await.unwrap();
        assert_eq!(row.get::<_, i32>(0), i32::try_from(size).unwrap());
        assert_eq!(row.get::<_, &str>(1), text);
        let rows = client.simple_query(&format!("SELECT length('{text}')")).await.unwrap();
        let row = rows.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0),
            _ => None,
        });
        assert_eq!(row, Some(size.to_string().as_str()));
        let sql = format!("SELECT $1::int4 /* {text} */");
        let statement = client.prepare(&sql).await.unwrap();
        assert_eq!(client.query_one(&statement, &[&1_i32]).await.unwrap().get::<_, i32>(0), 1);
    }
    bouncer.pool_is_intact(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_for_encryption_are_declined() {
    let pg = postgres().await;
    let bouncer = Bouncer::on(&pg, "").await;
    let mut raw = bouncer.raw().await;
    let mut out = Vec::new();
    write::gss_request(&mut out);
    raw.send(&out).await;
    assert_eq!(raw.byte().await, b'N');
    out.clear();
    write::ssl_request(&mut out);
    raw.send(&out).await;
    assert_eq!(raw.byte().await, b'N');
    raw.log_in("postgres", "postgres").await;
    assert_eq!(raw.value("SELECT 5").await, "5");

    type Request = fn(&mut Vec<u8>);
    let requests: [(Request, &str); 2] = [
        (write::ssl_request, "received unencrypted data after SSL request"),
        (write::gss_request, "received unencrypted data after GSSAPI encryption request"),
    ];
    for (request, sentence) in requests {
        let mut raw = bouncer.raw().await;
        let mut out = Vec::new();
        request(&mut out);
        write::startup_message(&mut out, (3, 0), [(&b"user"[..], &b"postgres"[..])]).unwrap();
        raw.send(&out).await;
        raw.is_refused(sentence).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn newer_protocols_are_negotiated_once() {
    let pg = postgres().await;
    let bouncer = Bouncer::on(&pg, "").await;
    for (version, extras, expected) in [
        ((3, 2), vec![], Some((0_u32, vec![]))),
        ((3, 0), vec![("_pq_.later", "1")], Some((0, vec!["_pq_.later"]))),
        ((3, 9), vec![("_pq_.a", "1"), ("_pq_.b", "2")], Some((0, vec!["_pq_.a", "_pq_.b"]))),
        ((3, 0), vec![], None),
    ] {
        let mut parameters = vec![("user", "postgres"), ("database", "postgres")];
        parameters.extend(extras);
        let mut out = Vec::new();
        let bytes = parameters.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
        write::startup_message(&mut out, version, bytes).unwrap();
        let mut raw = bouncer.raw().await;
        raw.send(&out).await;
        let frames = raw.until_ready().await;
        let negotiations: Vec<_> = frames.iter().filter(|(tag, _)| *tag == b'v').collect();
        let Some((minor, names)) = expected else {
            assert!(negotiations.is_empty());
            continue;
        };
        assert_eq!(negotiations.len(), 1);
        assert_eq!(frames[0].0, b'v', "before any authentication message");
        // The whole version, as PostgreSQL sends it and libpq reads it.
        let mut body = (3 << 16 | minor).to_be_bytes().to_vec();
        body.extend_from_slice(&u32::try_from(names.len()).unwrap().to_be_bytes());
        names.iter().for_each(|name| body.extend([name.as_bytes(), &[0]].concat()));
        assert_eq!(frames[0].1, body, "{version:?}");
        assert_eq!(raw.value("SELECT 6").await, "6");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn startup_packets_that_are_refused() {
    let pg = postgres().await;
    let bouncer = Bouncer::on(&pg, "").await;
    let mut raw = bouncer.raw().await;
    let mut v2 = 296_u32.to_be_bytes().to_vec();
    v2.extend_from_slice(&(2_u32 << 16).to_be_bytes());
    v2.resize(296, 0);
    raw.send(&v2).await;
    raw.is_refused("old V2 protocol not supported").await;

    let mut raw = bouncer.raw().await;
    raw.startup(&[("database", "postgres")]).await;
    raw.is_refused("no username supplied").await;

    let mut raw = bouncer.raw().await;
    raw.startup(&[("user", "postgres"), ("database", "nowhere")]).await;
    raw.is_refused("no such database: nowhere").await;

    let mut raw = bouncer.raw().await;
    raw.startup(&[("user", "postgres")]).await;
    assert_eq!(tags(&raw.until_ready().await).matches('R').count(), 1, "the database is the user's name");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipe_inside_the_process_is_a_client() {
    let pg = postgres().await;
    let bouncer = Bouncer::on(&pg, "").await;
    assert_eq!(
        bouncer.handle.connect("nowhere", "postgres").await.unwrap_err(),
        howdah::PipeError::NoSuchDatabase("nowhere".to_owned())
    );
    let pipe = bouncer.handle.connect("postgres", "postgres").await.unwrap();
    let mut config = tokio_postgres::Config::new();
    config.user("postgres").dbname("postgres");
    let (client, connection) = config.connect_raw(pipe, tokio_postgres::NoTls).await.unwrap();
    let connection = tokio::spawn(connection);
    let rows = client.query("SELECT generate_series(1, 100000)", &[]).await.unwrap();
    assert_eq!(rows.len(), 100_000);
    drop(client);
    within("the end of the pipe", connection).await.unwrap().unwrap();
    bouncer.pool_is_intact(1).await;
}
