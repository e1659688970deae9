//! A Howdah: the production machine, its sessions to the servers, and what it publishes. Read next: [`crate::client`].

use std::collections::{BTreeMap, BTreeSet};

use howdah_failover::{
    Action, ActionError, ActionId, ClusterSpec, Command, Done, Event, Fault, Machine, Order, Path,
    ProbeFailure, Report, State,
};
use howdah_topology::{FailoverOutcome, NodeId, Time, Topology};

use crate::message::{Answer, Message, Request, Via};
use crate::net::Peer;
use crate::serve::by_control;
use crate::world::{Happening, World};

/// An order without an answer.
#[derive(Debug, Clone)]
struct Flight {
    node: usize,
    action: Action,
    sent: Time,
}

/// The Howdah.
pub struct Pooler {
    /// The machine.
    pub machine: Machine,
    /// What is published.
    pub topology: Topology,
    /// Grows with each restart.
    pub life: u32,
    /// Frozen by so many faults.
    pub frozen: u32,
    /// Control sessions, by node.
    control: Vec<Option<u64>>,
    /// The sessions in which a vote was granted, by node.
    voting: Vec<Option<u64>>,
    flights: BTreeMap<ActionId, Flight>,
    /// The states of the machine that it was in, over all its lives.
    pub visited: BTreeSet<State>,
    seed: u64,
    fault: Fault,
    timer: u64,
}

impl Pooler {
    /// A Howdah without memory.
    #[must_use]
    pub fn new(spec: &ClusterSpec, seed: u64, fault: Fault) -> Pooler {
        let machine = Machine::with_fault(spec.clone(), seed, Time::ZERO, fault);
        Pooler {
            topology: machine.topology().clone(),
            machine,
            life: 1,
            frozen: 0,
            control: vec![None; spec.nodes.len()],
            voting: vec![None; spec.nodes.len()],
            flights: BTreeMap::new(),
            visited: BTreeSet::new(),
            seed,
            fault,
            timer: 0,
        }
    }

    /// It is started anew: everything that it knew is gone.
    pub fn restart(&mut self, now: Time) {
        let spec = self.machine.spec().clone();
        self.machine = Machine::with_fault(spec, self.seed ^ u64::from(self.life), now, self.fault);
        self.topology = self.machine.topology().clone();
        self.life += 1;
        self.control.fill(None);
        self.voting.fill(None);
        self.flights.clear();
        self.timer = 0;
    }

    /// Orders of a failover go through the session that was granted the vote, and no other.
    fn may_use(&self, node: usize, session: u64, action: &Action) -> bool {
        let free = matches!(action, Action::Probe { .. } | Action::Lock | Action::Unlock);
        free || self.voting.get(node).is_some_and(|v| *v == Some(session))
    }
}

/// The node's id.
#[must_use]
pub fn id_of(node: usize) -> NodeId {
    NodeId(u16::try_from(node).unwrap_or(u16::MAX))
}

impl World {
    /// Gives a pooler's machine an event and does what it asks for.
    pub fn drive(&mut self, p: usize, event: Event) {
        let now = self.time();
        let Some(pooler) = self.poolers.get_mut(p) else { return };
        let before = pooler.machine.state();
        pooler.machine.handle(now, event);
        let after = pooler.machine.state();
        let topology = pooler.machine.poll_topology();
        let orders: Vec<Order> = std::iter::from_fn(|| pooler.machine.poll_order()).collect();
        let due = pooler.machine.poll_timeout().map_or(u64::MAX, |t| t.0);
        if before != after {
            self.entered(p, before, after);
        }
        if let Some(topology) = topology {
            self.publish(p, topology);
        }
        for order in orders {
            self.dispatch(p, order);
        }
        let now = self.now;
        let Some(pooler) = self.poolers.get_mut(p) else { return };
        // One timer: a later one that is already in the queue only ticks once too often.
        if due < u64::MAX && (pooler.timer <= now || due < pooler.timer) {
            pooler.timer = due.max(now + 1);
            let at = pooler.timer;
            self.at(at, Happening::PoolerTick(p));
        }
    }

