//! Clients behind the Howdah: each writes again and again to the published primary and remembers what was acknowledged.
//! Read next: [`crate::oracle`].

use howdah_failover::{Event, Report};
use rand::Rng;

use crate::net::Peer;
use crate::world::{Happening, Message, World};

/// A client.
#[derive(Debug, Clone, Default)]
pub struct Client {
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
        if self.pooler.frozen > 0 {
            return;
        }
        let now = self.time();
        self.oracle.reads(self.now, &self.pooler.topology, &self.nodes);
        let at = self.now;
        if let Some(c) = self.clients.get_mut(client).filter(|c| at.saturating_sub(c.since) >= PATIENCE) {
            c.open = None;
        }
        let open = self.clients.get(client).is_none_or(|c| c.open.is_some());
        let Some(primary) = self.pooler.topology.writable_primary(now).map(|n| usize::from(n.id.0)) else {
            return;
        };
        let Some(timeline) = self.pooler.topology.epoch.map(|e| e.timeline).filter(|_| !open) else { return };
        let write = self.number();
        if let Some(c) = self.clients.get_mut(client) {
            *c = Client { open: Some((write, primary)), since: at };
        }
        self.send(Peer::Pooler, Peer::Node(primary), Message::Write { client, write, timeline });
    }

    /// A write is answered: the client hears it if its connection was not closed.
    pub fn written(&mut self, client: usize, write: u64, acknowledged: Option<bool>) {
        let Some(c) = self.clients.get_mut(client) else { return };
        let Some((_, node)) = c.open.take_if(|(open, _)| *open == write) else { return };
        match acknowledged {
            Some(protected) => self.oracle.acknowledged(self.now, write, protected),
            None => {
                let node = howdah_topology::NodeId(u16::try_from(node).unwrap_or(u16::MAX));
                self.drive(Event::NodeReported { node, report: Report::ReadOnly });
            }
        }
    }

    /// A node's connections ended: what was written there is in doubt.
    pub fn fail_writes(&mut self, node: usize) {
        for client in &mut self.clients {
            client.open.take_if(|(_, on)| *on == node);
        }
    }

    /// A new epoch is published: no connection of an older one is kept.
    pub fn close_old_connections(&mut self) {
        for client in &mut self.clients {
            client.open = None;
        }
    }
}
