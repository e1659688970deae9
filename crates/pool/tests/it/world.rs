//! An owner with a naive model: it performs effects by writing down what they say, refuses those that the rules forbid, and
//! after each call compares every count that the pools report with its own. Nothing here knows how the pools do it.

use howdah_pool::{
    Abandoned, Checkout, CloseReason, Effect, Failure, FailureKind, GroupId, Lease, LoginId, PoolId,
    PoolSettings, Pools, Refusal, Return, ServerId, ServerState, Time, WaiterId,
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

/// A connection: a number that exists once and cannot be copied.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Conn(pub(crate) u32);
/// Waiter tokens are numbers.
pub(crate) type Token = u32;
/// Login errors are texts.
pub(crate) type Error = &'static str;
type Tested = Pools<u32, Conn, Token, Error>;

/// Where the model thinks a server is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum At {
    Login,
    Idle,
    Out,
    Tested,
    /// Given back or just logged in; this call decides.
    Transit,
}

#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) pool: PoolId,
    pub(crate) at: At,
    pub(crate) conn: Option<u32>,
    pub(crate) stale: bool,
    pub(crate) since: Time,
    pub(crate) born: Time,
}

#[derive(Debug)]
pub(crate) struct Queued {
    pub(crate) token: Token,
    pub(crate) id: WaiterId,
    pub(crate) since: Time,
}

#[derive(Debug)]
pub(crate) struct Pool {
    pub(crate) key: u32,
    pub(crate) groups: [usize; 2],
    pub(crate) settings: PoolSettings,
    pub(crate) queue: VecDeque<Queued>,
    /// The one given back last is first.
    pub(crate) idle: VecDeque<ServerId>,
    pub(crate) login: Option<LoginId>,
    pub(crate) paused: bool,
    pub(crate) held: bool,
    pub(crate) fenced: Option<u64>,
    pub(crate) retry_at: Time,
    pub(crate) refused: bool,
    pub(crate) removed: bool,
    pub(crate) attended: bool,
}

impl Pool {
    pub(crate) fn on_hold(&self) -> bool {
        self.paused || self.held || self.fenced.is_some()
    }
}

pub(crate) struct World {
    pub(crate) pools: Tested,
    pub(crate) now: Time,
    pub(crate) groups: Vec<(GroupId, u32)>,
    pub(crate) model: BTreeMap<PoolId, Pool>,
    pub(crate) servers: BTreeMap<ServerId, Server>,
    /// What the owner has in hand, in the order in which it came; the token that it came for.
    pub(crate) leases: Vec<(Token, Lease<Conn>)>,
    pub(crate) closed: Vec<(ServerId, CloseReason)>,
    pub(crate) failed: Vec<(Token, Failure<Error>)>,
    pub(crate) connects: Vec<(PoolId, LoginId, bool)>,
    pub(crate) aborts: Vec<LoginId>,
    next_token: Token,
    next_conn: u32,
    conns_gone: BTreeSet<u32>,
}

/// Settings without any timeout, and this size.
pub(crate) fn size(size: u32) -> PoolSettings {
    PoolSettings {
        size,
        reserve_timeout: Duration::ZERO,
        server_lifetime: Duration::from_secs(1_000_000),
        server_idle_timeout: Duration::ZERO,
        query_wait_timeout: Duration::ZERO,
        ..PoolSettings::default()
    }
}

pub(crate) fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

impl World {
    /// Groups with these limits, at a time that is not zero.
    pub(crate) fn new(limits: &[u32]) -> Self {
        let mut pools = Tested::new();
        let groups = limits.iter().map(|limit| (pools.add_group(*limit), *limit)).collect();
        World {
            pools,
            now: Time::from_micros(1_000_000_000),
            groups,
            model: BTreeMap::new(),
            servers: BTreeMap::new(),
            leases: Vec::new(),
            closed: Vec::new(),
            failed: Vec::new(),
            connects: Vec::new(),
            aborts: Vec::new(),
            next_token: 1,
            next_conn: 1,
            conns_gone: BTreeSet::new(),
        }
    }

    /// One pool in two unlimited groups.
    pub(crate) fn single(settings: PoolSettings) -> (Self, PoolId) {
        let mut world = World::new(&[0, 0]);
        let pool = world.add_pool(1, [0, 1], settings);
        (world, pool)
    }

