//! What time does: idle timeout, lifetime, the limit of waiting, unused pools.

use crate::world::{World, secs, size};
use howdah_pool::{CloseReason, Failure, PoolSettings, Return, Time};
use std::time::Duration;

fn idle_servers(settings: PoolSettings, n: usize) -> (World, howdah_pool::PoolId) {
    let (mut world, pool) = World::single(settings);
    let tokens: Vec<_> = (0..n).map(|_| world.checkout(pool).0).collect();
    world.all_logins_ok();
    tokens.iter().for_each(|token| world.reuse(*token));
    (world, pool)
}

#[test]
fn idle_servers_are_closed_after_the_timeout_down_to_the_minimum() {
    let settings = PoolSettings { server_idle_timeout: secs(10), min_size: 1, ..size(3) };
    let (mut world, pool) = idle_servers(settings, 3);
    world.pass(secs(10));
    assert!(world.closed.is_empty());
    world.pass(Duration::from_micros(1));
    assert_eq!(
        world.closed.iter().map(|(_, reason)| *reason).collect::<Vec<_>>(),
        [CloseReason::IdleTimeout; 2]
    );
    assert_eq!(world.total(pool), 1);
}

#[test]
fn a_leased_server_does_not_age_out() {
    let settings = PoolSettings { server_idle_timeout: secs(1), server_lifetime: secs(2), ..size(1) };
    let (mut world, pool) = World::single(settings);
    let (token, _) = world.checkout(pool);
    world.all_logins_ok();
    world.pass(secs(100));
    assert!(world.closed.is_empty());
    world.reuse(token);
    assert_eq!(world.closed[0].1, CloseReason::LifetimeOver, "when it comes back it does");
    assert_eq!(world.total(pool), 0);
}

#[test]
fn lifetime_zero_uses_a_server_once() {
    let (mut world, pool) = World::single(PoolSettings { server_lifetime: Duration::ZERO, ..size(2) });
    let (first, _) = world.checkout(pool);
    let (second, _) = world.checkout(pool);
    let (third, _) = world.checkout(pool);
    world.all_logins_ok();
    world.reuse(first);
    assert_eq!(world.closed.len(), 1);
    world.all_logins_ok();
    assert!(world.lease_of(third).is_some(), "a new server for the next");
    world.reuse(second);
    world.reuse(third);
    assert_eq!((world.closed.len(), world.total(pool)), (3, 0));
}

#[test]
fn a_pool_that_was_filled_at_once_does_not_empty_at_once() {
    let (mut world, pool) = idle_servers(PoolSettings { server_lifetime: secs(100), ..size(5) }, 5);
    world.pass(secs(100));
    assert_eq!(world.total(pool), 4);
    world.pass(secs(19));
    assert_eq!(world.total(pool), 4);
    for left in [3, 2, 1, 0] {
        world.pass(secs(20));
        assert_eq!(world.total(pool), left, "one each lifetime / pool_size");
    }
    assert!(world.closed.iter().all(|(_, reason)| *reason == CloseReason::LifetimeOver));
}

#[test]
fn servers_that_come_back_too_old_take_turns_as_well() {
    let (mut world, pool) = World::single(PoolSettings { server_lifetime: secs(100), ..size(2) });
    let tokens: Vec<_> = (0..2).map(|_| world.checkout(pool).0).collect();
    world.all_logins_ok();
    world.pass(secs(100));
    tokens.iter().for_each(|token| world.reuse(*token));
    assert_eq!(world.total(pool), 1);
    world.pass(secs(50));
    assert_eq!(world.total(pool), 0);
}

#[test]
fn lifetime_zero_leaves_the_one_use_to_come() {
    let (mut world, pool) = World::single(PoolSettings { server_lifetime: Duration::ZERO, ..size(2) });
    let (token, _) = world.checkout(pool);
    world.all_logins_ok();
    // A client was only greeted with its parameters.
    world.give_back(token, Return::Unused);
    world.pass(secs(5));
    assert_eq!((world.closed.len(), world.total(pool)), (0, 1));
    let (token, _) = world.checkout(pool);
    world.reuse(token);
    assert_eq!((world.closed.len(), world.total(pool)), (1, 0));
}

#[test]
fn a_new_server_is_not_too_old_for_whoever_waits() {
    let (mut world, pool) = World::single(PoolSettings { server_lifetime: Duration::ZERO, ..size(2) });
    let (token, _) = world.checkout(pool);
    world.pass(secs(5));
    world.login_ok(pool);
    assert!(world.lease_of(token).is_some());
}

#[test]
fn waiters_fail_after_the_limit_also_in_a_pause() {
    let (mut world, pool) = World::single(PoolSettings { query_wait_timeout: secs(120), ..size(1) });
    let (first, _) = world.checkout(pool);
    world.pause(pool);
    world.pass(secs(60));
    let (second, _) = world.checkout(pool);
    world.pass(secs(60));
    assert!(world.failed.is_empty());
    world.pass(secs(1));
    assert_eq!(world.failed, [(first, Failure::WaitTimeout)]);
    assert!(world.waiter_of(second).is_some());
}

#[test]
fn an_unused_pool_is_known_by_its_time() {
    let (mut world, pool) = World::single(size(1));
    world.pass(secs(1));
    let since = world.now;
    world.pass(secs(1));
    assert_eq!(world.pools.unused_since(pool), Some(since));
    world.checkout(pool);
    world.pass(secs(1));
    assert_eq!(world.pools.unused_since(pool), None);
}

#[test]
fn time_does_not_break_at_its_ends() {
    assert_eq!(Time::from_micros(5).since(Time::from_micros(9)), Duration::ZERO);
    assert_eq!(Time::from_micros(5).after(Duration::MAX), Time::from_micros(u64::MAX));
    assert_eq!(Time::from_micros(5).after(Duration::from_micros(2)).as_micros(), 7);
}

#[test]
fn reasons_speak_as_pgbouncer_does() {
    for (reason, text) in [
        (CloseReason::LifetimeOver, "server lifetime over"),
        (CloseReason::IdleTimeout, "server idle timeout"),
        (CloseReason::Evicted, "evicted"),
        (CloseReason::ConfigChanged, "database configuration changed"),
        (CloseReason::Obsolete, "obsolete connection"),
        (CloseReason::Because("unclean server"), "unclean server"),
    ] {
        assert_eq!(reason.to_string(), text);
    }
}
