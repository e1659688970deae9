//! Cascading standbys: no vote, never promoted, pointed elsewhere only when the node that they stream from is gone.

use std::time::Duration;

use howdah_failover::{Command, ProbeFailure};
use howdah_topology::NodeId;

use crate::bench::{Bench, spec};

/// Four nodes; the last one streams from the third.
fn cascading(names: &str) -> Bench {
    let mut spec = spec(4);
    spec.nodes[3].cascade = true;
    let mut bench = Bench::of(spec, names);
    bench.servers[3].sample.primary_conninfo = "host=10.0.3.2 port=5432 application_name=node3".to_owned();
    bench.settle();
    bench
}

#[test]
fn it_is_in_no_list_and_has_no_vote() {
    let mut bench = cascading("FIRST 1 (*)");
    let names = bench.servers[0].sample.sync_names.to_string();
    assert!(names.contains("node1") && names.contains("node2") && !names.contains("node3"), "{names}");
    bench.orders.clear();
    bench.kill(0);
    bench.until("a failover", |b| b.primary().is_some_and(|p| p != 0));
    bench.pass(Duration::from_secs(20));
    let asked: Vec<usize> =
        ["lock", "fence", "repoint", "promote"].iter().flat_map(|a| bench.ordered(a)).collect();
    assert!(!bench.ordered("fence").contains(&3) && !bench.ordered("repoint").contains(&3), "{asked:?}");
}

#[test]
fn a_majority_of_an_asynchronous_cluster_is_one_of_the_others() {
    let mut bench = cascading("");
    bench.kill(0);
    bench.servers[3].down = Some(ProbeFailure::Refused);
    bench.until("a failover", |b| b.primary().is_some_and(|p| p != 0));
    let mut bench = cascading("");
    bench.kill(0);
    bench.servers[2].down = Some(ProbeFailure::Refused);
    bench.pass(Duration::from_secs(20));
    assert_eq!(bench.ordered("promote"), [], "one of three is no majority, whatever cascades");
}

#[test]
fn before_the_names_are_written_it_is_not_fenced() {
    let mut spec = spec(4);
    spec.nodes[3].cascade = true;
    let mut bench = Bench::of(spec, "FIRST 1 (*)");
    bench.servers[3].sample.primary_conninfo = "host=10.0.3.2 port=5432 application_name=node3".to_owned();
    bench.command(Command::Maintenance(true)).unwrap();
    bench.settle();
    bench.kill(0);
    bench.command(Command::Maintenance(false)).unwrap();
    bench.until("a failover", |b| b.primary().is_some_and(|p| p != 0));
    let mut fenced = bench.ordered("fence");
    fenced.sort_unstable();
    assert_eq!(fenced, [1, 2]);
}

#[test]
fn an_order_to_promote_it_is_refused() {
    let mut bench = cascading("FIRST 1 (*)");
    for command in
        [Command::Failover { to: Some(NodeId(3)) }, Command::Switchover { to: Some(NodeId(3)), force: true }]
    {
        let refused = bench.command(command).unwrap_err();
        assert!(refused.contains("node3 is a cascading standby"), "{refused}");
    }
}

#[test]
fn it_is_pointed_at_the_primary_when_its_upstream_is_gone() {
    let mut bench = cascading("FIRST 1 (*)");
    bench.orders.clear();
    bench.kill(2);
    bench.pass(Duration::from_secs(9));
    assert!(!bench.ordered("repoint").contains(&3), "its upstream may come back");
    bench.until("it streams from the primary", |b| {
        b.servers[3].sample.primary_conninfo.contains("host=10.0.3.0 ")
    });
    bench.pass(Duration::from_secs(20));
    let names = bench.servers[0].sample.sync_names.to_string();
    assert!(!names.contains("node3"), "{names}: it is in no list though it streams from the primary");
}

#[test]
fn it_leaves_a_former_primary_that_came_back() {
    let mut bench = cascading("FIRST 1 (*)");
    bench.servers[3].sample.primary_conninfo = "host=10.0.3.0 port=5432 application_name=node3".to_owned();
    bench.pass(Duration::from_secs(2));
    bench.kill(0);
    bench.until("a failover", |b| b.primary().is_some_and(|p| p != 0));
    bench.servers[0].down = None;
    let new = format!("host=10.0.3.{} ", bench.primary().unwrap());
    bench.until("it streams from the new one", |b| b.servers[3].sample.primary_conninfo.contains(&new));
}