    pub(crate) fn add_pool(&mut self, key: u32, groups: [usize; 2], settings: PoolSettings) -> PoolId {
        let [database, user] = groups.map(|group| self.groups[group].0);
        let id = self.pools.add_pool(key, database, user, settings.clone());
        let pool = Pool {
            key,
            groups,
            settings,
            queue: VecDeque::new(),
            idle: VecDeque::new(),
            login: None,
            paused: false,
            held: false,
            fenced: None,
            retry_at: Time::ZERO,
            refused: false,
            removed: false,
            attended: true,
        };
        assert!(self.model.insert(id, pool).is_none(), "a pool's name was used before");
        self.done();
        id
    }

    pub(crate) fn pool(&mut self, pool: PoolId) -> &mut Pool {
        self.model.get_mut(&pool).expect("a pool of the model")
    }

    // ---- checkout and what ends it ----

    /// A checkout; the token, and the answer without its contents.
    pub(crate) fn checkout(&mut self, pool: PoolId) -> (Token, Answer) {
        let token = self.token();
        let answer = self.pools.checkout(self.now, pool, token);
        let answer = self.note_checkout(pool, token, answer, false);
        self.done();
        (token, answer)
    }

    /// A checkout that keeps its turn.
    pub(crate) fn checkout_again(&mut self, pool: PoolId, since: Time) -> (Token, Answer) {
        let token = self.token();
        let answer = self.pools.checkout_again(self.now, pool, since, token);
        let answer = self.note_checkout(pool, token, answer, true);
        self.done();
        (token, answer)
    }

    pub(crate) fn try_checkout(&mut self, pool: PoolId) -> Option<Token> {
        let token = self.token();
        let lease = self.pools.try_checkout(self.now, pool);
        let usable = self.model.get(&pool).is_some_and(|p| !p.on_hold() && !p.idle.is_empty());
        assert_eq!(lease.is_some(), usable);
        let got = lease.map(|lease| {
            self.note_lease_of_idle(token, lease);
            token
        });
        self.done();
        got
    }

    fn token(&mut self) -> Token {
        self.next_token += 1;
        self.next_token - 1
    }

    fn note_checkout(
        &mut self,
        pool: PoolId,
        token: Token,
        got: Checkout<Conn, Token, Error>,
        front: bool,
    ) -> Answer {
        let now = self.now;
        let gone = self.model.get(&pool).is_none_or(|p| p.removed);
        match got {
            Checkout::Ready(lease) => {
                assert!(!gone && !self.pool(pool).on_hold(), "nothing is handed out behind a hold");
                assert!(self.pool(pool).queue.is_empty(), "nobody is overtaken");
                self.note_lease_of_idle(token, lease);
                Answer::Ready
            }
            Checkout::Waiting(id) => {
                assert!(!gone);
                let since = if front { self.pools.longest_wait(pool).expect("it waits") } else { now };
                let queued = Queued { token, id, since };
                let queue = &mut self.pool(pool).queue;
                if front {
                    queue.push_front(queued)
                } else {
                    queue.push_back(queued)
                }
                Answer::Waiting
            }
            Checkout::Refused(back, refusal) => {
                assert_eq!(back, token);
                match &refusal {
                    Refusal::NoSuchPool => assert!(gone),
                    Refusal::LoginFailing(_) => {
                        assert_eq!(self.total(pool), 0, "other servers could serve");
                        let p = self.pool(pool);
                        assert!(p.refused && now < p.retry_at && !p.on_hold());
                    }
                }
                Answer::Refused(refusal)
            }
        }
    }

    /// A lease of an idle server: the right one, with the right word about its check.
    fn note_lease_of_idle(&mut self, token: Token, lease: Lease<Conn>) {
        let now = self.now;
        let p = self.pool(lease.pool);
        let expected = if p.settings.round_robin { p.idle.pop_back() } else { p.idle.pop_front() };
        let delay = p.settings.server_check_delay;
        assert_eq!(expected, Some(lease.server), "the wrong idle server");
        let server = self.servers.get_mut(&lease.server).expect("a server of the model");
        assert_eq!((server.at, server.conn), (At::Idle, Some(lease.conn.0)));
        assert!(!server.stale, "a stale server was handed out");
        assert_eq!(lease.check_due, delay.is_some_and(|delay| now.since(server.since) >= delay));
        (server.at, server.since) = (At::Out, now);
        self.leases.push((token, lease));
    }

    pub(crate) fn waiter_of(&self, token: Token) -> Option<WaiterId> {
        self.model
            .values()
            .flat_map(|p| &p.queue)
            .find(|queued| queued.token == token)
            .map(|queued| queued.id)
    }

