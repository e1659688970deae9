//! What SHOW POOLS, SHOW SERVERS and the router ask. Exact at the moment of the call.

use crate::ids::{GroupId, PoolId, ServerId, Time};
use crate::list::toward_front;
use crate::pools::Pools;
use crate::records::State;
use std::fmt;
use std::hash::Hash;

/// The columns of SHOW POOLS that the accounting knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PoolCounts {
    /// `cl_waiting`
    pub waiting: u32,
    /// `sv_active`: serving a client.
    pub active: u32,
    /// `sv_idle`: usable at once.
    pub idle: u32,
    /// `sv_used`: idle for `server_check_delay` or longer, to be checked before use.
    pub used: u32,
    /// `sv_tested`: being reset or checked.
    pub tested: u32,
    /// `sv_login`: 0 or 1.
    pub login: u32,
    /// Since when the longest waiter waits: `maxwait` is the time since.
    pub longest_wait: Option<Time>,
}

/// A server's state, as SHOW SERVERS names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ServerState {
    /// Logging in.
    New,
    /// Serving a client.
    Active,
    /// Usable at once.
    Idle,
    /// Idle, to be checked before use.
    Used,
    /// Being reset or checked.
    Tested,
}

impl fmt::Display for ServerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ServerState::New => "new",
            ServerState::Active => "active",
            ServerState::Idle => "idle",
            ServerState::Used => "used",
            ServerState::Tested => "tested",
        })
    }
}

/// One row of SHOW SERVERS, as far as the accounting knows it.
#[derive(Debug)]
pub struct ServerInfo<'a, K, C> {
    /// Its name.
    pub server: ServerId,
    /// Its pool.
    pub pool: PoolId,
    /// The pool's key.
    pub key: &'a K,
    /// What it does.
    pub state: ServerState,
    /// Start of its login (`connect_time`).
    pub born: Time,
    /// Since when it is leased or idle (`request_time`).
    pub since: Time,
    /// It will be closed when it comes back.
    pub close_needed: bool,
    /// The connection, when it is here (idle or used).
    pub conn: Option<&'a C>,
}

impl<K: Clone + Eq + Hash, C, W, E: Clone> Pools<K, C, W, E> {
    /// The counts of a pool; all zero when there is none. Looks at the used servers one by one.
    pub fn counts(&self, now: Time, pool: PoolId) -> PoolCounts {
        let Some(record) = self.pools.get(pool.0) else { return PoolCounts::default() };
        let used = self.used(now, pool);
        PoolCounts {
            waiting: record.waiters.len(),
            active: record.active(),
            idle: record.idle.len() - used,
            used,
            tested: record.tested,
            login: record.logging_in(),
            longest_wait: self.longest_wait(pool),
        }
    }

    fn used(&self, now: Time, pool: PoolId) -> u32 {
        let Some(record) = self.pools.get(pool.0) else { return 0 };
        let Some(delay) = record.settings.server_check_delay else { return 0 };
        let mut next = record.idle.back();
        let mut used = 0;
        while let Some(id) =
            next.filter(|id| self.servers.get(*id).is_some_and(|s| now.since(s.since) >= delay))
        {
            used += 1;
            next = toward_front(&self.servers, id);
        }
        used
    }

    /// Since when the longest waiter of a pool waits.
    pub fn longest_wait(&self, pool: PoolId) -> Option<Time> {
        let front = self.pools.get(pool.0)?.waiters.front()?;
        self.waiters.get(front).map(|waiter| waiter.since)
    }

    /// Servers in use and clients waiting: what `balance = least_loaded` compares. Constant time.
    pub fn load(&self, pool: PoolId) -> u32 {
        self.pools.get(pool.0).map_or(0, |record| record.active() + record.tested + record.waiters.len())
    }

    /// Servers of a group, logins included: `current_connections` of SHOW DATABASES and SHOW USERS.
    pub fn group_servers(&self, group: GroupId) -> u32 {
        self.groups.get(group.0).map_or(0, |record| record.count)
    }

    /// The most cancel requests that may be on their way to the pool's server at this moment: with the pool's servers they are
    /// twice `size`, as with PgBouncer. `None`: no limit. They are connections that log nobody in, and the owner counts them: no
    /// server is refused or closed on account of them.
    pub fn cancel_room(&self, pool: PoolId) -> Option<u32> {
        let record = self.pools.get(pool.0)?;
        let size = record.settings.size;
        (size > 0).then(|| size.saturating_mul(2).saturating_sub(record.total))
    }

    /// Since when `maintain` has seen the pool without server and waiter, for `pool_idle_timeout`.
    pub fn unused_since(&self, pool: PoolId) -> Option<Time> {
        self.pools.get(pool.0)?.unused_since
    }

    /// The error that checkouts are refused with at this moment.
    pub fn login_error(&self, now: Time, pool: PoolId) -> Option<&E> {
        self.pools.get(pool.0)?.refusing(now)
    }

    /// All servers, those of removed pools included.
    pub fn servers(&self, now: Time) -> impl Iterator<Item = ServerInfo<'_, K, C>> {
        self.servers.iter().filter_map(move |(id, _)| self.server(now, ServerId(id)))
    }

    /// One server.
    pub fn server(&self, now: Time, server: ServerId) -> Option<ServerInfo<'_, K, C>> {
        let record = self.servers.get(server.0)?;
        let pool = self.pools.get(record.pool.0)?;
        let check_due =
            pool.settings.server_check_delay.is_some_and(|delay| now.since(record.since) >= delay);
        let (state, conn) = match &record.state {
            State::Login => (ServerState::New, None),
            State::Idle(conn) if check_due => (ServerState::Used, Some(conn)),
            State::Idle(conn) => (ServerState::Idle, Some(conn)),
            State::Leased => (ServerState::Active, None),
            State::Tested => (ServerState::Tested, None),
        };
        let close_needed = record.epoch != pool.epoch;
        let (born, since) = (record.born, record.since);
        Some(ServerInfo { server, pool: record.pool, key: &pool.key, state, born, since, close_needed, conn })
    }
}
