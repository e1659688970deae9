//! Asking a node one thing, in one of our sessions and before a deadline.
//!
//! [`Ask`] is what the actions are written against; [`Line`] is a session that stands, [`Second`] one lent by the
//! node's pool. A question that is not answered in time stays on the line: the next one waits for it first, so that
//! nothing is carried out late behind the back of an answer that was given up. Read next: `actions/`.

use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::Object;
use futures_util::future::{BoxFuture, join_all};
use howdah_failover::{ActionError, ProbeFailure, Sample};
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_postgres::{Client, SimpleQueryMessage, SimpleQueryRow};

use crate::connect::{Session, failure_of};
use crate::link::NodeLink;
use crate::questions::{PREPARE_SQL, Question};
use crate::sample::{self, Fields};

/// Between two looks at something that is waited for (FAILOVER_PROTOCOL.md §6: polled, never slept for).
const POLL: Duration = Duration::from_millis(1);

/// A wait that ends without what it waited for is answered so long before its deadline, or the answer would be late.
const ANSWER_MARGIN: Duration = Duration::from_millis(20);

/// The rows of each statement of a question.
pub(crate) type Sets = Vec<Vec<SimpleQueryRow>>;

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum AskError {
    /// The session has ended.
    Lost(ProbeFailure),
    /// The server said no.
    Refused(String),
    /// Nothing came in time: it may have been carried out or not.
    Unanswered,
}

impl AskError {
    fn of(error: &tokio_postgres::Error) -> Self {
        match error.as_db_error() {
            Some(db) if failure_of(error) == ProbeFailure::Rejected => Self::Refused(db.message().to_owned()),
            _ => Self::Lost(failure_of(error)),
        }
    }
}

impl From<AskError> for ActionError {
    fn from(error: AskError) -> Self {
        match error {
            AskError::Refused(why) => Self::Refused(why),
            // Sent, and then the session ended: it may have been carried out.
            AskError::Lost(_) | AskError::Unanswered => Self::Unanswered,
        }
    }
}

impl From<AskError> for ProbeFailure {
    fn from(error: AskError) -> Self {
        match error {
            AskError::Lost(failure) => failure,
            AskError::Refused(_) => Self::Rejected,
            AskError::Unanswered => Self::Silent,
        }
    }
}

/// Something that SQL can be sent to.
pub(crate) trait Ask: Send {
    /// Sends statements one right behind the other, each a transaction of its own, and waits for the rows of all.
    /// Those behind one that is refused are carried out all the same; the error is that of the first refused.
    fn flight(
        &mut self,
        statements: &[&str],
        deadline: Instant,
    ) -> impl Future<Output = Result<Vec<Sets>, AskError>> + Send;

    /// Whether the questions were prepared in this session.
    fn is_prepared(&self) -> bool;

    /// Sends SQL and waits for its rows.
    fn ask(&mut self, sql: &str, deadline: Instant) -> impl Future<Output = Result<Sets, AskError>> + Send {
        async move { Ok(self.flight(&[sql], deadline).await?.pop().unwrap_or_default()) }
    }

    /// Asks one of the questions that every session knows.
    fn question(
        &mut self,
        question: Question,
        deadline: Instant,
    ) -> impl Future<Output = Result<Sets, AskError>> + Send {
        async move { self.ask(&question.sql(self.is_prepared()), deadline).await }
    }
}

/// The answers to one flight, or the first error among them.
type Answers = Result<Vec<Vec<SimpleQueryMessage>>, tokio_postgres::Error>;

/// Sends each statement without waiting for the one before.
async fn send_all(client: &Client, statements: &[&str]) -> Answers {
    join_all(statements.iter().map(|sql| client.simple_query(sql))).await.into_iter().collect()
}

/// The rows of each statement's answer.
fn sets_of(answers: Vec<Vec<SimpleQueryMessage>>) -> Vec<Sets> {
    answers.into_iter().map(sample::result_sets).collect()
}

/// The text of the first column of the first row; `None` for NULL or no row.
pub(crate) async fn value<A: Ask>(
    on: &mut A,
    sql: &str,
    deadline: Instant,
) -> Result<Option<String>, AskError> {
    let sets = on.ask(sql, deadline).await?;
    let row = sets.first().and_then(|rows| rows.first());
    Ok(row.and_then(|row| row.get(0)).map(str::to_owned))
}

/// Asks until the first column says `t`.
pub(crate) async fn poll_true<A: Ask>(on: &mut A, sql: &str, deadline: Instant) -> Result<(), AskError> {
    while value(on, sql, deadline).await?.as_deref() != Some("t") {
        pause(deadline).await?;
    }
    Ok(())
}

/// When to answer that something has not happened.
pub(crate) fn last_look(deadline: Instant) -> Instant {
    deadline.checked_sub(ANSWER_MARGIN).unwrap_or(deadline)
}

/// The time between two looks; an error when the deadline is over by then.
pub(crate) async fn pause(deadline: Instant) -> Result<(), AskError> {
    let next = Instant::now() + POLL;
    if next >= deadline {
        return Err(AskError::Unanswered);
    }
    sleep_until(next).await;
    Ok(())
}

