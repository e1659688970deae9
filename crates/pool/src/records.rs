//! What [`Pools`](crate::Pools) keeps of each thing. The rules by which the records change are in `books.rs`.

use crate::effect::CloseReason;
use crate::ids::{GroupId, LoginId, PoolId, Time};
use crate::list::{Linked, Links, List};
use crate::settings::PoolSettings;

/// One server connection, or a login that may become one.
#[derive(Debug)]
pub(crate) struct Server<C> {
    pub(crate) pool: PoolId,
    pub(crate) state: State<C>,
    /// Since when it is in this state (a test counts as the lease that it is part of).
    pub(crate) since: Time,
    /// Start of its login: its age counts from here, as PgBouncer's `connect_time`.
    pub(crate) born: Time,
    /// The pool's epoch at that moment; the server is stale when the pool's has moved on.
    pub(crate) epoch: u64,
    /// It has come back from somebody who used it.
    pub(crate) served: bool,
    links: Links,
}

impl<C> Server<C> {
    pub(crate) fn login(pool: PoolId, now: Time, epoch: u64) -> Self {
        let (state, served) = (State::Login, false);
        Server { pool, state, since: now, born: now, epoch, served, links: Links::default() }
    }
}

/// Where the connection is.
#[derive(Debug)]
pub(crate) enum State<C> {
    /// Not yet there.
    Login,
    /// Here, in the pool's list of idle servers.
    Idle(C),
    /// With the owner, serving a client.
    Leased,
    /// With the owner, being reset or checked.
    Tested,
}

impl<C> Linked for Server<C> {
    fn links(&self) -> &Links {
        &self.links
    }
    fn links_mut(&mut self) -> &mut Links {
        &mut self.links
    }
}

/// One place in a queue.
#[derive(Debug)]
pub(crate) struct Waiter<W> {
    pub(crate) pool: PoolId,
    pub(crate) token: W,
    pub(crate) since: Time,
    /// It wants a connection of its own, and none that is there.
    pub(crate) own: bool,
    links: Links,
}

impl<W> Waiter<W> {
    pub(crate) fn new(pool: PoolId, token: W, since: Time) -> Self {
        Waiter { pool, token, since, own: false, links: Links::default() }
    }

    pub(crate) fn of_its_own(pool: PoolId, token: W, since: Time) -> Self {
        Waiter { own: true, ..Waiter::new(pool, token, since) }
    }
}

impl<W> Linked for Waiter<W> {
    fn links(&self) -> &Links {
        &self.links
    }
    fn links_mut(&mut self) -> &mut Links {
        &mut self.links
    }
}

/// Pools under one limit.
#[derive(Debug, Default)]
pub(crate) struct Group {
    /// Most servers; 0 = no limit.
    pub(crate) limit: u32,
    /// Servers of all pools in it, logins included.
    pub(crate) count: u32,
    /// How many of them are idle: what could be evicted.
    pub(crate) idle: u32,
    /// Pools whose waiters want a server that a full group denies them.
    pub(crate) starved: u32,
    pub(crate) pools: Vec<PoolId>,
}

impl Group {
    /// There is a place for one more, as things are.
    pub(crate) fn has_room(&self) -> bool {
        self.limit == 0 || self.count < self.limit
    }

    /// There would be, with the idle servers evicted.
    pub(crate) fn could_make_room(&self) -> bool {
        self.limit == 0 || self.count - self.idle < self.limit
    }

    pub(crate) fn is_over(&self) -> bool {
        self.limit > 0 && self.count > self.limit
    }
}

/// Why nothing is handed out. Any one of them is enough.
#[derive(Debug, Default)]
pub(crate) struct Holds {
    /// PAUSE: idle servers are closed too.
    pub(crate) paused: bool,
    /// A plain hold: idle servers stay.
    pub(crate) held: bool,
    /// Until this epoch is published.
    pub(crate) fenced: Option<u64>,
}

impl Holds {
    pub(crate) fn any(&self) -> bool {
        self.paused || self.held || self.fenced.is_some()
    }
}