    /// Abandons a wait that is still in the queue.
    pub(crate) fn abandon(&mut self, token: Token) {
        let id = self.waiter_of(token).expect("a waiter");
        assert_eq!(self.pools.abandon(id), Abandoned::Left(token));
        for p in self.model.values_mut() {
            p.queue.retain(|queued| queued.token != token);
        }
        assert_eq!(self.pools.abandon(id), Abandoned::Settled, "it left only once");
        self.done();
    }

    pub(crate) fn lease_of(&self, token: Token) -> Option<ServerId> {
        self.leases.iter().find(|(t, _)| *t == token).map(|(_, lease)| lease.server)
    }

    fn take_lease(&mut self, token: Token) -> Lease<Conn> {
        let at = self.leases.iter().position(|(t, _)| *t == token).expect("a lease");
        self.leases.remove(at).1
    }

    pub(crate) fn give_back(&mut self, token: Token, how: Return) {
        self.give_back_unpolled(token, how);
        self.done();
    }

    /// The call without its effects.
    pub(crate) fn give_back_unpolled(&mut self, token: Token, how: Return) {
        let lease = self.take_lease(token);
        self.servers.get_mut(&lease.server).expect("a server").at = At::Transit;
        self.pools.give_back(self.now, lease.server, lease.conn, how);
    }

    pub(crate) fn reuse(&mut self, token: Token) {
        self.give_back(token, Return::Reusable);
    }

    pub(crate) fn forget(&mut self, token: Token) {
        let lease = self.take_lease(token);
        self.drop_server(lease.server, lease.conn);
        self.pools.forget(self.now, lease.server);
        self.done();
    }

    pub(crate) fn withdraw(&mut self, server: ServerId) {
        let conn = self.pools.withdraw(self.now, server);
        let idle = self.servers.get(&server).is_some_and(|s| s.at == At::Idle);
        assert_eq!(conn.is_some(), idle);
        if let Some(conn) = conn {
            self.drop_server(server, conn);
        }
        self.done();
    }

    pub(crate) fn test(&mut self, token: Token, begin: bool) {
        let server = self.lease_of(token).expect("a lease");
        if begin {
            self.pools.begin_test(server)
        } else {
            self.pools.end_test(server)
        }
        self.servers.get_mut(&server).expect("a server").at = if begin { At::Tested } else { At::Out };
        self.done();
    }

    // ---- logins ----

    pub(crate) fn login_of(&self, pool: PoolId) -> Option<LoginId> {
        self.model.get(&pool)?.login
    }

    pub(crate) fn login_ok(&mut self, pool: PoolId) {
        self.login_ok_unpolled(pool);
        self.done();
    }

    pub(crate) fn login_ok_unpolled(&mut self, pool: PoolId) {
        let login = self.pool(pool).login.take().expect("a login in flight");
        let conn = self.next_conn;
        self.next_conn += 1;
        let server = self.servers.get_mut(&login.server()).expect("a server");
        (server.at, server.conn) = (At::Transit, Some(conn));
        if !server.stale {
            let p = self.pool(pool);
            (p.retry_at, p.refused) = (Time::ZERO, false);
        }
        self.pools.login_succeeded(self.now, login, Conn(conn));
    }

    pub(crate) fn login_fails(&mut self, pool: PoolId, error: Error, kind: FailureKind) {
        self.login_fails_unpolled(pool, error, kind);
        self.done();
    }

    pub(crate) fn login_fails_unpolled(&mut self, pool: PoolId, error: Error, kind: FailureKind) {
        let login = self.pool(pool).login.take().expect("a login in flight");
        let server = self.servers.remove(&login.server()).expect("a server");
        let now = self.now;
        if !server.stale && kind != FailureKind::Aborted {
            let p = self.pool(pool);
            p.retry_at = now.after(p.settings.login_retry);
            p.refused = kind == FailureKind::Refused;
        }
        self.pools.login_failed(now, login, error, kind);
    }

    /// Answers all logins that are or come in flight with success.
    pub(crate) fn all_logins_ok(&mut self) {
        while let Some(pool) = self.model.iter().find(|(_, p)| p.login.is_some()).map(|(id, _)| *id) {
            self.login_ok(pool);
        }
    }

    // ---- time and the operator ----

    /// Lets time pass and runs a round of maintenance.
    pub(crate) fn pass(&mut self, time: Duration) {
        self.now = self.now.after(time);
        self.pools.maintain(self.now);
        self.done();
        let now = self.now;
        for (id, p) in &self.model {
            let timeout = p.settings.server_idle_timeout;
            let connected = self.count(*id, |s| s.at != At::Login);
            let over = |server: &&ServerId| now.since(self.servers[*server].since) > timeout;
            if timeout > Duration::ZERO && connected > p.settings.min_size as usize {
                assert_eq!(p.idle.iter().find(over), None, "idle for too long");
            }
            let limit = p.settings.query_wait_timeout;
            if limit > Duration::ZERO {
                assert!(
                    p.queue.front().is_none_or(|queued| now.since(queued.since) <= limit),
                    "waits for too long"
                );
            }
        }
    }

