//! No level lets a read go back behind what it promises, whatever replicas do: a model of one primary and two replicas
//! that replay when they like, restart behind where they were, and of which only old samples are known.

use std::sync::Arc;
use std::time::Duration;

use howdah_topology::{Balance, Gate, Mode, Node, NodeId, NodeState, Role, Time, Topology};
use proptest::prelude::*;

use crate::causal::{Consistency, LastWrite};
use crate::{Chosen, Moment, ReadPolicy, RouteMode, Routing, WithoutReplica, choose, context};

fn session(consistency: Consistency, database: &Arc<LastWrite>) -> Routing {
    let policy = ReadPolicy {
        consistency,
        balance: Balance::RoundRobin,
        max_lag_bytes: None,
        max_lag_time: None,
        causal_wait: Duration::ZERO,
        without_replica: WithoutReplica::Primary,
    };
    Routing::new(RouteMode::Auto, policy, context(true)).with_database(Arc::clone(database))
}

/// The cluster, and what Howdah knows of it.
struct Model {
    topology: Topology,
    now: u64,
    /// Positions: the primary's, and what each node has replayed.
    written: u64,
    replayed: [u64; 3],
    /// When each node started.
    started: [u64; 3],
    /// The primary's position at the moments when it was asked.
    sampled: Vec<(Time, u64)>,
}

impl Model {
    fn new() -> Self {
        let mut nodes: Vec<Node> =
            (0..3).map(|i| Node::unseen(NodeId(i), &format!("n{i}"), "127.0.0.1", 5432)).collect();
        for node in &mut nodes {
            node.role = if node.id.0 == 0 { Role::Primary } else { Role::Replica };
            (node.state, node.prefix) = (NodeState::Up, true);
            node.asked_at = Some(Time(0));
        }
        let mut topology = Topology::unseen("main", Mode::Follow, nodes, Time::ZERO);
        (topology.primary, topology.gate) = (Some(NodeId(0)), Gate::Open);
        Self { topology, now: 10, written: 0, replayed: [0; 3], started: [0; 3], sampled: Vec::new() }
    }

    fn write(&mut self) -> u64 {
        self.written += 1;
        self.written
    }

    /// A new epoch begins: nothing is known to be fresh in it, and nothing of it was sampled.
    fn fail_over(&mut self) {
        for node in &mut self.topology.nodes {
            node.fresh_as_of = None;
        }
        self.sampled.clear();
    }

    fn sample(&mut self, node: usize) {
        self.topology.nodes[node].asked_at = Some(Time(self.now));
        // What an older sample has shown of this position or a later one is shown by this.
        self.topology.nodes[node].fresh_as_of = self.fresh_as_of(node);
    }

    /// The last moment of which the node has all: positions are written one after the other.
    fn fresh_as_of(&self, node: usize) -> Option<Time> {
        let known = &self.sampled[..];
        known.iter().rev().find(|(_, written)| *written <= self.replayed[node]).map(|(at, _)| *at)
    }

    /// Nobody sees it before the next sample.
    fn restart(&mut self, node: usize, back: u64) {
        self.replayed[node] = self.replayed[node].saturating_sub(back);
        self.started[node] = self.now;
        self.now += 1;
    }

    /// The position that a read sees; `age` says how long before now its connection was made.
    fn read(&mut self, session: &mut Routing, ticket: u64, age: u64) -> u64 {
        let at = Moment { now: Time(self.now), ticket, waited: false };
        let chosen = loop {
            let chosen = choose(&self.topology, session, true, at, |_| 0).expect("the primary is there");
            let (Chosen::Replica(node, Some(since)) | Chosen::Stays(node, since)) = chosen else {
                break chosen;
            };
            let connected = Time(self.now.saturating_sub(age).max(self.started[usize::from(node.0)]));
            if connected <= since {
                break chosen;
            }
            match chosen {
                Chosen::Stays(..) => session.unsettle(),
                _ => session.is_too_young(connected),
            }
        };
        self.now += 1;
        match chosen {
            Chosen::Primary(_) => {
                session.touched_primary(Time(self.now), false);
                self.written
            }
            Chosen::Replica(node, _) | Chosen::Stays(node, _) => {
                session.settle(node);
                session.heard_replica(Time(self.now));
                self.replayed[usize::from(node.0)]
            }
        }
    }
}

