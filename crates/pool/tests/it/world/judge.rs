//! The judge: performs effects, refuses those that the rules forbid, and compares the pools with the model.

use super::{At, Conn, Error, Pool, Server, Token, World};
use howdah_pool::{CloseReason, Effect, Failure, Lease, PoolId, ServerId, ServerState};
use std::time::Duration;

impl World {
    // ---- effects ----

    /// Performs what the last call asked for, then compares everything.
    pub(crate) fn done(&mut self) {
        while let Some(effect) = self.pools.poll_effect() {
            self.perform(effect);
        }
        // What was on its way and neither closed nor handed over is idle now.
        let now = self.now;
        let arrived: Vec<ServerId> =
            self.servers.iter().filter(|(_, s)| s.at == At::Transit).map(|(id, _)| *id).collect();
        for id in arrived {
            let server = self.servers.get_mut(&id).expect("a server");
            assert!(!server.stale, "a stale server was kept");
            (server.at, server.since) = (At::Idle, now);
            let pool = server.pool;
            self.pool(pool).idle.push_front(id);
            let (total, p) = (self.total(pool), self.pool(pool));
            let ceiling = p.settings.size + p.settings.reserve_size;
            assert!(p.settings.size == 0 || total <= ceiling, "one too many was kept");
        }
        self.compare();
    }

    fn perform(&mut self, effect: Effect<u32, Conn, Token, Error>) {
        match effect {
            Effect::ConnectOwn { .. } => panic!("nobody has asked for a connection of its own"),
            Effect::Connect { pool, key, login, reserve } => {
                assert_eq!(key, self.pool(pool).key);
                self.judge_connect(pool, reserve);
                self.pool(pool).login = Some(login);
                let (since, born) = (self.now, self.now);
                let server = Server { pool, at: At::Login, conn: None, stale: false, since, born };
                assert!(
                    self.servers.insert(login.server(), server).is_none(),
                    "a server's name was used before"
                );
                self.connects.push((pool, login, reserve));
            }
            Effect::AbortLogin { login } => {
                assert!(self.servers.get(&login.server()).is_some_and(|s| s.at == At::Login && s.stale));
                self.aborts.push(login);
            }
            Effect::HandOver { waiter, lease } => self.note_hand_over(waiter, lease),
            Effect::Close { server, pool, conn, reason } => {
                assert_eq!(self.servers.get(&server).map(|s| s.pool), Some(pool));
                self.judge_close(server, reason);
                self.drop_server(server, conn);
                self.closed.push((server, reason));
            }
            Effect::Fail { waiter, failure } => {
                self.judge_fail(waiter, &failure);
                self.failed.push((waiter, failure));
            }
        }
    }

    fn note_hand_over(&mut self, waiter: Token, lease: Lease<Conn>) {
        let p = self.pool(lease.pool);
        assert!(!p.on_hold(), "nothing is handed out behind a hold");
        let first = p.queue.pop_front().expect("someone waits");
        assert_eq!(first.token, waiter, "first come, first served");
        let server = self.servers.get(&lease.server).expect("a server");
        if server.at == At::Idle {
            return self.note_lease_of_idle(waiter, lease);
        }
        assert_eq!((server.at, server.conn, server.stale), (At::Transit, Some(lease.conn.0), false));
        assert!(!lease.check_due, "it was not idle");
        let now = self.now;
        let server = self.servers.get_mut(&lease.server).expect("a server");
        (server.at, server.since) = (At::Out, now);
        self.leases.push((waiter, lease));
    }

