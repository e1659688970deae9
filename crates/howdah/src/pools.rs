//! The one account of server connections of the process: the pool core behind a lock, and the effects that it
//! asks for performed outside of it. Read `howdah_pool` first; `connect.rs` is what `Effect::Connect` runs.

use std::sync::Arc;

use howdah_pool::{
    Abandoned, Checkout, CloseReason, Effect, Failure, FailureKind, Lease, LoginId, PoolId, Pools, Refusal,
    Return, ServerId, WaiterId,
};
use howdah_topology::{NodeId, Time};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::error::LoginFailure;
use crate::pooler::Pooler;
use crate::server::{ServerConn, ServerInfo};

/// One pool a database entry, server user and, in a cluster, node.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct PoolKey {
    pub(crate) entry: Arc<str>,
    pub(crate) user: Arc<str>,
    pub(crate) node: Option<NodeId>,
}

impl PoolKey {
    /// The pool that a server is of.
    pub(crate) fn of(server: &ServerInfo) -> Self {
        Self { entry: Arc::clone(&server.entry), user: Arc::clone(&server.user), node: server.node }
    }
}

/// Why a wait for a server ended without one.
#[derive(Debug, Clone)]
pub(crate) enum WaitError {
    /// The server refused the login just now.
    Login(Arc<LoginFailure>),
    /// The server refused a login a short while ago (`server_login_retry`).
    LoginFailing(Arc<LoginFailure>),
    /// `query_wait_timeout`.
    Timeout,
    /// The pool is gone: its entry was removed.
    Removed,
    /// The node is not the right one any more: choose again.
    ChooseAgain,
    /// The pooler shuts down, and servers are not given out any more.
    ShuttingDown,
}

/// What a wait brings.
#[derive(Debug)]
enum Given {
    /// A server.
    Lease(Lease<Box<ServerConn>>),
    /// The turn to log in for a server of one's own.
    Turn(LoginId),
}

type Handed = Result<Given, WaitError>;

/// What stands in the queue for a client.
#[derive(Debug)]
pub(crate) struct Waiter {
    give: oneshot::Sender<Handed>,
}

impl Waiter {
    pub(crate) fn fail(self, error: WaitError) {
        // A client that has left in the meantime needs no answer.
        let _ = self.give.send(Err(error));
    }
}

pub(crate) type Account = Pools<PoolKey, Box<ServerConn>, Waiter, Arc<LoginFailure>>;

/// The account behind its lock.
#[derive(Debug)]
pub(crate) struct SharedPools {
    account: Mutex<Account>,
}

/// A server in the hands of a client; given back when dropped, as one that is not to be used again.
#[derive(Debug)]
pub(crate) struct Leased {
    pooler: Arc<Pooler>,
    server: ServerId,
    conn: Option<Box<ServerConn>>,
    pub(crate) check_due: bool,
}

impl SharedPools {
    pub(crate) fn new() -> Self {
        Self { account: Mutex::new(Pools::new()) }
    }
}

pub(crate) fn pool_time(now: Time) -> howdah_pool::Time {
    howdah_pool::Time::from_micros(now.0)
}

/// What the account wants done.
type Todo = Effect<PoolKey, Box<ServerConn>, Waiter, Arc<LoginFailure>>;

impl Pooler {
    /// Works on the account and performs what it asks for, after unlocking.
    pub(crate) fn account<R>(self: &Arc<Self>, work: impl FnOnce(&mut Account, howdah_pool::Time) -> R) -> R {
        let mut effects: Vec<Todo> = Vec::new();
        let result = {
            let mut account = self.pools.account.lock();
            let result = work(&mut account, pool_time(self.clock.now()));
            while let Some(effect) = account.poll_effect() {
                effects.push(effect);
            }
            result
        };
        for effect in effects {
            self.perform(effect);
        }
        result
    }

