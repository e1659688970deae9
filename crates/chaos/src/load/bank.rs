//! Transfers between accounts, each a transaction of four statements. The accounts must have what the transfers that
//! are there make of them, and an acknowledged transfer is there once.

use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use tokio_postgres::Error;

use super::session::{Outcome, Session};
use crate::books::{ACCOUNTS, Entry, Kind, Table};

pub(crate) const KIND: Kind = Kind::Transfer;

const MOVE: &str = "UPDATE accounts SET balance = balance + $2 WHERE id = $1";
const NOTE: &str = "INSERT INTO transfers VALUES ($1, $2, $3, $4, $5)";

/// One transfer.
#[derive(Debug, Clone, Copy)]
struct Transfer {
    number: i64,
    source: i64,
    target: i64,
    amount: i64,
}

pub(crate) async fn work(mut session: Session) {
    let mut random = SmallRng::seed_from_u64(session.number.unsigned_abs());
    let mut number = 1;
    while session.pause().await {
        let source = random.random_range(0..ACCOUNTS);
        let target = (source + random.random_range(1..ACCOUNTS)) % ACCOUNTS;
        let transfer = Transfer { number, source, target, amount: random.random_range(1..10) };
        match carry_out(&session, transfer).await {
            Ok(()) => {
                let entry = Entry { table: Table::Transfers, session: session.number, number };
                session.books.acknowledge(session.place(), entry);
                number += 1;
            }
            Err(error) => {
                let outcome = session.failed(&error).await;
                // The transaction is over for the server; the session says so, as a driver would.
                if let Err(error) = session.client.batch_execute("ROLLBACK").await {
                    session.failed(&error).await;
                }
                number += i64::from(outcome == Outcome::Doubt);
            }
        }
    }
}

async fn carry_out(session: &Session, transfer: Transfer) -> Result<(), Error> {
    let client = &session.client;
    client.batch_execute("BEGIN").await?;
    // The lower account first: two transfers must not wait for each other.
    let mut moves = [(transfer.source, -transfer.amount), (transfer.target, transfer.amount)];
    moves.sort_unstable();
    for (account, amount) in moves {
        client.execute(MOVE, &[&account, &amount]).await?;
    }
    let Transfer { number, source, target, amount } = transfer;
    client.execute(NOTE, &[&session.number, &number, &source, &target, &amount]).await?;
    client.batch_execute("COMMIT").await
}