/// Reads a sample; `first` is SQL to be run before it in the same flight, whose first row is given too.
pub(crate) async fn sample<A: Ask>(
    on: &mut A,
    link: &NodeLink,
    first: Option<&str>,
    deadline: Instant,
) -> Result<(bool, Sample), AskError> {
    let question = Question::Sample.sql(on.is_prepared());
    let sql = first.map_or_else(|| question.clone(), |first| format!("{first};\n{question}"));
    let mut sets = on.ask(&sql, deadline).await?.into_iter();
    let granted = match first {
        Some(_) => {
            sets.next().is_some_and(|rows| rows.first().is_some_and(|row| Fields::of(row).flag("granted")))
        }
        None => false,
    };
    let (node, replication) = (sets.next().unwrap_or_default(), sets.next().unwrap_or_default());
    let refused = |e: sample::SampleError| AskError::Refused(e.to_string());
    let (mut sample, known) = {
        let mut memory = link.memory();
        let sample = sample::read(&node, &replication, &mut memory).map_err(refused)?;
        let known = memory.history(sample.timeline).is_some();
        (sample, known)
    };
    if !known {
        sample.history = history(on, link, sample.timeline, deadline).await?;
    }
    Ok((granted, sample))
}

/// Reads the history file of a timeline that was not seen before; empty when it is missing or may not be read.
async fn history<A: Ask>(
    on: &mut A,
    link: &NodeLink,
    timeline: u32,
    deadline: Instant,
) -> Result<Vec<howdah_failover::TimelineStart>, AskError> {
    let text = match value(on, &sample::history_sql(timeline), deadline).await {
        Ok(text) => text.unwrap_or_default(),
        Err(AskError::Refused(why)) => {
            tracing::warn!(node = %link.config.name, timeline, why, "the timeline's history cannot be read");
            String::new()
        }
        Err(e) => return Err(e),
    };
    let history = sample::parse_history(timeline, &text);
    link.memory().keep_history(timeline, history.clone());
    Ok(history)
}

/// A session that stands: the control session, or a fresh one for one probe.
pub(crate) struct Line {
    client: Arc<Client>,
    session: Session,
    prepared: bool,
    unanswered: Option<BoxFuture<'static, ()>>,
}

impl Line {
    pub(crate) fn new(session: Session) -> Self {
        Self { client: Arc::clone(&session.client), session, prepared: false, unanswered: None }
    }

    /// Prepares the questions: worth it in a session that is asked them more than once.
    pub(crate) async fn prepare(&mut self, deadline: Instant) -> Result<(), AskError> {
        self.ask(&PREPARE_SQL, deadline).await?;
        self.prepared = true;
        Ok(())
    }

    /// How it ended; `None` while it stands.
    pub(crate) fn failure(&self) -> Option<ProbeFailure> {
        self.session.failure()
    }
}

impl Ask for Line {
    fn is_prepared(&self) -> bool {
        self.prepared
    }

    async fn flight(&mut self, statements: &[&str], deadline: Instant) -> Result<Vec<Sets>, AskError> {
        if let Some(earlier) = &mut self.unanswered {
            timeout_at(deadline, earlier).await.map_err(|_| AskError::Unanswered)?;
            self.unanswered = None;
        }
        let client = Arc::clone(&self.client);
        let statements: Vec<String> = statements.iter().map(|sql| (*sql).to_owned()).collect();
        let mut answer = Box::pin(async move {
            let statements: Vec<&str> = statements.iter().map(String::as_str).collect();
            send_all(&client, &statements).await
        });
        match timeout_at(deadline, &mut answer).await {
            Ok(Ok(answers)) => Ok(sets_of(answers)),
            Ok(Err(e)) if e.as_db_error().is_none() => {
                Err(AskError::Lost(self.failure().unwrap_or_else(|| failure_of(&e))))
            }
            Ok(Err(e)) => Err(AskError::of(&e)),
            Err(_) => {
                self.unanswered = Some(Box::pin(async move {
                    let _ = answer.await;
                }));
                Err(AskError::Unanswered)
            }
        }
    }
}

/// A session lent by the node's pool, for what must not block the control session. One that failed or did not
/// answer in time does not go back to the pool.
pub(crate) struct Second {
    lent: Option<Object>,
}

impl Second {
    pub(crate) fn new(lent: Object) -> Self {
        Self { lent: Some(lent) }
    }
}

impl Ask for Second {
    /// The pool prepares them in each session that it opens.
    fn is_prepared(&self) -> bool {
        true
    }

    async fn flight(&mut self, statements: &[&str], deadline: Instant) -> Result<Vec<Sets>, AskError> {
        let Some(client) = &self.lent else { return Err(AskError::Lost(ProbeFailure::Eof)) };
        let error = match timeout_at(deadline, send_all(client, statements)).await {
            Ok(Ok(answers)) => return Ok(sets_of(answers)),
            Ok(Err(e)) => AskError::of(&e),
            Err(_) => AskError::Unanswered,
        };
        if !matches!(error, AskError::Refused(_)) {
            self.lent.take().map(Object::take);
        }
        Err(error)
    }
}
