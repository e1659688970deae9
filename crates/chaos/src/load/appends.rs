//! Each session appends rows with numbers that go up, one statement each. What was acknowledged must be there; what
//! was refused with 40001 is sent again and must be there once.

use super::session::{Outcome, Session};
use crate::books::{Entry, Kind, Table};

pub(crate) const KIND: Kind = Kind::Writer;

const INSERT: &str = "INSERT INTO appends VALUES ($1, $2)";

pub(crate) async fn work(mut session: Session) {
    let mut number = 1;
    while session.pause().await {
        // Both protocols: the odd sessions speak the simple one.
        let answer = if session.number % 2 == 1 {
            let sql = format!("INSERT INTO appends VALUES ({}, {number})", session.number);
            session.client.simple_query(&sql).await.map(|_| ())
        } else {
            session.client.execute(INSERT, &[&session.number, &number]).await.map(|_| ())
        };
        match answer {
            Ok(()) => {
                let entry = Entry { table: Table::Appends, session: session.number, number };
                session.books.acknowledge(session.place(), entry);
                number += 1;
            }
            // A row in doubt may be there: another number, or a second one would be no duplicate.
            Err(error) => number += i64::from(session.failed(&error).await == Outcome::Doubt),
        }
    }
}
