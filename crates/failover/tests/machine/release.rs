//! The times of the receivers are Howdah's while it promotes, and the node's own before and after.

use std::time::Duration;

use howdah_failover::{ActionError, Event};
use howdah_topology::Mode;

use crate::bench::{Bench, bench, spec};

fn tuned(bench: &Bench) -> Vec<bool> {
    bench.servers.iter().map(|s| s.sample.tuned).collect()
}

#[test]
fn a_howdah_that_ends_puts_back_what_it_has_set() {
    let mut bench = bench("FIRST 1 (*)");
    bench.settle();
    assert_eq!(tuned(&bench), [false, true, true]);
    assert!(bench.machine.has_let_go(), "nobody has asked for it");
    bench.give(Event::LettingGo);
    bench.until("everything is put back", |b| b.machine.has_let_go());
    assert_eq!(tuned(&bench), [false, false, false]);
    bench.pass(Duration::from_secs(3));
    assert_eq!(tuned(&bench), [false, false, false], "and it is not set again");
}

#[test]
fn what_a_crashed_howdah_has_left_is_put_back_in_follow_and_not_for_ever() {
    let mut spec = spec(3);
    spec.mode = Mode::Follow;
    let mut bench = Bench::of(spec, "FIRST 1 (*)");
    for server in &mut bench.servers {
        (server.sample.tuned, server.sample.times_kept) = (true, true);
    }
    bench.settle();
    assert_eq!(tuned(&bench), [false; 3]);
    // Another Howdah promotes here, and has set them again.
    (bench.servers[1].sample.tuned, bench.servers[1].sample.times_kept) = (true, true);
    bench.pass(Duration::from_secs(3));
    assert_eq!(bench.ordered("tune").len(), 3, "{:?}", bench.orders);
}

#[test]
fn in_follow_nothing_is_ordered_on_untouched_nodes() {
    let mut spec = spec(3);
    spec.mode = Mode::Follow;
    let mut bench = Bench::of(spec, "FIRST 1 (*)");
    bench.settle();
    bench.give(Event::LettingGo);
    assert!(bench.machine.has_let_go());
    assert_eq!(bench.orders, []);
}

#[test]
fn a_node_that_refuses_or_is_down_does_not_keep_howdah_from_ending() {
    let mut bench = bench("FIRST 1 (*)");
    bench.settle();
    bench.servers[1].refuses = Some(("tune", ActionError::Refused("no".to_owned())));
    bench.kill(2);
    bench.pass(Duration::from_secs(1));
    bench.give(Event::LettingGo);
    bench.until("it has let go", |b| b.machine.has_let_go());
    bench.kill(0);
    bench.pass(Duration::from_secs(1));
    assert!(bench.machine.has_let_go(), "{:?}", bench.machine.state());
}
