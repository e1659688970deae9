//! What every topic needs: a pooler in this process on a free port (`bouncer.rs`), a client that speaks bytes
//! (`raw.rs`), a fake server (`fake.rs`), and deadlines.

mod bench;
mod binary;
mod bouncer;
mod certificates;
mod fake;
mod raw;
mod seen;

use std::future::Future;
use std::time::Duration;

pub(crate) use bench::{Bench, load_time};
pub(crate) use binary::{Binary, program as howdah_program};
pub(crate) use bouncer::{Bouncer, Row, connect, entry, rows};
pub(crate) use certificates::{Authority, Pair};
pub(crate) use fake::{Fake, message};
pub(crate) use raw::{Raw, error_of, tags};
pub(crate) use seen::Seen;

use howdah_testkit::{Cluster, Options, Postgres, wait_until};

/// Everything that is waited for comes within this time or the test fails (time).
pub(crate) const DEADLINE: Duration = Duration::from_secs(15);

/// Waits for `what`, with the deadline of all tests.
pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future).await.unwrap_or_else(|_| panic!("{what}: not within {DEADLINE:?}"))
}

/// Waits until a condition holds.
pub(crate) async fn until<F, Fut>(what: &str, condition: F)
where
    F: FnMut() -> Fut,
    Fut: Future<Output = bool>,
{
    wait_until(what, DEADLINE, condition).await.unwrap();
}

/// Waits until every node has synchronous names instead of `*`: Howdah's list is in force, and recorded.
pub(crate) async fn synchronous_names(cluster: &Cluster) {
    until("the synchronous names", || async {
        let mut known = true;
        for node in cluster.nodes() {
            let names = node.value("SHOW synchronous_standby_names").await.unwrap();
            known &= !names.is_empty() && !names.contains('*');
        }
        known
    })
    .await;
}

/// A plain server.
pub(crate) async fn postgres() -> Postgres {
    Postgres::single(Options::default()).await.unwrap()
}

/// Whether an error of tokio-postgres is the server's or pooler's, with this sentence.
pub(crate) fn says(error: &tokio_postgres::Error, sentence: &str) -> bool {
    error.as_db_error().is_some_and(|error| error.message() == sentence)
}

/// The sentence of an error, whoever said it.
pub(crate) fn sentence(error: &tokio_postgres::Error) -> String {
    error.as_db_error().map_or_else(|| error.to_string(), |error| error.message().to_owned())
}
