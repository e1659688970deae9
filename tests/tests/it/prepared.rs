//! Protocol-level prepared statements in transaction mode, over several servers (PGBOUNCER_BEHAVIOUR.md section 10).

use std::collections::HashMap;

use futures_util::future::join_all;
use howdah_protocol::read::TargetKind;
use howdah_protocol::write;
use rand::{Rng as _, SeedableRng as _};

use crate::support::{Bouncer, Raw, postgres, tags, within};

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
