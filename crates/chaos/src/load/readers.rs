//! Sessions that only read: the sum of all accounts, which is the same in every snapshot.

use super::session::Session;
use crate::books::{ACCOUNTS, DEPOSIT, Kind};

pub(crate) const KIND: Kind = Kind::Reader;

const SUM: &str = "SELECT sum(balance)::bigint FROM accounts";

pub(crate) async fn work(mut session: Session) {
    while session.pause().await {
        // The odd sessions speak the simple protocol.
        let answer = if session.number % 2 == 1 {
            let answer = session.client.simple_query(SUM).await;
            answer.map(|messages| {
                messages.iter().find_map(|message| match message {
                    tokio_postgres::SimpleQueryMessage::Row(row) => {
                        row.get(0).and_then(|cell| cell.parse().ok())
                    }
                    _ => None,
                })
            })
        } else {
            session.client.query_one(SUM, &[]).await.map(|row| row.get::<_, Option<i64>>(0))
        };
        match answer {
            Ok(Some(sum)) if sum == ACCOUNTS * DEPOSIT => session.books.beat(session.place()),
            Ok(sum) => session.books.stale(format!("the accounts have {sum:?} in all")),
            Err(error) => {
                session.failed(&error).await;
            }
        }
    }
}
