//! A world from a seed: how many nodes, which list of names, how fast the network is, what will go wrong. Read next:
//! `crate::run`.

use howdah_failover::{ClusterSpec, Command, Fault, Limits, Method, NodeSpec, OnLastNode, SyncNames};
use howdah_topology::Mode;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use crate::client::Client;
use crate::faults;
use crate::mutation::Mutation;
use crate::net::Net;
use crate::pg::Pg;
use crate::pooler::{Pooler, id_of};
use crate::world::{Happening, World};

/// When the faults are over, microseconds.
pub const PEACE: u64 = 25_000_000;

/// When the run is over: the cluster has had time to converge.
pub const END: u64 = 75_000_000;

/// Mixed into the seed of the operator's own choices.
const OPERATOR: u64 = 0x5317_C04E;

/// Mixed into the seed of the number of poolers.
const POOLERS: u64 = 0x0040_DA4B;

/// Clients that write, at least.
const CLIENTS: usize = 3;

/// The world of a seed.
#[must_use]
pub fn world(seed: u64, mutation: Mutation) -> World {
    let fault = mutation.fault();
    let mut rng = SmallRng::seed_from_u64(seed);
    let spec = spec(&mut rng);
    let names = names(&mut rng, &spec);
    let asynchronous = names.is_async();
    let primary = spec.nodes.first().cloned();
    let nodes: Vec<Pg> = spec
        .nodes
        .iter()
        .enumerate()
        .map(|(i, n)| Pg::new(n, primary.as_ref().filter(|_| i > 0), names.clone()))
        .collect();
    let first = Pooler::new(&spec, rng.random(), fault);
    let count = nodes.len();
    let calm = rng.random_range(0..10) == 0;
    let delay = rng.random_range(50..2_000);
    let poolers = poolers(seed, first, fault);
    let drawn = faults::draw(&mut rng, (poolers.len(), count), PEACE, calm);
    let mut world = World::new(rng, spec, nodes, poolers);
    world.net = Net::new(world.poolers.len(), count, delay);
    world.clients = clients(world.poolers.len());
    world.use_slots(seed.is_multiple_of(3));
    world.trusts_interrupted = mutation == Mutation::TrustInterrupted;
    world.oracle.asynchronous = asynchronous;
    world.oracle.forbid_promotion = calm;
    plan(&mut world, drawn);
    if !calm {
        plan_operator(&mut world, seed);
    }
    world
}

/// One pooler, or several: in half of the worlds. Drawn apart from all else.
fn poolers(seed: u64, first: Pooler, fault: Fault) -> Vec<Pooler> {
    let mut rng = SmallRng::seed_from_u64(seed ^ POOLERS);
    let count = [1, 1, 1, 2, 2, 3][rng.random_range(0..6)];
    let mut spec = first.machine.spec().clone();
    let mut all = vec![first];
    for number in 2..=count {
        spec.pooler = format!("howdah-{number}");
        all.push(Pooler::new(&spec, rng.random(), fault));
    }
    all
}

/// Clients, shared out over the poolers.
#[must_use]
pub fn clients(poolers: usize) -> Vec<Client> {
    (0..CLIENTS.max(2 * poolers))
        .map(|at| Client { pooler: at % poolers.max(1), ..Client::default() })
        .collect()
}

/// An operator who switches over, in most worlds, in the middle of the faults and after them. Drawn apart from all else, so that a seed's faults are what they are without it.
fn plan_operator(world: &mut World, seed: u64) {
    let mut rng = SmallRng::seed_from_u64(seed ^ OPERATOR);
    for node in &mut world.nodes {
        node.supervised = rng.random_range(0..5) > 0;
    }
    if rng.random_bool(0.4) {
        return;
    }
    let nodes = world.nodes.len();
    for _ in 0..rng.random_range(1..=5) {
        let at = rng.random_range(3_000_000..PEACE + 10_000_000);
        let to = rng.random_bool(0.5).then(|| id_of(rng.random_range(0..nodes)));
        let command = Command::Switchover { to, force: rng.random_bool(0.4) };
        let pooler = rng.random_range(0..world.poolers.len());
        world.at(at, Happening::Operator { pooler, command });
    }
}

impl World {
    /// Standbys stream through replication slots, which the primary has at the beginning.
    pub fn use_slots(&mut self, on: bool) {
        self.slots = on;
        let count = self.nodes.len();
        if let Some(primary) = self.nodes.first_mut() {
            primary.slots = (1..count).collect();
        }
    }
}

/// Everyone begins to act.
pub fn begin(world: &mut World) {
    for node in 0..world.nodes.len() {
        let offset = world.rng.random_range(0..crate::world::NODE_TICK);
        world.at(offset, Happening::NodeTick(node));
    }
    for client in 0..world.clients.len() {
        let offset = world.rng.random_range(0..100_000);
        world.at(offset, Happening::ClientTick(client));
    }
    world.at(0, Happening::SupervisorTick);
    for pooler in 0..world.poolers.len() {
        world.at(0, Happening::PoolerTick(pooler));
    }
}

fn plan(world: &mut World, drawn: Vec<faults::Fault>) {
    begin(world);
    for (at, fault) in drawn.iter().enumerate() {
        world.at(fault.begins, Happening::FaultTick { fault: at, begins: true });
        world.at(fault.ends, Happening::FaultTick { fault: at, begins: false });
    }
    world.faults = drawn;
    world.at(PEACE + 1, Happening::Peace);
}

fn spec(rng: &mut SmallRng) -> ClusterSpec {
    // Three nodes are the reference installation, and most runs are like it.
    let count = [3, 3, 3, 3, 2, 4, 5][rng.random_range(0..7)];
    let nodes = (0..count)
        .map(|i| {
            let mut node = NodeSpec::new(&format!("n{i}"), &format!("10.0.3.{}", 200 + i), 5432);
            node.nofailover = rng.random_range(0..12) == 0;
            node.priority = rng.random_range(99..=101);
            node
        })
        .collect();
    let on_last_node = if rng.random_bool(0.5) { OnLastNode::Block } else { OnLastNode::Degrade };
    ClusterSpec {
        name: "main".to_owned(),
        mode: Mode::Manage,
        pooler: "howdah-1".to_owned(),
        nodes,
        on_last_node,
        sync_standbys: 1,
        bootstrap: false,
        limits: Limits { max_failovers_per_hour: 1_000, ..Limits::default() },
    }
}

/// The list of names with which the cluster was set up.
fn names(rng: &mut SmallRng, spec: &ClusterSpec) -> SyncNames {
    let standbys: Vec<String> = spec.nodes.iter().skip(1).map(|n| n.application_name.clone()).collect();
    let method = if rng.random_bool(0.7) { Method::First } else { Method::Any };
    match rng.random_range(0..10) {
        0 => SyncNames::none(),
        1..=3 => SyncNames { method, k: rng.random_range(1..=standbys.len()), names: standbys },
        _ => SyncNames { method, k: 1, names: vec!["*".to_owned()] },
    }
}
