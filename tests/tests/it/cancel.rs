//! Cancel requests hit the query that they are meant for, and never a neighbour (PGBOUNCER_BEHAVIOUR.md section 11).

use futures_util::future::join_all;
use howdah_protocol::write;
use tokio_postgres::NoTls;

use crate::support::{Bouncer, Raw, error_of, postgres, sentence, until, within};

/// Sends a cancel request and waits until the pooler has closed its connection.
async fn cancel(bouncer: &Bouncer, pid: u32, key: &[u8]) {
    let mut raw = bouncer.raw().await;
    let mut out = Vec::new();
    write::cancel_request(&mut out, pid, key).unwrap();
    raw.send(&out).await;
    assert!(raw.until_closed().await.is_empty(), "a cancel request is answered by nothing");
}

async fn cancel_of(bouncer: &Bouncer, raw: &Raw) {
    cancel(bouncer, raw.key.0, &raw.key.1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_ends_its_own_query_and_the_session_goes_on() {
    let pg = postgres().await;
    let bouncer = Bouncer::on(&pg, "default_pool_size = 3").await;
    let (a, b) = (bouncer.connect().await, bouncer.connect().await);
    let token = a.cancel_token();
    let work = async {
        tokio::join!(a.query("SELECT pg_sleep(20)", &[]), b.query_one("SELECT 1, pg_sleep(1)", &[]), async {
            bouncer.pool_becomes("sv_active", 2).await;
            token.cancel_query(NoTls).await.unwrap();
        })
    };
    let (canceled, neighbour, ()) = within("both answers", work).await;
    assert_eq!(canceled.unwrap_err().code().unwrap().code(), "57014");
    assert_eq!(neighbour.unwrap().get::<_, i32>(0), 1);
    assert_eq!(a.query_one("SELECT 2", &[]).await.unwrap().get::<_, i32>(0), 2);
    bouncer.pool_is_intact(2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_the_poolers_own() {
    let pg = postgres().await;
    let bouncer = Bouncer::on(&pg, "default_pool_size = 1").await;
    let mut a = bouncer.raw_session().await;
    let b = bouncer.raw_session().await;
    assert_ne!(a.key, b.key);
    assert_ne!(a.value("SELECT pg_backend_pid()").await, a.key.0.to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_keys_and_idle_clients_cancel_nothing() {
    let pg = postgres().await;
    let bouncer = Bouncer::on(&pg, "default_pool_size = 1").await;
    let mut idle = bouncer.raw_session().await;
    idle.query("SELECT 1").await;
    let mut busy = bouncer.raw_session().await;
    busy.send_query("SELECT 7, pg_sleep(1)").await;
    bouncer.pool_becomes("sv_active", 1).await;
    let mut wrong = busy.key.1.clone();
    wrong[0] ^= 1;
    cancel(&bouncer, busy.key.0, &wrong).await;
    cancel(&bouncer, 1, &[1, 2, 3, 4]).await;
    cancel(&bouncer, busy.key.0, &[0; 32]).await;
    cancel_of(&bouncer, &idle).await;
    let frames = busy.until_ready().await;
    assert_eq!(frames[1].0, b'D', "undisturbed");
    bouncer.pool_is_intact(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_cancels_do_not_disturb_a_neighbour_on_the_only_server() {
    let pg = postgres().await;
    let bouncer = Bouncer::on(&pg, "default_pool_size = 1").await;
    let mut victim = bouncer.raw_session().await;
    let neighbour = bouncer.connect().await;
    let work = async {
        for number in 0..300_i32 {
            let row = neighbour.query_one("SELECT $1::int4", &[&number]).await;
            assert_eq!(row.expect("the neighbour is not canceled").get::<_, i32>(0), number);
        }
    };
    let (pid, key) = victim.key.clone();
    let cancels = async {
        for _ in 0..5 {
            join_all((0..20).map(|_| cancel(&bouncer, pid, &key))).await;
        }
    };
    let queries = async {
        for _ in 0..100 {
            let frames = victim.query("SELECT pg_sleep(0.002)").await;
            if let Some(error) = frames.iter().find(|(tag, _)| *tag == b'E') {
                assert_eq!(error_of(error).0, "57014");
            }
        }
    };
    within("all of it", async { tokio::join!(work, cancels, queries) }).await;
    bouncer.pool_becomes("sv_active", 0).await;
    bouncer.pool_becomes("cl_waiting", 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_waits_for_a_server_is_canceled() {
    let pg = postgres().await;
    let bouncer = Bouncer::on(&pg, "default_pool_size = 1").await;
    let mut holder = bouncer.raw_session().await;
    holder.query("BEGIN").await;
    let mut waiting = bouncer.raw_session().await;
    waiting.send_query("SELECT 1").await;
    bouncer.pool_becomes("cl_waiting", 1).await;
    cancel_of(&bouncer, &waiting).await;
    // Nothing runs for it, so nothing is canceled; the holder is not hit either.
    assert_eq!(holder.value("SELECT 5").await, "5");
    holder.query("COMMIT").await;
    waiting.until_ready().await;
    bouncer.pool_is_intact(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_in_a_transaction_leaves_it_failed() {
    let pg = postgres().await;
    let bouncer = Bouncer::on(&pg, "default_pool_size = 1").await;
    let mut client = bouncer.connect().await;
    let token = client.cancel_token();
    let transaction = client.transaction().await.unwrap();
    let (error, ()) = tokio::join!(transaction.query("SELECT pg_sleep(20)", &[]), async {
        until("the query to run", || async {
            let sql = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%' AND state = 'active'";
            pg.value(sql).await.unwrap() == "1"
        })
        .await;
        token.cancel_query(NoTls).await.unwrap();
    });
    assert_eq!(sentence(&error.unwrap_err()), "canceling statement due to user request");
    let error = transaction.query("SELECT 1", &[]).await.unwrap_err();
    assert_eq!(error.code().unwrap().code(), "25P02");
    transaction.rollback().await.unwrap();
    bouncer.pool_is_intact(1).await;
}
