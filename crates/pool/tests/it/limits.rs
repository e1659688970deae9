//! Sizes, groups, eviction, reserve and minimum.

use crate::world::{Answer, World, secs, size};
use howdah_pool::{CloseReason, Failure, PoolSettings, Return};

/// Checks `n` out and answers all logins.
fn fill(world: &mut World, pool: howdah_pool::PoolId, n: usize) -> Vec<u32> {
    let tokens = (0..n).map(|_| world.checkout(pool).0).collect();
    world.all_logins_ok();
    tokens
}

#[test]
fn logins_start_one_after_the_other_up_to_the_size() {
    let (mut world, pool) = World::single(size(3));
    for _ in 0..10 {
        world.checkout(pool);
    }
    assert_eq!(world.connects.len(), 1);
    world.login_ok(pool);
    assert_eq!(world.connects.len(), 2);
    world.all_logins_ok();
    assert_eq!((world.connects.len(), world.leases.len()), (3, 3));
}

#[test]
fn cancel_requests_have_what_the_servers_leave_of_twice_the_size() {
    let (mut world, pool) = World::single(size(2));
    assert_eq!(world.pools.cancel_room(pool), Some(4));
    let tokens = fill(&mut world, pool, 3);
    assert_eq!(world.pools.cancel_room(pool), Some(2));
    world.set_settings(pool, size(1));
    assert_eq!(world.pools.cancel_room(pool), Some(0), "more servers than a smaller size allows");
    world.forget(tokens[0]);
    assert_eq!(world.pools.cancel_room(pool), Some(1));
    world.set_settings(pool, size(0));
    assert_eq!(world.pools.cancel_room(pool), None);
}

#[test]
fn size_zero_has_no_limit() {
    let (mut world, pool) = World::single(size(0));
    assert_eq!(fill(&mut world, pool, 100).len(), 100);
    assert_eq!(world.leases.len(), 100);
}

#[test]
fn growing_serves_those_who_wait_and_shrinking_closes_what_comes_back() {
    let (mut world, pool) = World::single(size(4));
    let tokens = fill(&mut world, pool, 8);
    assert_eq!(world.leases.len(), 4);
    world.set_settings(pool, size(6));
    world.all_logins_ok();
    assert_eq!(world.leases.len(), 6);
    // deadpool's fault (CRATES.md section 2): out 4, resize 1, resize 4, and a fifth was given.
    world.set_settings(pool, size(1));
    world.set_settings(pool, size(6));
    world.all_logins_ok();
    assert_eq!(world.total(pool), 6);
    world.set_settings(pool, size(2));
    for token in &tokens[0..4] {
        world.reuse(*token);
    }
    assert_eq!(world.total(pool), 2);
    assert_eq!(world.closed.iter().filter(|(_, reason)| *reason == CloseReason::TooMany).count(), 4);
    world.reuse(tokens[4]);
    assert!(world.lease_of(tokens[6]).is_some(), "the next one waits for a server that may stay");
}

#[test]
fn shrinking_closes_idle_servers_at_once_the_longest_idle_first() {
    let (mut world, pool) = World::single(size(3));
    let tokens = fill(&mut world, pool, 3);
    let servers: Vec<_> = tokens.iter().map(|token| world.lease_of(*token).unwrap()).collect();
    tokens.iter().for_each(|token| world.reuse(*token));
    world.set_settings(pool, size(1));
    assert_eq!(world.closed, [(servers[0], CloseReason::TooMany), (servers[1], CloseReason::TooMany)]);
}

#[test]
fn a_full_group_evicts_the_longest_idle_server_of_another_pool() {
    let mut world = World::new(&[2, 0, 0, 0]);
    let pools: Vec<_> = (0..3).map(|n| world.add_pool(n, [0, n as usize + 1], size(5))).collect();
    let first = fill(&mut world, pools[0], 1)[0];
    let second = fill(&mut world, pools[1], 1)[0];
    let oldest = world.lease_of(first).unwrap();
    world.reuse(first);
    world.pass(secs(1));
    world.reuse(second);
    let third = fill(&mut world, pools[2], 1)[0];
    assert!(world.lease_of(third).is_some());
    assert_eq!(world.closed, [(oldest, CloseReason::Evicted)]);
    assert_eq!(world.in_group(0, |_| true), 2);
}

