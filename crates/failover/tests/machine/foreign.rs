//! A vote that is held by somebody who is no Howdah, and who cannot be ended: it is said who that is.

use howdah_topology::FailoverOutcome;

use crate::bench::{Bench, bench};

#[test]
fn the_holder_is_in_the_reason_of_what_is_called_off() {
    let mut bench = bench("FIRST 1 (*)");
    bench.settle();
    bench.servers[1].foreign = Some("process 7 (psql)".to_owned());
    bench.kill(0);
    let over =
        |b: &Bench| b.machine.failovers().first().is_some_and(|r| r.outcome != FailoverOutcome::Running);
    bench.until("the failover's end", over);
    let outcome = &bench.machine.failovers()[0].outcome;
    let told = |why: &str| why.contains("(node1): process 7 (psql)");
    assert!(matches!(outcome, FailoverOutcome::CalledOff(why) if told(why)), "{outcome:?}");
    bench.servers[1].foreign = None;
    bench.until("a failover when it is gone", |b| b.primary().is_some_and(|p| p != 0));
}

#[test]
fn the_holder_is_in_the_reason_of_a_change_that_is_given_up() {
    let mut bench = bench("FIRST 1 (*)");
    bench.servers[2].foreign = Some("process 7 (psql)".to_owned());
    bench.until("a change is given up", |b| {
        b.machine.explain().contains("a lock is held by process 7 (psql)")
    });
}
