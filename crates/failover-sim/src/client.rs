//! Clients behind the Howdah: each writes again and again to the published primary and remembers what was acknowledged.
//! Read next: [`crate::oracle`].

use howdah_failover::{Event, Report};
use rand::Rng;

use crate::message::Message;
use crate::net::Peer;
use crate::pooler::id_of;
use crate::world::{Happening, World};

/// A client.
#[derive(Debug, Clone, Default)]
pub struct Client {
    /// The pooler that it is connected to.
    pub pooler: usize,
    /// The write that is not answered, and its node.
    pub open: Option<(u64, usize)>,
    /// When it was sent.
    pub since: u64,
}

/// A client gives a write up after this, microseconds: its connection has gone without a word.
const PATIENCE: u64 = 5_000_000;

impl World {
    /// A client acts: it writes if it has no open write and there is a primary.
    pub fn client_tick(&mut self, client: usize) {
        let next = self.now + self.rng.random_range(5_000..40_000);
        self.at(next, Happening::ClientTick(client));
        let at = self.now;
        let Some(c) = self.clients.get_mut(client) else { return };
        if at.saturating_sub(c.since) >= PATIENCE {
            c.open = None;
        }
        let (p, open) = (c.pooler, c.open.is_some());
        if self.is_frozen(p) {
            return;
        }
        let now = self.time();
        let Some(topology) = self.poolers.get(p).map(|p| &p.topology) else { return };
        self.oracle.reads(at, topology, &self.nodes);
        let primary = topology.writable_primary(now).map(|n| usize::from(n.id.0));
        let timeline = topology.epoch.map(|e| e.timeline);
        let (Some(primary), Some(timeline)) = (primary.filter(|_| !open), timeline) else { return };
        let write = self.number();
        self.oracle.routed(at, p, timeline);
        if let Some(c) = self.clients.get_mut(client) {
            c.open = Some((write, primary));
            c.since = at;
        }
        self.send(Peer::Pooler(p), Peer::Node(primary), Message::Write { client, write, timeline });
    }

    /// A write is answered: the client hears it if its connection was not closed.
    pub fn written(&mut self, client: usize, write: u64, acknowledged: Option<bool>) {
        let Some(c) = self.clients.get_mut(client) else { return };
        let Some((_, node)) = c.open.take_if(|(open, _)| *open == write) else { return };
        let p = c.pooler;
        match acknowledged {
            Some(protected) => self.oracle.acknowledged(self.now, p, write, protected),
            None => self.drive(p, Event::NodeReported { node: id_of(node), report: Report::ReadOnly }),
        }
    }

    /// A node's connections ended: what was written there is in doubt.
    pub fn fail_writes(&mut self, p: usize, node: usize) {
        for client in self.clients.iter_mut().filter(|c| c.pooler == p) {
            client.open.take_if(|(_, on)| *on == node);
        }
    }

    /// A pooler publishes a new epoch: no connection of an older one is kept.
    pub fn close_old_connections(&mut self, p: usize) {
        for client in self.clients.iter_mut().filter(|c| c.pooler == p) {
            client.open = None;
        }
    }
}