    /// A pooler's machine has changed its state.
    fn entered(&mut self, p: usize, before: State, after: State) {
        let Some(machine) = self.poolers.get(p).map(|p| &p.machine) else { return };
        let why = machine.explain().to_owned();
        let planned =
            machine.failovers().last().is_some_and(|r| r.planned && r.outcome == FailoverOutcome::Promoted);
        self.say(|| format!("pooler {p}: {} -> {}: {why}", before.name(), after.name()));
        if after == State::Settle && planned {
            self.oracle.switchovers += 1;
        }
        if let Some(pooler) = self.poolers.get_mut(p) {
            pooler.visited.insert(after);
        }
    }

    fn publish(&mut self, p: usize, topology: Topology) {
        let Some(pooler) = self.poolers.get(p) else { return };
        let (older, newer) = (pooler.topology.epoch, topology.epoch);
        let primary = topology.primary;
        if pooler.topology.primary != primary || pooler.topology.gate != topology.gate {
            let (gate, epoch) = (topology.gate.clone(), topology.epoch);
            self.say(|| format!("pooler {p} publishes primary {primary:?} epoch {epoch:?} gate {gate:?}"));
        }
        let logs: Vec<&crate::wal::Wal> = self.nodes.iter().map(|n| &n.wal).collect();
        self.oracle.published(self.now, p, &topology, &logs);
        if let Some(pooler) = self.poolers.get_mut(p) {
            pooler.topology = topology;
        }
        if older != newer {
            self.close_old_connections(p);
        }
    }

    /// The operator gives a command; a frozen pooler does not hear it.
    pub fn command(&mut self, p: usize, command: Command) {
        if self.is_frozen(p) {
            return;
        }
        self.drive(p, Event::Operator(command));
        let refused = self.poolers.get(p).and_then(|p| p.machine.refused()).map(str::to_owned);
        let said = refused.unwrap_or_else(|| "taken".to_owned());
        self.say(|| format!("operator at pooler {p}: {command:?}: {said}"));
    }

    /// Whether a pooler is stopped by a signal.
    #[must_use]
    pub fn is_frozen(&self, p: usize) -> bool {
        self.poolers.get(p).is_none_or(|p| p.frozen > 0)
    }

    /// A machine's timer.
    pub fn pooler_tick(&mut self, p: usize) {
        if self.is_frozen(p) {
            // It runs when it is thawed.
            self.at(self.now + 10_000, Happening::PoolerTick(p));
            return;
        }
        self.drive(p, Event::Tick);
    }

    /// Begins to carry an order out.
    fn dispatch(&mut self, p: usize, order: Order) {
        let node = usize::from(order.node.0);
        let (now, sent) = (self.now, self.time());
        let Some(pooler) = self.poolers.get_mut(p) else { return };
        let Some(control) = pooler.control.get(node).copied() else { return };
        pooler.flights.insert(order.id, Flight { node, action: order.action.clone(), sent });
        let life = pooler.life;
        let may_use = control.is_some_and(|session| pooler.may_use(node, session, &order.action));
        let within = u64::try_from(order.within.as_micros()).unwrap_or(u64::MAX);
        self.at(now + within, Happening::Deadline { pooler: p, life, id: order.id });
        let fresh = matches!(order.action, Action::Probe { path: Path::Fresh });
        let via = match control {
            _ if fresh || !by_control(&order.action) => Via::Fresh,
            Some(session) if may_use => Via::Control(session),
            None if matches!(order.action, Action::Probe { .. }) => Via::Open(self.number()),
            _ => return self.session_lost(p, life, order.id),
        };
        let until = now + within * 9 / 10;
        let request = Request { pooler: p, life, id: order.id, action: order.action, via, until };
        self.send(Peer::Pooler(p), Peer::Node(node), Message::Request(request));
    }

    /// There is no session by which an order may go.
    fn session_lost(&mut self, p: usize, life: u32, id: ActionId) {
        let answer = Answer::Action(Err(ActionError::SessionLost));
        let message = Box::new(Message::Reply { life, id, name: "none", session: None, answer });
        self.at(self.now, Happening::Arrive { from: Peer::Pooler(p), to: Peer::Pooler(p), message });
    }

