//! What a failed login means.

use crate::world::{Answer, World, secs, size};
use howdah_pool::{Checkout, Effect, Failure, FailureKind, LoginId, PoolSettings, Pools, Refusal, Time};

const NO: &str = "password authentication failed";

fn retry_in_15() -> PoolSettings {
    PoolSettings { login_retry: secs(15), ..size(2) }
}

#[test]
fn three_waiters_get_one_refused_login() {
    let (mut world, pool) = World::single(retry_in_15());
    let tokens: Vec<_> = (0..3).map(|_| world.checkout(pool).0).collect();
    world.login_fails(pool, NO, FailureKind::Refused);
    let expected: Vec<_> = tokens.iter().map(|token| (*token, Failure::Login(NO))).collect();
    assert_eq!(world.failed, expected);
    assert_eq!(world.connects.len(), 1, "exactly one failed login on the server's side");
    assert_eq!(world.checkout(pool).1, Answer::Refused(Refusal::LoginFailing(NO)));
    assert_eq!(world.pools.login_error(world.now, pool), Some(&NO));
}

#[test]
fn after_the_retry_time_the_next_checkout_tries_again() {
    let (mut world, pool) = World::single(retry_in_15());
    world.checkout(pool);
    world.login_fails(pool, NO, FailureKind::Refused);
    world.pass(secs(14));
    assert!(matches!(world.checkout(pool).1, Answer::Refused(_)));
    world.pass(secs(1));
    assert_eq!(world.connects.len(), 1, "nobody waits, nobody logs in");
    let (token, answer) = world.checkout(pool);
    assert_eq!(answer, Answer::Waiting);
    assert_eq!(world.checkout(pool).1, Answer::Waiting, "a login is in flight: wait for its answer");
    world.login_ok(pool);
    assert!(world.lease_of(token).is_some());
    assert_eq!(world.pools.login_error(world.now, pool), None);
}

#[test]
fn an_unreachable_or_starting_server_is_waited_for() {
    for kind in [FailureKind::Unreachable, FailureKind::StartingUp] {
        let (mut world, pool) = World::single(retry_in_15());
        let (token, _) = world.checkout(pool);
        world.login_fails(pool, "connect failed", kind);
        assert!(world.failed.is_empty());
        assert_eq!(world.checkout(pool).1, Answer::Waiting);
        world.pass(secs(14));
        assert_eq!(world.connects.len(), 1);
        world.pass(secs(1));
        assert_eq!(world.connects.len(), 2);
        world.login_ok(pool);
        assert!(world.lease_of(token).is_some());
    }
}

#[test]
fn a_refusal_leaves_those_alone_whom_another_server_can_serve() {
    let (mut world, pool) = World::single(retry_in_15());
    let (first, _) = world.checkout(pool);
    let (second, _) = world.checkout(pool);
    world.login_ok(pool);
    world.login_fails(pool, "too many connections", FailureKind::Refused);
    assert!(world.failed.is_empty());
    assert_eq!(world.checkout(pool).1, Answer::Waiting);
    world.reuse(first);
    assert!(world.lease_of(second).is_some());
}

#[test]
fn a_login_given_up_by_the_owner_starts_no_retry() {
    let (mut world, pool) = World::single(retry_in_15());
    let (token, _) = world.checkout(pool);
    world.login_fails(pool, "given up", FailureKind::Aborted);
    assert_eq!(world.connects.len(), 2);
    world.login_ok(pool);
    assert!(world.lease_of(token).is_some());
}

#[test]
fn those_behind_a_hold_do_not_fail() {
    for fenced in [false, true] {
        let (mut world, pool) = World::single(retry_in_15());
        let (token, _) = world.checkout(pool);
        if fenced {
            world.fence(pool, 7)
        } else {
            world.pause(pool)
        }
        world.login_fails(pool, NO, FailureKind::Refused);
        assert!(world.failed.is_empty());
        assert_eq!(world.checkout(pool).1, Answer::Waiting);
        if fenced {
            assert!(world.unfence(pool, 7))
        } else {
            world.resume(pool)
        }
        world.pass(secs(15));
        world.all_logins_ok();
        assert!(world.lease_of(token).is_some());
    }
}

