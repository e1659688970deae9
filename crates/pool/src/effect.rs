//! What goes in and out of [`Pools`](crate::Pools) besides names: leases, refusals, effects, reasons.

use crate::ids::{LoginId, PoolId, ServerId, WaiterId};
use std::fmt;

/// A server in the hands of the owner until [`Pools::give_back`](crate::Pools::give_back) or
/// [`Pools::forget`](crate::Pools::forget).
#[derive(Debug, PartialEq, Eq)]
pub struct Lease<C> {
    /// Its name.
    pub server: ServerId,
    /// The pool that it belongs to.
    pub pool: PoolId,
    /// The connection.
    pub conn: C,
    /// It was idle for `server_check_delay` or longer: check it before use.
    pub check_due: bool,
}

/// The answer to a checkout. `W` went into the queue only with `Waiting`; with `Ready` it is dropped.
#[derive(Debug, PartialEq, Eq)]
pub enum Checkout<C, W, E> {
    /// A server, at once.
    Ready(Lease<C>),
    /// In the queue; [`Effect::HandOver`] or [`Effect::Fail`] ends the wait, or [`Pools::abandon`](crate::Pools::abandon).
    Waiting(WaiterId),
    /// Neither; here is the token back.
    Refused(W, Refusal<E>),
}

/// Why a checkout is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal<E> {
    /// The pool has no server, and the last login was refused less than `login_retry` ago, with this error. PgBouncer's words:
    /// `server login has been failing, cached error: … (server_login_retry)`.
    LoginFailing(E),
    /// The pool does not exist, or not any more.
    NoSuchPool,
}

/// Why a waiter leaves the queue without a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure<E> {
    /// The server refused the login, and the pool has no other server.
    Login(E),
    /// It waited for longer than `query_wait_timeout`.
    WaitTimeout,
    /// The pool was removed.
    PoolRemoved,
}

/// What became of an abandoned wait.
#[derive(Debug, PartialEq, Eq)]
pub enum Abandoned<W> {
    /// It left the queue; nothing will come.
    Left(W),
    /// It is not in the queue any more: a `HandOver` or a `Fail` for it has been or will be polled. The owner finds the lease
    /// where it performs hand-overs (the waiter's slot) and gives it back as `Reusable`.
    Settled,
}

/// How a server comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Return {
    /// Clean, in sync and outside a transaction: the next one may have it.
    Reusable,
    /// The same, and nothing was asked of it: its one use (`server_lifetime` zero) is still to come.
    Unused,
    /// To be closed, with the reason for the log.
    Discard(CloseReason),
}

/// What a failed login means for those who wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// The server said no (password, no such database, …). When the pool has no other server every waiter fails with the error,
    /// and so does every checkout in the next `login_retry`. With other servers, waiters wait for those.
    Refused,
    /// No answer, connection refused, time-out: waiters wait, the next login starts after `login_retry`.
    Unreachable,
    /// SQLSTATE 57P03, the server is starting up: as `Unreachable`.
    StartingUp,
    /// The owner gave the login up itself ([`Effect::AbortLogin`], say): nobody fails, and the next may start at once.
    Aborted,
}

/// What the owner is to do, in this order, after unlocking.
#[derive(Debug, PartialEq, Eq)]
pub enum Effect<K, C, W, E> {
    /// Connect and log in; answer with [`Pools::login_succeeded`](crate::Pools::login_succeeded) or
    /// [`Pools::login_failed`](crate::Pools::login_failed), exactly once.
    Connect {
        /// For which pool.
        pool: PoolId,
        /// Its key.
        key: K,
        /// The login's name.
        login: LoginId,
        /// Beyond `pool_size`: PgBouncer logs `taking connection from reserve_pool`.
        reserve: bool,
    },
    /// The turn of one who wants a connection of its own has come ([`Pools::checkout_own`](crate::Pools::checkout_own)): it
    /// connects and logs in by itself; answer with [`Pools::own_login_succeeded`](crate::Pools::own_login_succeeded) or
    /// [`Pools::login_failed`](crate::Pools::login_failed), exactly once. When the waiter is gone, fail the login as
    /// [`FailureKind::Aborted`].
    ConnectOwn {
        /// What the owner passed to `checkout_own`.
        waiter: W,
        /// The login's name.
        login: LoginId,
        /// Beyond `pool_size`.
        reserve: bool,
    },
    /// This login is not wanted any more (its pool was invalidated or removed). It may be stopped, with
    /// [`FailureKind::Aborted`]; a success is closed.
    AbortLogin {
        /// The login's name.
        login: LoginId,
    },
    /// The wait is over: give the lease to the waiter. When the waiter is gone, give it back as `Reusable`.
    HandOver {
        /// What the owner passed to `checkout`.
        waiter: W,
        /// The server.
        lease: Lease<C>,
    },
    /// Close this connection (it is not counted any more).
    Close {
        /// Its name, which ends here.
        server: ServerId,
        /// The pool it was in.
        pool: PoolId,
        /// The connection.
        conn: C,
        /// Why, for the log.
        reason: CloseReason,
    },
    /// The wait ended without a server.
    Fail {
        /// What the owner passed to `checkout`.
        waiter: W,
        /// Why.
        failure: Failure<E>,
    },
}

/// Why a server is closed. `Display` gives PgBouncer's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CloseReason {
    /// `server lifetime over`
    LifetimeOver,
    /// `server idle timeout`
    IdleTimeout,
    /// `evicted`: another pool under the same limit needs the place, or one who wants a connection of its own.
    Evicted,
    /// `database configuration changed` (RELOAD, RECONNECT)
    ConfigChanged,
    /// `obsolete connection`
    Obsolete,
    /// `too many servers in the pool`: a limit was lowered.
    TooMany,
    /// `pause mode`
    Paused,
    /// `database removed`
    PoolRemoved,
    /// `fenced: the node's epoch has ended` (failover; not PgBouncer's)
    Fenced,
    /// `server is not leased`: the owner gave back what it did not have.
    NotLeased,
    /// The owner's own reason.
    Because(&'static str),
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            CloseReason::LifetimeOver => "server lifetime over",
            CloseReason::IdleTimeout => "server idle timeout",
            CloseReason::Evicted => "evicted",
            CloseReason::ConfigChanged => "database configuration changed",
            CloseReason::Obsolete => "obsolete connection",
            CloseReason::TooMany => "too many servers in the pool",
            CloseReason::Paused => "pause mode",
            CloseReason::PoolRemoved => "database removed",
            CloseReason::Fenced => "fenced: the node's epoch has ended",
            CloseReason::NotLeased => "server is not leased",
            CloseReason::Because(reason) => reason,
        })
    }
}
