//! The grid of cancellations and failures, after deadpool's `managed_cancellation`: every outcome of a login × every moment at
//! which its waiter goes away × every way of giving a server back × everything that the operator may do meanwhile. After each call
//! `World` checks that nothing is lost; here every cell must also end with a working, empty pool.

use crate::world::{Answer, World, secs, size};
use howdah_pool::{Abandoned, CloseReason, Failure, FailureKind, PoolId, PoolSettings, Return};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Login {
    Ok,
    Refused,
    /// Unreachable at first, and a success on the retry.
    Slow,
    /// No answer until the end of the test.
    Never,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cancel {
    No,
    Before,
    /// Decided, and not yet told.
    During,
    After,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Back {
    Reusable,
    Discard,
    Dead,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meanwhile {
    Nothing,
    Paused,
    Held,
    Invalidated,
    Fenced,
    Removed,
}

#[test]
fn every_cell_of_the_grid_loses_nothing_and_leaves_a_working_pool() {
    for login in [Login::Ok, Login::Refused, Login::Slow, Login::Never] {
        for cancel in [Cancel::No, Cancel::Before, Cancel::During, Cancel::After] {
            for back in [Back::Reusable, Back::Discard, Back::Dead] {
                for meanwhile in EVERYTHING {
                    Cell { login, cancel, back, meanwhile }.run();
                }
            }
        }
    }
}

const EVERYTHING: [Meanwhile; 6] = [
    Meanwhile::Nothing,
    Meanwhile::Paused,
    Meanwhile::Held,
    Meanwhile::Invalidated,
    Meanwhile::Fenced,
    Meanwhile::Removed,
];

#[derive(Debug, Clone, Copy)]
struct Cell {
    login: Login,
    cancel: Cancel,
    back: Back,
    meanwhile: Meanwhile,
}

impl Cell {
    fn run(self) {
        let (mut world, pool) = World::single(PoolSettings { login_retry: secs(15), ..size(1) });
        let (first, _) = world.checkout(pool);
        let (second, _) = world.checkout(pool);
        let first_id = world.waiter_of(first).unwrap();
        self.happen(&mut world, pool);
        if self.cancel == Cancel::Before && world.waiter_of(first).is_some() {
            world.abandon(first);
        }
        self.answer(&mut world, pool);
        if self.cancel == Cancel::During && world.pools.abandon(first_id) != Abandoned::Settled {
            world.pool(pool).queue.retain(|queued| queued.token != first);
        }
        world.done();
        if self.cancel == Cancel::After && world.waiter_of(first).is_some() {
            world.abandon(first);
        }
        self.undo(&mut world, pool);
        if self.login != Login::Never {
            world.pass(secs(15));
            world.all_logins_ok();
        }
        self.end(&mut world, pool, [first, second]);
    }

    fn happen(self, world: &mut World, pool: PoolId) {
        match self.meanwhile {
            Meanwhile::Nothing => {}
            Meanwhile::Paused => world.pause(pool),
            Meanwhile::Held => world.hold(pool),
            Meanwhile::Invalidated => world.invalidate(pool, CloseReason::ConfigChanged),
            Meanwhile::Fenced => world.fence(pool, 9),
            Meanwhile::Removed => world.remove_pool(pool),
        }
    }

    /// The login's outcome; its effects are still to be polled.
    fn answer(self, world: &mut World, pool: PoolId) {
        match self.login {
            Login::Ok => world.login_ok_unpolled(pool),
            Login::Refused => world.login_fails_unpolled(pool, "no", FailureKind::Refused),
            Login::Slow => world.login_fails_unpolled(pool, "nobody there", FailureKind::Unreachable),
            Login::Never => {}
        }
    }

    fn undo(self, world: &mut World, pool: PoolId) {
        match self.meanwhile {
            Meanwhile::Nothing | Meanwhile::Invalidated | Meanwhile::Removed => {}
            Meanwhile::Paused => world.resume(pool),
            Meanwhile::Held => world.release(pool),
            Meanwhile::Fenced => assert!(world.unfence(pool, 9)),
        }
    }

    /// What must have become of the two, and the way to an idle pool.
    fn end(self, world: &mut World, pool: PoolId, [first, second]: [u32; 2]) {
        let removed = self.meanwhile == Meanwhile::Removed;
        let refused = self.login == Login::Refused && self.meanwhile == Meanwhile::Nothing;
        if self.login == Login::Never {
            // The owner's connect timeout, at last.
            world.login_fails(pool, "connect timeout", FailureKind::Unreachable);
            world.pass(secs(15));
            world.all_logins_ok();
        }
        let expected = match (removed, refused) {
            (true, _) => Some(Failure::PoolRemoved),
            (_, true) => Some(Failure::Login("no")),
            _ => None,
        };
        if let Some(failure) = expected {
            assert!(world.failed.contains(&(second, failure)), "{self:?}");
        }
        if world.lease_of(first).is_some() {
            self.give_back(world, first);
        }
        world.all_logins_ok();
        if expected_service(removed, refused) {
            assert!(world.lease_of(second).is_some(), "the second is served: {self:?}");
            self.give_back(world, second);
        }
        assert!(world.leases.is_empty() && world.pools.counts(world.now, pool).waiting == 0, "{self:?}");
        if removed {
            assert_eq!(world.total(pool), 0);
            return;
        }
        let (third, answer) = world.checkout(pool);
        assert!(matches!(answer, Answer::Ready | Answer::Waiting), "{self:?}");
        world.all_logins_ok();
        assert!(world.lease_of(third).is_some(), "the pool works: {self:?}");
    }

    fn give_back(self, world: &mut World, token: u32) {
        match self.back {
            Back::Reusable => world.reuse(token),
            Back::Discard => world.give_back(token, Return::Discard(CloseReason::Because("unclean server"))),
            Back::Dead => world.forget(token),
        }
    }
}

fn expected_service(removed: bool, refused: bool) -> bool {
    !removed && !refused
}
