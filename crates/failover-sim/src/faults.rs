//! What goes wrong, when, and for how long: drawn from the seed at the beginning, and over before the end. Read next:
//! [`crate::setup`].

use rand::Rng;
use rand::rngs::SmallRng;

use crate::net::Peer;
use crate::pg::Power;
use crate::world::World;

/// One fault.
#[derive(Debug, Clone)]
pub struct Fault {
    /// When it begins, microseconds.
    pub begins: u64,
    /// When it ends.
    pub ends: u64,
    /// What.
    pub kind: Kind,
}

/// Which node a fault hits: chosen when it begins, since who is primary changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whom {
    /// The published primary.
    Primary,
    /// This one.
    Node(usize),
}

/// What goes wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// The server's processes are killed; it is started again at the end.
    Kill {
        /// Which.
        whom: Whom,
        /// The machine goes: nothing answers, no connection is ended.
        silent: bool,
    },
    /// The server is stopped by a signal, and goes on at the end.
    Freeze(Whom),
    /// Two ends do not reach each other, in one direction or both.
    Cut {
        /// From (`None`: the pooler).
        from: Option<usize>,
        /// To (`None`: the pooler).
        to: Option<usize>,
        /// The other direction too.
        both: bool,
    },
    /// One server reaches nobody.
    Isolate(Whom),
    /// Messages between the pooler and servers get lost, of 1000.
    Loss(u32),
    /// Replay is paused.
    Pause(usize),
    /// A long read keeps replay waiting.
    Conflict(usize),
    /// A receiver receives nothing.
    Stall(usize),
    /// Promotions take so much longer, microseconds.
    Slow(u64),
    /// The pooler is stopped by a signal.
    FreezePooler,
    /// The pooler is killed and starts without memory.
    RestartPooler,
    /// The server ends the pooler's control sessions.
    EndSessions(usize),
    /// Probes and answers of the primary get lost, and nothing else.
    Flap(Whom),
    /// Everything stops, and starts again in any order.
    ColdStart,
}

/// Draws the faults of a run that ends its troubles at `peace`.
pub fn draw(rng: &mut SmallRng, nodes: usize, peace: u64, calm: bool) -> Vec<Fault> {
    let count = rng.random_range(1..=7);
    let mut faults = Vec::new();
    for _ in 0..count {
        let begins = rng.random_range(2_000_000..peace - 1_000_000);
        let short = rng.random_bool(0.5);
        let longest = if short { 1_500_000 } else { 12_000_000 };
        let ends = (begins + rng.random_range(20_000..longest)).min(peace);
        let kind = if calm { Kind::Flap(Whom::Primary) } else { draw_kind(rng, nodes) };
        faults.push(Fault { begins, ends, kind });
    }
    faults
}

fn draw_kind(rng: &mut SmallRng, nodes: usize) -> Kind {
    let node = rng.random_range(0..nodes);
    let whom = if rng.random_bool(0.7) { Whom::Primary } else { Whom::Node(node) };
    let end = |rng: &mut SmallRng| (rng.random_range(0..=nodes)).checked_sub(1);
    match rng.random_range(0..18) {
        0..=4 => Kind::Kill { whom, silent: rng.random_bool(0.3) },
        5..=6 => Kind::Freeze(whom),
        7 => Kind::Cut { from: end(rng), to: end(rng), both: rng.random_bool(0.5) },
        8 => Kind::Isolate(whom),
        9 => Kind::Loss(rng.random_range(20..300)),
        10 => Kind::Pause(node),
        11 => Kind::Conflict(node),
        12 => Kind::Stall(node),
        13 => Kind::Slow(rng.random_range(100_000..3_000_000)),
        14 => Kind::FreezePooler,
        15 => Kind::RestartPooler,
        16 => Kind::EndSessions(node),
        _ => Kind::ColdStart,
    }
}

impl World {
    /// A fault begins or ends.
    pub fn fault_tick(&mut self, fault: usize, begins: bool) {
        let Some(mut kind) = self.faults.get(fault).map(|f| f.kind.clone()) else { return };
        if begins {
            kind = self.aim(kind);
            if let Some(f) = self.faults.get_mut(fault) {
                f.kind = kind.clone();
            }
        }
        let word = if begins { "begins" } else { "ends" };
        self.say(|| format!("fault {word}: {kind:?}"));
        self.apply(&kind, begins);
    }

    /// Who is meant is settled now.
    fn aim(&self, kind: Kind) -> Kind {
        let primary = self.pooler.topology.primary.map_or(0, |p| usize::from(p.0));
        let aimed = |whom| if whom == Whom::Primary { Whom::Node(primary) } else { whom };
        match kind {
            Kind::Kill { whom, silent } => Kind::Kill { whom: aimed(whom), silent },
            Kind::Freeze(whom) => Kind::Freeze(aimed(whom)),
            Kind::Isolate(whom) => Kind::Isolate(aimed(whom)),
            Kind::Flap(whom) => Kind::Flap(aimed(whom)),
            other => other,
        }
    }

