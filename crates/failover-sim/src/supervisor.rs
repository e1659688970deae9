//! `howdah rejoin --supervise` beside each server: a former primary or a diverged standby is made a standby of the present
//! primary. Sometimes it forgets to rewind, as people do. Read next: [`crate::faults`].

use rand::Rng;

use crate::net::Peer;
use crate::pg::{Power, conninfo};
use crate::world::{Happening, World};

/// How often it looks, microseconds.
const INTERVAL: u64 = 500_000;

/// So long a stopped primary waits for another to be promoted, microseconds.
const STOPPED_PATIENCE: u64 = 30_000_000;

impl World {
    /// All supervisors look.
    pub fn supervise(&mut self) {
        self.at(self.now + INTERVAL, Happening::SupervisorTick);
        for node in 0..self.nodes.len() {
            self.supervise_node(node);
        }
    }

    /// The newest primary that runs and that this node reaches.
    fn newest_primary(&self, node: usize) -> Option<usize> {
        let reach = |other: usize| {
            self.net.reaches(Peer::Node(node), Peer::Node(other))
                && self.net.reaches(Peer::Node(other), Peer::Node(node))
        };
        (0..self.nodes.len())
            .filter(|n| self.nodes.get(*n).is_some_and(|p| p.lives() && !p.in_recovery) && reach(*n))
            .max_by_key(|n| self.nodes.get(*n).map(|p| p.timeline))
    }

    fn supervise_node(&mut self, node: usize) {
        let now = self.now;
        if self.after_stop(node) {
            return;
        }
        let wait = self.rng.random_range(500_000..3_000_000);
        let rewinds = self.peace || self.rng.random_range(0..10) > 0;
        let primary = self.newest_primary(node).filter(|p| *p != node);
        let Some(pg) = self.nodes.get(node).filter(|p| p.lives()) else { return };
        let Some(source) = primary.and_then(|p| self.nodes.get(p)) else { return };
        let former = !pg.in_recovery && pg.timeline < source.timeline;
        // Never to an older primary: that would be the loss of data by a person's hand.
        let older = source.timeline < pg.timeline;
        let diverged =
            pg.in_recovery && !older && pg.promote_at.is_none() && !pg.wal.is_prefix_of(&source.wal);
        if !former && !diverged {
            if let Some(pg) = self.nodes.get_mut(node) {
                pg.rejoin = None;
            }
            return;
        }
        match pg.rejoin {
            None => {
                if let Some(pg) = self.nodes.get_mut(node) {
                    pg.rejoin = Some((now + wait, rewinds));
                }
            }
            Some((at, rewinds)) if now >= at => self.rejoin(node, primary, rewinds),
            Some(_) => {}
        }
    }

    /// `pg_ctl stop -m fast` by an order of a switchover: the senders give their standbys all that there is, then it ends.
    pub fn stop_cleanly(&mut self, node: usize) {
        self.say(|| format!("supervisor of node {node} stops it"));
        self.push_wal(node);
        self.reset_peers(node);
        let now = self.now;
        if let Some(pg) = self.nodes.get_mut(node) {
            pg.stop(false);
            pg.ordered_down = Some(now);
        }
    }

    /// A primary that was stopped by an order follows the one that took its place, or is started as it was when nobody did.
    fn after_stop(&mut self, node: usize) -> bool {
        let now = self.now;
        let Some(at) = self.nodes.get(node).and_then(|p| p.ordered_down) else { return false };
        let timeline = self.nodes.get(node).map_or(0, |p| p.timeline);
        let newer = |p: &usize| self.nodes.get(*p).is_some_and(|p| p.timeline > timeline);
        if let Some(primary) = self.newest_primary(node).filter(newer) {
            self.rejoin(node, Some(primary), true);
        } else if now.saturating_sub(at) >= STOPPED_PATIENCE {
            self.say(|| format!("supervisor of node {node} starts it as it was"));
            let takes = self.rng.random_range(200_000..1_000_000);
            if let Some(pg) = self.nodes.get_mut(node) {
                pg.start(now, takes);
            }
        }
        true
    }

    /// A server is made a standby of another, rewound or not.
    pub fn rejoin(&mut self, node: usize, primary: Option<usize>, rewinds: bool) {
        let now = self.now;
        let takes = self.rng.random_range(200_000..1_000_000);
        self.say(|| {
            format!("supervisor of node {node} makes it a standby of {primary:?}, rewound: {rewinds}")
        });
        self.reset_peers(node);
        let Some(source) = primary.and_then(|p| self.nodes.get(p)) else { return };
        let (wal, members, names) = (source.wal.clone(), source.members.clone(), source.sync_names.clone());
        let to = primary.and_then(|p| self.hosts.get(p)).cloned();
        if let Some(source) = primary.and_then(|p| self.nodes.get_mut(p)) {
            source.slots.insert(node);
        }
        let Some(pg) = self.nodes.get_mut(node) else { return };
        pg.stop(false);
        if rewinds {
            // A rewind copies the source's settings; the node's own are written anew.
            pg.wal.rewind_to(&wal);
            pg.timeline = pg.wal.timeline();
            pg.members = members;
            pg.sync_names = names;
        }
        pg.in_recovery = true;
        pg.fence = None;
        pg.stop_order = None;
        pg.read_only = false;
        pg.rejoin = None;
        pg.conninfo = to.map_or_else(String::new, |t| conninfo(&t, &pg.name));
        pg.start(now, takes);
        // A former primary replays all that it has before it follows.
        pg.replayed = pg.wal.len();
    }

    /// Whether a server runs.
    #[must_use]
    pub fn runs(&self, node: usize) -> bool {
        self.nodes.get(node).is_some_and(|p| p.power == Power::Up)
    }
}