#[test]
fn whoever_waits_for_a_full_group_gets_a_place_as_soon_as_one_is_idle_or_gone() {
    for how in ["idle", "closed", "forgotten", "raised", "removed", "unpaused"] {
        let mut world = World::new(&[0, 1]);
        let busy = world.add_pool(1, [0, 1], size(5));
        let hungry = world.add_pool(2, [0, 1], size(5));
        let token = fill(&mut world, busy, 1)[0];
        let (waiting, answer) = world.checkout(hungry);
        assert_eq!(answer, Answer::Waiting);
        assert_eq!(world.login_of(hungry), None);
        match how {
            "idle" => world.reuse(token),
            "closed" => world.give_back(token, Return::Discard(CloseReason::Because("test"))),
            "forgotten" => world.forget(token),
            "raised" => world.set_group_limit(1, 2),
            "removed" => {
                world.remove_pool(busy);
                world.reuse(token);
            }
            _ => {
                world.pause(hungry);
                world.reuse(token);
                assert!(world.closed.is_empty(), "nobody who is paused evicts");
                world.resume(hungry);
            }
        }
        world.all_logins_ok();
        assert!(world.lease_of(waiting).is_some(), "{how}");
    }
}

#[test]
fn nothing_is_evicted_in_vain() {
    // The database's group could make room, the user's could not.
    let mut world = World::new(&[1, 1, 0]);
    let idle = world.add_pool(1, [0, 2], size(5));
    let busy = world.add_pool(2, [2, 1], size(5));
    let both = world.add_pool(3, [0, 1], size(5));
    let token = fill(&mut world, idle, 1)[0];
    world.reuse(token);
    let in_use = fill(&mut world, busy, 1)[0];
    let (waiting, _) = world.checkout(both);
    assert!(world.closed.is_empty() && world.login_of(both).is_none());
    world.reuse(in_use);
    assert_eq!(world.closed.len(), 2);
    world.all_logins_ok();
    assert!(world.lease_of(waiting).is_some());
}

#[test]
fn an_eviction_for_one_group_serves_who_waits_for_the_other() {
    let mut world = World::new(&[2, 1, 0, 0]);
    let victim = world.add_pool(1, [0, 1], size(5));
    let starved = world.add_pool(2, [2, 1], size(5));
    let evictor = world.add_pool(3, [0, 3], size(5));
    let token = fill(&mut world, victim, 1)[0];
    world.hold(starved);
    let (waiting, _) = world.checkout(starved);
    world.reuse(token);
    let first = fill(&mut world, evictor, 1)[0];
    world.release(starved);
    world.all_logins_ok();
    assert!(world.lease_of(waiting).is_some() && world.lease_of(first).is_some());
    assert_eq!(world.closed.len(), 1);
}

#[test]
fn the_longest_waiter_of_the_starved_pools_is_first() {
    let mut world = World::new(&[1, 0, 0, 0]);
    let pools: Vec<_> = (0..3).map(|n| world.add_pool(n, [0, n as usize + 1], size(5))).collect();
    let token = fill(&mut world, pools[0], 1)[0];
    let (late, early) = (pools[1], pools[2]);
    world.checkout(early);
    world.pass(secs(1));
    world.checkout(late);
    world.reuse(token);
    assert!(world.login_of(early).is_some() && world.login_of(late).is_none());
}

#[test]
fn a_lower_group_limit_closes_idle_servers_and_those_that_come_back() {
    let mut world = World::new(&[0, 0]);
    let pool = world.add_pool(1, [0, 1], size(0));
    let tokens = fill(&mut world, pool, 4);
    world.reuse(tokens[0]);
    world.set_group_limit(0, 2);
    assert_eq!(world.in_group(0, |_| true), 3);
    world.reuse(tokens[1]);
    assert_eq!(world.in_group(0, |_| true), 2);
    world.reuse(tokens[2]);
    assert_eq!(world.pools.counts(world.now, pool).idle, 1);
}

