//! The world: servers, network, pooler, clients, faults, and the queue of what happens when. One event at a time, each at
//! its moment; nothing happens by itself. Read next: [`crate::pg`].

use std::collections::{BTreeMap, BinaryHeap};
use std::rc::Rc;

use howdah_failover::{ActionId, ClusterSpec, Command, NodeSpec};
use howdah_topology::Time;
use rand::rngs::SmallRng;

use crate::client::Client;
use crate::faults::{Fault, Tamper};
use crate::history::History;
use crate::message::{Message, Via};
use crate::net::{Net, Peer};
use crate::oracle::Oracle;
use crate::pg::Pg;
use crate::pooler::Pooler;

/// How often a server does what it does by itself, microseconds.
pub const NODE_TICK: u64 = 5_000;

/// What happens.
#[derive(Debug, Clone)]
pub enum Happening {
    /// A message arrives.
    Arrive {
        /// From.
        from: Peer,
        /// To.
        to: Peer,
        /// The message.
        message: Box<Message>,
    },
    /// A server does what it does by itself.
    NodeTick(usize),
    /// A pooler's timer.
    PoolerTick(usize),
    /// An order of a pooler has had its time.
    Deadline {
        /// The pooler.
        pooler: usize,
        /// The pooler's life.
        life: u32,
        /// The order.
        id: ActionId,
    },
    /// A client acts.
    ClientTick(usize),
    /// A supervisor looks.
    SupervisorTick,
    /// A fault begins or ends.
    FaultTick {
        /// Which.
        fault: usize,
        /// It begins.
        begins: bool,
    },
    /// The operator gives a command.
    Operator {
        /// At this pooler's console.
        pooler: usize,
        /// What.
        command: Command,
    },
    /// All faults are over.
    Peace,
}

/// Something in the queue: earliest first, and in the order of making.
struct Due {
    at: u64,
    number: u64,
    what: Happening,
}

impl PartialEq for Due {
    fn eq(&self, other: &Due) -> bool {
        (self.at, self.number) == (other.at, other.number)
    }
}
impl Eq for Due {}
impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Due) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Due {
    fn cmp(&self, other: &Due) -> std::cmp::Ordering {
        (other.at, other.number).cmp(&(self.at, self.number))
    }
}

/// Everything there is.
pub struct World {
    /// The only source of chance.
    pub rng: SmallRng,
    /// Now, microseconds.
    pub now: u64,
    /// The cluster's settings.
    pub spec: ClusterSpec,
    /// The nodes' settings, shared.
    pub hosts: Rc<Vec<NodeSpec>>,
    /// The servers.
    pub nodes: Vec<Pg>,
    /// The network.
    pub net: Net,
    /// The poolers.
    pub poolers: Vec<Pooler>,
    /// Their clients.
    pub clients: Vec<Client>,
    /// The faults.
    pub faults: Vec<Fault>,
    /// Faults are over.
    pub peace: bool,
    /// The judges.
    pub oracle: Oracle,
    /// The next number for sessions, streams and writes.
    pub numbers: u64,
    /// What clients did to the registers.
    pub history: History,
    /// Standbys stream through replication slots.
    pub slots: bool,
    /// A planted fault of the data path ([`crate::mutation::Mutation::TrustInterrupted`]).
    pub trusts_interrupted: bool,
    /// Requests and answers that get lost or late.
    pub tampers: Vec<Tamper>,
    /// The event log, if one is kept.
    pub log: Option<Vec<String>>,
    queue: BinaryHeap<Due>,
    made: u64,
    /// When the last message of each ordered connection arrives.
    last_arrival: BTreeMap<(Peer, Peer, u8), u64>,
    /// Messages to those who are frozen.
    frozen: Vec<(Peer, Peer, Box<Message>)>,
}

impl World {
    /// A world at its beginning; [`crate::setup`] fills it.
    #[must_use]
    pub fn new(rng: SmallRng, spec: ClusterSpec, nodes: Vec<Pg>, poolers: Vec<Pooler>) -> World {
        let net = Net::new(poolers.len(), nodes.len(), 300);
        World {
            rng,
            now: 0,
            hosts: Rc::new(spec.nodes.clone()),
            spec,
            nodes,
            net,
            poolers,
            clients: Vec::new(),
            faults: Vec::new(),
            peace: false,
            oracle: Oracle::default(),
            numbers: 0,
            history: History::default(),
            slots: false,
            trusts_interrupted: false,
            tampers: Vec::new(),
            log: None,
            queue: BinaryHeap::new(),
            made: 0,
            last_arrival: BTreeMap::new(),
            frozen: Vec::new(),
        }
    }

    /// Now, on Howdah's clock.
    #[must_use]
    pub fn time(&self) -> Time {
        Time(self.now)
    }

    /// A number never given before.
    pub fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    /// Writes a line to the event log.
    pub fn say(&mut self, line: impl FnOnce() -> String) {
        let now = self.now;
        if let Some(log) = &mut self.log {
            log.push(format!("{:>4}.{:06} {}", now / 1_000_000, now % 1_000_000, line()));
        }
    }

    /// Puts something into the queue.
    pub fn at(&mut self, at: u64, what: Happening) {
        self.made += 1;
        self.queue.push(Due { at: at.max(self.now), number: self.made, what });
    }

