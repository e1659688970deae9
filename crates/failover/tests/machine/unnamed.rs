//! A primary that dies before the names of its standbys were written.

use std::time::Duration;

use howdah_failover::{Attached, Command, ProbeFailure, StreamState, TimelineStart};
use howdah_topology::{FailoverOutcome, Lsn, NodeState, SyncState};

use crate::bench::{Bench, bench, spec};

/// A cluster under this list of which nothing was written, and whose primary has died.
fn killed(names: &str, change: impl FnOnce(&mut Bench)) -> Bench {
    let mut bench = bench(names);
    bench.command(Command::Maintenance(true)).unwrap();
    change(&mut bench);
    bench.settle();
    assert_eq!(bench.orders, [], "maintenance keeps the names from being written");
    bench.kill(0);
    bench.command(Command::Maintenance(false)).unwrap();
    bench
}

/// Nobody is promoted; why.
#[track_caller]
fn refusal(mut bench: Bench) -> String {
    bench.pass(Duration::from_secs(10));
    assert_eq!(bench.ordered("promote"), []);
    match &bench.machine.failovers().last().unwrap().outcome {
        FailoverOutcome::Refused(why) => why.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_standby_is_held_and_one_is_promoted() {
    let mut bench = killed("FIRST 1 (*)", |b| {
        b.servers[2].sample.received = Some(Lsn(2000));
        b.servers[2].sample.replayed = Some(Lsn(2000));
    });
    bench.until("the furthest is promoted", |b| b.primary() == Some(2));
    let mut fenced = bench.ordered("fence");
    fenced.sort_unstable();
    assert_eq!(fenced, [1, 2], "each may alone have an acknowledged commit");
    bench.pass(Duration::from_secs(3));
    let names = bench.servers[2].sample.sync_names.to_string();
    assert_eq!(names, "FIRST 1 (\"node1\")", "the new primary is as synchronous as the old one");
    assert!(bench.servers[1].sample.members.is_some(), "and now the names are on record");
}

#[test]
fn under_a_star_one_standby_too_few_is_too_few() {
    let why = refusal(killed("ANY 1 (*)", |b| b.kill(2)));
    assert!(why.contains("2 of 2 votes are needed and 1 can be reached"), "{why}");
}

#[test]
fn whoever_is_no_node_may_have_acknowledged() {
    let why = refusal(killed("FIRST 1 (*)", |b| {
        b.servers[0].sample.replication.push(Attached {
            application_name: "pg_receivewal".to_owned(),
            state: StreamState::Streaming,
            reply_time: 1,
            sync: SyncState::Sync,
            flushed: Lsn(1000),
            replayed: Lsn(0),
        });
    }));
    assert!(why.contains("pg_receivewal, which is no node, may have acknowledged"), "{why}");
}

/// A standby of another promotion to the same timeline, with a larger position.
fn diverge(bench: &mut Bench, at: usize) {
    for server in &mut bench.servers {
        server.sample.timeline = 2;
        server.sample.history = vec![TimelineStart { timeline: 2, began_at: Lsn(500) }];
    }
    let sample = &mut bench.servers[at].sample;
    sample.history = vec![TimelineStart { timeline: 2, began_at: Lsn(400) }];
    (sample.received, sample.replayed) = (Some(Lsn(9000)), Some(Lsn(9000)));
}

#[test]
fn a_diverged_standby_may_have_acknowledged_what_it_does_not_have() {
    let why = refusal(killed("FIRST 1 (*)", |b| diverge(b, 2)));
    assert!(why.contains("node2, whose history is not the primary's, may have acknowledged"), "{why}");
}

#[test]
fn a_diverged_standby_enters_no_list_and_takes_no_reads() {
    let mut bench = bench("FIRST 1 (*)");
    diverge(&mut bench, 2);
    bench.settle();
    assert_eq!(bench.servers[0].sample.sync_names.to_string(), "FIRST 1 (\"node1\")");
    let node = &bench.topology().nodes[2];
    assert_eq!((node.state, node.is_routable_replica()), (NodeState::Diverged, false));
    assert_eq!(node.fresh_as_of, None);
}

#[test]
fn where_only_a_diverged_standby_streams_commits_wait() {
    let mut bench = Bench::of(spec(2), "FIRST 1 (*)");
    diverge(&mut bench, 1);
    bench.settle();
    assert!(bench.servers[0].sample.sync_names.is_nobody(), "{}", bench.servers[0].sample.sync_names);
}

/// A receiver with PostgreSQL's own times asks an idle primary twice a minute: that it has heard nothing is no evidence.
#[test]
fn silence_is_no_evidence_before_the_receivers_ask_often() {
    let mut bench = bench("FIRST 1 (*)");
    bench.command(Command::Maintenance(true)).unwrap();
    bench.settle();
    bench.servers[0].down = Some(ProbeFailure::Silent);
    bench.streams_on = true;
    bench.pass(Duration::from_secs(10));
    let held = bench.topology().held_reason(bench.now).unwrap();
    assert!(held.contains("asks it too seldom yet"), "{held}");
    bench.command(Command::Maintenance(false)).unwrap();
    bench.pass(Duration::from_secs(10));
    assert_eq!(bench.ordered("fence"), []);
    bench.streams_on = false;
    bench.until("a failover, once the receivers are gone", |b| b.primary().is_some_and(|p| p != 0));
}

#[test]
fn a_list_of_names_counts_as_it_would_on_record() {
    let mut bench = killed("FIRST 2 (node1, node2)", |_| {});
    bench.until("one is promoted", |b| b.primary().is_some_and(|p| p != 0));
    let why = refusal(killed("FIRST 1 (node1, node2)", |b| b.kill(1)));
    assert!(why.contains("2 of 2 votes"), "{why}");
}

#[test]
fn a_howdah_that_never_saw_the_primary_promotes_nobody() {
    let mut bench = bench("FIRST 1 (*)");
    bench.kill(0);
    let why = refusal(bench);
    assert!(why.contains("has not seen the primary alive"), "{why}");
}
