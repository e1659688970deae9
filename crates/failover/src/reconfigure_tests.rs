//! New settings wait for the end of what is under way. Seen from inside: servers that answer at once are never in the middle.

use howdah_topology::{Mode, Time};

use crate::attempt::Attempt;
use crate::event::Event;
use crate::machine::Machine;
use crate::spec::{ClusterSpec, Limits, OnLastNode};

fn spec(mode: Mode) -> ClusterSpec {
    ClusterSpec {
        name: "main".to_owned(),
        mode,
        pooler: "p0".to_owned(),
        nodes: Vec::new(),
        on_last_node: OnLastNode::Block,
        sync_standbys: 1,
        bootstrap: false,
        limits: Limits::default(),
    }
}

#[test]
fn a_failover_under_way_ends_by_the_settings_that_it_began_with() {
    let mut machine = Machine::new(spec(Mode::Manage), 1, Time::ZERO);
    machine.attempt = Some(Attempt::new(1, 1));
    machine.handle(Time::ZERO, Event::Reconfigured { spec: Box::new(spec(Mode::Follow)) });
    assert_eq!(machine.spec().mode, Mode::Manage);
    machine.attempt = None;
    machine.handle(Time::ZERO, Event::Tick);
    assert_eq!(machine.spec().mode, Mode::Follow);
}
