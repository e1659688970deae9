//! Replay that stands still when the primary is dead: the receiver is gone by itself then, so the fence meets no obstacle,
//! and the election does.

use crate::bench::{Bench, bench};

fn promoted_after(change: impl FnOnce(&mut Bench)) -> Bench {
    let mut bench = bench("FIRST 1 (*)");
    bench.settle();
    change(&mut bench);
    bench.kill(0);
    bench.until("a failover", |b| b.primary().is_some_and(|p| p != 0));
    assert_eq!(bench.machine.failovers().len(), 1, "by the first attempt: {:?}", bench.machine.failovers());
    bench
}

#[test]
fn a_paused_replay_is_resumed_before_the_election() {
    let bench =
        promoted_after(|b| b.servers.iter_mut().for_each(|s| s.sample.replay_paused = s.sample.in_recovery));
    assert_eq!(bench.ordered("resume replay"), [1, 2]);
}

#[test]
fn reads_in_the_way_of_replay_are_ended_before_the_election() {
    let bench = promoted_after(|b| b.servers[2].sample.recovery_conflict = true);
    assert_eq!(bench.ordered("end conflicting reads"), [2]);
}

#[test]
fn a_long_replay_is_waited_for() {
    let bench = promoted_after(|b| b.servers[1].replays = 3);
    assert_eq!(bench.ordered("read position"), [1, 2, 1, 1, 1]);
}
