//! A scenario is played: the world runs between its steps, and what is expected is waited for. Read next:
//! `run.rs`, whose judges have the last word.

use howdah_failover::{ClusterSpec, Limits, NodeSpec};
use howdah_topology::Mode;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::Played;
use super::act::Act;
use super::script::{Form, Script, Step, WorldSpec};
use crate::mutation::Mutation;
use crate::pg::Pg;
use crate::pooler::Pooler;
use crate::run::{Verdict, judge};
use crate::setup::{begin, clients};
use crate::world::World;

/// After the last step everything is mended, and the cluster has so long to converge, microseconds.
const REST: u64 = 30_000_000;

/// Plays one form of a scenario under one seed; the log is kept if `seed.1`.
#[must_use]
pub fn play(script: &Script, form: &Form, seed: (u64, bool), mutation: Mutation) -> Played {
    let (seed, log) = seed;
    let mut world = world(&script.world, seed, mutation);
    world.log = log.then(Vec::new);
    let verdict = match steps(&mut world, script, form) {
        Some(broken) => Verdict::Broken(broken),
        None => {
            mend(&mut world);
            let end = world.now + REST;
            while world.oracle.violation.is_none() && world.step(end) {}
            last_word(&mut world, script)
        }
    };
    Played {
        name: script.name.clone(),
        words: form.words.clone(),
        seed,
        verdict,
        log: world.log.unwrap_or_default(),
    }
}

fn last_word(world: &mut World, script: &Script) -> Verdict {
    match judge(world) {
        Verdict::Halted(why) if !script.world.may_halt => {
            Verdict::Broken(format!("halted at the end: {why}"))
        }
        other => other,
    }
}

/// Plays the steps; what was broken.
fn steps(world: &mut World, script: &Script, form: &Form) -> Option<String> {
    let place = |line: usize| format!("{}:{line}", script.file);
    for (line, step) in &form.steps {
        let done = match step {
            Step::At(at) => {
                run_until(world, *at);
                Ok(())
            }
            Step::Do(act) => {
                world.say(|| format!("{}: {act:?}", place(*line)));
                world.act_out(act);
                if let Act::Pass(time) = act {
                    let until = world.now + time;
                    run_until(world, until);
                }
                Ok(())
            }
            Step::Expect(condition, within) => {
                let until = world.now + within;
                while !world.is_so(condition) && world.oracle.violation.is_none() && world.step(until) {}
                world.is_so(condition).then_some(()).ok_or(format!("did not come to be: {condition:?}"))
            }
            Step::Keep(condition, time) => {
                let until = world.now + time;
                while world.is_so(condition) && world.oracle.violation.is_none() && world.step(until) {}
                world.is_so(condition).then_some(()).ok_or(format!("did not stay so: {condition:?}"))
            }
        };
        if let Some(violation) = world.oracle.violation.take() {
            return Some(violation);
        }
        if let Err(why) = done {
            let (at, us) = (world.now / 1_000_000, world.now % 1_000_000);
            return Some(format!("{} at {at}.{us:06}: {why}", place(*line)));
        }
    }
    None
}

fn run_until(world: &mut World, until: u64) {
    while world.oracle.violation.is_none() && world.step(until) {}
    world.now = world.now.max(until);
}

/// Everything that is broken is mended.
fn mend(world: &mut World) {
    world.say(|| "the plot is over: everything is mended".to_owned());
    world.net.mend();
    world.tampers.clear();
    for p in 0..world.poolers.len() {
        if let Some(pooler) = world.poolers.get_mut(p).filter(|p| p.frozen > 0) {
            pooler.frozen = 0;
            world.thawed(crate::net::Peer::Pooler(p));
        }
    }
    for node in 0..world.nodes.len() {
        world.mend_node(node);
    }
    world.make_peace();
}

impl World {
    /// Whatever is wrong inside a server is over.
    fn mend_node(&mut self, node: usize) {
        let Some(pg) = self.nodes.get_mut(node) else { return };
        (pg.paused, pg.conflict, pg.stalled, pg.slow, pg.open_transactions) = (false, false, 0, 0, 0);
        if pg.frozen > 0 {
            pg.frozen = 0;
            self.thawed(crate::net::Peer::Node(node));
        }
        if let Some(pg) = self.nodes.get_mut(node).filter(|p| p.disk > 0) {
            pg.disk = 0;
            self.disk_answers(node);
        }
    }
}

/// The world of a scenario: plain, but for what its lines say.
fn world(of: &WorldSpec, seed: u64, mutation: Mutation) -> World {
    let mut rng = SmallRng::seed_from_u64(seed);
    let nodes: Vec<NodeSpec> = (0..of.nodes)
        .map(|i| {
            let mut node = NodeSpec::new(&format!("n{i}"), &format!("10.0.3.{}", 200 + i), 5432);
            node.nofailover = of.nofailover.contains(&i);
            let own = of.priority.iter().find(|(of, _)| *of == i);
            node.priority = own.map_or(node.priority, |(_, priority)| *priority);
            node
        })
        .collect();
    let mut spec = ClusterSpec {
        name: "main".to_owned(),
        mode: Mode::Manage,
        pooler: "howdah-1".to_owned(),
        nodes,
        on_last_node: of.on_last_node,
        sync_standbys: 1,
        bootstrap: false,
        limits: Limits { max_failovers_per_hour: of.limit, ..Limits::default() },
    };
    let primary = spec.nodes.first().cloned();
    let mut servers = Vec::new();
    for (i, n) in spec.nodes.iter().enumerate() {
        let mut pg = Pg::new(n, primary.as_ref().filter(|_| i > 0), of.names.clone());
        pg.supervised = !of.unsupervised.contains(&i);
        servers.push(pg);
    }
    let mut poolers = Vec::new();
    for number in 1..=of.poolers {
        spec.pooler = format!("howdah-{number}");
        poolers.push(Pooler::new(&spec, rng.random(), mutation.fault()));
    }
    let mut world = World::new(rng, spec, servers, poolers);
    world.clients = clients(of.poolers);
    world.oracle.asynchronous = of.names.is_async();
    world.oracle.may_lose = of.may_lose;
    world.trusts_interrupted = mutation == Mutation::TrustInterrupted;
    world.use_slots(of.slots);
    begin(&mut world);
    world
}
