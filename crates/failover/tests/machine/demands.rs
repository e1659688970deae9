//! What `manage` demands: without it nobody is promoted and nothing is changed, and the sentence is shown.

use std::time::Duration;

use howdah_failover::{Command, ProbeFailure};
use howdah_topology::FailoverOutcome;

use crate::bench::{Bench, bench, spec};

const LACK: &str = "allow_alter_system is off";

fn lacking() -> Bench {
    let mut bench = bench("FIRST 1 (*)");
    bench.servers[1].sample.checks.as_mut().unwrap().lacks.push(LACK.to_owned());
    bench.settle();
    bench
}

#[test]
fn nothing_is_changed_and_the_reason_is_shown() {
    let mut bench = lacking();
    assert_eq!(bench.orders, []);
    assert_eq!(bench.primary(), Some(0), "the primary is followed all the same");
    let topology = bench.topology();
    assert!(
        topology.decision.contains("failover = manage is refused: node1: allow_alter_system"),
        "{topology:#?}"
    );
    assert!(topology.nodes[0].note.contains("refused: node1"), "{}", topology.nodes[0].note);
    assert!(topology.nodes[1].note.contains(LACK));
    assert_eq!(topology.nodes[2].note, "");
    let refused = bench.command(Command::Failover { to: None }).unwrap_err();
    assert!(refused.contains(LACK), "{refused}");
}

#[test]
fn a_dead_primary_is_not_replaced_and_that_is_on_record() {
    let mut bench = lacking();
    bench.kill(0);
    bench.pass(Duration::from_secs(20));
    assert_eq!(bench.ordered("promote"), []);
    assert_eq!(bench.ordered("fence"), []);
    let records = bench.machine.failovers();
    assert_eq!(records.len(), 1, "one record for one suspicion: {records:?}");
    assert!(
        matches!(&records[0].outcome, FailoverOutcome::Refused(why) if why.contains(LACK)),
        "{records:?}"
    );
    let held = bench.topology().held_reason(bench.now).unwrap();
    assert!(held.contains(LACK), "{held}");
}

#[test]
fn what_was_mended_is_seen_and_a_later_lack_is_only_shown() {
    let mut bench = lacking();
    bench.servers[1].sample.checks.as_mut().unwrap().lacks.clear();
    bench.until("the names in force", |b| b.ordered("write members").len() >= 3);
    bench.pass(Duration::from_secs(2));
    bench.servers[2].sample.checks.as_mut().unwrap().lacks.push(LACK.to_owned());
    bench.pass(Duration::from_secs(1));
    assert_eq!(bench.topology().nodes[2].note, LACK);
    bench.kill(0);
    bench.until("a failover", |b| b.primary().is_some_and(|p| p != 0));
}

#[test]
fn a_primary_that_goes_before_it_was_looked_at_is_not_waited_for() {
    let mut bench = bench("FIRST 1 (node1, node2)");
    bench.servers[0].sample.checks = None;
    bench.until("a primary", |b| b.primary().is_some());
    assert_eq!(bench.orders, [], "not everybody was looked at");
    bench.kill(0);
    bench.until("a failover", |b| b.primary().is_some_and(|p| p != 0));
}

#[test]
fn a_standby_without_a_name_of_its_own_is_refused() {
    let mut bench = bench("FIRST 1 (*)");
    bench.servers[2].sample.streams_as = Some("walreceiver".to_owned());
    bench.settle();
    assert!(
        bench.topology().nodes[2].note.contains("application_name walreceiver"),
        "{:?}",
        bench.topology().nodes[2]
    );
    assert_eq!(bench.orders, []);
}

#[test]
fn a_name_that_was_not_known_at_the_start_is_learned_once() {
    let mut spec = spec(3);
    spec.nodes[2].named = false;
    let mut bench = Bench::of(spec, "FIRST 1 (*)");
    bench.servers[2].sample.streams_as = Some("other".to_owned());
    bench.settle();
    let names = bench.servers[0].sample.sync_names.to_string();
    assert!(names.contains("other") && names.contains("node1"), "{names}");
    bench.servers[2].sample.streams_as = Some("third".to_owned());
    bench.pass(Duration::from_secs(2));
    assert!(
        bench.topology().nodes[2].note.contains("third and not other"),
        "{:?}",
        bench.topology().nodes[2]
    );
}

#[test]
fn a_name_of_another_node_is_not_learned() {
    let mut spec = spec(3);
    spec.nodes[2].named = false;
    let mut bench = Bench::of(spec, "FIRST 1 (*)");
    bench.servers[2].sample.streams_as = Some("node1".to_owned());
    bench.settle();
    assert!(
        bench.topology().nodes[2].note.contains("node1 and not node2"),
        "{:?}",
        bench.topology().nodes[2]
    );
    assert_eq!(bench.orders, []);
}

#[test]
fn a_standby_that_streams_and_takes_no_connections_is_refused() {
    let mut bench = bench("FIRST 1 (*)");
    bench.servers[2].down = Some(ProbeFailure::StartingOrStopping);
    bench.settle();
    let row = bench.servers[1].sample.clone();
    assert!(row.members.is_some(), "a node that only starts is no obstacle");
    let mut other = Bench::of(spec(3), "FIRST 1 (*)");
    other.servers[2].down = Some(ProbeFailure::StartingOrStopping);
    let streams = howdah_failover::Attached {
        application_name: "node2".to_owned(),
        state: howdah_failover::StreamState::Streaming,
        reply_time: 1,
        sync: howdah_topology::SyncState::Async,
        flushed: howdah_topology::Lsn(1000),
        replayed: howdah_topology::Lsn(1000),
    };
    other.servers[0].sample.replication.push(streams);
    other.pass(Duration::from_secs(8));
    assert!(
        other.topology().nodes[2].note.contains("is hot_standby off?"),
        "{:?}",
        other.topology().nodes[2]
    );
}
