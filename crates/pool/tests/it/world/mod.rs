//! An owner with a naive model: it performs effects by writing down what they say, refuses those that the rules forbid, and
//! after each call compares every count that the pools report with its own. Nothing here knows how the pools do it.

mod judge;
mod operator;

use howdah_pool::{
    Abandoned, Checkout, CloseReason, Failure, GroupId, Lease, LoginId, PoolId, PoolSettings, Pools, Refusal,
    Return, ServerId, Time, WaiterId,
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
}

/// A checkout's answer without its contents.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Ready,
    Waiting,
    Refused(Refusal<Error>),
}
