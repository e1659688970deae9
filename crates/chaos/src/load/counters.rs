//! Read your writes: each session counts in a row of its own and reads it, from whichever node the pooler chooses. What
//! it reads is never less than what was acknowledged to it, nor more than it sent.

use super::session::Session;
use crate::books::Kind;

pub(crate) const KIND: Kind = Kind::Writer;

const WRITE: &str =
    "INSERT INTO counters VALUES ($1, $2) ON CONFLICT (session) DO UPDATE SET number = excluded.number";
const READ: &str = "SELECT number FROM counters WHERE session = $1";

pub(crate) async fn work(mut session: Session) {
    let (mut sent, mut acknowledged) = (0_i64, 0_i64);
    while session.pause().await {
        sent += 1;
        match session.client.execute(WRITE, &[&session.number, &sent]).await {
            Ok(_) => {
                acknowledged = sent;
                session.books.count(session.place(), session.number, acknowledged);
            }
            Err(error) => {
                session.failed(&error).await;
            }
        }
        match session.client.query_opt(READ, &[&session.number]).await {
            Ok(row) => {
                let seen = row.map_or(0, |row| row.get::<_, i64>(0));
                // A statement in doubt may have happened: then more than the acknowledged is there.
                if seen < acknowledged || seen > sent {
                    session.books.stale(format!(
                        "session {} read {seen}; acknowledged was {acknowledged}, sent {sent}",
                        session.number
                    ));
                }
            }
            Err(error) => {
                session.failed(&error).await;
            }
        }
    }
}