    /// A waiter fails only for a reason that holds, and leaves the queue by it.
    fn judge_fail(&mut self, waiter: Token, failure: &Failure<Error>) {
        let waits = |p: &Pool| p.queue.iter().position(|queued| queued.token == waiter);
        let found = self.model.iter().find_map(|(id, p)| Some((*id, waits(p)?)));
        let (pool, place) = found.expect("a waiter of some pool");
        assert_eq!(place, 0, "the longest wait ends first");
        let (now, total) = (self.now, self.total(pool));
        let p = self.pool(pool);
        let queued = p.queue.pop_front().expect("it waits");
        match failure {
            Failure::Login(_) => assert!(p.refused && !p.on_hold() && total == 0),
            Failure::WaitTimeout => {
                let limit = p.settings.query_wait_timeout;
                assert!(limit > Duration::ZERO && now.since(queued.since) > limit);
            }
            Failure::PoolRemoved => assert!(p.removed),
        }
    }

    /// A login may start only when every rule allows it.
    fn judge_connect(&self, id: PoolId, reserve: bool) {
        let p = &self.model[&id];
        assert!(p.login.is_none(), "one login a pool");
        assert!(!p.on_hold() && !p.removed && self.now >= p.retry_at);
        let total = self.total(id);
        let settings = &p.settings;
        if reserve {
            let waited = p.queue.front().map(|queued| self.now.since(queued.since)).expect("someone waits");
            assert!(settings.reserve_timeout > Duration::ZERO && waited >= settings.reserve_timeout);
            assert!(
                settings.size > 0 && total >= settings.size && total < settings.size + settings.reserve_size
            );
        } else {
            assert!(settings.size == 0 || total < settings.size, "beyond pool_size");
        }
        let minimum = p.attended && total < settings.min_size;
        assert!(!p.queue.is_empty() || minimum, "nobody wants it");
        for group in p.groups {
            let limit = self.groups[group].1;
            assert!(limit == 0 || self.in_group(group, |_| true) < limit, "beyond the group's limit");
        }
    }

    fn judge_close(&self, id: ServerId, reason: CloseReason) {
        let server = &self.servers[&id];
        let p = &self.model[&server.pool];
        let connected = self.count(server.pool, |s| s.at != At::Login) as u32;
        match reason {
            CloseReason::LifetimeOver => assert!(self.now.since(server.born) >= p.settings.server_lifetime),
            CloseReason::IdleTimeout => {
                assert!(
                    server.at == At::Idle && self.now.since(server.since) > p.settings.server_idle_timeout
                );
                assert!(p.settings.min_size == 0 || connected > p.settings.min_size);
            }
            CloseReason::Evicted => {
                let full = |group: &usize| {
                    self.groups[*group].1 > 0 && self.in_group(*group, |_| true) >= self.groups[*group].1
                };
                assert!(p.groups.iter().any(full), "evicted from a group with room");
            }
            CloseReason::TooMany => {
                let over = |group: &usize| {
                    self.groups[*group].1 > 0 && self.in_group(*group, |_| true) > self.groups[*group].1
                };
                let own = p.settings.size > 0
                    && self.total(server.pool) > p.settings.size + p.settings.reserve_size;
                assert!(own || p.groups.iter().any(over));
            }
            CloseReason::Paused => assert!(p.paused),
            CloseReason::ConfigChanged | CloseReason::Obsolete => assert!(server.stale),
            CloseReason::Fenced => assert!(server.stale),
            CloseReason::PoolRemoved => assert!(p.removed),
            CloseReason::NotLeased => panic!("the model gives back only what it has"),
            CloseReason::Because(_) => assert!(server.at == At::Transit || server.stale),
        }
    }

    /// A connection leaves the accounting: once.
    pub(crate) fn drop_server(&mut self, id: ServerId, conn: Conn) {
        let server = self.servers.remove(&id).expect("a server");
        assert_eq!(server.conn, Some(conn.0), "it comes out with its own connection");
        assert!(self.conns_gone.insert(conn.0), "a connection came out twice");
        self.pool(server.pool).idle.retain(|member| *member != id);
    }

    // ---- comparison ----

    pub(crate) fn count(&self, pool: PoolId, which: impl Fn(&Server) -> bool) -> usize {
        self.servers.values().filter(|s| s.pool == pool && which(s)).count()
    }

