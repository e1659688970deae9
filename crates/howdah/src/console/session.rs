//! A client of the console: who may be one, and its round of question and answer.

use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use howdah_admin::console::command::{Command, Show};
use howdah_admin::{Access, Console, ConsoleOutcome};
use howdah_config::{AuthType, Config};
use howdah_protocol::frame::{self, Direction, Limits, Step};
use howdah_protocol::read::TransactionStatus;
use howdah_protocol::write::{self, Report};
use howdah_session::Fatal;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::client::end::End;
use crate::client::info::{Order, Phase};
use crate::client::login::{Asked, Newcomer};
use crate::client::stream::Peer;
use crate::pooler::{Pooler, Stage};

/// The longest message to the console (bytes); its longest command is a few hundred.
const FRAME_MAX: usize = 64 * 1024;

/// Bytes asked for in one read while a command waits.
const READ_SIZE: usize = 512;

/// SQLSTATE of a command that its client has cancelled.
const QUERY_CANCELED: &str = "57014";

/// What a user may do on the console; `None`: nothing.
fn access(config: &Config, user: &str, client: &Newcomer) -> Option<Access> {
    let settings = &config.settings;
    let vouched = client.is_local_admin(user) || client.info.peer == Peer::Pipe;
    if vouched || settings.admin_users.contains(user) {
        return Some(Access::Admin);
    }
    if settings.auth_type == AuthType::Any
        && settings.admin_users.is_empty()
        && settings.stats_users.is_empty()
    {
        return None;
    }
    settings.stats_users.contains(user).then_some(Access::Stats)
}

/// Serves a console client to its end.
///
/// # Errors
/// How it ended.
pub(crate) async fn serve(client: &mut Newcomer, asked: &Asked) -> Result<(), End> {
    let pooler = Arc::clone(&client.pooler);
    let config = pooler.config.load_full();
    let access = access(&config, &asked.user, client).ok_or_else(|| End::refused("not allowed"))?;
    let user = pooler.users.share(asked.user.as_str().into());
    let _place = pooler.console_enters(&user, access == Access::Admin).await?;
    client.info.console.store(true, Ordering::Relaxed);
    client.info.hold(false);
    let name = asked.startup.get(b"application_name").unwrap_or_default();
    *client.info.application_name.lock() = if config.settings.application_name_add_host {
        client.info.name_with_host(name).into()
    } else {
        name.into()
    };
    client.info.enter(Phase::Idle, pooler.clock.now());
    let operator = super::operator(&pooler);
    let mut out = Vec::new();
    write::authentication_ok(&mut out);
    let cannot = |error: write::WriteError| End::refused(error.to_string());
    howdah_admin::console::greeting(super::VERSION, &mut out).map_err(cannot)?;
    client.info.write_cancel_key(&mut out).map_err(cannot)?;
    write::ready_for_query(&mut out, TransactionStatus::Idle);
    client.send(&out).await?;
    pooler.console_counters.logins.add(1);
    let mut console = Console::new(access, client.info.id);
    let canceled = pooler.consoles.enter(client.info.id);
    let end = rounds(client, &mut console, (operator.as_ref(), &canceled)).await;
    pooler.consoles.leave(client.info.id);
    console.closed(operator.as_ref()).await;
    end
}

/// Questions and answers until the client leaves or the pooler stops.
async fn rounds(
    client: &mut Newcomer,
    console: &mut Console,
    (operator, canceled): (&dyn howdah_admin::Pooler, &Notify),
) -> Result<(), End> {
    loop {
        let (tag, body) = next(client).await?;
        client.info.ask(client.pooler.clock.now());
        let mut out = Vec::new();
        let outcome = match (tag, handover(client, &body)) {
            (b'X', _) => return Err(End::CloseRequest),
            (b'Q', Some(Handover::Sockets)) => {
                crate::takeover::give::send_sockets(client).await?;
                ConsoleOutcome::Continue
            }
            (b'Q', Some(Handover::Documents)) => {
                crate::takeover::give::send_documents(client).await?;
                ConsoleOutcome::Continue
            }
            (b'Q', None) => match answer(client, console, (operator, &body), &mut out, canceled).await? {
                Answer::Whole(outcome) => outcome,
                Answer::Canceled => {
                    console.cancelled(operator).await;
                    out.clear();
                    let text = "canceling statement due to user request";
                    write::error_response(&mut out, &Report::new("ERROR", QUERY_CANCELED, text));
                    write::ready_for_query(&mut out, TransactionStatus::Idle);
                    ConsoleOutcome::Continue
                }
            },
            (tag, _) => console.refuse(tag, &mut out),
        };
        // PgBouncer counts the console's commands, but not its bytes.
        let counters = &client.pooler.console_counters;
        counters.queries.add(1);
        counters.transactions.add(1);
        if let ConsoleOutcome::Refused(text) | ConsoleOutcome::Close { refused: Some(text), .. } = &outcome
            && client.pooler.config.load().settings.log_pooler_errors
        {
            tracing::warn!("{} pooler error: {text}", client.info.log_name());
        }
        client.send(&out).await?;
        if let ConsoleOutcome::Close { reason, .. } = outcome {
            return Err(End::refused(reason));
        }
    }
}

