//! One seed from its beginning to its verdict.

use howdah_failover::State;
use howdah_topology::Gate;

use crate::mutation::Mutation;
use crate::pg::target;
use crate::pooler::Pooler;
use crate::setup::{self, END, PEACE};
use crate::world::World;

/// A pooler without an acknowledged write in the last so many microseconds of a run has not converged.
const QUIET: u64 = (END - PEACE) / 5;

/// How a run is made.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Keep the event log.
    pub log: bool,
    /// A fault planted on purpose.
    pub mutation: Mutation,
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
    let mut world = setup::world(seed, options.mutation);
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

/// What is to be said of a world at its end.
pub fn judge(world: &mut World) -> Verdict {
    let now = world.now;
    let halted = |p: &Pooler| p.machine.state() == State::Halted;
    let going: Vec<usize> = (0..).zip(&world.poolers).filter(|(_, p)| !halted(p)).map(|(at, _)| at).collect();
    if let Some((primary, _)) = world.newest_published()
        && !going.is_empty()
    {
        let log = world.nodes.get(primary).map(|p| p.wal.clone());
        world.oracle.nothing_lost(now, log.as_ref(), "at the end");
    }
    // Another pooler may hand the old primary out, and show what it has, until its lease is over.
    let lease = u64::try_from(world.spec.limits.primary_lease.as_micros()).unwrap_or(u64::MAX);
    let stale = if world.poolers.len() > 1 { lease } else { 0 };
    world.oracle.linearizable(now, &world.history, stale);
    if let Some(violation) = world.oracle.violation.take() {
        return Verdict::Broken(violation);
    }
    if let Some(stuck) = going.iter().find_map(|p| stuck(world, *p)) {
        world.say_how_it_stands();
        return Verdict::Broken(stuck);
    }
    let halted = world.poolers.iter().find(|p| halted(p));
    halted.map_or(Verdict::Converged, |p| Verdict::Halted(p.machine.explain().to_owned()))
}

/// Why a pooler's clients do not go on at the end.
fn stuck(world: &World, p: usize) -> Option<String> {
    let acknowledged = world.oracle.last_acknowledged.get(&p).copied().unwrap_or(0);
    if acknowledged + QUIET > world.now {
        return None;
    }
    let pooler = world.poolers.get(p)?;
    let gate = match &pooler.topology.gate {
        Gate::Open => "the gate is open".to_owned(),
        Gate::Held { reason, .. } => format!("held: {reason}"),
    };
    let (state, why) = (pooler.machine.state().name(), pooler.machine.explain());
    Some(format!("pooler {p}: no write was acknowledged at the end: in {state}, {why}; {gate}"))
}

impl World {
    /// Logs what every node is at the end of a run in which nothing goes on: which stream is missing is seen there.
    fn say_how_it_stands(&mut self) {
        let lines = (0..).zip(&self.nodes).map(|(id, pg)| {
            let role = if pg.in_recovery { "standby" } else { "primary" };
            let to = target(&self.hosts, &pg.conninfo);
            let from = pg.receiver.as_ref().map(|r| r.sender);
            let sent: Vec<(usize, usize)> = pg.senders.iter().map(|(to, s)| (*to, s.flushed)).collect();
            format!(
                "node {id}: {:?} {role} in timeline {}, {} entries, points at {to:?}, receives from {from:?}, sends \
                 (node, flushed) {sent:?}, names {}, members {:?}, mark {:?}, {} commits wait",
                pg.power, pg.timeline, pg.wal.len(), pg.sync_names, pg.members, pg.fence, pg.commits.len()
            )
        });
        for line in lines.collect::<Vec<_>>() {
            self.say(|| line);
        }
    }

    /// The newest epoch that a pooler publishes: its primary and its timeline.
    #[must_use]
    pub fn newest_published(&self) -> Option<(usize, u32)> {
        let of = |p: &Pooler| Some((usize::from(p.topology.primary?.0), p.topology.epoch?.timeline));
        self.poolers.iter().filter_map(of).max_by_key(|(_, timeline)| *timeline)
    }
}
