//! Protocol-level prepared statements in transaction mode, over several servers (PGBOUNCER_BEHAVIOUR.md section 10).

use std::collections::HashMap;
use std::time::Duration;

use futures_util::future::join_all;
use howdah_protocol::read::TargetKind;
use howdah_protocol::write;
use rand::{Rng as _, SeedableRng as _};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use crate::support::{Bouncer, Raw, Seen, error_of, postgres, tags, until, within};

/// Parse of `SELECT <number>` under a name.
fn parse(out: &mut Vec<u8>, name: &str, sql: &str) {
    write::parse(out, name.as_bytes(), sql.as_bytes(), &[0, 0]).unwrap();
}

/// Bind and Execute of a name.
fn run(out: &mut Vec<u8>, name: &str) {
    write::bind(out, b"", name.as_bytes(), &[0, 0, 0, 0, 0, 0]).unwrap();
    write::execute(out, b"", 0).unwrap();
}

/// The texts of the first columns of all rows.
fn rows(frames: &[(u8, Vec<u8>)]) -> Vec<String> {
    let rows = frames.iter().filter(|(tag, _)| *tag == b'D');
    rows.map(|(_, body)| String::from_utf8(body[6..].to_vec()).unwrap()).collect()
}

async fn batch(raw: &mut Raw, out: &mut Vec<u8>) -> Vec<(u8, Vec<u8>)> {
    write::sync(out);
    raw.send(out).await;
    out.clear();
    raw.until_ready().await
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_work_on_every_server_with_few_of_them_kept() {
    let pg = postgres().await;
    let bouncer = Bouncer::on(&pg, "default_pool_size = 3\nmax_prepared_statements = 5").await;
    let clients = join_all((0..6).map(|_| bouncer.connect())).await;
    let all = clients.iter().enumerate().map(|(client_number, client)| async move {
        let mut statements = Vec::new();
        for number in 0..20 {
            let sql = format!("SELECT $1::int4 + {number} /* {} */", client_number % 2);
            statements.push(client.prepare(&sql).await.unwrap());
        }
        let mut random = rand::rngs::StdRng::seed_from_u64(client_number as u64);
        for round in 0..100_i32 {
            let number = random.random_range(0..20);
            let row = client.query_one(&statements[number], &[&round]).await.unwrap();
            assert_eq!(row.get::<_, i32>(0), round + i32::try_from(number).unwrap());
        }
    });
    within("all statements", join_all(all)).await;
    // Never more than the limit on a server.
    join_all(clients.iter().map(|client| async move {
        let sql = "SELECT count(*), pg_sleep(0.05) FROM pg_prepared_statements";
        let row = client.simple_query(sql).await.unwrap();
        let count = row.iter().find_map(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => {
                row.get(0).map(|text| text.parse::<i32>().unwrap())
            }
            _ => None,
        });
        assert!(count.unwrap() <= 5, "{count:?}");
    }))
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn equal_texts_are_prepared_once_on_a_server() {
    let pg = postgres().await;
    let bouncer = Bouncer::on(&pg, "default_pool_size = 1").await;
    let mut a = bouncer.raw_session().await;
    let mut b = bouncer.raw_session().await;
    let mut out = Vec::new();
    for (raw, name) in [(&mut a, "x"), (&mut b, "y")] {
        parse(&mut out, name, "SELECT 11");
        run(&mut out, name);
        let frames = batch(raw, &mut out).await;
        assert_eq!((tags(&frames).as_str(), rows(&frames)), ("12DCZ", vec!["11".to_owned()]));
    }
    assert_eq!(a.value("SELECT count(*) FROM pg_prepared_statements").await, "1");
    // The same name means what its client prepared.
    parse(&mut out, "y", "SELECT 22");
    assert_eq!(tags(&batch(&mut a, &mut out).await), "1Z");
    run(&mut out, "y");
    assert_eq!(rows(&batch(&mut a, &mut out).await), ["22"]);
    run(&mut out, "y");
    assert_eq!(rows(&batch(&mut b, &mut out).await), ["11"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn close_describe_and_names_that_are_free_again() {
    let pg = postgres().await;
    let bouncer = Bouncer::on(&pg, "default_pool_size = 1").await;
    let mut raw = bouncer.raw_session().await;
    let mut out = Vec::new();
    parse(&mut out, "s", "SELECT 1 AS one");
    write::describe(&mut out, TargetKind::Statement, b"s").unwrap();
    write::close(&mut out, TargetKind::Statement, b"s").unwrap();
    write::close(&mut out, TargetKind::Statement, b"never").unwrap();
    parse(&mut out, "s", "SELECT 2");
    run(&mut out, "s");
    let frames = batch(&mut raw, &mut out).await;
    assert_eq!((tags(&frames).as_str(), rows(&frames)), ("1tT3312DCZ", vec!["2".to_owned()]));
    bouncer.pool_is_intact(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deallocate_all_and_discard_all_clear_the_clients_names_only() {
    let pg = postgres().await;
    let bouncer = Bouncer::on(&pg, "default_pool_size = 1").await;
    let (mut a, mut b) = (bouncer.raw_session().await, bouncer.raw_session().await);
    let mut out = Vec::new();
    for sql in ["DEALLOCATE ALL", "DISCARD ALL"] {
        for raw in [&mut a, &mut b] {
            parse(&mut out, "s", "SELECT 33");
            assert_eq!(tags(&batch(raw, &mut out).await), "1Z", "{sql}");
        }
        a.query(sql).await;
        // b's is there still, and a's name is free.
        run(&mut out, "s");
        assert_eq!(rows(&batch(&mut b, &mut out).await), ["33"], "{sql}");
        parse(&mut out, "s", "SELECT 44");
        run(&mut out, "s");
        assert_eq!(rows(&batch(&mut a, &mut out).await), ["44"], "{sql}");
        write::close(&mut out, TargetKind::Statement, b"s").unwrap();
        assert_eq!(tags(&batch(&mut a, &mut out).await), "3Z");
        write::close(&mut out, TargetKind::Statement, b"s").unwrap();
        assert_eq!(tags(&batch(&mut b, &mut out).await), "3Z");
    }
    // Through the extended protocol as well.
    parse(&mut out, "s", "SELECT 55");
    parse(&mut out, "", "DEALLOCATE ALL");
    run(&mut out, "");
    assert_eq!(tags(&batch(&mut a, &mut out).await), "112CZ");
    parse(&mut out, "s", "SELECT 66");
    run(&mut out, "s");
    assert_eq!(rows(&batch(&mut a, &mut out).await), ["66"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_parse_is_not_remembered() {
    let pg = postgres().await;
    let bouncer = Bouncer::on(&pg, "default_pool_size = 1").await;
    let mut raw = bouncer.raw_session().await;
    let mut out = Vec::new();
    for _ in 0..2 {
        parse(&mut out, "s", "SELEKT 1");
        assert_eq!(tags(&batch(&mut raw, &mut out).await), "EZ");
    }
    // In a pipeline: what came before the error counts, what comes after it does not.
    parse(&mut out, "before", "SELECT 1");
    parse(&mut out, "s", "SELEKT 1");
    parse(&mut out, "after", "SELECT 2");
    write::close(&mut out, TargetKind::Statement, b"before").unwrap();
    assert_eq!(tags(&batch(&mut raw, &mut out).await), "1EZ");
    run(&mut out, "before");
    assert_eq!(rows(&batch(&mut raw, &mut out).await), ["1"]);
    parse(&mut out, "after", "SELECT 3");
    run(&mut out, "after");
    assert_eq!(rows(&batch(&mut raw, &mut out).await), ["3"]);
    // A text that failed may be right later.
    parse(&mut out, "later", "SELECT count(*) FROM later");
    assert_eq!(tags(&batch(&mut raw, &mut out).await), "EZ");
    raw.query("CREATE TABLE later ()").await;
    parse(&mut out, "later", "SELECT count(*) FROM later");
    run(&mut out, "later");
    assert_eq!(rows(&batch(&mut raw, &mut out).await), ["0"]);
    bouncer.pool_is_intact(1).await;
}

/// What a client of the pipelines below believes.
#[derive(Default)]
struct Model {
    names: HashMap<usize, usize>,
}

impl Model {
    /// Adds a random pipeline to `out`; returns the rows it has to bring, and whether it fails.
    fn pipeline(&mut self, random: &mut rand::rngs::StdRng, out: &mut Vec<u8>) -> (Vec<String>, bool) {
        let mut expected = Vec::new();
        let mut failed = false;
        let mut next = self.names.clone();
        for _ in 0..random.random_range(1..=10) {
            let name = random.random_range(0..30_usize);
            let named = format!("s{name}");
            if random.random_range(0..25) == 0 {
                parse(out, "", "SELECT 1/0");
                run(out, "");
                if !failed {
                    self.names.clone_from(&next);
                }
                failed = true;
            } else if random.random_range(0..6) == 0 {
                write::close(out, TargetKind::Statement, named.as_bytes()).unwrap();
                next.remove(&name);
            } else {
                let text = *next.entry(name).or_insert_with(|| {
                    let text = random.random_range(0..100_usize);
                    parse(out, &named, &format!("SELECT {text}"));
                    text
                });
                run(out, &named);
                if !failed {
                    expected.push(text.to_string());
                }
            }
        }
        if !failed {
            self.names = next;
        }
        (expected, failed)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn random_pipelines_with_errors_and_evictions_are_all_right() {
    let pg = postgres().await;
    let bouncer = Bouncer::on(&pg, "default_pool_size = 2\nmax_prepared_statements = 13").await;
    let seed: u64 = rand::random();
    let clients = (0..4_u64).map(|number| {
        let bouncer = &bouncer;
        async move {
            let mut random = rand::rngs::StdRng::seed_from_u64(seed.wrapping_add(number));
            let mut raw = bouncer.raw_session().await;
            let (mut model, mut out) = (Model::default(), Vec::new());
            for round in 0..150 {
                let (expected, failed) = model.pipeline(&mut random, &mut out);
                let frames = batch(&mut raw, &mut out).await;
                assert_eq!(rows(&frames), expected, "seed {seed} client {number} round {round}");
                assert_eq!(tags(&frames).contains('E'), failed, "seed {seed} client {number} round {round}");
            }
        }
    });
    within("all pipelines", join_all(clients)).await;
    bouncer.pool_becomes("sv_active", 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_tracking_names_pass_as_they_are() {
    let pg = postgres().await;
    let bouncer = Bouncer::on(&pg, "pool_mode = session\nmax_prepared_statements = 0").await;
    let mut raw = bouncer.raw_session().await;
    let mut out = Vec::new();
    parse(&mut out, "mine", "SELECT 9");
    run(&mut out, "mine");
    assert_eq!(rows(&batch(&mut raw, &mut out).await), ["9"]);
    assert_eq!(raw.value("SELECT name FROM pg_prepared_statements").await, "mine");
    run(&mut out, "unknown");
    assert_eq!(tags(&batch(&mut raw, &mut out).await), "EZ", "the server's own error");
}

#[tokio::test(flavor = "multi_thread")]
async fn sql_level_prepare_passes() {
    let pg = postgres().await;
    let bouncer = Bouncer::on(&pg, "pool_mode = session").await;
    let mut raw = bouncer.raw_session().await;
    raw.query("PREPARE p AS SELECT 77").await;
    assert_eq!(raw.value("EXECUTE p").await, "77");
    assert_eq!(tags(&raw.query("DEALLOCATE p").await), "CZ");
    assert_eq!(tags(&raw.query("EXECUTE p").await), "EZ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_whose_result_changed_is_the_servers_error_and_nothing_breaks() {
    let pg = postgres().await;
    pg.psql("CREATE TABLE t (i int); INSERT INTO t VALUES (1)").await.unwrap();
    let bouncer = Bouncer::on(&pg, "default_pool_size = 1").await;
    let mut raw = bouncer.raw_session().await;
    let mut out = Vec::new();
    parse(&mut out, "s", "SELECT * FROM t");
    run(&mut out, "s");
    assert_eq!(rows(&batch(&mut raw, &mut out).await), ["1"]);
    raw.query("ALTER TABLE t ALTER i TYPE text").await;
    run(&mut out, "s");
    assert_eq!(tags(&batch(&mut raw, &mut out).await), "2EZ".replace('2', ""));
    write::close(&mut out, TargetKind::Statement, b"s").unwrap();
    parse(&mut out, "s", "SELECT * FROM t WHERE true");
    run(&mut out, "s");
    assert_eq!(rows(&batch(&mut raw, &mut out).await), ["1"]);
    bouncer.pool_is_intact(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lower_limit_is_in_force_at_the_next_statement_and_zero_at_once() {
    const COUNT: &str = "SELECT count(*) FROM pg_prepared_statements";
    let pg = postgres().await;
    let bouncer = Bouncer::on(&pg, "default_pool_size = 1").await;
    let mut raw = bouncer.raw_session().await;
    let mut out = Vec::new();
    for number in 0..20 {
        parse(&mut out, &format!("s{number}"), &format!("SELECT {number}"));
    }
    assert_eq!(tags(&batch(&mut raw, &mut out).await), format!("{}Z", "1".repeat(20)));
    assert_eq!(raw.value(COUNT).await, "20");
    let console = bouncer.console().await;
    console.simple_query("SET max_prepared_statements = 5").await.unwrap();
    assert_eq!(raw.value(COUNT).await, "20", "not before the next one");
    parse(&mut out, "next", "SELECT 21");
    assert_eq!(tags(&batch(&mut raw, &mut out).await), "1Z");
    assert_eq!(raw.value(COUNT).await, "5");
    // What was sent away is prepared again where it is used.
    run(&mut out, "s0");
    assert_eq!(rows(&batch(&mut raw, &mut out).await), ["0"]);
    console.simple_query("SET max_prepared_statements = 0").await.unwrap();
    run(&mut out, "s0");
    let frames = batch(&mut raw, &mut out).await;
    assert_eq!(error_of(&frames[0]).0, "26000", "the name goes to the server as it is: {frames:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_are_unknown_or_in_use_end_their_client_in_both_modes() {
    let pg = postgres().await;
    for mode in ["transaction", "statement"] {
        let seen = Seen::on(&pg, &format!("default_pool_size = 1\npool_mode = {mode}")).await;
        let session = async || seen.raw_session("postgres", "postgres").await;
        let mut out = Vec::new();
        // It works at all, over the end of a statement.
        let mut raw = session().await;
        parse(&mut out, "s", "SELECT 5");
        assert_eq!(tags(&batch(&mut raw, &mut out).await), "1Z");
        raw.query("SELECT 1").await;
        run(&mut out, "s");
        assert_eq!(rows(&batch(&mut raw, &mut out).await), ["5"], "{mode}");
        parse(&mut out, "s", "SELECT 6");
        write::sync(&mut out);
        raw.send(&std::mem::take(&mut out)).await;
        raw.is_refused("prepared statement name is already in use").await;
        assert_eq!(seen.lines("prepared statement 's' was already prepared"), 1, "{}", seen.log());
        assert_eq!(seen.lines("closing because: prepared statement name is already in use (age="), 1);
        for describes in [false, true] {
            let mut raw = session().await;
            match describes {
                true => write::describe(&mut out, TargetKind::Statement, b"never").unwrap(),
                false => run(&mut out, "never"),
            }
            write::sync(&mut out);
            raw.send(&std::mem::take(&mut out)).await;
            raw.is_refused("prepared statement did not exist").await;
        }
        assert_eq!(seen.lines("closing because: prepared statement did not exist (age="), 2);
        // The server is as good as before.
        assert_eq!(session().await.value("SELECT 7").await, "7");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn long_names_texts_and_values_pass_alone_and_together() {
    let pg = postgres().await;
    let bouncer = Bouncer::on(&pg, "default_pool_size = 1").await;
    let mut raw = bouncer.raw_session().await;
    let mut out = Vec::new();
    let sizes = [2048, 4096, 8192, 16_384, 40_960];
    for size in sizes {
        let (name, text) = ("n".repeat(size), "t".repeat(size));
        parse(&mut out, &name, &format!("SELECT '{text}'"));
        run(&mut out, &name);
        assert_eq!(rows(&batch(&mut raw, &mut out).await), [text], "{size}");
    }
    for size in sizes {
        let name = "m".repeat(size);
        parse(&mut out, &name, &format!("SELECT length('{}')", "t".repeat(size)));
        run(&mut out, &name);
    }
    let lengths: Vec<String> = sizes.iter().map(ToString::to_string).collect();
    assert_eq!(rows(&batch(&mut raw, &mut out).await), lengths);
    for size in sizes {
        let name = format!("v{size}");
        parse(&mut out, &name, "SELECT length($1)");
        let mut values = vec![0, 0, 0, 1];
        values.extend(u32::try_from(size).unwrap().to_be_bytes());
        values.extend(std::iter::repeat_n(b'x', size));
        values.extend([0, 0]);
        write::bind(&mut out, b"", name.as_bytes(), &values).unwrap();
        write::execute(&mut out, b"", 0).unwrap();
    }
    let lengths: Vec<String> = rows(&batch(&mut raw, &mut out).await);
    assert_eq!(lengths, sizes.map(|size| size.to_string()));
    bouncer.pool_is_intact(1).await;
}

/// Runs the statement of this text, and prepares it the first time.
fn ask(out: &mut Vec<u8>, known: &mut [bool; 100], text: usize) {
    let name = format!("s{text}");
    if !std::mem::replace(&mut known[text], true) {
        parse(out, &name, &format!("SELECT {text}"));
    }
    run(out, &name);
}

#[tokio::test(flavor = "multi_thread")]
async fn pipelines_over_a_hundred_texts_with_room_for_66_are_all_right() {
    let pg = postgres().await;
    let bouncer = Bouncer::on(&pg, "default_pool_size = 2\nmax_prepared_statements = 66").await;
    let seed: u64 = rand::random();
    let clients = (0..4_u64).map(|number| {
        let bouncer = &bouncer;
        async move {
            let mut random = rand::rngs::StdRng::seed_from_u64(seed.wrapping_add(number));
            let mut raw = bouncer.raw_session().await;
            let (mut known, mut out) = ([false; 100], Vec::new());
            for round in 0..150 {
                let texts: Vec<usize> =
                    (0..random.random_range(1..=10)).map(|_| random.random_range(0..100)).collect();
                texts.iter().for_each(|text| ask(&mut out, &mut known, *text));
                let expected: Vec<String> = texts.iter().map(ToString::to_string).collect();
                let frames = batch(&mut raw, &mut out).await;
                assert_eq!(rows(&frames), expected, "seed {seed} client {number} round {round}");
            }
            let count = raw.value("SELECT count(*) FROM pg_prepared_statements").await;
            assert!(count.parse::<u32>().unwrap() <= 66, "{count}");
        }
    });
    within("all pipelines", join_all(clients)).await;
}

/// Passes bytes on, each piece this much later.
async fn later(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, delay: Duration) {
    let (send, mut receive) = tokio::sync::mpsc::unbounded_channel::<(tokio::time::Instant, Vec<u8>)>();
    tokio::spawn(async move {
        while let Some((due, bytes)) = receive.recv().await {
            until("the time of the line", || async { tokio::time::Instant::now() >= due }).await;
            if to.write_all(&bytes).await.is_err() {
                return;
            }
        }
    });
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        if send.send((tokio::time::Instant::now() + delay, buffer[..read].to_vec())).is_err() {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipeline_waits_for_a_distant_server_once() {
    let delay = Duration::from_millis(300);
    let pg = postgres().await;
    let target = (pg.host(), pg.port());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let line = tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = tokio::net::TcpStream::connect(target.clone()).await.unwrap();
            let (there, back) = (client.into_split(), server.into_split());
            tokio::spawn(later(there.0, back.1, delay));
            tokio::spawn(later(back.0, there.1, Duration::ZERO));
        }
    });
    let bouncer = Bouncer::with(&format!("postgres = host=127.0.0.1 port={port}"), "").await;
    let mut raw = bouncer.raw_session().await;
    let mut out = Vec::new();
    for number in 0..7 {
        let name = format!("s{number}");
        parse(&mut out, &name, &format!("SELECT {number}"));
        run(&mut out, &name);
        write::sync(&mut out);
    }
    let begun = std::time::Instant::now();
    raw.send(&out).await;
    for number in 0..7 {
        assert_eq!(rows(&raw.until_ready().await), [number.to_string()]);
    }
    // Seven turns one after the other would take 2.1 s.
    assert!(begun.elapsed() < delay * 4, "{:?}", begun.elapsed());
    line.abort();
}
