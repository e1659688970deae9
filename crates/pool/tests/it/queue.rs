//! The queue and the idle list: who gets which server, and when.

use crate::world::{Answer, Error, World, secs, size};
use howdah_pool::{
    Abandoned, Checkout, CloseReason, Effect, PoolSettings, Pools, Refusal, Return, ServerState, Time,
};
use std::time::Duration;

#[test]
fn the_first_checkout_starts_a_login_and_gets_its_server() {
    let (mut world, pool) = World::single(size(2));
    let (token, answer) = world.checkout(pool);
    assert_eq!(answer, Answer::Waiting);
    assert_eq!(world.connects.len(), 1);
    let login = world.login_of(pool).unwrap();
    world.login_ok(pool);
    assert_eq!(world.lease_of(token), Some(login.server()), "the server keeps the login's name");
}

#[test]
fn waiters_are_served_in_the_order_in_which_they_came() {
    let (mut world, pool) = World::single(size(1));
    let tokens: Vec<_> = (0..5).map(|_| world.checkout(pool).0).collect();
    world.all_logins_ok();
    for token in tokens {
        assert!(world.lease_of(token).is_some());
        world.reuse(token);
    }
    assert_eq!(world.connects.len(), 1, "one server served them all");
}

#[test]
fn nobody_takes_a_server_past_the_queue() {
    let (mut world, pool) = World::single(size(1));
    let (first, _) = world.checkout(pool);
    let (second, _) = world.checkout(pool);
    world.all_logins_ok();
    world.reuse(first);
    // The server is the second's already, although nobody has told it yet.
    assert_eq!(world.try_checkout(pool), None);
    let (third, answer) = world.checkout(pool);
    assert_eq!(answer, Answer::Waiting);
    assert!(world.lease_of(second).is_some() && world.lease_of(third).is_none());
}

#[test]
fn a_waiter_may_leave_from_the_middle_of_the_queue() {
    let (mut world, pool) = World::single(size(1));
    let tokens: Vec<_> = (0..4).map(|_| world.checkout(pool).0).collect();
    world.abandon(tokens[1]);
    world.abandon(tokens[3]);
    world.all_logins_ok();
    assert!(world.lease_of(tokens[0]).is_some());
    world.reuse(tokens[0]);
    assert!(world.lease_of(tokens[2]).is_some());
    world.reuse(tokens[2]);
    assert_eq!(world.pools.counts(world.now, pool).idle, 1);
}

#[test]
fn a_client_that_goes_away_does_not_cancel_the_login() {
    let (mut world, pool) = World::single(size(1));
    let (first, _) = world.checkout(pool);
    world.abandon(first);
    let (second, answer) = world.checkout(pool);
    assert_eq!(answer, Answer::Waiting);
    assert_eq!(world.connects.len(), 1);
    world.login_ok(pool);
    assert!(world.lease_of(second).is_some());
}

#[test]
fn a_hand_over_that_has_happened_is_not_undone_by_abandoning() {
    let (mut world, pool) = World::single(size(1));
    let (token, _) = world.checkout(pool);
    let id = world.waiter_of(token).unwrap();
    world.login_ok_unpolled(pool);
    assert_eq!(world.pools.abandon(id), Abandoned::Settled);
    world.done();
    world.reuse(token);
    assert_eq!(world.pools.counts(world.now, pool).idle, 1);
}

#[test]
fn the_server_given_back_last_is_used_first() {
    let (mut world, pool) = World::single(size(3));
    let tokens: Vec<_> = (0..3).map(|_| world.checkout(pool).0).collect();
    world.all_logins_ok();
    let servers: Vec<_> = tokens.iter().map(|token| world.lease_of(*token).unwrap()).collect();
    tokens.iter().for_each(|token| world.reuse(*token));
    let (again, _) = world.checkout(pool);
    assert_eq!(world.lease_of(again), Some(servers[2]));
}

#[test]
fn round_robin_uses_the_longest_idle_one_first() {
    let (mut world, pool) = World::single(PoolSettings { round_robin: true, ..size(3) });
    let tokens: Vec<_> = (0..3).map(|_| world.checkout(pool).0).collect();
    world.all_logins_ok();
    let servers: Vec<_> = tokens.iter().map(|token| world.lease_of(*token).unwrap()).collect();
    tokens.iter().for_each(|token| world.reuse(*token));
    for expected in servers.iter().chain(&servers) {
        let (token, _) = world.checkout(pool);
        assert_eq!(world.lease_of(token), Some(*expected));
        world.reuse(token);
    }
}

#[test]
fn one_whose_check_failed_keeps_its_turn() {
    let (mut world, pool) = World::single(size(1));
    let since = world.now;
    let (first, _) = world.checkout(pool);
    world.all_logins_ok();
    world.pass(secs(1));
    let (later, _) = world.checkout(pool);
    world.forget(first);
    let (again, answer) = world.checkout_again(pool, since);
    assert_eq!(answer, Answer::Waiting);
    assert_eq!(world.pools.longest_wait(pool), Some(since));
    world.all_logins_ok();
    assert!(world.lease_of(again).is_some() && world.lease_of(later).is_none());
}