/// One pool.
#[derive(Debug)]
pub(crate) struct Pool<K, E> {
    pub(crate) key: K,
    /// Its database entry's group and its user's.
    pub(crate) groups: [GroupId; 2],
    pub(crate) settings: PoolSettings,
    /// Idle servers; the one given back last is at the front.
    pub(crate) idle: List,
    /// Waiters; the one that has waited longest is at the front.
    pub(crate) waiters: List,
    /// How many of them want a connection of their own.
    pub(crate) own: u32,
    /// All servers: login, idle, leased, tested.
    pub(crate) total: u32,
    pub(crate) tested: u32,
    /// Logins in flight.
    pub(crate) logins: Vec<LoginId>,
    pub(crate) epoch: u64,
    /// Servers of an older epoch.
    pub(crate) stale: u32,
    pub(crate) stale_reason: CloseReason,
    pub(crate) holds: Holds,
    /// The error with which the server refused the last login.
    pub(crate) failing: Option<E>,
    /// No login before this.
    pub(crate) retry_at: Option<Time>,
    /// Counted in `Group::starved`.
    pub(crate) starved: bool,
    pub(crate) removed: bool,
    /// `min_size` applies.
    pub(crate) attended: bool,
    pub(crate) last_lifetime_close: Option<Time>,
    /// Seen empty by `maintain` since.
    pub(crate) unused_since: Option<Time>,
}

impl<K, E> Pool<K, E> {
    pub(crate) fn new(key: K, groups: [GroupId; 2], settings: PoolSettings) -> Self {
        Pool {
            key,
            groups,
            settings,
            idle: List::default(),
            waiters: List::default(),
            own: 0,
            total: 0,
            tested: 0,
            logins: Vec::new(),
            epoch: 0,
            stale: 0,
            stale_reason: CloseReason::Obsolete,
            holds: Holds::default(),
            failing: None,
            retry_at: None,
            starved: false,
            removed: false,
            attended: true,
            last_lifetime_close: None,
            unused_since: None,
        }
    }

    /// Servers that are logged in.
    pub(crate) fn connected(&self) -> u32 {
        self.total - self.logging_in()
    }

    /// Logins in flight.
    pub(crate) fn logging_in(&self) -> u32 {
        u32::try_from(self.logins.len()).unwrap_or(u32::MAX)
    }

    /// Whether one more login may start: within the limit, and for a waiter whom none in flight is for yet.
    pub(crate) fn may_log_in(&self) -> bool {
        self.logging_in() < self.settings.logins.max(1).min(self.waiters.len() - self.own)
    }

    /// Whether nothing but room keeps a login from starting: no hold, no earlier failure, not too many in flight.
    pub(crate) fn may_log_in_anybody(&self, now: Time) -> bool {
        let free = self.logging_in() < self.settings.logins.max(1);
        free && !self.holds.any() && !self.removed && !self.in_login_retry(now)
    }

    /// Logged in and in the owner's hands, serving.
    pub(crate) fn active(&self) -> u32 {
        self.connected() - self.idle.len() - self.tested
    }

    pub(crate) fn is_over(&self) -> bool {
        self.settings.ceiling().is_some_and(|ceiling| self.total > ceiling)
    }

    /// A failed login is still keeping the next one away.
    pub(crate) fn in_login_retry(&self, now: Time) -> bool {
        self.retry_at.is_some_and(|at| now < at)
    }

    /// The error with which a checkout is refused now: the login has just been refused, and there is no other server.
    pub(crate) fn refusing(&self, now: Time) -> Option<&E> {
        self.failing.as_ref().filter(|_| self.total == 0 && self.in_login_retry(now))
    }

    /// A server of this age is to be closed, if its turn has come. With a lifetime of zero that is when it has been used.
    pub(crate) fn lifetime_over(&self, now: Time, born: Time, served: bool) -> bool {
        (served || !self.settings.server_lifetime.is_zero())
            && now.since(born) >= self.settings.server_lifetime
            && self.last_lifetime_close.is_none_or(|last| now.since(last) >= self.settings.lifetime_gap())
    }
}
