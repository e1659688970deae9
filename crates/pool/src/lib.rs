//! The accounting of server connections: limits, waiters, lifetimes, pause and eviction, generic over what a connection is.
//!
//! It knows no PostgreSQL, no runtime and no clock. Events go in as calls, with the time as an argument; what is to be done comes
//! out of [`Pools::poll_effect`]. The owner keeps one [`Pools`] for the whole process behind one mutex, so that every limit and every
//! count is exact at any moment; it takes the effects out before it unlocks and performs them afterwards. Nothing here blocks.
//! [`Pools::checkout`] and [`Pools::give_back`] take constant time unless a place must be made in a full group.
//!
//! # The life of a server
//!
//! ```text
//!   Effect::Connect                    checkout
//!         │                       ┌───────────────────────┐
//!         ▼       nobody waits    │                       ▼      begin_test
//!      ( new )──────────────▶( idle / used )          ( active )────────────▶( tested )
//!         │ login_failed          │ ▲   give_back,        │  ▲  ◀────────────   │
//!         │ (no connection)       │ │   nobody waits      │  │    end_test      │ give_back as
//!         ▼                       │ └─────────────────────┤  │                  │ from active
//!        gone                     │                       │  └── Effect::HandOver, straight to the
//!                                 ▼                       ▼      longest waiter: from new, active, tested
//!                           Effect::Close            Effect::Close (stale, too old, one too many, paused,
//!                           (age, eviction, …)       discarded) or forget (died in use)
//! ```
//!
//! - It is counted in its pool and in two groups (database entry and user) from the start of its login until `Close` or `forget`.
//! - A login belongs to nobody: a client that goes away does not cancel it. One is in flight a pool at most, unless
//!   [`PoolSettings::logins`] allows more.
//! - `used` is `idle` for longer than `server_check_delay`: the same to the accounting, but the lease says that a check is due.
//! - Invalidation moves the pool's epoch on. A server of an older epoch is *stale*: closed at once when idle, else when it comes
//!   back; it is never handed out again.
//!
//! # The life of a waiter
//!
//! ```text
//!   checkout ──▶ Ready              an idle server, when there is one and the pool is open
//!      ├───────▶ Refused            no such pool; or the last login was refused and there is no other server
//!      └───────▶ Waiting ──▶ Effect::HandOver     in the order of coming
//!                   ├──────▶ Effect::Fail         login refused, query_wait_timeout, pool removed
//!                   └──────▶ abandon, drain_waiters, kill      by the owner's decision
//! ```
//!
//! - A pool with waiters has no idle server, except behind a hold: nobody overtakes.
//! - A hand-over that was decided before an `abandon` stands: `abandon` then says `Settled`, and the owner gives the lease back.
//! - Who wants a connection of its own waits in the same queue ([`Pools::checkout_own`]), and takes no server that is there.
//! - `query_wait_timeout` is the pool's, applied by [`Pools::maintain`]; where a client's own differs, the owner uses
//!   [`Pools::drain_waiters`] or its own timer and `abandon`.
//!
//! # Holds
//!
//! [`Pools::pause`] (PAUSE; closes idle servers), [`Pools::hold`] (keeps them) and [`Pools::fence`] (invalidates, until an epoch)
//! stop handing out and logging in, each by itself; waiters wait. The pool is open when none of them is left.
//!
//! ```
//! use howdah_pool::{Checkout, Effect, PoolSettings, Pools, Return, Time};
//!
//! let mut pools: Pools<&str, &str, u32, &str> = Pools::new();
//! let (database, user) = (pools.add_group(0), pools.add_group(0));
//! let pool = pools.add_pool("app/alice", database, user, PoolSettings::default());
//! let now = Time::from_micros(1);
//!
//! let Checkout::Waiting(_) = pools.checkout(now, pool, 7) else { panic!("no server yet") };
//! let Some(Effect::Connect { login, .. }) = pools.poll_effect() else { panic!("a login") };
//! pools.login_succeeded(now, login, "the connection");
//! let Some(Effect::HandOver { waiter: 7, lease }) = pools.poll_effect() else { panic!("for the waiter") };
//! pools.give_back(now, lease.server, lease.conn, Return::Reusable);
//! assert_eq!(pools.counts(now, pool).idle, 1);
//! ```
//!
//! Read next: `pools.rs`, then `checkout.rs` and `login.rs`; `books.rs` has the bookkeeping that they share.

mod arena;
mod books;
#[cfg(test)]
mod books_tests;
mod checkout;
mod effect;
mod hold;
mod ids;
mod list;
mod login;
mod maintain;
mod own;
mod pools;
mod records;
mod report;
mod settings;

pub use effect::{Abandoned, Checkout, CloseReason, Effect, Failure, FailureKind, Lease, Refusal, Return};
pub use ids::{GroupId, LoginId, PoolId, ServerId, Time, WaiterId};
pub use pools::Pools;
pub use report::{PoolCounts, ServerInfo, ServerState};
pub use settings::PoolSettings;
