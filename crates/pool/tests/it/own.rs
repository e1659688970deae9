//! Connections of one's own: the turn, the limits, and what is evicted for them (PGBOUNCER_BEHAVIOUR.md section 15).

use proptest::prelude::*;
use std::time::Duration;

use howdah_pool::{
    Abandoned, Checkout, CloseReason, Effect, Failure, FailureKind, GroupId, LoginId, PoolId, PoolSettings,
    Pools, Return, ServerId, Time, WaiterId,
};

type Account = Pools<&'static str, &'static str, u32, &'static str>;

struct One {
    pools: Account,
    pool: PoolId,
    database: GroupId,
    now: Time,
}

fn one(size: u32) -> One {
    let mut pools = Account::new();
    let (database, user) = (pools.add_group(0), pools.add_group(0));
    let settings = PoolSettings { size, ..PoolSettings::default() };
    let pool = pools.add_pool("app", database, user, settings);
    One { pools, pool, database, now: Time::from_micros(1) }
}

impl One {
    fn own(&mut self, waiter: u32) -> WaiterId {
        match self.pools.checkout_own(self.now, self.pool, self.now, waiter) {
            Checkout::Waiting(id) => id,
            other => panic!("{other:?}"),
        }
    }

    fn share(&mut self, waiter: u32) -> Checkout<&'static str, u32, &'static str> {
        self.pools.checkout(self.now, self.pool, waiter)
    }

    /// The turn of this one.
    fn turn(&mut self, whose: u32) -> LoginId {
        match self.pools.poll_effect() {
            Some(Effect::ConnectOwn { waiter, login, .. }) if waiter == whose => login,
            other => panic!("{whose}: {other:?}"),
        }
    }

    fn in_hand(&mut self, whose: u32) -> ServerId {
        let login = self.turn(whose);
        self.pools.own_login_succeeded(self.now, login).unwrap()
    }

    fn nothing(&mut self) {
        assert_eq!(self.pools.poll_effect(), None);
    }

    /// An idle server of the pool.
    fn idle(&mut self) {
        assert!(matches!(self.share(0), Checkout::Waiting(_)));
        let Some(Effect::Connect { login, .. }) = self.pools.poll_effect() else { panic!("a login") };
        self.pools.login_succeeded(self.now, login, "idle");
        let Some(Effect::HandOver { lease, .. }) = self.pools.poll_effect() else { panic!("a lease") };
        self.pools.give_back(self.now, lease.server, lease.conn, Return::Reusable);
        self.nothing();
    }
}

#[test]
fn it_never_takes_one_that_is_there() {
    let mut one = one(2);
    one.idle();
    one.own(1);
    one.in_hand(1);
    let counts = one.pools.counts(one.now, one.pool);
    assert_eq!((counts.idle, counts.active, counts.waiting), (1, 1, 0));
    one.nothing();
}

#[test]
fn an_idle_server_is_evicted_where_the_pool_is_full() {
    let mut one = one(1);
    one.idle();
    one.own(1);
    let Some(Effect::Close { reason: CloseReason::Evicted, .. }) = one.pools.poll_effect() else {
        panic!("the idle one goes")
    };
    one.in_hand(1);
    assert_eq!(one.pools.group_servers(one.database), 1);
}

#[test]
fn ten_take_turns_over_two_places() {
    let mut one = one(2);
    for waiter in 1..=10 {
        one.own(waiter);
    }
    // One login is in flight at a time.
    let first = one.turn(1);
    one.nothing();
    let mut held = vec![one.pools.own_login_succeeded(one.now, first).unwrap()];
    held.push(one.in_hand(2));
    for waiter in 3..=10 {
        one.nothing();
        one.pools.forget(one.now, held.remove(0));
        held.push(one.in_hand(waiter));
    }
    held.into_iter().for_each(|server| one.pools.forget(one.now, server));
    assert_eq!(one.pools.group_servers(one.database), 0);
}

#[test]
fn a_server_that_comes_back_goes_to_whoever_has_waited_longest() {
    let mut one = one(1);
    assert!(matches!(one.share(1), Checkout::Waiting(_)));
    let Some(Effect::Connect { login, .. }) = one.pools.poll_effect() else { panic!("a login") };
    one.pools.login_succeeded(one.now, login, "shared");
    let Some(Effect::HandOver { waiter: 1, lease }) = one.pools.poll_effect() else { panic!("a lease") };
    one.own(2);
    assert!(matches!(one.share(3), Checkout::Waiting(_)));
    one.nothing();
    one.pools.give_back(one.now, lease.server, lease.conn, Return::Reusable);
    assert!(matches!(one.pools.poll_effect(), Some(Effect::Close { reason: CloseReason::Evicted, .. })));
    let own = one.in_hand(2);
    one.nothing();
    one.pools.forget(one.now, own);
    assert!(matches!(one.pools.poll_effect(), Some(Effect::Connect { .. })), "for the third");
}