    pub(crate) fn pause(&mut self, pool: PoolId) {
        let was = std::mem::replace(&mut self.pool(pool).paused, true);
        assert_eq!(self.pools.pause(self.now, pool), !was);
        self.done();
        assert!(self.pool(pool).idle.is_empty(), "PAUSE closes idle servers");
    }

    pub(crate) fn resume(&mut self, pool: PoolId) {
        let was = std::mem::replace(&mut self.pool(pool).paused, false);
        assert_eq!(self.pools.resume(self.now, pool), was);
        self.done();
    }

    pub(crate) fn hold(&mut self, pool: PoolId) {
        self.pool(pool).held = true;
        self.pools.hold(pool);
        self.done();
    }

    pub(crate) fn release(&mut self, pool: PoolId) {
        self.pool(pool).held = false;
        self.pools.release(self.now, pool);
        self.done();
    }

    fn all_stale(&mut self, pool: PoolId) {
        for server in self.servers.values_mut().filter(|s| s.pool == pool) {
            server.stale = true;
        }
        let p = self.pool(pool);
        (p.retry_at, p.refused) = (Time::ZERO, false);
    }

    pub(crate) fn invalidate(&mut self, pool: PoolId, reason: CloseReason) {
        self.invalidate_unpolled(pool, reason);
        self.done();
        assert!(self.pool(pool).idle.is_empty(), "the idle ones were stale");
    }

    pub(crate) fn invalidate_unpolled(&mut self, pool: PoolId, reason: CloseReason) {
        self.all_stale(pool);
        self.pools.invalidate(self.now, pool, reason);
    }

    pub(crate) fn fence(&mut self, pool: PoolId, until: u64) {
        self.all_stale(pool);
        let p = self.pool(pool);
        p.fenced = p.fenced.max(Some(until));
        self.pools.fence(self.now, pool, until);
        self.done();
    }

    pub(crate) fn unfence(&mut self, pool: PoolId, epoch: u64) -> bool {
        let p = self.pool(pool);
        p.fenced = p.fenced.filter(|until| epoch < *until);
        let open = p.fenced.is_none();
        assert_eq!(self.pools.unfence(self.now, pool, epoch), open);
        self.done();
        open
    }

    pub(crate) fn kill(&mut self, pool: PoolId, reason: CloseReason) -> Vec<Token> {
        for server in self.servers.values_mut().filter(|s| s.pool == pool) {
            server.stale = true;
        }
        let p = self.pool(pool);
        p.paused = true;
        let waited: Vec<Token> = p.queue.drain(..).map(|queued| queued.token).collect();
        assert_eq!(self.pools.kill(self.now, pool, reason), waited);
        self.done();
        waited
    }

    pub(crate) fn set_settings(&mut self, pool: PoolId, settings: PoolSettings) {
        self.pool(pool).settings = settings.clone();
        self.pools.set_settings(self.now, pool, settings);
        self.done();
    }

    pub(crate) fn set_group_limit(&mut self, group: usize, limit: u32) {
        self.groups[group].1 = limit;
        self.pools.set_group_limit(self.now, self.groups[group].0, limit);
        self.done();
    }

    pub(crate) fn set_attended(&mut self, pool: PoolId, attended: bool) {
        self.pool(pool).attended = attended;
        self.pools.set_attended(pool, attended);
    }

    pub(crate) fn remove_pool(&mut self, pool: PoolId) {
        for server in self.servers.values_mut().filter(|s| s.pool == pool) {
            server.stale = true;
        }
        self.pool(pool).removed = true;
        self.pools.remove_pool(self.now, pool);
        self.done();
        assert!(self.pool(pool).queue.is_empty() && self.pool(pool).idle.is_empty());
    }

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
        }
        self.compare();
    }

    fn perform(&mut self, effect: Effect<u32, Conn, Token, Error>) {
        match effect {
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
                let p = self.model.values_mut().find(|p| p.queue.iter().any(|queued| queued.token == waiter));
                p.expect("a waiter of some pool").queue.retain(|queued| queued.token != waiter);
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
    fn drop_server(&mut self, id: ServerId, conn: Conn) {
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

/// A checkout's answer without its contents.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Ready,
    Waiting,
    Refused(Refusal<Error>),
}