#[test]
fn the_outcome_of_an_outdated_login_says_nothing_of_the_new_address() {
    let (mut world, pool) = World::single(retry_in_15());
    let (token, _) = world.checkout(pool);
    world.invalidate(pool, howdah_pool::CloseReason::ConfigChanged);
    assert_eq!(world.aborts, [world.login_of(pool).unwrap()]);
    world.login_fails(pool, NO, FailureKind::Refused);
    assert!(world.failed.is_empty());
    assert_eq!(world.connects.len(), 2, "at once, for the new one");
    world.login_ok(pool);
    assert!(world.lease_of(token).is_some());
}

#[test]
fn the_minimum_waits_for_the_retry_too() {
    let (mut world, pool) = World::single(PoolSettings { min_size: 1, ..retry_in_15() });
    world.pass(secs(1));
    world.login_fails(pool, NO, FailureKind::Refused);
    world.pass(secs(14));
    assert_eq!(world.connects.len(), 1);
    world.pass(secs(1));
    assert_eq!(world.connects.len(), 2);
}

/// A pool that may log in twice at a time, and what it has said so far.
struct Twice {
    pools: Pools<&'static str, (), u32, &'static str>,
    pool: howdah_pool::PoolId,
}

impl Twice {
    fn with_waiters(waiters: u32) -> Self {
        let mut pools = Pools::new();
        let groups = [pools.add_group(0), pools.add_group(0)];
        let pool = pools.add_pool("app", groups[0], groups[1], PoolSettings { logins: 2, ..size(20) });
        for waiter in 0..waiters {
            assert!(matches!(pools.checkout(Time::ZERO, pool, waiter), Checkout::Waiting(_)));
        }
        Self { pools, pool }
    }

    fn logins(&mut self) -> Vec<LoginId> {
        let effects = std::iter::from_fn(|| self.pools.poll_effect());
        effects
            .filter_map(|e| if let Effect::Connect { login, .. } = e { Some(login) } else { None })
            .collect()
    }
}

#[test]
fn two_logins_at_a_time_fill_a_pool_and_no_more_than_somebody_waits_for() {
    let mut one = Twice::with_waiters(1);
    assert_eq!(one.logins().len(), 1, "one waits");
    let mut twice = Twice::with_waiters(4);
    let first = twice.logins();
    assert_eq!(first.len(), 2);
    assert_eq!(twice.pools.counts(Time::ZERO, twice.pool).login, 2);
    twice.pools.login_succeeded(Time::ZERO, first[0], ());
    assert_eq!(twice.logins().len(), 1, "two wait besides the one whose login is in flight");
    let counts = twice.pools.counts(Time::ZERO, twice.pool);
    assert_eq!((counts.active, counts.waiting, counts.login), (1, 3, 2));
    // Answered once: the same login again is nobody's.
    twice.pools.login_succeeded(Time::ZERO, first[0], ());
    assert!(matches!(twice.pools.poll_effect(), Some(Effect::Close { .. })));
}

#[test]
fn of_two_refused_logins_the_last_one_fails_those_who_wait() {
    let mut twice = Twice::with_waiters(3);
    let logins = twice.logins();
    twice.pools.login_failed(Time::ZERO, logins[0], NO, FailureKind::Refused);
    assert_eq!(twice.pools.poll_effect(), None, "the other may still succeed");
    twice.pools.login_failed(Time::ZERO, logins[1], NO, FailureKind::Refused);
    let mut failed = 0;
    while let Some(effect) = twice.pools.poll_effect() {
        failed += u32::from(matches!(effect, Effect::Fail { .. }));
    }
    assert_eq!((failed, twice.pools.counts(Time::ZERO, twice.pool).login), (3, 0));
}

#[test]
fn all_logins_in_flight_are_aborted_by_an_invalidation() {
    let mut twice = Twice::with_waiters(2);
    assert_eq!(twice.logins().len(), 2);
    twice.pools.fence(Time::ZERO, twice.pool, 1);
    let effects: Vec<_> = std::iter::from_fn(|| twice.pools.poll_effect()).collect();
    let aborted = effects.iter().filter(|effect| matches!(effect, Effect::AbortLogin { .. })).count();
    assert_eq!(aborted, 2);
}