    fn apply(&mut self, kind: &Kind, on: bool) {
        match *kind {
            Kind::Kill { whom: Whom::Node(node), silent } => self.kill(node, silent, on),
            Kind::Freeze(Whom::Node(node)) => self.freeze(node, on),
            Kind::Cut { from, to, both } => {
                let peer = |end: Option<usize>| end.map_or(Peer::Pooler, Peer::Node);
                self.net.cut(peer(from), peer(to), on);
                if both {
                    self.net.cut(peer(to), peer(from), on);
                }
            }
            Kind::Isolate(Whom::Node(node)) => self.isolate(node, on),
            Kind::Loss(of_1000) => self.net.loss = if on { of_1000 } else { 0 },
            Kind::Flap(Whom::Node(node)) => self.net.flap = on.then_some((node, 700)),
            Kind::Slow(more) => self.nodes.iter_mut().for_each(|n| n.slow = if on { more } else { 0 }),
            Kind::FreezePooler => self.freeze_pooler(on),
            Kind::RestartPooler if on => self.restart_pooler(),
            Kind::EndSessions(node) if on => self.end_sessions(node),
            Kind::ColdStart => (0..self.nodes.len()).for_each(|n| self.kill(n, false, on)),
            Kind::Pause(node) | Kind::Conflict(node) | Kind::Stall(node) => self.trouble(node, kind, on),
            _ => {}
        }
    }

    fn trouble(&mut self, node: usize, kind: &Kind, on: bool) {
        let Some(pg) = self.nodes.get_mut(node) else { return };
        match kind {
            Kind::Stall(_) => pg.stalled = if on { pg.stalled + 1 } else { pg.stalled.saturating_sub(1) },
            Kind::Pause(_) => pg.paused = on && pg.in_recovery && pg.promote_at.is_none(),
            _ => pg.conflict = on && pg.in_recovery,
        }
    }

    fn kill(&mut self, node: usize, silent: bool, on: bool) {
        let now = self.now;
        let starts = self.rng.random_range(50_000..1_500_000);
        let up = self.runs(node);
        if on {
            if up && !silent {
                self.reset_peers(node);
            }
            self.forget_frozen(Peer::Node(node));
            if let Some(pg) = self.nodes.get_mut(node) {
                pg.stop(silent);
            }
        } else if let Some(pg) = self.nodes.get_mut(node).filter(|p| matches!(p.power, Power::Down { .. })) {
            pg.start(now, starts);
        }
    }

    fn freeze(&mut self, node: usize, on: bool) {
        let Some(pg) = self.nodes.get_mut(node) else { return };
        pg.frozen = if on { pg.frozen + 1 } else { pg.frozen.saturating_sub(1) };
        if pg.frozen == 0 {
            self.thawed(Peer::Node(node));
        }
    }

    fn isolate(&mut self, node: usize, on: bool) {
        let others = (0..self.nodes.len()).filter(|n| *n != node).map(Peer::Node).chain([Peer::Pooler]);
        for other in others.collect::<Vec<_>>() {
            self.net.cut(Peer::Node(node), other, on);
            self.net.cut(other, Peer::Node(node), on);
        }
    }

    fn freeze_pooler(&mut self, on: bool) {
        let frozen = &mut self.pooler.frozen;
        *frozen = if on { *frozen + 1 } else { frozen.saturating_sub(1) };
        if *frozen == 0 {
            self.thawed(Peer::Pooler);
        }
    }

    fn restart_pooler(&mut self) {
        let now = self.time();
        self.forget_frozen(Peer::Pooler);
        self.pooler.restart(now);
        self.close_old_connections();
        // The kernel closes its sockets: every server sees its session end.
        for node in 0..self.nodes.len() {
            self.end_sessions(node);
        }
        if self.pooler.frozen == 0 {
            self.drive(howdah_failover::Event::Tick);
        } else {
            let at = self.now;
            self.at(at, crate::world::Happening::PoolerTick);
        }
    }

    fn end_sessions(&mut self, node: usize) {
        let sessions: Vec<u64> =
            self.nodes.get(node).map(|n| n.sessions.keys().copied().collect()).unwrap_or_default();
        for session in sessions {
            self.end_session(node, session);
        }
    }

    /// All faults are over: what is still wrong is mended.
    pub fn make_peace(&mut self) {
        self.say(|| "peace: all faults are over".to_owned());
        self.peace = true;
        self.oracle.no_needless_promotion(self.now);
        for node in 0..self.nodes.len() {
            self.kill(node, false, false);
        }
    }
}