#[test]
fn while_a_login_is_in_flight_an_idle_server_goes_to_those_behind() {
    let mut one = one(2);
    assert!(matches!(one.share(1), Checkout::Waiting(_)));
    let Some(Effect::Connect { login, .. }) = one.pools.poll_effect() else { panic!("a login") };
    one.pools.login_succeeded(one.now, login, "shared");
    let Some(Effect::HandOver { lease, .. }) = one.pools.poll_effect() else { panic!("a lease") };
    one.own(2);
    let first = one.turn(2);
    one.own(3);
    assert!(matches!(one.share(4), Checkout::Waiting(_)));
    one.pools.give_back(one.now, lease.server, lease.conn, Return::Reusable);
    assert!(matches!(one.pools.poll_effect(), Some(Effect::HandOver { waiter: 4, .. })));
    one.nothing();
    assert!(one.pools.own_login_succeeded(one.now, first).is_ok());
    one.nothing();
}

#[test]
fn a_full_group_lets_it_wait_until_a_place_is_free() {
    let mut one = one(5);
    one.pools.set_group_limit(one.now, one.database, 1);
    one.own(1);
    let held = one.in_hand(1);
    one.own(2);
    one.nothing();
    one.pools.forget(one.now, held);
    one.in_hand(2);
}

#[test]
fn a_login_that_fails_gives_the_place_to_the_next_after_the_retry() {
    let mut one = one(1);
    one.own(1);
    one.own(2);
    let login = one.turn(1);
    one.pools.login_failed(one.now, login, "refused", FailureKind::Aborted);
    let login = one.turn(2);
    one.pools.login_failed(one.now, login, "down", FailureKind::Unreachable);
    one.own(3);
    one.nothing();
    one.now = one.now.after(Duration::from_secs(60));
    one.pools.maintain(one.now);
    one.turn(3);
}

#[test]
fn leaving_waiting_too_long_and_removal_end_the_wait() {
    let mut one = one(1);
    one.own(1);
    let held = one.in_hand(1);
    let second = one.own(2);
    one.own(3);
    assert_eq!(one.pools.abandon(second), Abandoned::Left(2));
    one.now = one.now.after(Duration::from_secs(1000));
    one.pools.maintain(one.now);
    assert_eq!(one.pools.poll_effect(), Some(Effect::Fail { waiter: 3, failure: Failure::WaitTimeout }));
    one.own(4);
    one.pools.remove_pool(one.now, one.pool);
    assert_eq!(one.pools.poll_effect(), Some(Effect::Fail { waiter: 4, failure: Failure::PoolRemoved }));
    one.pools.forget(one.now, held);
    assert_eq!(one.pools.group_servers(one.database), 0);
}

#[test]
fn one_that_logged_in_while_the_pool_was_invalidated_is_not_kept() {
    let mut one = one(1);
    one.own(1);
    let login = one.turn(1);
    one.pools.invalidate(one.now, one.pool, CloseReason::ConfigChanged);
    assert_eq!(one.pools.own_login_succeeded(one.now, login), Err(CloseReason::ConfigChanged));
    assert_eq!(one.pools.group_servers(one.database), 0);
}

#[derive(Debug, Clone)]
enum Op {
    Own,
    Share,
    LoginOk(usize),
    LoginFails(usize),
    Leave(usize),
    Abandon(usize),
    Limit(u32),
    Pass,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        3 => Just(Op::Own),
        3 => Just(Op::Share),
        6 => (0usize..8).prop_map(Op::LoginOk),
        1 => (0usize..8).prop_map(Op::LoginFails),
        4 => (0usize..8).prop_map(Op::Leave),
        1 => (0usize..8).prop_map(Op::Abandon),
        1 => (0u32..4).prop_map(Op::Limit),
        2 => Just(Op::Pass),
    ]
}

