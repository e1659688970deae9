//! The simulator finds what it is there to find: a fault planted in the machine breaks an invariant under a seed
//! under which the machine as it is holds. `docs/failover-sim.md` lists them.

use howdah_failover::Fault;
use howdah_failover_sim::{Options, run};

/// A fault, and the first seed from 1 on that finds it.
const FOUND: [(Fault, u64); 6] = [
    (Fault::ElectLeast, 80),
    (Fault::IgnoreLife, 1),
    (Fault::WithoutRow("suspect.alive"), 1),
    (Fault::WithoutRow("suspect.found"), 49),
    (Fault::WithoutRow("follow.upkeep"), 32),
    (Fault::WithoutRow("upkeep.next"), 32),
];

#[test]
fn planted_faults_are_found() {
    for (fault, seed) in FOUND {
        let sound = run(seed, Options::default());
        assert!(!sound.broken(), "seed {seed} without a fault: {:?}", sound.verdict);
        let report = run(seed, Options { fault, ..Options::default() });
        assert!(report.broken(), "seed {seed} does not find {fault:?}: {:?}", report.verdict);
    }
}

/// Seeds that once broke an invariant, each with what it found. A change to what is drawn makes a seed another run: then
/// it is only one more that holds.
const ONCE_BROKEN: [u64; 2] = [
    // A pooler that came back without memory took the old primary, while the new one was down and a standby in its
    // timeline answered.
    1_795_762_658_264,
    // The model: a connection that was opened to a frozen primary and closed by the fence acknowledged when it was thawed.
    621,
];

#[test]
fn seeds_that_once_broke_hold() {
    for seed in ONCE_BROKEN {
        let report = run(seed, Options::default());
        assert!(!report.broken(), "seed {seed}: {:?}", report.verdict);
    }
}
