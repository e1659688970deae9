//! The simulator finds what it is there to find: a mutation breaks the scenario or the seed that `mutations.txt` names,
//! and a seed that it names holds without it (that scenarios do is `tests/scenarios.rs`). `docs/failover-sim.md` shows the
//! list.

use howdah_failover_sim::catch::{self, Catch};
use howdah_failover_sim::mutation::Mutation;
use howdah_failover_sim::{Options, run};

/// The list, read.
fn list() -> Vec<(Mutation, Catch)> {
    catch::read(catch::LIST).unwrap_or_else(|why| panic!("{why}"))
}

#[test]
fn mutations_are_caught() {
    let mut caught = 0;
    for (mutation, catch) in list() {
        if matches!(catch, Catch::Scenario(_) | Catch::Seed(_)) {
            let why = catch::refute(mutation, &catch).unwrap_or_else(|why| panic!("{why}"));
            assert_eq!(why, None);
            caught += 1;
        }
    }
    assert!(caught >= 6, "only {caught} mutations are caught");
}

/// Seeds that once broke an invariant, each with what it found. A change to what is drawn makes a seed another run: then
/// it is only one more that holds.
const ONCE_BROKEN: [u64; 6] = [
    // A pooler that came back without memory took the old primary, while the new one was down and a standby in its
    // timeline answered.
    1_795_762_658_264,
    // The model: a connection that was opened to a frozen primary and closed by the fence acknowledged when it was thawed.
    621,
    // A switchover by force in an asynchronous cluster did not end the lease of another pooler.
    427,
    // A pooler without memory took a primary that was left alive, which counted for itself.
    5_118,
    // A pooler without memory did not count a node that was promoted just before, for the mark of that promotion.
    9_017,
    // A list of names was written over by an older one; a called-off failover put back what an earlier one remembered.
    9_194,
];

#[test]
fn seeds_that_once_broke_hold() {
    for seed in ONCE_BROKEN {
        let report = run(seed, Options::default());
        assert!(!report.broken(), "seed {seed}: {:?}", report.verdict);
    }
}