    /// An order has had its time.
    pub fn deadline(&mut self, p: usize, life: u32, id: ActionId) {
        let waits = |p: &Pooler| life == p.life && p.flights.contains_key(&id);
        if !self.poolers.get(p).is_some_and(waits) {
            return;
        }
        if self.is_frozen(p) {
            self.at(self.now + 10_000, Happening::Deadline { pooler: p, life, id });
            return;
        }
        self.lose(p, id, ProbeFailure::Silent);
    }

    /// An order's answer will not come.
    fn lose(&mut self, p: usize, id: ActionId, failure: ProbeFailure) {
        let Some(flight) = self.poolers.get_mut(p).and_then(|p| p.flights.remove(&id)) else { return };
        let event = match flight.action {
            Action::Probe { .. } => Event::ProbeFailed { id, sent: flight.sent, failure },
            _ => Event::ActionDone { id, result: Err(ActionError::Unanswered) },
        };
        self.drive(p, event);
    }

    /// A message for a pooler.
    pub fn pooler_receives(&mut self, p: usize, message: Message) {
        let life = self.poolers.get(p).map(|p| p.life);
        match message {
            Message::Reply { life: asked, id, session, answer, .. } if Some(asked) == life => {
                self.answered(p, id, session, answer);
            }
            Message::SessionEnded { node, session } => self.session_ended(p, node, session),
            Message::Reset { node } => self.node_reset(p, node),
            Message::Written { client, write, outcome } => self.written(client, write, outcome),
            Message::Value { client, op, value, kept } => self.value(client, op, (value, kept)),
            _ => {}
        }
    }

    fn answered(&mut self, p: usize, id: ActionId, session: Option<u64>, answer: Answer) {
        let Some(pooler) = self.poolers.get_mut(p) else { return };
        let Some(flight) = pooler.flights.remove(&id) else { return };
        let node = flight.node;
        let standing = matches!(flight.action, Action::Probe { path: Path::Standing });
        if standing && let Some(control) = pooler.control.get_mut(node) {
            *control = session;
        }
        if let Answer::Action(Ok(Done::Locked { granted: true, .. })) = &answer
            && let Some(voting) = pooler.voting.get_mut(node)
        {
            *voting = session;
        }
        let sent = flight.sent;
        let event = match answer {
            Answer::Sample(sample) => Event::ProbeAnswered { id, sent, sample },
            Answer::Failed(failure) => Event::ProbeFailed { id, sent, failure },
            Answer::Action(result) => {
                self.look(p, &flight, &result);
                Event::ActionDone { id, result }
            }
        };
        self.drive(p, event);
    }

    /// Lines for the log.
    fn look(&mut self, p: usize, flight: &Flight, result: &Result<Done, ActionError>) {
        self.say(|| {
            let short = match result {
                Ok(Done::Locked { granted, .. }) => format!("granted {granted}"),
                Ok(Done::Promoted { .. }) => "promoted".to_owned(),
                other => format!("{other:?}"),
            };
            format!("pooler {p}: {} on node {}: {short}", flight.action.name(), flight.node)
        });
    }

    fn session_ended(&mut self, p: usize, node: usize, session: u64) {
        if let Some(control) = self.poolers.get_mut(p).and_then(|p| p.control.get_mut(node))
            && *control == Some(session)
        {
            *control = None;
        }
    }

    /// All connections to a node ended: what was asked there is lost, and the data path has seen it too.
    fn node_reset(&mut self, p: usize, node: usize) {
        let Some(pooler) = self.poolers.get_mut(p) else { return };
        if let Some(control) = pooler.control.get_mut(node) {
            *control = None;
        }
        let lost: Vec<ActionId> =
            pooler.flights.iter().filter(|(_, f)| f.node == node).map(|(id, _)| *id).collect();
        for id in lost {
            self.lose(p, id, ProbeFailure::Eof);
        }
        self.fail_writes(p, node);
        self.drive(p, Event::NodeReported { node: id_of(node), report: Report::Eof });
    }
}
