//! Waiting for a condition, never for a time.

use std::time::{Duration, Instant};

use crate::error::Error;

/// Generous: a loaded machine must not fail a test, and a passing test never waits for it.
pub const DEFAULT_DEADLINE: Duration = Duration::from_secs(30);

/// How often a condition is looked at.
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// Waits until `condition` is true.
///
/// # Errors
/// [`Error::Deadline`] with `what` when it is not within `deadline`.
pub async fn wait_until<F, Fut>(what: &str, deadline: Duration, mut condition: F) -> Result<(), Error>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = bool>,
{
    wait_until_some(what, deadline, || {
        let answer = condition();
        async move { answer.await.then_some(()) }
    })
    .await
}

/// Waits until `condition` gives a value, and gives it on.
///
/// # Errors
/// [`Error::Deadline`] with `what` when it does not within `deadline`.
pub async fn wait_until_some<F, Fut, T>(what: &str, deadline: Duration, mut condition: F) -> Result<T, Error>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Option<T>>,
{
    let started = Instant::now();
    loop {
        if let Some(value) = condition().await {
            return Ok(value);
        }
        if started.elapsed() > deadline {
            return Err(Error::Deadline { what: what.to_owned(), waited: deadline });
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}