/// A question of the process that takes over, which is not answered by rows alone.
enum Handover {
    Sockets,
    Documents,
}

/// Only our own user may have the sockets, over the Unix socket, as with PgBouncer.
fn handover(client: &Newcomer, question: &[u8]) -> Option<Handover> {
    let who = client.info.who.lock().1.clone();
    if !client.is_local_admin(&who) {
        return None;
    }
    if matches!(howdah_admin::console::parse(question), Ok(Command::Show(Show::Fds))) {
        return Some(Handover::Sockets);
    }
    let text = question.strip_suffix(b"\0").unwrap_or(question);
    (text == crate::takeover::give::HANDOVER.as_bytes()).then_some(Handover::Documents)
}

/// How a question came to its end.
enum Answer {
    Whole(ConsoleOutcome),
    /// The client sent a cancel request in the meantime.
    Canceled,
}

/// One answer. Some commands wait (PAUSE): a client that goes away meanwhile, or is sent away, is noticed.
async fn answer(
    client: &mut Newcomer,
    console: &mut Console,
    (operator, question): (&dyn howdah_admin::Pooler, &[u8]),
    out: &mut Vec<u8>,
    canceled: &Notify,
) -> Result<Answer, End> {
    let pooler = Arc::clone(&client.pooler);
    tokio::select! {
        biased;
        outcome = console.answer(operator, question, out) => Ok(Answer::Whole(outcome)),
        () = canceled.notified() => Ok(Answer::Canceled),
        end = poll_fn(|cx| client.poll_gone(cx, FRAME_MAX)) => Err(end),
        () = over(&pooler) => Err(End::Silent),
    }
}

/// The next whole message.
async fn next(client: &mut Newcomer) -> Result<(u8, Vec<u8>), End> {
    let limits = Limits { max_frame: FRAME_MAX };
    let pooler = Arc::clone(&client.pooler);
    loop {
        let step = frame::next(Direction::FromClient, &limits, &client.input);
        if let Step::Complete(frame) = step.map_err(|error| End::refused(Fatal::from(error).message()))? {
            let (tag, body, length) = (frame.tag, frame.body.to_vec(), frame.bytes.len());
            client.input.drain(..length);
            return Ok((tag, body));
        }
        tokio::select! {
            filled = client.fill() => filled?,
            () = over(&pooler) => return Err(End::Silent),
        }
    }
}

/// Ready when the pooler stops. The process that has taken over sees by the end of its connection that this one is
/// gone: that is not closed before.
async fn over(pooler: &Arc<Pooler>) {
    let mut stage = pooler.stage.subscribe();
    // The sender lives as long as the pooler; its end is an end too.
    let _ = stage.wait_for(|stage| *stage == Stage::Stopping).await;
    if pooler.is_handed_over() {
        std::future::pending::<()>().await;
    }
}

impl Newcomer {
    /// Reads what the client sends ahead, at most `most` bytes; ready when the client is gone or has to go.
    pub(crate) fn poll_gone(&mut self, cx: &mut Context<'_>, most: usize) -> Poll<End> {
        loop {
            if let Some(Order::Close(reason)) = self.info.poll_order(cx.waker()) {
                return Poll::Ready(End::refused(reason));
            }
            if self.input.len() >= most {
                return Poll::Pending;
            }
            let mut bytes = [0_u8; READ_SIZE];
            match self.stream.poll_read(cx, &mut bytes) {
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(End::UnexpectedEof),
                Poll::Ready(Ok(read)) => self.input.extend_from_slice(&bytes[..read]),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

/// The console sessions of a pooler: where a cancel request for one of them is left.
#[derive(Debug, Default)]
pub(crate) struct Consoles {
    by_id: Mutex<HashMap<u64, Arc<Notify>>>,
}

impl Consoles {
    fn enter(&self, id: u64) -> Arc<Notify> {
        let canceled = Arc::new(Notify::new());
        self.by_id.lock().insert(id, Arc::clone(&canceled));
        canceled
    }

    fn leave(&self, id: u64) {
        self.by_id.lock().remove(&id);
    }

    /// The client of this number wants its command ended. One that waits for none is left alone.
    pub(crate) fn cancel(&self, id: u64) {
        if let Some(canceled) = self.by_id.lock().get(&id) {
            canceled.notify_waiters();
        }
    }
}
