//! What goes wrong, when, and for how long: drawn from the seed at the beginning, and over before the end. Read next:
//! [`crate::setup`].

use rand::Rng;
use rand::rngs::SmallRng;

use crate::net::Peer;
use crate::pg::Power;
use crate::world::{Happening, World};

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
        /// From.
        from: Peer,
        /// To.
        to: Peer,
        /// The other direction too.
        both: bool,
    },
    /// One server reaches nobody.
    Isolate(Whom),
    /// Messages between poolers and servers get lost, of 1000.
    Loss(u32),
    /// Replay is paused.
    Pause(usize),
    /// A long read keeps replay waiting.
    Conflict(usize),
    /// A receiver receives nothing.
    Stall(usize),
    /// Promotions take so much longer, microseconds.
    Slow(u64),
    /// A pooler is stopped by a signal.
    FreezePooler(usize),
    /// A pooler is killed and starts without memory.
    RestartPooler(usize),
    /// The server ends the poolers' control sessions.
    EndSessions(usize),
    /// Probes and answers of the primary get lost, and nothing else.
    Flap(Whom),
    /// Everything stops, and starts again in any order.
    ColdStart,
}

/// Draws the faults of a run that ends its troubles at `peace`.
pub fn draw(rng: &mut SmallRng, size: (usize, usize), peace: u64, calm: bool) -> Vec<Fault> {
    let count = rng.random_range(1..=7);
    let mut faults = Vec::new();
    for _ in 0..count {
        let begins = rng.random_range(2_000_000..peace - 1_000_000);
        let short = rng.random_bool(0.5);
        let longest = if short { 1_500_000 } else { 12_000_000 };
        let ends = (begins + rng.random_range(20_000..longest)).min(peace);
        let kind = if calm { Kind::Flap(Whom::Primary) } else { draw_kind(rng, size) };
        faults.push(Fault { begins, ends, kind });
    }
    faults
}

fn draw_kind(rng: &mut SmallRng, size: (usize, usize)) -> Kind {
    let (poolers, nodes) = size;
    let pooler = if poolers > 1 { rng.random_range(0..poolers) } else { 0 };
    let node = rng.random_range(0..nodes);
    let whom = if rng.random_bool(0.7) { Whom::Primary } else { Whom::Node(node) };
    let end = |rng: &mut SmallRng| {
        rng.random_range(0..=nodes).checked_sub(1).map_or(Peer::Pooler(pooler), Peer::Node)
    };
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
        14 => Kind::FreezePooler(pooler),
        15 => Kind::RestartPooler(pooler),
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
        let primary = self.newest_published().map_or(0, |(primary, _)| primary);
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
                self.net.cut(from, to, on);
                if both {
                    self.net.cut(to, from, on);
                }
            }
            Kind::Isolate(Whom::Node(node)) => self.isolate(node, on),
            Kind::Loss(of_1000) => self.net.loss = if on { of_1000 } else { 0 },
            Kind::Flap(Whom::Node(node)) => self.net.flap = on.then_some((node, 700)),
            Kind::Slow(more) => self.nodes.iter_mut().for_each(|n| n.slow = if on { more } else { 0 }),
            Kind::FreezePooler(p) => self.freeze_pooler(p, on),
            Kind::RestartPooler(p) if on => self.restart_pooler(p),
            Kind::EndSessions(node) if on => self.end_sessions(node, None),
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
        let this = Peer::Node(node);
        for other in self.net.peers().filter(|o| *o != this) {
            self.net.cut(this, other, on);
            self.net.cut(other, this, on);
        }
    }

    fn freeze_pooler(&mut self, p: usize, on: bool) {
        let Some(pooler) = self.poolers.get_mut(p) else { return };
        pooler.frozen = if on { pooler.frozen + 1 } else { pooler.frozen.saturating_sub(1) };
        if pooler.frozen == 0 {
            self.thawed(Peer::Pooler(p));
        }
    }

    fn restart_pooler(&mut self, p: usize) {
        let now = self.time();
        self.forget_frozen(Peer::Pooler(p));
        let Some(pooler) = self.poolers.get_mut(p) else { return };
        pooler.restart(now);
        self.close_old_connections(p);
        // The kernel closes its sockets: every server sees its session end.
        for node in 0..self.nodes.len() {
            self.end_sessions(node, Some(p));
        }
        if self.is_frozen(p) {
            self.at(self.now, Happening::PoolerTick(p));
        } else {
            self.drive(p, howdah_failover::Event::Tick);
        }
    }

    /// Control sessions end at the server: of one pooler, or of all.
    fn end_sessions(&mut self, node: usize, pooler: Option<usize>) {
        let Some(pg) = self.nodes.get(node) else { return };
        let of = |s: &crate::pg::Session| pooler.is_none_or(|p| p == s.pooler);
        let sessions: Vec<u64> = pg.sessions.iter().filter(|(_, s)| of(s)).map(|(id, _)| *id).collect();
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
