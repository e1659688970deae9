//! How a fault is carried out: what it does to servers, poolers and the network when it begins and when it ends. Read next:
//! [`crate::setup`].

use rand::Rng;

use crate::faults::{Kind, Whom};
use crate::net::Peer;
use crate::pg::Power;
use crate::world::{Happening, World};

impl World {
    /// Begins or ends what goes wrong; [`World::fault_tick`] has settled whom it hits.
    pub fn apply(&mut self, kind: &Kind, on: bool) {
        match *kind {
            Kind::Kill { whom: Whom::Node(node), silent } => self.kill(node, silent, on),
            Kind::Freeze(Whom::Node(node)) => self.freeze(node, on),
            Kind::Cut { from, to, both } => {
                self.net.cut(from, to, on);
                if both {
                    self.net.cut(to, from, on);
                }
            }
            Kind::Isolate(Whom::Node(node)) => self.split(&[Peer::Node(node)], (true, true), on),
            Kind::Mute(Whom::Node(node)) => self.split(&[Peer::Node(node)], (true, false), on),
            Kind::Deafen(Whom::Node(node)) => self.split(&[Peer::Node(node)], (false, true), on),
            Kind::Split(ref side) => self.split(side, (true, true), on),
            Kind::Loss(of_1000) => self.net.loss = if on { of_1000 } else { 0 },
            Kind::Flap(Whom::Node(node)) => self.net.flap = on.then_some((node, 700)),
            Kind::Slow(more) => self.nodes.iter_mut().for_each(|n| n.slow = if on { more } else { 0 }),
            Kind::FreezePooler(p) => self.freeze_pooler(p, on),
            Kind::RestartPooler(p) if on => self.restart_pooler(p),
            Kind::EndSessions(node) if on => self.end_sessions(node, None),
            Kind::ColdStart => (0..self.nodes.len()).for_each(|n| self.kill(n, false, on)),
            Kind::Tamper(ref tamper) if on => self.tampers.push(tamper.clone()),
            Kind::Tamper(_) => self.tampers.clear(),
            _ => self.apply_to_node(kind, on),
        }
    }

    /// What goes wrong inside one server.
    fn apply_to_node(&mut self, kind: &Kind, on: bool) {
        match *kind {
            Kind::Pause(node) | Kind::Conflict(node) | Kind::Stall(node) => self.trouble(node, kind, on),
            Kind::Disk(Whom::Node(node)) => self.disk(node, on),
            Kind::Cancel(Whom::Node(node)) => self.interrupt_commits(node),
            Kind::Clock { node, by } => {
                if let Some(pg) = self.nodes.get_mut(node) {
                    pg.clock += if on { by } else { -by };
                }
            }
            _ => {}
        }
    }

    fn disk(&mut self, node: usize, on: bool) {
        let Some(pg) = self.nodes.get_mut(node) else { return };
        pg.disk = if on { pg.disk + 1 } else { pg.disk.saturating_sub(1) };
        if pg.disk == 0 {
            self.disk_answers(node);
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

    /// Cuts one side off from all others: what it sends, what it would hear, or both.
    fn split(&mut self, side: &[Peer], (out, back): (bool, bool), on: bool) {
        let others: Vec<Peer> = self.net.peers().filter(|p| !side.contains(p)).collect();
        for (here, there) in side.iter().flat_map(|here| others.iter().map(move |there| (*here, *there))) {
            if out {
                self.net.cut(here, there, on);
            }
            if back {
                self.net.cut(there, here, on);
            }
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
