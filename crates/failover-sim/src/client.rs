//! Clients behind the Howdahs: each writes again and again to the published primary, reads there and on replicas, and
//! remembers what it was told. Read next: [`crate::history`].

use howdah_failover::{Event, Report};
use howdah_topology::ReplicaLimits;
use rand::Rng;

use crate::history::register_of;
use crate::message::{Message, Outcome};
use crate::net::Peer;
use crate::pg::{Commit, Power};
use crate::pooler::id_of;
use crate::stream::satisfied;
use crate::world::{Happening, World};

/// What a client waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Open {
    /// The write; `None`: it reads.
    write: Option<u64>,
    /// Its place in the history.
    op: usize,
    /// The node.
    node: usize,
}

/// A client.
#[derive(Debug, Clone, Default)]
pub struct Client {
    /// The pooler that it is connected to.
    pub pooler: usize,
    /// What is not answered.
    pub open: Option<Open>,
    /// When it was sent.
    pub since: u64,
    /// What it has done.
    pub turns: u64,
}

/// A client gives up after this, microseconds: its connection has gone without a word.
const PATIENCE: u64 = 5_000_000;

/// Every so many turns a client reads on the primary instead.
const READ_EVERY: u64 = 5;

impl World {
    /// A client acts: it writes or reads if it waits for nothing and there is a primary.
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
        self.look_at_replica(p);
        let (Some(primary), Some(timeline)) = (primary.filter(|_| !open), timeline) else { return };
        self.oracle.routed(at, p, timeline);
        self.act(client, primary, timeline);
    }

    fn act(&mut self, client: usize, primary: usize, timeline: u32) {
        let at = self.now;
        let Some(c) = self.clients.get_mut(client) else { return };
        c.turns += 1;
        c.since = at;
        let (p, reads) = (c.pooler, c.turns % READ_EVERY == 0);
        let number = self.number();
        let (write, message) = if reads {
            let (op, register) = (self.history.read(at, register_of(number)), register_of(number));
            (None, Message::Read { client, op, register })
        } else {
            (Some(number), Message::Write { client, write: number, timeline })
        };
        let op = match (&message, write) {
            (Message::Read { op, .. }, _) => *op,
            _ => self.history.write(at, number),
        };
        if let Some(c) = self.clients.get_mut(client) {
            c.open = Some(Open { write, op, node: primary });
        }
        self.send(Peer::Pooler(p), Peer::Node(primary), message);
    }

    /// A read on the freshest replica: it must see all that was acknowledged before the moment that is promised.
    fn look_at_replica(&mut self, p: usize) {
        let Some(topology) = self.poolers.get(p).map(|p| &p.topology) else { return };
        let Some(timeline) = topology.epoch.map(|e| e.timeline) else { return };
        let replicas = topology.routable_replicas(self.time(), ReplicaLimits::default());
        let freshest = replicas.filter_map(|n| Some((n.fresh_as_of?, usize::from(n.id.0)))).max();
        let Some((fresh, node)) = freshest else { return };
        let Some(started_at) = self.nodes.get(node).map(|n| n.started_at) else { return };
        let need = self.oracle.acknowledged_before(timeline, fresh.0);
        let look = Message::Look { started_at, timeline, need, fresh_as_of: fresh.0 };
        self.send(Peer::Pooler(p), Peer::Node(node), look);
    }

    /// A write is answered: the client hears it if its connection was not closed.
    pub fn written(&mut self, client: usize, write: u64, outcome: Outcome) {
        let Some(c) = self.clients.get_mut(client) else { return };
        let Some(open) = c.open.take_if(|open| open.write == Some(write)) else { return };
        let (p, now) = (c.pooler, self.now);
        match outcome {
            Outcome::Acknowledged { protected, timeline, len } => {
                self.oracle.acknowledged(now, p, (write, protected), (timeline, len));
                if protected {
                    self.history.written(now, open.op);
                }
            }
            Outcome::Interrupted if self.trusts_interrupted => {
                self.oracle.acknowledged(now, p, (write, true), (0, 0));
            }
            // 08007: the client knows that it does not know.
            Outcome::Interrupted => {}
            Outcome::Refused => {
                self.drive(p, Event::NodeReported { node: id_of(open.node), report: Report::ReadOnly });
            }
        }
    }

    /// A read is answered.
    pub fn value(&mut self, client: usize, op: usize, read: (Option<u64>, bool)) {
        let Some(c) = self.clients.get_mut(client) else { return };
        if c.open.take_if(|open| open.write.is_none() && open.op == op).is_some() {
            self.history.seen(self.now, op, read);
        }
    }

    /// A node's connections ended: what was written there is in doubt.
    pub fn fail_writes(&mut self, p: usize, node: usize) {
        for client in self.clients.iter_mut().filter(|c| c.pooler == p) {
            client.open.take_if(|open| open.node == node);
        }
    }

    /// A pooler publishes a new epoch: no connection of an older one is kept.
    pub fn close_old_connections(&mut self, p: usize) {
        for client in self.clients.iter_mut().filter(|c| c.pooler == p) {
            client.open = None;
        }
    }

    /// A client's write arrives at a server.
    pub fn serve_write(&mut self, node: usize, from: Peer, write: (usize, u64, u32)) {
        let (client, write, timeline) = write;
        let Some(pg) = self.nodes.get_mut(node) else { return };
        if pg.power != Power::Up || pg.in_recovery || pg.read_only {
            let outcome = Outcome::Refused;
            self.answer_client(node, client, Message::Written { client, write, outcome });
            return;
        }
        if pg.disk > 0 {
            pg.behind_disk.push((from, Message::Write { client, write, timeline }));
            return;
        }
        pg.wal.push(pg.timeline, Some(write));
        let len = pg.wal.len();
        pg.commits.push(Commit { client, write, len });
        let at = pg.timeline;
        self.oracle.accepted(self.now, node, (at, timeline));
        self.push_wal(node);
        self.release_commits(node);
    }

    /// A client's read arrives at the primary: commits that wait are not visible yet.
    pub fn serve_read(&mut self, node: usize, read: (usize, usize), register: u64) {
        let (client, op) = read;
        let nodes = self.hosts.clone();
        let Some(pg) = self.nodes.get(node) else { return };
        let waits = |write: u64| pg.commits.iter().any(|c| c.write == write);
        let newest = pg.wal.newest(|w| register_of(w) == register && !waits(w));
        let rows = pg.flushed_rows(&nodes);
        let safe = |len| !pg.sync_names.is_async() && satisfied(&pg.sync_names, &rows, len);
        let refused = pg.power != Power::Up || pg.in_recovery;
        let kept = !refused && newest.is_none_or(|(_, len)| safe(len));
        let value = newest.map(|(write, _)| write);
        self.answer_client(node, client, Message::Value { client, op, value, kept });
    }

    /// A client's read arrives at a replica.
    pub fn serve_look(&mut self, node: usize, of: (u64, u32), promised: (usize, u64)) {
        let (started_at, timeline) = of;
        let Some(pg) = self.nodes.get(node) else { return };
        // The connection is of the life in which it was opened, and a promoted node is no replica any more.
        if pg.power != Power::Up || pg.started_at != started_at || !pg.in_recovery || pg.timeline > timeline {
            return;
        }
        self.oracle.looked(self.now, node, pg.replayed, promised);
    }

    /// An administrator cancels what waits on a server: each such commit answers as a success with a warning.
    pub fn interrupt_commits(&mut self, node: usize) {
        let Some(pg) = self.nodes.get_mut(node) else { return };
        for Commit { client, write, .. } in std::mem::take(&mut pg.commits) {
            let outcome = Outcome::Interrupted;
            self.answer_client(node, client, Message::Written { client, write, outcome });
        }
    }
}
