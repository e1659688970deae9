//! `max_failovers_per_hour`: an automatic failover too many is refused with a sentence, an order is not.

use std::time::Duration;

use howdah_failover::Command;
use howdah_topology::FailoverOutcome;

use crate::bench::{Bench, spec};

/// Of four nodes the first two have failed, as often as the limit allows.
fn twice_failed() -> Bench {
    let mut spec = spec(4);
    spec.limits.max_failovers_per_hour = 2;
    let mut bench = Bench::of(spec, "FIRST 1 (*)");
    bench.settle();
    for next in [1, 2] {
        bench.kill(next - 1);
        bench.until("a failover", |b| b.primary() == Some(next));
        // Long enough for the dead one to be taken out of the list.
        bench.pass(Duration::from_secs(20));
    }
    bench.servers[0].down = None;
    bench.servers[0].sample = bench.servers[3].sample.clone();
    bench
}

#[test]
fn one_too_many_is_refused_until_the_hour_is_over() {
    let mut bench = twice_failed();
    bench.kill(2);
    bench.pass(Duration::from_secs(30));
    assert_eq!(bench.ordered("promote"), [1, 2]);
    let last = bench.machine.failovers().last().unwrap();
    assert!(
        matches!(&last.outcome, FailoverOutcome::Refused(why) if why.contains("max_failovers_per_hour is reached")),
        "{last:?}"
    );
    let minutes = |m: u64| Duration::from_secs(60 * m);
    bench.pass(minutes(55));
    assert_eq!(bench.ordered("promote"), [1, 2]);
    bench.pass(minutes(6));
    assert_eq!(bench.ordered("promote").len(), 3, "{}", bench.machine.explain());
}

#[test]
fn an_order_is_taken_all_the_same_and_does_not_count() {
    let mut bench = twice_failed();
    bench.kill(2);
    bench.pass(Duration::from_secs(30));
    bench.command(Command::Failover { to: None }).unwrap();
    bench.until("a failover", |b| b.ordered("promote").len() == 3);
}
