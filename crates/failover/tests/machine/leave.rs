//! A primary that an order leaves while it lives and has a vote of its own: its mark, and who counts it for itself.

use std::time::Duration;

use howdah_failover::{Action, ActionError, Command, Event};
use howdah_topology::{Gate, NodeId};

use crate::bench::{Bench, bench};

/// An asynchronous cluster whose primary answers and is left.
fn leave(change: impl FnOnce(&mut Bench)) -> Bench {
    let mut bench = bench("");
    bench.settle();
    change(&mut bench);
    bench.orders.clear();
    bench.command(Command::Failover { to: Some(NodeId(1)) }).unwrap();
    bench
}

#[test]
fn it_is_marked_and_takes_no_writes_before_the_promotion() {
    let mut bench = leave(|_| ());
    bench.until("the promotion", |b| b.primary() == Some(1));
    let of_n0 = |(node, action): &&(usize, Action)| {
        *node == 0 && matches!(action, Action::Fence { .. } | Action::SetReadOnly { .. })
    };
    let before = bench.orders.iter().take_while(|(_, a)| *a != Action::Promote);
    assert_eq!(before.filter(of_n0).count(), 2, "{:?}", bench.orders);
    bench.pass(Duration::from_secs(20));
    let left = &bench.servers[0].sample;
    assert!(left.read_only && left.fence.is_some(), "the mark stays until it is rejoined");
    assert_eq!(bench.ordered("clear fence").iter().filter(|node| **node == 0).count(), 0);
}

#[test]
fn it_does_not_count_where_it_cannot_be_told() {
    for order in ["fence", "set read only"] {
        let refuses = Some((order, ActionError::Refused("no".to_owned())));
        let mut bench = leave(|b| {
            b.servers[0].refuses = refuses;
            b.kill(2);
            b.pass(Duration::from_secs(1));
        });
        bench.pass(Duration::from_secs(10));
        assert_eq!(bench.ordered("promote"), [], "{order}: one fenced node of three is no majority");
        bench.servers[0].refuses = None;
        bench.pass(Duration::from_secs(20));
        let left = &bench.servers[0].sample;
        assert!(!left.read_only && left.fence.is_none(), "{order}: it goes on as it was");
        assert_eq!(bench.topology().gate, Gate::Open);
    }
}

#[test]
fn a_howdah_without_memory_does_not_count_it_for_itself() {
    let mut bench = leave(|_| ());
    bench.until("the promotion", |b| b.primary() == Some(1));
    let (mut old, mut second) = (bench.servers[0].clone(), bench.servers[2].clone());
    // It sees the primary that was left, and a standby that has heard of nothing.
    (old.sample.replication, second.sample.fence) = (Vec::new(), None);
    let mut fresh = crate::bench::bench("");
    fresh.servers[0] = old;
    fresh.servers[2] = second;
    fresh.servers[2].sample.timeline = 1;
    fresh.servers[2].sample.history.clear();
    fresh.kill(1);
    fresh.pass(Duration::from_secs(10));
    assert_eq!(fresh.primary(), None, "{}", fresh.machine.explain());
    fresh.servers[0].sample.fence = None;
    fresh.give(Event::Tick);
    fresh.pass(Duration::from_secs(1));
    assert_eq!(fresh.primary(), Some(0), "without its mark it counts");
}