    fn perform(self: &Arc<Self>, effect: Todo) {
        match effect {
            Effect::Connect { key, login, reserve, .. } => {
                if reserve {
                    tracing::warn!("{}/{}: taking connection from reserve_pool", key.entry, key.user);
                }
                let pooler = Arc::clone(self);
                tokio::spawn(async move { pooler.log_in(key, login).await });
            }
            // The login's result is closed by the account when it comes.
            Effect::AbortLogin { .. } => {}
            Effect::HandOver { waiter, lease } => {
                if let Err(Ok(given)) = waiter.give.send(Ok(Given::Lease(lease))) {
                    self.take_back(given);
                }
            }
            Effect::ConnectOwn { waiter, login, reserve } => {
                if reserve {
                    tracing::warn!("taking connection from reserve_pool");
                }
                if let Err(Ok(given)) = waiter.give.send(Ok(Given::Turn(login))) {
                    self.take_back(given);
                }
            }
            Effect::Close { conn, reason, .. } => self.close_server(*conn, &reason.to_string(), true),
            Effect::Fail { waiter, failure } => waiter.fail(match failure {
                Failure::Login(error) => WaitError::Login(error),
                Failure::WaitTimeout => WaitError::Timeout,
                Failure::PoolRemoved => WaitError::Removed,
            }),
        }
    }

    /// Logs and closes.
    pub(crate) fn close_server(&self, conn: ServerConn, reason: &str, clean: bool) {
        let age = conn.info.connected.elapsed().unwrap_or_default().as_secs();
        tracing::info!("{} closing because: {reason} (age={age}s)", conn.info.log_name());
        conn.close(clean);
    }

    fn leased(self: &Arc<Self>, lease: Lease<Box<ServerConn>>) -> Leased {
        Leased {
            pooler: Arc::clone(self),
            server: lease.server,
            conn: Some(lease.conn),
            check_due: lease.check_due,
        }
    }

    /// A server at once, or not.
    pub(crate) fn try_checkout(self: &Arc<Self>, pool: PoolId) -> Option<Leased> {
        let lease = self.account(|account, now| account.try_checkout(now, pool))?;
        Some(self.leased(lease))
    }

    /// A server, after the wait that it takes. `since` keeps the place of somebody who has waited before.
    pub(crate) async fn checkout(self: &Arc<Self>, pool: PoolId, since: Time) -> Result<Leased, WaitError> {
        let (give, receive) = oneshot::channel();
        let outcome = self.account(|account, now| {
            let since = pool_time(since).min(now);
            account.checkout_again(now, pool, since, Waiter { give })
        });
        let waiter = match outcome {
            Checkout::Ready(lease) => return Ok(self.leased(lease)),
            Checkout::Refused(_, Refusal::LoginFailing(error)) => return Err(WaitError::LoginFailing(error)),
            Checkout::Refused(_, Refusal::NoSuchPool) => return Err(WaitError::Removed),
            Checkout::Waiting(waiter) => waiter,
        };
        let mut waiting = Waiting { pooler: Arc::clone(self), waiter, receive: Some(receive) };
        match waiting.outcome().await? {
            Given::Lease(lease) => Ok(self.leased(lease)),
            // The account gives everyone what they asked for.
            given @ Given::Turn(_) => {
                self.take_back(given);
                Err(WaitError::Removed)
            }
        }
    }

    /// The turn to log in for a server of one's own, after the wait that it takes.
    pub(crate) async fn checkout_own(self: &Arc<Self>, pool: PoolId, since: Time) -> Result<Turn, WaitError> {
        let (give, receive) = oneshot::channel();
        let outcome = self.account(|account, now| {
            account.checkout_own(now, pool, pool_time(since).min(now), Waiter { give })
        });
        let waiter = match outcome {
            Checkout::Waiting(waiter) => waiter,
            Checkout::Refused(_, Refusal::LoginFailing(error)) => return Err(WaitError::LoginFailing(error)),
            Checkout::Refused(_, Refusal::NoSuchPool) => return Err(WaitError::Removed),
            Checkout::Ready(lease) => {
                self.leased(lease).give_back();
                return Err(WaitError::Removed);
            }
        };
        let mut waiting = Waiting { pooler: Arc::clone(self), waiter, receive: Some(receive) };
        match waiting.outcome().await? {
            Given::Turn(login) => Ok(Turn { pooler: Arc::clone(self), login: Some(login) }),
            given @ Given::Lease(_) => {
                self.take_back(given);
                Err(WaitError::Removed)
            }
        }
    }

    /// What nobody is there to take.
    fn take_back(self: &Arc<Self>, given: Given) {
        match given {
            Given::Lease(lease) => self.leased(lease).give_back(),
            Given::Turn(login) => drop(Turn { pooler: Arc::clone(self), login: Some(login) }),
        }
    }
}

/// The turn to log in for a server of one's own; dropped, it goes to the next.
#[derive(Debug)]
pub(crate) struct Turn {
    pooler: Arc<Pooler>,
    login: Option<LoginId>,
}

