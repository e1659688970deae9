//! What goes wrong, when, and for how long: drawn from the seed at the beginning, and over before the end. Read next:
//! [`crate::trouble`], which carries them out.

use rand::Rng;
use rand::rngs::SmallRng;

use crate::net::Peer;
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

/// A kind of order or of answer with which someone tampers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tamper {
    /// The action's name.
    pub action: &'static str,
    /// Its answer, or the order.
    pub answer: bool,
    /// It arrives so much later, microseconds; `None`: it is lost.
    pub late: Option<u64>,
    /// How many more are hit.
    pub left: u32,
}

/// The actions of which an order or an answer may get lost.
pub const ACTIONS: [&str; 18] = [
    "lock",
    "check vote",
    "unlock",
    "fence",
    "resume replay",
    "end conflicting reads",
    "read position",
    "write names",
    "write members",
    "repoint",
    "promote",
    "await promoted",
    "undo",
    "clear fence",
    "set read only",
    "checkpoint",
    "stop",
    "recall",
];

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
    /// One server hears everyone, and nobody hears it.
    Mute(Whom),
    /// Everyone hears one server, and it hears nobody.
    Deafen(Whom),
    /// Those on the one side and all others do not reach each other.
    Split(Vec<Peer>),
    /// What a server has to flush waits.
    Disk(Whom),
    /// A server's clock jumps by so much, and back at the end, microseconds.
    Clock {
        /// Which.
        node: usize,
        /// By how much.
        by: i64,
    },
    /// An administrator cancels what waits for standbys, at the beginning and at the end.
    Cancel(Whom),
    /// An order or its answer gets lost or late.
    Tamper(Tamper),
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
    match rng.random_range(0..27) {
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
        17 => Kind::ColdStart,
        18 => Kind::Mute(whom),
        19 => Kind::Deafen(whom),
        20 => {
            let all = (0..poolers).map(Peer::Pooler).chain((0..nodes).map(Peer::Node));
            Kind::Split(all.filter(|_| rng.random_bool(0.5)).collect())
        }
        21 => Kind::Disk(whom),
        22 => Kind::Clock { node, by: rng.random_range(-3_600_000_000..3_600_000_000) },
        23 => Kind::Cancel(whom),
        _ => Kind::Tamper(tamper(rng)),
    }
}

fn tamper(rng: &mut SmallRng) -> Tamper {
    let late = if rng.random_bool(0.5) { None } else { Some(rng.random_range(1_000..4_000_000)) };
    Tamper {
        action: ACTIONS[rng.random_range(0..ACTIONS.len())],
        answer: rng.random_bool(0.5),
        late,
        left: rng.random_range(1..6),
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
    #[must_use]
    pub fn aim(&self, kind: Kind) -> Kind {
        let primary = self.newest_published().map_or(0, |(primary, _)| primary);
        let aimed = |whom| if whom == Whom::Primary { Whom::Node(primary) } else { whom };
        match kind {
            Kind::Kill { whom, silent } => Kind::Kill { whom: aimed(whom), silent },
            Kind::Freeze(whom) => Kind::Freeze(aimed(whom)),
            Kind::Isolate(whom) => Kind::Isolate(aimed(whom)),
            Kind::Flap(whom) => Kind::Flap(aimed(whom)),
            Kind::Mute(whom) => Kind::Mute(aimed(whom)),
            Kind::Deafen(whom) => Kind::Deafen(aimed(whom)),
            Kind::Disk(whom) => Kind::Disk(aimed(whom)),
            Kind::Cancel(whom) => Kind::Cancel(aimed(whom)),
            other => other,
        }
    }
}
