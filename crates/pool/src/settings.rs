//! What the operator sets for a pool. The meaning of each is PgBouncer's (PGBOUNCER_BEHAVIOUR.md sections 6 and 7).

use std::time::Duration;

/// The settings of one pool, already resolved by the owner (user's, else entry's, else the default).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolSettings {
    /// `pool_size`: most servers; 0 = no limit.
    pub size: u32,
    /// `min_pool_size`: servers that [`Pools::maintain`](crate::Pools::maintain) keeps up, one new one a round, never beyond
    /// `size` or a group's limit; 0 = none.
    pub min_size: u32,
    /// `reserve_pool_size`: more servers than `size` when a waiter has waited for `reserve_timeout`; 0 = none.
    pub reserve_size: u32,
    /// `reserve_pool_timeout`; zero = the reserve is never used.
    pub reserve_timeout: Duration,
    /// `server_lifetime`: an unlinked server older than this is closed; zero = a server is used once.
    pub server_lifetime: Duration,
    /// `server_idle_timeout`: a server idle for longer is closed, down to `min_size`; zero = never.
    pub server_idle_timeout: Duration,
    /// `server_check_delay`: a server idle for this long is to be checked before use ([`Lease::check_due`](crate::Lease::check_due));
    /// zero = after every idleness. `None` when there is no check (`server_check_query` is empty).
    pub server_check_delay: Option<Duration>,
    /// Most logins in flight, at least 1. PgBouncer has one; more are for pools that have to be filled at once, when another
    /// node has become primary.
    pub logins: u32,
    /// `server_login_retry`: pause after a failed login before the next one.
    pub login_retry: Duration,
    /// `query_wait_timeout`: a waiter that has waited longer fails; zero = never.
    pub query_wait_timeout: Duration,
    /// `server_round_robin`: reuse the server that has been idle longest, instead of the one given back last.
    pub round_robin: bool,
}

impl Default for PoolSettings {
    /// PgBouncer's defaults.
    fn default() -> Self {
        PoolSettings {
            size: 20,
            min_size: 0,
            reserve_size: 0,
            reserve_timeout: Duration::from_secs(5),
            server_lifetime: Duration::from_secs(3600),
            server_idle_timeout: Duration::from_secs(600),
            server_check_delay: Some(Duration::from_secs(30)),
            logins: 1,
            login_retry: Duration::from_secs(15),
            query_wait_timeout: Duration::from_secs(120),
            round_robin: false,
        }
    }
}

impl PoolSettings {
    /// The most servers that the pool may ever have, reserve included; `None` = no limit.
    pub(crate) fn ceiling(&self) -> Option<u32> {
        (self.size > 0).then(|| self.size.saturating_add(self.reserve_size))
    }

    /// The shortest time between two closings for age, so that a pool that was filled at once does not empty at once:
    /// the lifetime spread over the pool's size, as PgBouncer does it.
    pub(crate) fn lifetime_gap(&self) -> Duration {
        if self.size == 0 { Duration::ZERO } else { self.server_lifetime / self.size }
    }
}
