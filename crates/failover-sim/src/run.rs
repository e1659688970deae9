//! One seed from its beginning to its verdict.

use howdah_failover::{Fault, State};
use howdah_topology::Gate;

use crate::setup::{self, END, PEACE};
use crate::world::World;

/// How a run is made.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Keep the event log.
    pub log: bool,
    /// A fault planted in the machine.
    pub fault: Fault,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Every invariant held, and writes go on.
    Converged,
    /// Every invariant held, and the machine says why it stopped.
    Halted(String),
    /// An invariant was broken.
    Broken(String),
}

/// What a run has to say.
#[derive(Debug, Clone)]
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// How it ended.
    pub verdict: Verdict,
    /// Promotions.
    pub promotions: u32,
    /// Of them by a switchover.
    pub switchovers: u32,
    /// Acknowledged writes.
    pub acknowledged: u64,
    /// The event log, if it was kept.
    pub log: Vec<String>,
}

impl Report {
    /// Whether an invariant was broken.
    #[must_use]
    pub fn broken(&self) -> bool {
        matches!(self.verdict, Verdict::Broken(_))
    }
}

/// Runs one seed.
#[must_use]
pub fn run(seed: u64, options: Options) -> Report {
    let mut world = setup::world(seed, options.fault);
    world.log = options.log.then(Vec::new);
    let faults: Vec<String> = world
        .faults
        .iter()
        .map(|f| format!("fault from {} to {} ms: {:?}", f.begins / 1000, f.ends / 1000, f.kind))
        .collect();
    for line in faults {
        world.say(|| line);
    }
    while world.oracle.violation.is_none() && world.step(END) {}
    let verdict = judge(&mut world);
    Report {
        seed,
        verdict,
        promotions: world.oracle.promotions,
        switchovers: world.oracle.switchovers,
        acknowledged: world.oracle.acknowledged,
        log: world.log.unwrap_or_default(),
    }
}

fn judge(world: &mut World) -> Verdict {
    let now = world.now;
    let primary = world.pooler.topology.primary.and_then(|p| world.nodes.get(usize::from(p.0)));
    let log = primary.map(|p| p.wal.clone());
    let halted = world.pooler.machine.state() == State::Halted;
    if log.is_some() && !halted {
        world.oracle.nothing_lost(now, log.as_ref(), "at the end");
    }
    if let Some(violation) = world.oracle.violation.take() {
        return Verdict::Broken(violation);
    }
    let why = world.pooler.machine.explain().to_owned();
    if halted {
        return Verdict::Halted(why);
    }
    if world.oracle.last_acknowledged > END - (END - PEACE) / 5 {
        return Verdict::Converged;
    }
    let gate = match &world.pooler.topology.gate {
        Gate::Open => "the gate is open".to_owned(),
        Gate::Held { reason, .. } => format!("held: {reason}"),
    };
    let state = world.pooler.machine.state().name();
    Verdict::Broken(format!("no write was acknowledged at the end: in {state}, {why}; {gate}"))
}