#[test]
fn a_dead_or_discarded_server_is_replaced_for_those_who_wait() {
    for forget in [true, false] {
        let (mut world, pool) = World::single(size(1));
        let (first, _) = world.checkout(pool);
        let (second, _) = world.checkout(pool);
        world.all_logins_ok();
        if forget {
            world.forget(first);
        } else {
            world.give_back(first, Return::Discard(CloseReason::Because("unclean server")));
            assert_eq!(world.closed.len(), 1);
        }
        assert_eq!(world.connects.len(), 2);
        world.login_ok(pool);
        assert!(world.lease_of(second).is_some());
    }
}

#[test]
fn an_idle_server_can_be_withdrawn_and_a_leased_one_cannot() {
    let (mut world, pool) = World::single(size(2));
    let (token, _) = world.checkout(pool);
    world.all_logins_ok();
    let server = world.lease_of(token).unwrap();
    world.withdraw(server);
    assert!(world.lease_of(token).is_some());
    world.reuse(token);
    world.withdraw(server);
    world.withdraw(server);
    assert_eq!(world.total(pool), 0);
}

#[test]
fn servers_under_test_are_counted_apart() {
    let (mut world, pool) = World::single(size(2));
    let (token, _) = world.checkout(pool);
    world.all_logins_ok();
    let server = world.lease_of(token).unwrap();
    world.test(token, true);
    assert_eq!(world.pools.server(world.now, server).unwrap().state, ServerState::Tested);
    world.test(token, false);
    assert_eq!(world.pools.counts(world.now, pool).active, 1);
    world.test(token, true);
    let (waiting, _) = world.checkout(pool);
    world.reuse(token);
    assert_eq!(world.lease_of(waiting), Some(server), "a reset server goes to whoever waits");
}

#[test]
fn the_owner_picks_waiters_out() {
    let (mut world, pool) = World::single(size(1));
    let tokens: Vec<_> = (0..4).map(|_| world.checkout(pool).0).collect();
    let out = world.pools.drain_waiters(pool, |token, _| *token == tokens[0] || *token == tokens[2]);
    assert_eq!(out, [tokens[0], tokens[2]]);
    world.pool(pool).queue.retain(|queued| !out.contains(&queued.token));
    world.done();
    world.all_logins_ok();
    assert!(world.lease_of(tokens[1]).is_some());
}

#[test]
fn a_check_is_due_after_the_delay_and_not_on_a_hand_over() {
    let delay = |delay| PoolSettings { server_check_delay: delay, ..size(1) };
    for (settings, pause, due) in [
        (delay(Some(secs(2))), secs(1), false),
        (delay(Some(secs(2))), secs(2), true),
        (delay(Some(Duration::ZERO)), Duration::ZERO, true),
        (delay(None), secs(1000), false),
    ] {
        let (mut world, pool) = World::single(settings);
        let (token, _) = world.checkout(pool);
        world.all_logins_ok();
        assert!(!world.leases[0].1.check_due);
        world.reuse(token);
        world.pass(pause);
        let counts = world.pools.counts(world.now, pool);
        assert_eq!((counts.used, counts.idle), (u32::from(due), u32::from(!due)));
        world.checkout(pool);
        assert_eq!(world.leases[0].1.check_due, due);
    }
}

#[test]
fn what_the_owner_does_not_have_comes_back_out() {
    let (mut world, pool) = World::single(size(1));
    let mut other: Pools<u32, &str, u32, Error> = Pools::new();
    world.checkout(pool);
    let login = world.login_of(pool).unwrap();
    other.give_back(Time::ZERO, login.server(), "conn", Return::Reusable);
    other.login_succeeded(Time::ZERO, login, "conn");
    other.forget(Time::ZERO, login.server());
    for _ in 0..2 {
        let Some(Effect::Close { conn: "conn", reason: CloseReason::NotLeased, .. }) = other.poll_effect()
        else {
            panic!("the connection is closed");
        };
    }
    assert_eq!(other.poll_effect(), None);
}

#[test]
fn a_pool_that_does_not_exist_refuses() {
    let (mut world, pool) = World::single(size(1));
    world.remove_pool(pool);
    let answer = world.pools.checkout(world.now, pool, 77);
    assert_eq!(answer, Checkout::Refused(77, Refusal::NoSuchPool));
}

#[test]
fn names_are_never_used_twice() {
    let (mut world, pool) = World::single(PoolSettings { server_lifetime: Duration::ZERO, ..size(1) });
    // `World` refuses a name that it has seen; here the places are used again.
    let mut seen = Vec::new();
    for _ in 0..10 {
        let (token, _) = world.checkout(pool);
        world.all_logins_ok();
        let server = world.lease_of(token).unwrap();
        assert!(!seen.contains(&server));
        assert_eq!(server.index(), 0);
        seen.push(server);
        world.reuse(token);
    }
    assert!(seen.windows(2).all(|pair| pair[0].serial() < pair[1].serial()));
}
