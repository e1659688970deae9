//! A candidate that is preferred and not the furthest streams from the furthest first; one that cannot is not promoted.

use std::time::Duration;

use howdah_failover::{Action, ActionError, Command, State};
use howdah_topology::{FailoverOutcome, Lsn, NodeId};

use crate::bench::{Bench, spec};

/// Node 2 has less than node 1, and gets no more for now.
fn lagging(change: impl FnOnce(&mut howdah_failover::ClusterSpec)) -> Bench {
    let mut spec = spec(3);
    change(&mut spec);
    let mut bench = Bench::of(spec, "FIRST 1 (*)");
    bench.settle();
    bench.servers[2].stalled = true;
    for at in [0, 1] {
        let sample = &mut bench.servers[at].sample;
        let flushed = Some(Lsn(2000));
        (sample.inserted, sample.flushed) = if at == 0 { (flushed, flushed) } else { (None, None) };
        (sample.received, sample.replayed) = if at == 0 { (None, None) } else { (flushed, flushed) };
    }
    bench.pass(Duration::from_millis(500));
    assert_eq!(bench.servers[2].sample.position(), Lsn(1000));
    bench.orders.clear();
    bench
}

fn catches_up(bench: &mut Bench) {
    bench.until("the preferred one streams from the furthest", |b| b.machine.state() == State::CatchUp);
    assert_eq!(bench.orders.last().unwrap(), &(2, Action::Repoint { to: NodeId(1) }));
}

/// It has all that node 1 has when it is promoted, and was fenced again before.
fn promoted_with_all(bench: &mut Bench) {
    catches_up(bench);
    bench.servers[2].stalled = false;
    bench.until("the preferred one is promoted", |b| b.primary() == Some(2));
    let began = bench.servers[2].sample.history.last().unwrap().began_at;
    assert_eq!(began, Lsn(2000), "what the furthest had is there");
    assert_eq!(bench.ordered("fence"), [1, 2, 2], "it is fenced again before the positions are read");
    assert_eq!(bench.ordered("promote"), [2]);
    let last = bench.machine.failovers().last().unwrap();
    assert!(last.steps.iter().any(|step| step.name == "catch_up"), "{last:?}");
}

#[test]
fn the_greater_priority_first_receives_what_the_furthest_has() {
    let mut bench = lagging(|spec| spec.nodes[2].priority = 200);
    bench.kill(0);
    promoted_with_all(&mut bench);
}

#[test]
fn a_preferred_node_that_receives_nothing_is_passed_over() {
    let mut bench = lagging(|spec| spec.nodes[2].priority = 200);
    bench.kill(0);
    catches_up(&mut bench);
    let begun = bench.now;
    bench.until("the furthest is promoted", |b| b.primary() == Some(1));
    assert!(bench.now.since(begun) < Duration::from_secs(2), "{:?}", bench.now.since(begun));
    assert_eq!(bench.machine.failovers().len(), 1, "{:?}", bench.machine.failovers());
}

#[test]
fn a_preferred_node_that_cannot_be_pointed_is_passed_over_at_once() {
    let mut bench = lagging(|spec| spec.nodes[2].priority = 200);
    bench.servers[2].refuses = Some(("repoint", ActionError::Refused("no slot".to_owned())));
    bench.kill(0);
    bench.until("the furthest is promoted", |b| b.primary() == Some(1));
    let steps = &bench.machine.failovers()[0].steps;
    let took = steps.iter().find(|step| step.name == "catch_up").unwrap().took_us;
    assert!(took < 100_000, "{steps:?}");
}

#[test]
fn a_furthest_node_that_is_barred_feeds_another() {
    let mut bench = lagging(|spec| spec.nodes[1].nofailover = true);
    bench.kill(0);
    promoted_with_all(&mut bench);
}

#[test]
fn the_node_of_the_order_first_receives_what_the_furthest_has() {
    let mut bench = lagging(|_| {});
    bench.command(Command::Failover { to: Some(NodeId(2)) }).unwrap();
    promoted_with_all(&mut bench);
}

#[test]
fn an_order_for_a_node_that_receives_nothing_is_called_off_with_a_sentence() {
    let mut bench = lagging(|_| {});
    bench.command(Command::Failover { to: Some(NodeId(2)) }).unwrap();
    catches_up(&mut bench);
    let ended = |b: &Bench| b.machine.failovers()[0].outcome != FailoverOutcome::Running;
    bench.until("the order's end", ended);
    let outcome = &bench.machine.failovers()[0].outcome;
    let told = |why: &String| why.contains("node2 has not received in time what node1 has");
    assert!(matches!(outcome, FailoverOutcome::CalledOff(why) if told(why)), "{outcome:?}");
    assert_eq!(bench.ordered("promote"), []);
    bench.until("work goes on", |b| b.machine.state() == State::Follow);
    for standby in [1, 2] {
        let sample = &bench.servers[standby].sample;
        assert!(sample.fence.is_none() && sample.primary_conninfo.contains("host=10.0.3.0 "), "{sample:?}");
    }
}