#[test]
fn the_reserve_is_used_one_by_one_after_the_wait() {
    let settings = PoolSettings { reserve_size: 2, reserve_timeout: secs(5), ..size(1) };
    let (mut world, pool) = World::single(settings);
    fill(&mut world, pool, 5);
    world.pass(secs(4));
    assert_eq!(world.connects.len(), 1);
    world.pass(secs(1));
    assert_eq!(world.connects.len(), 2);
    assert!(world.connects[1].2, "said to be from the reserve");
    world.pass(secs(1));
    assert_eq!(world.connects.len(), 2, "one login at a time");
    world.all_logins_ok();
    assert_eq!((world.connects.len(), world.leases.len()), (3, 3));
    world.pass(secs(100));
    assert_eq!(world.total(pool), 3);
}

#[test]
fn without_a_reserve_timeout_the_reserve_is_never_used() {
    let (mut world, pool) = World::single(PoolSettings { reserve_size: 2, ..size(1) });
    fill(&mut world, pool, 5);
    world.pass(secs(1000));
    assert_eq!(world.connects.len(), 1);
}

#[test]
fn the_minimum_is_kept_one_a_round() {
    let (mut world, pool) = World::single(PoolSettings { min_size: 2, ..size(5) });
    for round in 1..=2 {
        world.pass(secs(1));
        assert_eq!(world.connects.len(), round);
        world.pass(secs(1));
        assert_eq!(world.connects.len(), round, "not while a login is in flight");
        world.login_ok(pool);
    }
    world.pass(secs(1));
    assert_eq!((world.connects.len(), world.total(pool)), (2, 2));
}

#[test]
fn the_minimum_needs_an_attended_open_pool_and_never_goes_beyond_a_cap_or_evicts() {
    let mut world = World::new(&[2, 0, 0]);
    let pools: Vec<_> = (0..2)
        .map(|n| world.add_pool(n, [0, n as usize + 1], PoolSettings { min_size: 5, ..size(2) }))
        .collect();
    world.set_attended(pools[1], false);
    for _ in 0..10 {
        world.pass(secs(1));
        world.all_logins_ok();
    }
    assert_eq!((world.total(pools[0]), world.total(pools[1])), (2, 0));
    world.set_attended(pools[1], true);
    world.pass(secs(1));
    assert!(world.closed.is_empty());
    assert_eq!(world.connects.len(), 2);
    world.set_group_limit(0, 4);
    world.pause(pools[1]);
    world.pass(secs(1));
    assert_eq!(world.total(pools[1]), 0);
    world.resume(pools[1]);
    world.pass(secs(1));
    assert_eq!(world.total(pools[1]), 1);
}

#[test]
fn a_removed_pool_counts_until_its_last_server_is_back_and_its_key_is_free() {
    let mut world = World::new(&[2, 0]);
    let pool = world.add_pool(1, [0, 1], size(2));
    let tokens = fill(&mut world, pool, 3);
    world.remove_pool(pool);
    assert_eq!(world.failed, [(tokens[2], Failure::PoolRemoved)]);
    let group = world.groups[0].0;
    assert_eq!(world.pools.group_servers(group), 2);
    let again = world.add_pool(1, [0, 1], size(2));
    assert_ne!(again, pool);
    let (waiting, _) = world.checkout(again);
    assert_eq!(world.login_of(again), None, "the group is still full");
    world.reuse(tokens[0]);
    world.all_logins_ok();
    assert!(world.lease_of(waiting).is_some());
    world.forget(tokens[1]);
    assert_eq!(world.pools.settings(pool), None, "the record has gone with the last server");
    assert!(!world.pools.remove_group(group));
    world.remove_pool(again);
    assert!(!world.pools.remove_group(group), "a server is still out");
    world.reuse(waiting);
    assert!(world.pools.remove_group(group) && !world.pools.remove_group(group));
}

#[test]
fn a_pool_is_made_once_a_key() {
    let (mut world, pool) = World::single(size(1));
    let [database, user] = [world.groups[0].0, world.groups[1].0];
    assert_eq!(world.pools.add_pool(1, database, user, size(9)), pool);
    assert_eq!(world.pools.settings(pool), Some(&size(1)));
    assert_eq!(world.pools.pools_in(database), [pool]);
    assert_eq!(world.pools.pools().collect::<Vec<_>>(), [(pool, &1)]);
}