impl Turn {
    /// The server that is to be.
    pub(crate) fn server(&self) -> Option<ServerId> {
        self.login.map(LoginId::server)
    }

    /// Logged in: counted until the [`Own`] is dropped.
    ///
    /// # Errors
    /// Why it is to be closed at once.
    pub(crate) fn succeeded(mut self) -> Result<Own, CloseReason> {
        let login = self.login.take().ok_or(CloseReason::NotLeased)?;
        let server = self.pooler.account(|account, now| account.own_login_succeeded(now, login))?;
        Ok(Own { pooler: Arc::clone(&self.pooler), server })
    }

    /// Nobody answered: the next login waits `server_login_retry`.
    pub(crate) fn unreachable(mut self, failure: LoginFailure) {
        self.fail(failure, FailureKind::Unreachable);
    }

    fn fail(&mut self, failure: LoginFailure, kind: FailureKind) {
        if let Some(login) = self.login.take() {
            self.pooler.account(|account, now| account.login_failed(now, login, Arc::new(failure), kind));
            self.pooler.roll.end(login.server());
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let failure = LoginFailure { code: "08P01".to_owned(), message: "login failed".to_owned() };
        self.fail(failure, FailureKind::Aborted);
    }
}

/// The count of a server of one's own.
#[derive(Debug)]
pub(crate) struct Own {
    pooler: Arc<Pooler>,
    server: ServerId,
}

impl Drop for Own {
    fn drop(&mut self) {
        self.pooler.account(|account, now| account.forget(now, self.server));
    }
}

/// A place in the queue; leaves it when dropped, and gives back what was handed over at that very moment.
struct Waiting {
    pooler: Arc<Pooler>,
    waiter: WaiterId,
    receive: Option<oneshot::Receiver<Handed>>,
}

impl Waiting {
    async fn outcome(&mut self) -> Handed {
        let Some(receive) = &mut self.receive else { return Err(WaitError::Removed) };
        let handed = receive.await;
        self.receive = None;
        // The sender is dropped unused only when the whole account goes.
        handed.unwrap_or(Err(WaitError::Removed))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let Some(mut receive) = self.receive.take() else { return };
        if let Abandoned::Settled = self.pooler.account(|account, _| account.abandon(self.waiter)) {
            receive.close();
            if let Ok(Ok(given)) = receive.try_recv() {
                self.pooler.take_back(given);
            }
        }
    }
}

impl Leased {
    /// A server that another process had.
    pub(crate) fn adopted(pooler: &Arc<Pooler>, server: ServerId, conn: ServerConn) -> Self {
        Self { pooler: Arc::clone(pooler), server, conn: Some(Box::new(conn)), check_due: false }
    }

    /// The connection.
    pub(crate) fn conn(&mut self) -> &mut ServerConn {
        // proof: taken out by `give_back` and `discard` only, which consume the lease.
        #[allow(clippy::expect_used)]
        self.conn.as_mut().expect("a lease holds its connection until it ends")
    }

    /// Back to the pool, for the next one.
    pub(crate) fn give_back(mut self) {
        if let Some(conn) = self.conn.take() {
            self.pooler.account(|account, now| account.give_back(now, self.server, conn, Return::Reusable));
        }
    }

    /// Back to the pool by somebody who only waited for it to be there.
    pub(crate) fn give_back_unused(mut self) {
        if let Some(conn) = self.conn.take() {
            self.pooler.account(|account, now| account.give_back(now, self.server, conn, Return::Unused));
        }
    }

    /// It is being reset or checked: counted as tested.
    pub(crate) fn begin_test(&self) {
        self.pooler.account(|account, _| account.begin_test(self.server));
    }

    /// The check is done.
    pub(crate) fn end_test(&self) {
        self.pooler.account(|account, _| account.end_test(self.server));
    }

    /// Closed, with a reason; `clean` says that the server is at a message boundary.
    pub(crate) fn discard(mut self, reason: &str, clean: bool) {
        if let Some(conn) = self.conn.take() {
            self.pooler.close_server(*conn, reason, clean);
            self.pooler.account(|account, now| account.forget(now, self.server));
        }
    }
}

impl Drop for Leased {
    fn drop(&mut self) {
        // Another process goes on with it.
        if self.pooler.is_handed_over() {
            return;
        }
        if let Some(conn) = self.conn.take() {
            self.pooler.close_server(*conn, "client disconnected while it was in use", false);
            self.pooler.account(|account, now| account.forget(now, self.server));
        }
    }
}
