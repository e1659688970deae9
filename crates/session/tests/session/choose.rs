//! Which node answers: freshness, lag, waits and what becomes of reads without a replica (DESIGN.md sections 5 and 6).

use std::time::Duration;

use howdah_session::{Chosen, Consistency, Moment, NoNode, ReadPolicy, RouteMode, WithoutReplica, choose};
use howdah_topology::{Balance, Gate, Mode, Node, NodeId, NodeState, Role, Time, Topology};

use crate::wire::Say;
use crate::world::{Setup, World, policy};

const PRIMARY: NodeId = NodeId(0);
const NOW: Time = Time::from_millis(1_000);

/// A primary and two replicas, of which the first is fresh as of 900 ms, the second as of 500 ms.
fn cluster() -> Topology {
    let mut nodes = Vec::new();
    for (id, fresh) in [(0, None), (1, Some(900)), (2, Some(500))] {
        let mut node = Node::unseen(NodeId(id), &format!("node-{id}"), "127.0.0.1", 5432 + id);
        node.role = if id == 0 { Role::Primary } else { Role::Replica };
        node.state = NodeState::Up;
        node.prefix = true;
        node.fresh_as_of = fresh.map(Time::from_millis);
        node.asked_at = Some(NOW);
        node.lag_bytes = fresh.map(|fresh| 1_000 - fresh);
        nodes.push(node);
    }
    let mut topology = Topology::unseen("main", Mode::Manage, nodes, Time::ZERO);
    topology.primary = Some(PRIMARY);
    topology.gate = Gate::Open;
    topology
}

/// A session whose last write was acknowledged at this moment.
fn session(mode: RouteMode, policy: ReadPolicy, last_write: Option<u64>) -> World {
    let mut world = World::new(Setup { clients: 1, ..Setup::cluster() });
    if let Some(at) = last_write {
        world.now = Time::from_millis(at);
        assert_eq!(world.ask(Say::default().query("insert a")), "C(INSERT) Z(I)");
    }
    world.clients[0].session.set_routing(mode, policy);
    world
}

fn at(ticket: u64) -> Moment {
    Moment { now: NOW, ticket, waited: false }
}

fn read(world: &World, topology: &Topology, at: Moment) -> Result<Chosen, NoNode> {
    plain(choose(topology, world.clients[0].session.routing().unwrap(), true, at, |_| 0))
}

/// Without the moment that the connection is held to.
fn plain(chosen: Result<Chosen, NoNode>) -> Result<Chosen, NoNode> {
    match chosen {
        Ok(Chosen::Replica(node, _)) => Ok(Chosen::Replica(node, None)),
        other => other,
    }
}

/// All that reads may be answered by.
fn readers(world: &World, topology: &Topology) -> Vec<Result<Chosen, NoNode>> {
    let mut all = Vec::new();
    for ticket in 0..8 {
        let chosen = read(world, topology, at(ticket));
        if !all.contains(&chosen) {
            all.push(chosen);
        }
    }
    all
}

fn replica(id: u16) -> Result<Chosen, NoNode> {
    Ok(Chosen::Replica(NodeId(id), None))
}

fn primary() -> Result<Chosen, NoNode> {
    Ok(Chosen::Primary(PRIMARY))
}

#[test]
fn reads_take_turns_over_the_replicas_and_the_rest_goes_to_the_primary() {
    let world = session(RouteMode::Auto, policy(), None);
    assert_eq!(readers(&world, &cluster()), [replica(1), replica(2)]);
    let routing = world.clients[0].session.routing().unwrap();
    assert_eq!(choose(&cluster(), routing, false, at(0), |_| 0), primary());
}

#[test]
fn the_load_decides_where_the_policy_says_so() {
    let least = ReadPolicy { balance: Balance::LeastLoaded, ..policy() };
    let world = session(RouteMode::Auto, least, None);
    let routing = world.clients[0].session.routing().unwrap();
    let load = |node: NodeId| if node == NodeId(1) { 5 } else { 1 };
    assert_eq!(choose(&cluster(), routing, true, at(0), load), replica(2));
}

#[test]
fn a_session_reads_its_own_writes() {
    let topology = cluster();
    assert_eq!(readers(&session(RouteMode::Auto, policy(), Some(400)), &topology), [replica(1), replica(2)]);
    assert_eq!(readers(&session(RouteMode::Auto, policy(), Some(500)), &topology), [replica(1), replica(2)]);
    assert_eq!(readers(&session(RouteMode::Auto, policy(), Some(501)), &topology), [replica(1)]);
    assert_eq!(readers(&session(RouteMode::Auto, policy(), Some(901)), &topology), [primary()]);
}

#[test]
fn eventual_consistency_asks_for_nothing() {
    let eventual = ReadPolicy { consistency: Consistency::Eventual, ..policy() };
    assert_eq!(readers(&session(RouteMode::Auto, eventual, Some(950)), &cluster()), [replica(1), replica(2)]);
}

#[test]
fn what_was_read_on_the_primary_counts_and_what_a_replica_answered_does_not() {
    let mut world = session(RouteMode::Auto, policy(), None);
    world.now = Time::from_millis(950);
    world.ask(Say::default().query("select 1"));
    assert_eq!(world.clients[0].checkouts, [1]);
    assert_eq!(readers(&world, &cluster()), [replica(1), replica(2)]);
    world.ask(Say::default().query("/* howdah:primary */ select 1"));
    assert_eq!(readers(&world, &cluster()), [primary()]);
}

#[test]
fn what_only_prepares_counts_for_nothing() {
    let mut world = session(RouteMode::Auto, policy(), None);
    world.now = Time::from_millis(950);
    world.ask(Say::default().parse("s", "insert a").sync());
    assert_eq!(world.clients[0].checkouts, [0]);
    assert_eq!(readers(&world, &cluster()), [replica(1), replica(2)]);
}