/// What is out: logins (with whose they are), servers in hand, and who waits.
#[derive(Default)]
struct Out {
    logins: Vec<(LoginId, bool)>,
    held: Vec<(ServerId, Option<&'static str>)>,
    waiting: Vec<(u32, WaiterId)>,
}

impl Out {
    fn take_in(&mut self, one: &mut One) {
        while let Some(effect) = one.pools.poll_effect() {
            match effect {
                Effect::Connect { login, .. } => self.logins.push((login, false)),
                Effect::ConnectOwn { waiter, login, .. } => {
                    self.served(waiter);
                    self.logins.push((login, true));
                }
                Effect::HandOver { waiter, lease } => {
                    self.served(waiter);
                    self.held.push((lease.server, Some(lease.conn)));
                }
                Effect::Fail { waiter, .. } => self.served(waiter),
                Effect::Close { .. } | Effect::AbortLogin { .. } => {}
            }
        }
    }

    fn served(&mut self, waiter: u32) {
        let before = self.waiting.len();
        self.waiting.retain(|(known, _)| *known != waiter);
        assert_eq!(self.waiting.len() + 1, before, "{waiter} waited, and once");
    }

    fn login_ok(&mut self, one: &mut One, at: usize) {
        let (login, own) = self.logins.swap_remove(at);
        if !own {
            one.pools.login_succeeded(one.now, login, "shared");
        } else if let Ok(server) = one.pools.own_login_succeeded(one.now, login) {
            self.held.push((server, None));
        }
    }

    fn leave(&mut self, one: &mut One, at: usize) {
        match self.held.swap_remove(at) {
            (server, Some(conn)) => one.pools.give_back(one.now, server, conn, Return::Reusable),
            (server, None) => one.pools.forget(one.now, server),
        }
    }

    fn act(&mut self, one: &mut One, op: &Op, token: u32) {
        let at = |n: usize, len: usize| (len > 0).then(|| n % len);
        match op {
            Op::Own => self.waiting.push((token, one.own(token))),
            Op::Share => match one.share(token) {
                Checkout::Waiting(id) => self.waiting.push((token, id)),
                Checkout::Ready(lease) => self.held.push((lease.server, Some(lease.conn))),
                Checkout::Refused(..) => {}
            },
            Op::LoginOk(n) => drop(at(*n, self.logins.len()).map(|at| self.login_ok(one, at))),
            Op::LoginFails(n) => {
                if let Some(at) = at(*n, self.logins.len()) {
                    let (login, _) = self.logins.swap_remove(at);
                    one.pools.login_failed(one.now, login, "no", FailureKind::Unreachable);
                }
            }
            Op::Leave(n) => drop(at(*n, self.held.len()).map(|at| self.leave(one, at))),
            Op::Abandon(n) => {
                if let Some(at) = at(*n, self.waiting.len()) {
                    let (token, id) = self.waiting.swap_remove(at);
                    assert_eq!(one.pools.abandon(id), Abandoned::Left(token));
                }
            }
            Op::Limit(limit) => one.pools.set_group_limit(one.now, one.database, *limit),
            Op::Pass => {
                one.now = one.now.after(Duration::from_secs(20));
                one.pools.maintain(one.now);
            }
        }
        self.take_in(one);
    }
}

proptest! {
    /// Whatever happens: the limits hold, everyone is served once, and when all leave nobody waits any more.
    #[test]
    fn shared_and_own_keep_the_books(ops in prop::collection::vec(op(), 1..120)) {
        let (mut one, mut out) = (one(3), Out::default());
        for (token, op) in (1u32..).zip(&ops) {
            out.act(&mut one, op, token);
            let counts = one.pools.counts(one.now, one.pool);
            let total = counts.active + counts.idle + counts.used + counts.tested + counts.login;
            prop_assert!(total <= 3 && counts.login <= 1, "{:?}", counts);
            prop_assert_eq!(one.pools.group_servers(one.database), total);
            prop_assert_eq!(counts.login as usize, out.logins.len());
            prop_assert_eq!(counts.waiting as usize, out.waiting.len());
        }
        out.act(&mut one, &Op::Limit(0), 0);
        for _ in 0..1000 {
            if out.waiting.is_empty() && out.logins.is_empty() && out.held.is_empty() {
                break;
            }
            out.act(&mut one, &Op::LoginOk(0), 0);
            out.act(&mut one, &Op::Leave(0), 0);
            // A login that was refused is tried again in time; nobody's wait is over for this.
            one.now = one.now.after(Duration::from_secs(1));
            one.pools.maintain(one.now);
            out.take_in(&mut one);
        }
        prop_assert!(out.waiting.is_empty(), "{:?} wait for ever", out.waiting);
        let counts = one.pools.counts(one.now, one.pool);
        prop_assert_eq!(counts.active + counts.login + counts.tested, 0);
    }
}