#[test]
fn a_monotonic_session_stays_on_its_replica_and_leaves_it_when_it_may_have_gone_back() {
    let mut model = Model::new();
    let mut session = session(Consistency::Monotonic, &Arc::default());
    let at = |now, ticket| Moment { now: Time(now), ticket, waited: false };
    session.settle(NodeId(2));
    session.heard_replica(Time(20));
    for ticket in 0..4 {
        let chosen = choose(&model.topology, &session, true, at(30, ticket), |_| 0);
        assert_eq!(chosen, Ok(Chosen::Stays(NodeId(2), Time(20))));
    }
    model.topology.nodes[2].fresh_as_of = Some(Time(25));
    assert_eq!(
        choose(&model.topology, &session, true, at(30, 0), |_| 0),
        Ok(Chosen::Replica(NodeId(2), Some(Time(0))))
    );
    // Its own write is wanted of the replica that it stays on, too.
    session.touched_primary(Time(28), true);
    assert_eq!(choose(&model.topology, &session, true, at(30, 0), |_| 0), Ok(Chosen::Primary(NodeId(0))));
    model.topology.nodes[1].fresh_as_of = Some(Time(28));
    assert_eq!(
        choose(&model.topology, &session, true, at(30, 0), |_| 0),
        Ok(Chosen::Replica(NodeId(1), Some(Time(0))))
    );
}

#[test]
fn what_others_write_counts_for_the_level_database_only_and_reads_of_others_do_not() {
    let model = Model::new();
    let database = Arc::new(LastWrite::default());
    let mut writer = session(Consistency::Session, &database);
    let chosen = |level| {
        let at = Moment { now: Time(50), ticket: 0, waited: false };
        choose(&model.topology, &session(level, &database), true, at, |_| 0)
    };
    writer.touched_primary(Time(5), true);
    assert!(matches!(chosen(Consistency::Database), Ok(Chosen::Primary(_))), "0 is not proven yet");
    let mut model = Model::new();
    model.topology.nodes[1].fresh_as_of = Some(Time(20));
    let chosen = |level| {
        let at = Moment { now: Time(50), ticket: 0, waited: false };
        choose(&model.topology, &session(level, &database), true, at, |_| 0)
    };
    database.watch(|| Time(20));
    assert_eq!(chosen(Consistency::Database), Ok(Chosen::Replica(NodeId(1), Some(Time(0)))));
    writer.touched_primary(Time(30), false);
    assert_eq!(chosen(Consistency::Database), Ok(Chosen::Replica(NodeId(1), Some(Time(0)))), "only a read");
    writer.touched_primary(Time(31), true);
    assert_eq!(chosen(Consistency::Database), Ok(Chosen::Primary(NodeId(0))));
    assert!(matches!(chosen(Consistency::Session), Ok(Chosen::Replica(..))));
    // Watched once more, nothing changes.
    database.watch(|| Time(99));
    model.topology.nodes[2].fresh_as_of = Some(Time(31));
    let at = Moment { now: Time(50), ticket: 0, waited: false };
    let reader = session(Consistency::Database, &database);
    assert_eq!(
        choose(&model.topology, &reader, true, at, |_| 0),
        Ok(Chosen::Replica(NodeId(2), Some(Time(0))))
    );
}

proptest! {
    #[test]
    fn no_read_is_older_than_its_level_promises(
        steps in prop::collection::vec((0u8..8, 1usize..3, 0u64..4, any::<u64>()), 1..300),
    ) {
        let mut model = Model::new();
        let database = Arc::new(LastWrite::default());
        database.watch(|| Time(0));
        let levels = [Consistency::Session, Consistency::Monotonic, Consistency::Database];
        let mut sessions: Vec<Routing> = levels.iter().map(|level| session(*level, &database)).collect();
        let (mut own, mut read, mut all) = ([0_u64; 3], [0_u64; 3], 0_u64);
        for (step, node, amount, ticket) in steps {
            model.now += 1 + amount;
            let who = (ticket % 3) as usize;
            match step {
                0 => {
                    own[who] = model.write();
                    all = own[who];
                    model.now += 1;
                    sessions[who].touched_primary(Time(model.now), true);
                }
                1 => drop(model.write()),
                2 => model.replayed[node] = model.written.min(model.replayed[node] + amount),
                3 if amount == 0 => model.sampled.push((Time(model.now), model.written)),
                3 => model.sample(node),
                4 => model.restart(node, amount),
                5 if amount == 0 => model.fail_over(),
                _ => {
                    let position = model.read(&mut sessions[who], ticket, amount * 8);
                    prop_assert!(position >= own[who], "misses its own write");
                    prop_assert!(who != 1 || position >= read[who], "went back");
                    prop_assert!(who != 2 || position >= all, "misses another's write");
                    read[who] = position;
                }
            }
        }
    }
}