    pub(crate) fn total(&self, pool: PoolId) -> u32 {
        self.count(pool, |_| true) as u32
    }

    pub(crate) fn in_group(&self, group: usize, which: impl Fn(&Server) -> bool) -> u32 {
        self.servers.values().filter(|s| self.model[&s.pool].groups.contains(&group) && which(s)).count()
            as u32
    }

    fn compare(&self) {
        for (id, p) in &self.model {
            self.compare_pool(*id, p);
            self.check_nobody_is_stuck(*id, p);
        }
        for (group, (id, _)) in self.groups.iter().enumerate() {
            assert_eq!(self.pools.group_servers(*id), self.in_group(group, |_| true));
        }
        self.compare_servers();
    }

    fn compare_pool(&self, id: PoolId, p: &Pool) {
        let counts = self.pools.counts(self.now, id);
        let count = |at: At| self.count(id, |s| s.at == at) as u32;
        assert_eq!(counts.waiting as usize, p.queue.len());
        assert_eq!(counts.longest_wait, p.queue.front().map(|queued| queued.since));
        assert_eq!(
            (counts.active, counts.tested, counts.login),
            (count(At::Out), count(At::Tested), count(At::Login))
        );
        assert_eq!(counts.idle + counts.used, count(At::Idle));
        assert_eq!(p.idle.len() as u32, count(At::Idle));
        let sum = counts.active + counts.idle + counts.used + counts.tested + counts.login;
        assert_eq!(sum, self.total(id), "the states add up");
        assert_eq!(self.pools.load(id), counts.active + counts.tested + counts.waiting);
        assert_eq!(self.pools.is_drained(id), sum == counts.idle + counts.used);
        assert_eq!(self.pools.has_stale(id), self.count(id, |s| s.stale) > 0);
        assert_eq!(self.pools.is_paused(id), p.paused && self.pools.key(id).is_some());
        assert_eq!(self.pools.pool_id(&p.key) == Some(id), !p.removed);
    }

    fn compare_servers(&self) {
        let mut seen = 0;
        for info in self.pools.servers(self.now) {
            seen += 1;
            let server = &self.servers[&info.server];
            let state = match server.at {
                At::Login => ServerState::New,
                At::Idle if info.state == ServerState::Used => ServerState::Used,
                At::Idle => ServerState::Idle,
                At::Out => ServerState::Active,
                At::Tested => ServerState::Tested,
                At::Transit => panic!("this call has decided"),
            };
            assert_eq!((info.state, info.pool, info.close_needed), (state, server.pool, server.stale));
            assert_eq!((info.born, *info.key), (server.born, self.model[&server.pool].key));
            assert_eq!(info.since, server.since);
            let here = server.conn.filter(|_| server.at == At::Idle);
            assert_eq!(info.conn.map(|conn| conn.0), here);
        }
        assert_eq!(seen, self.servers.len());
        // Every connection that went in is inside, in the owner's hands, or came out.
        let held = self.servers.values().filter(|s| s.conn.is_some()).count();
        assert_eq!(held + self.conns_gone.len(), self.next_conn as usize - 1, "no connection is lost");
    }

    /// Whoever waits in an open pool waits for something: a login in flight or in retry, or a full pool, or a full group.
    fn check_nobody_is_stuck(&self, id: PoolId, p: &Pool) {
        if p.queue.is_empty() || p.on_hold() {
            return;
        }
        assert!(p.idle.is_empty(), "a waiter beside an idle server");
        if p.login.is_some() || self.now < p.retry_at {
            return;
        }
        let total = self.total(id);
        if p.settings.size > 0 && total >= p.settings.size {
            return;
        }
        let full = |group: &usize| {
            let limit = self.groups[*group].1;
            limit > 0 && self.in_group(*group, |s| s.at != At::Idle) >= limit
        };
        assert!(p.groups.iter().any(full), "a waiter although a server could be had");
    }
}
