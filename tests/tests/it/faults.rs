//! Faults of PgBouncer that are not to be copied (PGBOUNCER_BEHAVIOUR.md section 17). The first, a COMMIT that did not
//! arrive whole, is in `hostile.rs`; the third, names that a server has skipped, in `prepared.rs`.

use howdah_protocol::read::{TargetKind, TransactionStatus};
use howdah_protocol::write;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::support::{Bouncer, Fake, Seen, message, postgres, tags, until};

/// Answers each Sync for Parse, Bind and Execute; CommandComplete comes in these pieces.
async fn answer(mut stream: TcpStream, [first, second]: [Vec<u8>; 2]) {
    while let Some((tag, _)) = message(&mut stream).await {
        if tag != b'S' {
            continue;
        }
        let mut out = Vec::new();
        write::parse_complete(&mut out);
        write::bind_complete(&mut out);
        out.extend_from_slice(&first);
        stream.write_all(&out).await.unwrap();
        // The pooler has this piece before the next one comes.
        let begun = std::time::Instant::now();
        until("the first piece to be read", || async { begun.elapsed().as_millis() > 30 }).await;
        out.clone_from(&second);
        write::ready_for_query(&mut out, TransactionStatus::Idle);
        if stream.write_all(&out).await.is_err() {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn replies_of_our_own_stand_behind_an_answer_that_comes_in_two_pieces() {
    let mut complete = Vec::new();
    write::command_complete(&mut complete, b"SELECT 12345").unwrap();
    for split in 1..complete.len() {
        let pieces = [complete[..split].to_vec(), complete[split..].to_vec()];
        let fake = Fake::start(move |stream| answer(stream, pieces.clone())).await;
        let bouncer = Bouncer::with(&format!("postgres = {}", fake.entry()), "").await;
        let mut raw = bouncer.raw_session().await;
        let mut out = Vec::new();
        write::parse(&mut out, b"", b"SELECT 1", &[0, 0]).unwrap();
        write::bind(&mut out, b"", b"", &[0, 0, 0, 0, 0, 0]).unwrap();
        write::execute(&mut out, b"", 0).unwrap();
        write::close(&mut out, TargetKind::Statement, b"never").unwrap();
        write::sync(&mut out);
        raw.send(&out).await;
        let frames = raw.until_ready().await;
        assert_eq!(tags(&frames), "12C3Z", "split at {split}");
        assert_eq!(frames[2].1, b"SELECT 12345\0");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_console_that_kills_itself_is_closed_and_nothing_else() {
    let pg = postgres().await;
    let mut seen = Seen::on(&pg, "").await;
    let client = seen.connect("postgres", "postgres").await.unwrap();
    let own = seen.row("SHOW CLIENTS", ("database", "pgbouncer")).await["id"].clone();
    // It may be answered before it is closed, and may not.
    let _ = seen.console.simple_query(&format!("KILL_CLIENT {own}")).await;
    until("its end", || async { seen.console.is_closed() }).await;
    assert_eq!(seen.lines("closing because: admin forced disconnect (age="), 1, "{}", seen.log());
    client.batch_execute("SELECT 1").await.unwrap();
    assert!(seen.binary.is_running());
}
