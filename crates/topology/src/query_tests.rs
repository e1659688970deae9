//! Who may be read from and written to.

use std::time::Duration;

use crate::{Gate, Mode, Node, NodeId, NodeState, ReplicaLimits, Role, Time, Topology};

fn cluster() -> Topology {
    let mut nodes: Vec<Node> =
        (0..4).map(|i| Node::unseen(NodeId(i), &format!("n{i}"), "127.0.0.1", 5432)).collect();
    nodes[0].role = Role::Primary;
    nodes[0].state = NodeState::Up;
    for n in &mut nodes[1..] {
        n.role = Role::Replica;
        n.state = NodeState::Up;
        n.prefix = true;
    }
    let mut t = Topology::unseen("main", Mode::Manage, nodes, Time::ZERO);
    t.primary = Some(NodeId(0));
    t.gate = Gate::Open;
    t
}

fn ids(t: &Topology, now: Time, limits: ReplicaLimits) -> Vec<u16> {
    t.routable_replicas(now, limits).map(|n| n.id.0).collect()
}

#[test]
fn no_primary_while_held() {
    let mut t = cluster();
    assert_eq!(t.writable_primary(Time(5)).map(|n| n.id), Some(NodeId(0)));
    t.gate = Gate::Held { since: Time(5), reason: "n0 does not answer".into() };
    assert!(t.writable_primary(Time(5)).is_none());
    assert_eq!(t.held_reason(Time(5)), Some("n0 does not answer"));
    assert_eq!(ids(&t, Time(5), ReplicaLimits::default()), [1, 2, 3], "reads go on");
}

#[test]
fn no_primary_after_the_lease() {
    let mut t = cluster();
    t.lease_until = Some(Time(100));
    assert!(t.writable_primary(Time(99)).is_some());
    assert!(t.writable_primary(Time(100)).is_none());
    assert!(t.held_reason(Time(100)).is_some_and(|r| r.contains("lease")));
}

#[test]
fn replicas_not_of_the_history_are_out() {
    let mut t = cluster();
    t.nodes[1].prefix = false;
    t.nodes[2].state = NodeState::Diverged;
    assert_eq!(ids(&t, Time(0), ReplicaLimits::default()), [3]);
    t.nodes[3].state = NodeState::Fenced;
    assert_eq!(ids(&t, Time(0), ReplicaLimits::default()), [3], "a fenced one is still readable");
    t.nodes[3].role = Role::Primary;
    t.nodes[3].state = NodeState::Returning;
    assert!(ids(&t, Time(0), ReplicaLimits::default()).is_empty(), "a returning primary never");
}

#[test]
fn limits() {
    let mut t = cluster();
    t.nodes[1].fresh_as_of = Some(Time(1_000));
    t.nodes[1].lag_bytes = Some(10);
    t.nodes[2].fresh_as_of = Some(Time(2_000));
    t.nodes[2].lag_bytes = Some(0);
    let fresh = ReplicaLimits { fresh_after: Some(Time(1_500)), ..Default::default() };
    assert_eq!(ids(&t, Time(3_000), fresh), [2], "not known is not fresh");
    let lag = ReplicaLimits { max_lag_bytes: Some(9), ..Default::default() };
    assert_eq!(ids(&t, Time(3_000), lag), [2]);
    let age = ReplicaLimits { max_lag_time: Some(Duration::from_micros(1_500)), ..Default::default() };
    assert_eq!(ids(&t, Time(3_000), age), [2]);
    assert_eq!(t.freshest(Time(0)), Some(Time(2_000)));
}
