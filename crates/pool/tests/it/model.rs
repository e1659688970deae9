//! Random sequences of calls against the model in `world`, which is compared after each call; at the end everything is let go
//! and whoever still waits must be served.

use crate::world::{At, World, secs};
use howdah_pool::{CloseReason, FailureKind, PoolId, PoolSettings, Return, ServerId};
use proptest::prelude::*;
use std::time::Duration;

/// Two databases and two users; four pools, one each pair.
const PAIRS: [[usize; 2]; 4] = [[0, 2], [0, 3], [1, 2], [1, 3]];

#[derive(Debug, Clone)]
enum Op {
    Checkout(usize),
    TryCheckout(usize),
    Again(usize),
    Abandon(usize),
    GiveBack(usize, bool),
    Forget(usize),
    Withdraw(usize),
    Test(usize, bool),
    LoginOk(usize),
    LoginFails(usize, FailureKind),
    Pass(u16),
    Pause(usize),
    Resume(usize),
    Hold(usize),
    Release(usize),
    Invalidate(usize),
    Fence(usize, u64),
    Unfence(usize, u64),
    Kill(usize),
    Settings(usize, PoolSettings),
    GroupLimit(usize, u32),
    Attended(usize, bool),
    Replace(usize, PoolSettings),
}

fn settings() -> impl Strategy<Value = PoolSettings> {
    let sizes = (0u32..4, 0u32..3, 0u32..3, any::<bool>());
    let times = (0u64..3, prop_oneof![Just(0u64), Just(40), Just(1000)], 0u64..6, 0u64..6, 0u64..30);
    (sizes, times).prop_map(
        |((size, min_size, reserve_size, round_robin), (reserve, life, idle, retry, wait))| PoolSettings {
            // As PgBouncer: the model knows one login.
            logins: 1,
            size,
            min_size,
            reserve_size,
            reserve_timeout: secs(reserve),
            server_lifetime: secs(life),
            server_idle_timeout: secs(idle * 4),
            server_check_delay: (idle > 1).then(|| secs(idle)),
            login_retry: secs(retry),
            query_wait_timeout: secs(wait),
            round_robin,
        },
    )
}

fn op() -> impl Strategy<Value = Op> {
    use FailureKind::{Aborted, Refused, StartingUp, Unreachable};
    let kind = prop_oneof![Just(Refused), Just(Unreachable), Just(StartingUp), Just(Aborted)];
    let n = 0usize..16;
    prop_oneof![
        12 => n.clone().prop_map(Op::Checkout),
        2 => n.clone().prop_map(Op::TryCheckout),
        1 => n.clone().prop_map(Op::Again),
        3 => n.clone().prop_map(Op::Abandon),
        12 => (n.clone(), prop::bool::weighted(0.8)).prop_map(|(n, reuse)| Op::GiveBack(n, reuse)),
        2 => n.clone().prop_map(Op::Forget),
        1 => n.clone().prop_map(Op::Withdraw),
        2 => (n.clone(), any::<bool>()).prop_map(|(n, begin)| Op::Test(n, begin)),
        12 => n.clone().prop_map(Op::LoginOk),
        3 => (n.clone(), kind).prop_map(|(n, kind)| Op::LoginFails(n, kind)),
        6 => (0u16..6000).prop_map(Op::Pass),
        1 => n.clone().prop_map(Op::Pause),
        2 => n.clone().prop_map(Op::Resume),
        1 => n.clone().prop_map(Op::Hold),
        2 => n.clone().prop_map(Op::Release),
        1 => n.clone().prop_map(Op::Invalidate),
        1 => (n.clone(), 0u64..5).prop_map(|(n, epoch)| Op::Fence(n, epoch)),
        3 => (n.clone(), 0u64..6).prop_map(|(n, epoch)| Op::Unfence(n, epoch)),
        1 => n.clone().prop_map(Op::Kill),
        2 => (n.clone(), settings()).prop_map(|(n, settings)| Op::Settings(n, settings)),
        2 => (n.clone(), 0u32..6).prop_map(|(n, limit)| Op::GroupLimit(n, limit)),
        1 => (n.clone(), any::<bool>()).prop_map(|(n, on)| Op::Attended(n, on)),
        1 => (n, settings()).prop_map(|(n, settings)| Op::Replace(n, settings)),
    ]
}

struct Run {
    world: World,
    pools: [PoolId; 4],
    next_key: u32,
}

impl Run {
    fn new(limits: &[u32], settings: Vec<PoolSettings>) -> Self {
        let mut world = World::new(limits);
        let pools = [0, 1, 2, 3].map(|n: usize| world.add_pool(n as u32, PAIRS[n], settings[n].clone()));
        Run { world, pools, next_key: 4 }
    }

    fn token(&self, n: usize) -> Option<u32> {
        let leases = &self.world.leases;
        (!leases.is_empty()).then(|| leases[n % leases.len()].0)
    }

    /// The n-th of the pools (removed ones included) that have a login in flight.
    fn login(&self, n: usize) -> Option<PoolId> {
        let busy: Vec<PoolId> =
            self.world.model.iter().filter(|(_, p)| p.login.is_some()).map(|(id, _)| *id).collect();
        (!busy.is_empty()).then(|| busy[n % busy.len()])
    }

