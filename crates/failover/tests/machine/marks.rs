//! Marks and lists of names that others have left or changed meanwhile: what they still say, and what they do not.

use std::time::Duration;

use howdah_failover::{Action, FenceRecord, Members, TimelineStart};
use howdah_topology::{Lsn, NodeId};

use crate::bench::{Bench, bench};

const NAMES: &str = "FIRST 1 (\"node1\", \"node2\")";

fn mark(timeline: u32, old_conninfo: &str) -> FenceRecord {
    FenceRecord { pooler: "other".to_owned(), attempt: 3, timeline, old_conninfo: old_conninfo.to_owned() }
}

fn members(version: u64, names: &str) -> Members {
    Members { version, sync: names.parse().unwrap() }
}

/// What the mark that a failover lays on a standby remembers, where another mark was there and the setting was this.
fn remembered(earlier: &FenceRecord, conninfo: Option<&str>) -> (u32, String) {
    let mut bench = bench(NAMES);
    bench.settle();
    bench.kill(0);
    let standby = &mut bench.servers[1].sample;
    standby.fence = Some(earlier.clone());
    standby.primary_conninfo = conninfo.map_or(standby.primary_conninfo.clone(), str::to_owned);
    bench.until("the fence", |b| b.ordered("fence").contains(&1));
    let fence = bench.orders.iter().find_map(|(node, action)| match action {
        Action::Fence { record } if *node == 1 => Some((record.timeline, record.old_conninfo.clone())),
        _ => None,
    });
    fence.unwrap()
}

#[test]
fn an_interrupted_failovers_memory_of_the_setting_is_taken_over() {
    let kept = (1, "host=10.0.3.0 port=5432".to_owned());
    assert_eq!(remembered(&mark(1, "host=10.0.3.0 port=5432"), Some("")), kept);
    let repointed = Some("host=10.0.3.2 port=5432");
    assert_eq!(remembered(&mark(1, "host=10.0.3.0 port=5432"), repointed), kept);
}

#[test]
fn a_mark_of_an_older_timeline_remembers_a_primary_that_is_no_more() {
    let old = "host=10.9.9.9 port=5432";
    let (timeline, conninfo) = remembered(&mark(0, old), None);
    assert!(timeline == 1 && conninfo.contains("host=10.0.3.0"), "the node has followed another since");
    // There is no other memory of how to connect; marked as what it is, it is not put back as it is.
    assert_eq!(remembered(&mark(0, old), Some("")), (0, old.to_owned()));
}

/// A Howdah without memory meets a node that was promoted by one that was interrupted before it could clear the mark.
fn promoted_alone(timeline: u32) -> Bench {
    let mut bench = bench("FIRST 1 (\"howdah_nobody\")");
    for server in &mut bench.servers {
        server.sample.timeline = 2;
        server.sample.history = vec![TimelineStart { timeline: 2, began_at: Lsn(900) }];
        server.sample.members = Some(members(2, "FIRST 1 (\"node0\")"));
    }
    bench.servers[0].sample.fence = Some(mark(timeline, ""));
    // Less than it takes to see that an interrupted failover has promoted nobody.
    bench.pass(Duration::from_secs(3));
    bench
}

#[test]
fn the_mark_of_its_own_promotion_does_not_keep_a_primary_from_being_handed_out() {
    let bench = promoted_alone(1);
    assert_eq!(bench.topology().primary, Some(NodeId(0)), "{}", bench.machine.explain());
    assert_eq!(bench.servers[0].sample.fence, None, "it is cleared");
}

#[test]
fn the_mark_of_being_left_does() {
    assert_eq!(promoted_alone(2).topology().primary, None);
}

#[test]
fn a_list_that_another_has_changed_before_the_lock_is_not_written_over() {
    let mut bench = bench(NAMES);
    bench.settle();
    let newest = bench.servers[1].sample.members.clone().unwrap().version;
    bench.servers[2].sample.members = Some(members(newest - 1, NAMES));
    bench.servers[2].renamed = Some(members(newest + 5, NAMES));
    bench.orders.clear();
    bench.pass(Duration::from_secs(5));
    assert!(bench.ordered("lock").contains(&2), "{:?}", bench.orders);
    let older = bench.orders.iter().filter(|(node, action)| {
        *node == 2 && matches!(action, Action::WriteMembers { members } if members.version <= newest)
    });
    assert_eq!(older.count(), 0, "{:?}", bench.orders);
    assert_eq!(bench.servers[1].sample.members.as_ref().map(|m| m.version), Some(newest + 5));
}
