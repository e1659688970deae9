//! What a promotion loses: bounded where commits wait for nobody, and on record.

use std::time::Duration;

use howdah_failover::{Event, SyncNames};
use howdah_topology::{FailoverOutcome, FailoverRecord, Lsn, NodeId};

use crate::bench::{Bench, spec};

/// Nothing is received any more, and the primary goes on to this position.
fn written(names: &str, most: u64, position: u64) -> Bench {
    let mut spec = spec(3);
    spec.limits.max_failover_lag = most;
    let mut bench = Bench::of(spec, names);
    bench.settle();
    bench.servers[1].stalled = true;
    bench.servers[2].stalled = true;
    let sample = &mut bench.servers[0].sample;
    (sample.inserted, sample.flushed) = (Some(Lsn(position + 10)), Some(Lsn(position)));
    bench.pass(Duration::from_secs(1));
    bench
}

#[track_caller]
fn ended(bench: &mut Bench) -> FailoverRecord {
    bench.kill(0);
    let over =
        |b: &Bench| b.machine.failovers().first().is_some_and(|r| r.outcome != FailoverOutcome::Running);
    bench.until("the failover's end", over);
    bench.machine.failovers()[0].clone()
}

#[test]
fn the_loss_of_an_asynchronous_promotion_is_on_record() {
    let record = ended(&mut written("", 600, 1600));
    assert_eq!((record.outcome, record.lost_bytes), (FailoverOutcome::Promoted, Some(600)), "to the byte");
}

#[test]
fn a_loss_beyond_the_bound_is_refused_with_a_sentence() {
    let mut bench = written("", 599, 1600);
    let record = ended(&mut bench);
    let told = |why: &str| why.contains("600 bytes") && why.contains("max_lost_bytes (599)");
    assert!(matches!(&record.outcome, FailoverOutcome::CalledOff(why) if told(why)), "{record:?}");
    bench.pass(Duration::from_secs(5));
    assert_eq!(bench.ordered("promote"), []);
}

#[test]
fn an_order_for_a_node_is_bounded_as_well() {
    let mut bench = written("", 599, 1600);
    bench.command(howdah_failover::Command::Failover { to: Some(NodeId(1)) }).unwrap();
    let over =
        |b: &Bench| b.machine.failovers().first().is_some_and(|r| r.outcome != FailoverOutcome::Running);
    bench.until("the order's end", over);
    assert_eq!(bench.ordered("promote"), []);
}

#[test]
fn what_was_flushed_between_two_probes_counts() {
    let mut bench = written("", 1_000, 1600);
    let moved = Event::Moved {
        node: NodeId(0),
        sent: bench.now,
        timeline: 1,
        inserted: Some(Lsn(9_000)),
        flushed: Some(Lsn(1_900)),
        replayed: None,
    };
    bench.give(moved);
    assert_eq!(ended(&mut bench).lost_bytes, Some(900), "and what was not flushed does not");
}

#[test]
fn a_synchronous_promotion_says_what_was_there_and_never_acknowledged() {
    let names: SyncNames = "FIRST 1 (*)".parse().unwrap();
    let record = ended(&mut written(&names.to_string(), 0, 1600));
    assert_eq!((record.outcome, record.lost_bytes), (FailoverOutcome::Promoted, Some(600)));
}

#[test]
fn logical_slots_that_the_new_primary_has_not_are_on_record() {
    let mut bench = written("FIRST 1 (*)", 0, 1000);
    bench.servers[0].sample.logical_slots = vec!["carried".to_owned(), "cdc".to_owned()];
    for standby in [1, 2] {
        bench.servers[standby].sample.logical_slots = vec!["carried".to_owned()];
    }
    bench.pass(Duration::from_secs(1));
    assert_eq!(ended(&mut bench).lost_slots, ["cdc"]);
}