    fn step(&mut self, op: Op) {
        match op {
            Op::Pass(millis) => self.world.pass(Duration::from_millis(millis.into())),
            Op::LoginOk(n) => self.login(n).into_iter().for_each(|pool| self.world.login_ok(pool)),
            Op::LoginFails(n, kind) => {
                self.login(n).into_iter().for_each(|pool| self.world.login_fails(pool, "no", kind));
            }
            Op::GroupLimit(n, limit) => self.world.set_group_limit(n % 4, limit),
            Op::Checkout(_) | Op::TryCheckout(_) | Op::Again(_) | Op::Abandon(_) => self.step_queue(op),
            Op::GiveBack(..) | Op::Forget(_) | Op::Withdraw(_) | Op::Test(..) => self.step_server(op),
            _ => self.step_operator(op),
        }
    }

    fn step_queue(&mut self, op: Op) {
        let world = &mut self.world;
        match op {
            Op::Checkout(n) => drop(world.checkout(self.pools[n % 4])),
            Op::TryCheckout(n) => drop(world.try_checkout(self.pools[n % 4])),
            Op::Again(n) => {
                let since = world.pools.longest_wait(self.pools[n % 4]).unwrap_or(world.now);
                world.checkout_again(self.pools[n % 4], since);
            }
            Op::Abandon(n) => {
                let waiting: Vec<u32> =
                    world.model.values().flat_map(|p| &p.queue).map(|queued| queued.token).collect();
                if !waiting.is_empty() {
                    world.abandon(waiting[n % waiting.len()]);
                }
            }
            _ => unreachable!("sorted by `step`"),
        }
    }

    fn step_server(&mut self, op: Op) {
        let Some(token) = (match op {
            Op::GiveBack(n, _) | Op::Forget(n) | Op::Test(n, _) | Op::Withdraw(n) => self.token(n),
            _ => unreachable!("sorted by `step`"),
        }) else {
            return;
        };
        let world = &mut self.world;
        match op {
            Op::GiveBack(_, true) => world.reuse(token),
            Op::GiveBack(_, false) => {
                world.give_back(token, Return::Discard(CloseReason::Because("unclean")))
            }
            Op::Forget(_) => world.forget(token),
            Op::Withdraw(n) => {
                let all: Vec<ServerId> = world.servers.keys().copied().collect();
                world.withdraw(all[n % all.len()]);
            }
            Op::Test(_, begin) => world.test(token, begin),
            _ => unreachable!("sorted by `step`"),
        }
    }

    fn step_operator(&mut self, op: Op) {
        let (world, pools) = (&mut self.world, &mut self.pools);
        match op {
            Op::Pause(n) => world.pause(pools[n % 4]),
            Op::Resume(n) => world.resume(pools[n % 4]),
            Op::Hold(n) => world.hold(pools[n % 4]),
            Op::Release(n) => world.release(pools[n % 4]),
            Op::Invalidate(n) => world.invalidate(pools[n % 4], CloseReason::ConfigChanged),
            Op::Fence(n, epoch) => world.fence(pools[n % 4], epoch),
            Op::Unfence(n, epoch) => drop(world.unfence(pools[n % 4], epoch)),
            Op::Kill(n) => drop(world.kill(pools[n % 4], CloseReason::Because("killed"))),
            Op::Settings(n, settings) => world.set_settings(pools[n % 4], settings),
            Op::Attended(n, on) => world.set_attended(pools[n % 4], on),
            Op::Replace(n, settings) => {
                world.remove_pool(pools[n % 4]);
                pools[n % 4] = world.add_pool(self.next_key, PAIRS[n % 4], settings);
                self.next_key += 1;
            }
            _ => unreachable!("sorted by `step`"),
        }
    }

    /// Everything is let go: holds end, logins succeed, servers come back. Whoever waits must be served.
    fn finish(mut self) {
        for pool in self.pools {
            self.world.release(pool);
            self.world.resume(pool);
            assert!(self.world.unfence(pool, u64::MAX));
            let calm =
                PoolSettings { query_wait_timeout: Duration::ZERO, ..self.world.pool(pool).settings.clone() };
            self.world.set_settings(pool, calm);
        }
        let failed = self.world.failed.len();
        for _ in 0..1000 {
            self.world.pass(secs(1));
            self.world.all_logins_ok();
            let out: Vec<u32> = self.world.leases.iter().map(|(token, _)| *token).collect();
            if out.is_empty() && self.world.model.values().all(|p| p.queue.is_empty()) {
                break;
            }
            out.into_iter().for_each(|token| self.world.reuse(token));
        }
        assert!(self.world.model.values().all(|p| p.queue.is_empty()), "somebody waits for ever");
        assert_eq!(self.world.failed.len(), failed);
        self.pools.into_iter().for_each(|pool| self.world.remove_pool(pool));
        assert_eq!(self.world.servers.values().filter(|s| s.at != At::Login).count(), 0, "all came out");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_of_calls_keeps_the_books(
        limits in prop::collection::vec(0u32..6, 4),
        settings in prop::collection::vec(settings(), 4),
        ops in prop::collection::vec(op(), 1..200),
    ) {
        let mut run = Run::new(&limits, settings);
        ops.into_iter().for_each(|op| run.step(op));
        run.finish();
    }
}