    /// Sends a message; it may be lost. Messages of one kind of connection between two ends arrive in order.
    pub fn send(&mut self, from: Peer, to: Peer, message: Message) {
        let Some(delay) = self.net.send(&mut self.rng, from, to) else { return };
        let channel = match &message {
            Message::Request(r) if r.via == Via::Fresh => 1,
            Message::Request(_) => 2,
            Message::Write { .. }
            | Message::Written { .. }
            | Message::Read { .. }
            | Message::Value { .. } => 3,
            Message::Reply { .. } | Message::SessionEnded { .. } | Message::Reset { .. } => 4,
            _ => 5,
        };
        let Some(late) = self.tamper(&message) else { return };
        let mut at = self.now + delay + late;
        if channel != 1 && late == 0 {
            let last = self.last_arrival.entry((from, to, channel)).or_insert(0);
            at = at.max(*last);
            *last = at;
        }
        self.at(at, Happening::Arrive { from, to, message: Box::new(message) });
    }

    /// How much later a message arrives because someone tampers with it; `None`: it is lost.
    fn tamper(&mut self, message: &Message) -> Option<u64> {
        let (name, answer) = match message {
            Message::Request(r) => (r.action.name(), false),
            Message::Reply { name, .. } => (*name, true),
            _ => return Some(0),
        };
        let hit = |t: &&mut Tamper| t.left > 0 && t.action == name && t.answer == answer;
        let Some(tamper) = self.tampers.iter_mut().find(hit) else { return Some(0) };
        tamper.left -= 1;
        let late = tamper.late;
        self.say(|| {
            format!("{} of {name} is {late:?} late", if answer { "the answer" } else { "the order" })
        });
        late
    }

    /// Lets the next thing happen; `false` when there is none before `until`.
    pub fn step(&mut self, until: u64) -> bool {
        if self.queue.peek().is_none_or(|d| d.at > until) {
            return false;
        }
        let Some(due) = self.queue.pop() else { return false };
        self.now = due.at;
        match due.what {
            Happening::Arrive { from, to, message } => self.arrive(from, to, message),
            Happening::NodeTick(node) => self.node_tick(node),
            Happening::PoolerTick(pooler) => self.pooler_tick(pooler),
            Happening::Deadline { pooler, life, id } => self.deadline(pooler, life, id),
            Happening::ClientTick(client) => self.client_tick(client),
            Happening::SupervisorTick => self.supervise(),
            Happening::FaultTick { fault, begins } => self.fault_tick(fault, begins),
            Happening::Operator { pooler, command } => self.command(pooler, command),
            Happening::Peace => self.make_peace(),
        }
        true
    }

    /// A message arrives: at a cut it is lost, at someone frozen it waits.
    fn arrive(&mut self, from: Peer, to: Peer, message: Box<Message>) {
        if !self.net.reaches(from, to) {
            return;
        }
        let frozen = match to {
            Peer::Pooler(p) => self.poolers.get(p).is_some_and(|p| p.frozen > 0),
            Peer::Node(n) => self.nodes.get(n).is_some_and(|n| n.frozen > 0),
        };
        if frozen {
            self.frozen.push((from, to, message));
            return;
        }
        match to {
            Peer::Pooler(p) => self.pooler_receives(p, *message),
            Peer::Node(n) => self.node_receives(n, from, *message),
        }
    }

    /// Someone is thawed: what has waited arrives now, in order.
    pub fn thawed(&mut self, who: Peer) {
        let (now, later) = std::mem::take(&mut self.frozen).into_iter().partition(|(_, to, _)| *to == who);
        self.frozen = later;
        let now: Vec<(Peer, Peer, Box<Message>)> = now;
        for (from, to, message) in now {
            self.at(self.now, Happening::Arrive { from, to, message });
        }
    }

    /// Nothing that was sent to a server before it stopped reaches the next one.
    pub fn forget_frozen(&mut self, who: Peer) {
        self.frozen.retain(|(_, to, _)| *to != who);
    }

    /// A message for a server.
    pub fn node_receives(&mut self, node: usize, from: Peer, message: Message) {
        match message {
            Message::Request(request) => self.ask(node, from, request),
            Message::Write { client, write, timeline } => {
                self.serve_write(node, from, (client, write, timeline))
            }
            Message::Read { client, op, register } => self.serve_read(node, (client, op), register),
            Message::Look { started_at, timeline, need, fresh_as_of } => {
                self.serve_look(node, (started_at, timeline), (need, fresh_as_of));
            }
            Message::Attach { standby, stream } => self.serve_attach(node, standby, stream),
            Message::Attached { sender, stream, lying } => self.attached(node, sender, (stream, lying)),
            Message::Stream { sender, stream, upto, generation } => {
                self.streamed(node, sender, (stream, upto, generation));
            }
            Message::Flushed { standby, stream, flushed, replayed, ping, at } => {
                self.flushed(node, (standby, stream, at), (flushed, replayed, ping));
            }
            Message::StreamEnded { stream } => self.stream_ended(node, stream),
            other => self.say(|| format!("node {node} ignores {other:?} of {from:?}")),
        }
    }
}
