//! PAUSE, holds, invalidation and the fence.

use crate::world::{Answer, World, secs, size};
use howdah_pool::{CloseReason, PoolId, Return};

/// A pool of three with two servers, the first leased and the second idle.
fn leased_and_idle() -> (World, PoolId, u32) {
    let (mut world, pool) = World::single(size(3));
    let (first, _) = world.checkout(pool);
    let (second, _) = world.checkout(pool);
    world.all_logins_ok();
    world.reuse(second);
    (world, pool, first)
}

#[test]
fn pause_closes_idle_servers_and_is_over_when_the_leased_ones_are_back() {
    let (mut world, pool, token) = leased_and_idle();
    world.pause(pool);
    world.pause(pool);
    assert_eq!(world.closed.len(), 1);
    assert!(!world.pools.is_drained(pool));
    let (waiting, answer) = world.checkout(pool);
    assert_eq!(answer, Answer::Waiting);
    world.reuse(token);
    assert!(world.pools.is_drained(pool));
    assert_eq!(world.closed[1].1, CloseReason::Paused);
    world.pass(secs(100));
    assert_eq!(world.total(pool), 0);
    world.resume(pool);
    world.resume(pool);
    world.all_logins_ok();
    assert!(world.lease_of(waiting).is_some());
}

#[test]
fn a_login_that_ends_in_a_pause_is_closed() {
    let (mut world, pool) = World::single(size(3));
    let (token, _) = world.checkout(pool);
    world.pause(pool);
    assert!(!world.pools.is_drained(pool), "a login is in flight");
    world.login_ok(pool);
    assert!(world.pools.is_drained(pool));
    assert_eq!(world.closed[0].1, CloseReason::Paused);
    world.resume(pool);
    world.all_logins_ok();
    assert!(world.lease_of(token).is_some());
}

#[test]
fn a_plain_hold_keeps_idle_servers_and_its_end_serves_in_order() {
    let (mut world, pool, token) = leased_and_idle();
    world.hold(pool);
    assert_eq!(world.try_checkout(pool), None);
    let waiting: Vec<_> = (0..4).map(|_| world.checkout(pool).0).collect();
    world.reuse(token);
    assert!(world.closed.is_empty() && world.leases.is_empty());
    world.release(pool);
    assert_eq!(world.leases.iter().map(|(token, _)| *token).collect::<Vec<_>>(), waiting[0..2]);
    world.all_logins_ok();
    assert!(world.lease_of(waiting[2]).is_some() && world.lease_of(waiting[3]).is_none());
}

#[test]
fn several_holds_must_all_end() {
    let (mut world, pool, _) = leased_and_idle();
    world.hold(pool);
    world.pause(pool);
    world.fence(pool, 3);
    let (waiting, _) = world.checkout(pool);
    world.release(pool);
    world.resume(pool);
    assert!(world.login_of(pool).is_none());
    assert!(world.unfence(pool, 3));
    world.all_logins_ok();
    assert!(world.lease_of(waiting).is_some());
}

#[test]
fn reconnect_closes_idle_servers_at_once_and_leased_ones_when_they_come_back() {
    let (mut world, pool, token) = leased_and_idle();
    world.invalidate(pool, CloseReason::ConfigChanged);
    assert_eq!(world.closed.len(), 1);
    assert!(world.pools.has_stale(pool));
    let server = world.lease_of(token).unwrap();
    assert!(world.pools.is_stale(server));
    let (next, _) = world.checkout(pool);
    world.all_logins_ok();
    assert!(
        world.lease_of(next).is_some_and(|fresh| !world.pools.is_stale(fresh)),
        "a new server, meanwhile"
    );
    world.reuse(token);
    assert!(!world.pools.has_stale(pool), "WAIT_CLOSE answers");
    assert_eq!(world.closed[1], (server, CloseReason::ConfigChanged));
}

#[test]
fn a_stale_server_is_replaced_for_those_who_wait() {
    let (mut world, pool) = World::single(size(1));
    let (first, _) = world.checkout(pool);
    let (second, _) = world.checkout(pool);
    world.all_logins_ok();
    world.invalidate(pool, CloseReason::Obsolete);
    world.reuse(first);
    world.all_logins_ok();
    assert!(world.lease_of(second).is_some());
    assert_eq!(world.connects.len(), 2);
}

#[test]
fn nothing_passes_a_fence_until_its_epoch() {
    let (mut world, pool, token) = leased_and_idle();
    world.fence(pool, 5);
    world.fence(pool, 4);
    assert!(world.pools.is_fenced(pool));
    assert_eq!(world.closed[0].1, CloseReason::Fenced);
    let (waiting, _) = world.checkout(pool);
    world.reuse(token);
    assert_eq!(world.closed[1].1, CloseReason::Fenced);
    assert!(!world.unfence(pool, 4), "a late word of an earlier epoch");
    assert!(world.login_of(pool).is_none());
    assert!(world.unfence(pool, 6));
    assert!(world.unfence(pool, 6), "it is open already");
    world.all_logins_ok();
    assert!(world.lease_of(waiting).is_some());
}

#[test]
fn a_login_of_before_the_fence_is_never_handed_out() {
    let (mut world, pool) = World::single(size(1));
    let (token, _) = world.checkout(pool);
    world.fence(pool, 2);
    assert!(world.unfence(pool, 2));
    world.login_ok(pool);
    assert_eq!(world.closed[0].1, CloseReason::Fenced);
    assert!(world.lease_of(token).is_none());
    world.login_ok(pool);
    assert!(world.lease_of(token).is_some());
}

#[test]
fn kill_takes_the_waiters_out_and_marks_everything() {
    let (mut world, pool) = World::single(size(1));
    let (token, _) = world.checkout(pool);
    world.all_logins_ok();
    let waiting: Vec<_> = (0..3).map(|_| world.checkout(pool).0).collect();
    assert_eq!(world.kill(pool, CloseReason::Because("admin killed")), waiting);
    assert!(world.pools.has_stale(pool));
    world.give_back(token, Return::Reusable);
    assert_eq!(world.closed[0].1, CloseReason::Because("admin killed"));
    assert_eq!(world.checkout(pool).1, Answer::Waiting, "it is paused");
    world.resume(pool);
    assert!(world.login_of(pool).is_some());
}