#[test]
fn a_read_waits_for_a_fresh_replica_if_it_may() {
    let patient = ReadPolicy { causal_wait: Duration::from_millis(20), ..policy() };
    let world = session(RouteMode::Auto, patient, Some(950));
    assert_eq!(readers(&world, &cluster()), [Err(NoNode::NotFresh)]);
    assert_eq!(read(&world, &cluster(), Moment { waited: true, ..at(0) }), primary());
    // With no replica at all there is nothing to wait for.
    let mut topology = cluster();
    topology.nodes[1].state = NodeState::Down;
    topology.nodes[2].state = NodeState::Diverged;
    assert_eq!(read(&world, &topology, at(0)), primary());
}

#[test]
fn lag_is_limited_in_bytes_and_in_time() {
    let bytes = ReadPolicy { max_lag_bytes: Some(200), ..policy() };
    assert_eq!(readers(&session(RouteMode::Auto, bytes, None), &cluster()), [replica(1)]);
    let time = ReadPolicy { max_lag_time: Some(Duration::from_millis(300)), ..policy() };
    assert_eq!(readers(&session(RouteMode::Auto, time, None), &cluster()), [replica(1)]);
    let strict = ReadPolicy { max_lag_time: Some(Duration::from_millis(50)), ..policy() };
    assert_eq!(readers(&session(RouteMode::Auto, strict, None), &cluster()), [primary()]);
}

#[test]
fn without_a_replica_the_primary_answers_or_nobody() {
    let mut topology = cluster();
    topology.nodes[1].state = NodeState::Down;
    topology.nodes[2].weight = 0;
    assert_eq!(readers(&session(RouteMode::Auto, policy(), None), &topology), [primary()]);
    let fail = ReadPolicy { without_replica: WithoutReplica::Fail, ..policy() };
    assert_eq!(readers(&session(RouteMode::Auto, fail, None), &topology), [Err(NoNode::NoReplica)]);
    // One that is there and only not fresh is no reason to fail.
    assert_eq!(readers(&session(RouteMode::Auto, fail, Some(950)), &cluster()), [primary()]);
}

#[test]
fn where_only_replicas_serve_the_primary_never_answers_a_read() {
    let mut topology = cluster();
    let world = session(RouteMode::Replica, policy(), Some(950));
    assert!(world.clients[0].session.routing().unwrap().replicas_only());
    assert_eq!(readers(&world, &topology), [Err(NoNode::NotFresh)]);
    topology.nodes[1].state = NodeState::Down;
    topology.nodes[2].state = NodeState::Down;
    assert_eq!(readers(&world, &topology), [Err(NoNode::NoReplica)]);
    assert_eq!(readers(&session(RouteMode::Replica, policy(), None), &cluster()), [replica(1), replica(2)]);
}

#[test]
fn where_replicas_are_preferred_the_primary_answers_while_there_is_none() {
    let mut topology = cluster();
    let world = session(RouteMode::PreferReplica, policy(), None);
    assert!(!world.clients[0].session.routing().unwrap().replicas_only());
    assert_eq!(readers(&world, &topology), [replica(1), replica(2)]);
    topology.nodes[1].state = NodeState::Down;
    topology.nodes[2].state = NodeState::Down;
    assert_eq!(readers(&world, &topology), [primary()]);
}

#[test]
fn whoever_was_cut_off_by_the_primary_waits_until_it_has_answered_since() {
    let mut topology = cluster();
    let mut world = session(RouteMode::Auto, policy(), Some(950));
    world.clients[0].session.lost_primary(PRIMARY, NOW);
    let write = |world: &World, topology: &Topology| {
        choose(topology, world.clients[0].session.routing().unwrap(), false, at(0), |_| 0)
    };
    for sampled in [None, Some(Time::ZERO), Some(NOW)] {
        topology.nodes[0].sampled_at = sampled;
        assert!(matches!(write(&world, &topology), Err(NoNode::Gate { .. })), "{sampled:?}");
        assert!(matches!(readers(&world, &topology)[..], [Err(NoNode::Gate { .. })]), "{sampled:?}");
    }
    // Another primary is not mistrusted for it.
    topology.primary = Some(NodeId(1));
    topology.nodes[1].role = Role::Primary;
    assert_eq!(write(&world, &topology), Ok(Chosen::Primary(NodeId(1))));
    topology.primary = Some(PRIMARY);
    topology.nodes[0].sampled_at = Some(NOW + Duration::from_millis(1));
    assert_eq!(write(&world, &topology), Ok(Chosen::Primary(PRIMARY)));
}

#[test]
fn while_the_gate_is_held_reads_go_on_and_the_rest_waits() {
    let mut topology = cluster();
    topology.gate = Gate::Held { since: NOW, reason: "node-0 is suspected".to_owned() };
    let world = session(RouteMode::Auto, policy(), None);
    assert_eq!(readers(&world, &topology), [replica(1), replica(2)]);
    let routing = world.clients[0].session.routing().unwrap();
    let gate = Err(NoNode::Gate { reason: "node-0 is suspected".to_owned() });
    assert_eq!(choose(&topology, routing, false, at(0), |_| 0), gate);
    // A read that no replica may answer waits at the gate, too.
    assert_eq!(readers(&session(RouteMode::Auto, policy(), Some(950)), &topology), [gate]);
    topology.gate = Gate::Open;
    topology.lease_until = Some(NOW);
    let reason = "the lease of the primary has run out: no quorum was seen in time".to_owned();
    assert_eq!(choose(&topology, routing, false, at(0), |_| 0), Err(NoNode::Gate { reason }));
}
