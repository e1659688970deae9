//! What cannot be seen from outside: a mark of starvation that outlives its reason costs a look at every pool of the group at
//! each give-back, and no more than that.

use crate::{Abandoned, CloseReason, Effect, GroupId, PoolId, PoolSettings, Pools, Return, Time, WaiterId};

const NOW: Time = Time::ZERO;

struct Full {
    pools: Pools<u32, (), u32, ()>,
    group: GroupId,
    hungry: PoolId,
    waiter: WaiterId,
}

/// A group of one server, leased, and a waiter of another pool.
fn full_group() -> Full {
    let mut pools: Pools<u32, (), u32, ()> = Pools::new();
    let [group, user] = [pools.add_group(1), pools.add_group(0)];
    let busy = pools.add_pool(1, group, user, PoolSettings::default());
    let hungry = pools.add_pool(2, group, user, PoolSettings::default());
    pools.checkout(NOW, busy, 1);
    let Some(Effect::Connect { login, .. }) = pools.poll_effect() else { panic!("a login") };
    pools.login_succeeded(NOW, login, ());
    let Some(Effect::HandOver { .. }) = pools.poll_effect() else { panic!("a server") };
    let crate::Checkout::Waiting(waiter) = pools.checkout(NOW, hungry, 2) else { panic!("a full group") };
    assert_eq!(pools.poll_effect(), None);
    Full { pools, group, hungry, waiter }
}

impl Full {
    fn starved(&self) -> u32 {
        self.pools.groups.get(self.group.0).map_or(0, |group| group.starved)
    }
}

#[test]
fn a_pool_is_marked_only_while_it_starves() {
    type End = fn(&mut Full);
    let ends: [End; 6] = [
        |full| assert_eq!(full.pools.abandon(full.waiter), Abandoned::Left(2)),
        |full| assert_eq!(full.pools.drain_waiters(full.hungry, |_, _| true), [2]),
        |full| full.pools.hold(full.hungry),
        |full| assert!(full.pools.pause(NOW, full.hungry)),
        |full| full.pools.fence(NOW, full.hungry, 1),
        |full| full.pools.remove_pool(NOW, full.hungry),
    ];
    for end in ends {
        let mut full = full_group();
        assert_eq!(full.starved(), 1);
        end(&mut full);
        assert_eq!(full.starved(), 0);
    }
}

#[test]
fn a_login_ends_starvation_and_leaves_nothing_to_relieve() {
    let mut full = full_group();
    full.pools.set_group_limit(NOW, full.group, 2);
    assert!(matches!(full.pools.poll_effect(), Some(Effect::Connect { .. })));
    assert_eq!(full.starved(), 0);
    assert!(full.pools.freed.is_empty());
}

#[test]
fn what_came_free_is_looked_at_once() {
    let mut full = full_group();
    let busy = full.pools.pool_id(&1).unwrap();
    let server = full.pools.servers(NOW).find(|info| info.pool == busy).map(|info| info.server).unwrap();
    full.pools.give_back(NOW, server, (), Return::Reusable);
    let Some(Effect::Close { reason: CloseReason::Evicted, .. }) = full.pools.poll_effect() else {
        panic!("a place")
    };
    assert!(matches!(full.pools.poll_effect(), Some(Effect::Connect { .. })));
    assert!(full.pools.freed.is_empty());
}
