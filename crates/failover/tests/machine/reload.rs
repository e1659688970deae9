//! Settings that change while the machine runs.

use std::time::Duration;

use howdah_failover::{ClusterSpec, Event};
use howdah_topology::{FailoverOutcome, Mode, NodeId};

use crate::bench::{Bench, bench, spec};

fn reconfigure(bench: &mut Bench, change: impl FnOnce(&mut ClusterSpec)) {
    let mut spec = spec(3);
    change(&mut spec);
    bench.give(Event::Reconfigured { spec: Box::new(spec) });
}

/// Probes of the primary within a second.
fn probes(bench: &mut Bench) -> usize {
    let before = bench.topology().nodes[0].seen_at.unwrap();
    let mut answers = 0;
    let mut last = before;
    for _ in 0..100 {
        bench.pass(Duration::from_millis(10));
        let seen = bench.topology().nodes[0].seen_at.unwrap();
        answers += usize::from(seen > last);
        last = seen;
    }
    answers
}

#[test]
fn the_probe_interval_changes_and_the_epoch_stays() {
    let mut bench = bench("FIRST 1 (*)");
    bench.settle();
    let epoch = bench.topology().epoch;
    let before = probes(&mut bench);
    reconfigure(&mut bench, |spec| spec.limits.probe_interval = Duration::from_millis(50));
    bench.pass(Duration::from_secs(1));
    let after = probes(&mut bench);
    assert!(after >= before * 3, "{before} answers a second, then {after}");
    assert_eq!((bench.topology().epoch, bench.primary()), (epoch, Some(0)));
}

#[test]
fn a_cluster_that_was_followed_is_managed_and_the_other_way_round() {
    let mut spec = spec(3);
    spec.mode = Mode::Follow;
    let mut bench = Bench::of(spec, "FIRST 1 (*)");
    bench.settle();
    assert_eq!(bench.orders, []);
    reconfigure(&mut bench, |_| {});
    bench.pass(Duration::from_secs(4));
    assert!(bench.servers[1].sample.members.is_some() && bench.servers[1].sample.tuned);
    reconfigure(&mut bench, |spec| spec.mode = Mode::Follow);
    bench.pass(Duration::from_secs(4));
    assert!(!bench.servers[1].sample.tuned, "what was set as long as it was managed is put back");
    bench.kill(0);
    bench.pass(Duration::from_secs(10));
    assert_eq!(bench.ordered("promote"), []);
    reconfigure(&mut bench, |_| {});
    bench.until("a failover", |b| b.primary().is_some_and(|p| p != 0));
}

#[test]
fn a_greater_limit_of_failovers_lets_the_next_one_through() {
    let mut spec = spec(3);
    spec.limits.max_failovers_per_hour = 1;
    let mut bench = Bench::of(spec, "");
    bench.settle();
    bench.kill(0);
    bench.until("the first failover", |b| b.primary().is_some_and(|p| p != 0));
    let second = bench.primary().unwrap();
    bench.servers[0].down = None;
    let sample = &mut bench.servers[0].sample;
    sample.in_recovery = true;
    (sample.received, sample.replayed) = (sample.flushed, sample.flushed);
    (sample.inserted, sample.flushed) = (None, None);
    sample.primary_conninfo = format!("host=10.0.3.{second} port=5432 application_name=node0");
    bench.pass(Duration::from_secs(5));
    bench.kill(second);
    bench.pass(Duration::from_secs(5));
    assert_eq!(bench.ordered("promote").len(), 1);
    let refused = &bench.machine.failovers().last().unwrap().outcome;
    assert!(
        matches!(refused, FailoverOutcome::Refused(why) if why.contains("max_failovers_per_hour")),
        "{refused:?}"
    );
    reconfigure(&mut bench, |spec| spec.limits.max_failovers_per_hour = 2);
    bench.until("the second failover", |b| b.primary().is_some_and(|p| p != second));
}

#[test]
fn with_other_nodes_nothing_is_taken_over() {
    let mut bench = bench("FIRST 1 (*)");
    bench.settle();
    reconfigure(&mut bench, |spec| {
        spec.mode = Mode::Follow;
        spec.nodes.pop();
    });
    assert_eq!(bench.machine.spec().mode, Mode::Manage);
    assert_eq!(bench.machine.spec().nodes.len(), 3);
    reconfigure(&mut bench, |spec| spec.nodes[2].priority = 7);
    assert_eq!(bench.topology().node(NodeId(2)).unwrap().priority, 7);
}
