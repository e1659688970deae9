//! The Howdah: the production machine, its sessions to the servers, and what it publishes. Read next: [`crate::client`].

use std::collections::BTreeMap;

use howdah_failover::{
    Action, ActionError, ActionId, ClusterSpec, Command, Done, Event, Fault, Machine, Order, Path,
    ProbeFailure, Report, State,
};
use howdah_topology::{FailoverOutcome, NodeId, Time, Topology};

use crate::net::Peer;
use crate::serve::by_control;
use crate::world::{Answer, Happening, Message, Request, Via, World};

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
}

/// The node's id.
fn id_of(node: usize) -> NodeId {
    NodeId(u16::try_from(node).unwrap_or(u16::MAX))
}

impl World {
    /// Gives the machine an event and does what it asks for.
    pub fn drive(&mut self, event: Event) {
        let now = self.time();
        let before = self.pooler.machine.state();
        self.pooler.machine.handle(now, event);
        let after = self.pooler.machine.state();
        if before != after {
            let why = self.pooler.machine.explain().to_owned();
            self.say(|| format!("howdah: {} -> {}: {why}", before.name(), after.name()));
            if after == State::Settle {
                self.count_switchover();
            }
        }
        if let Some(topology) = self.pooler.machine.poll_topology() {
            self.publish(topology);
        }
        while let Some(order) = self.pooler.machine.poll_order() {
            self.dispatch(order);
        }
        let due = self.pooler.machine.poll_timeout().map_or(u64::MAX, |t| t.0);
        // One timer: a later one that is already in the queue only ticks once too often.
        if due < u64::MAX && (self.pooler.timer <= self.now || due < self.pooler.timer) {
            self.pooler.timer = due.max(self.now + 1);
            let at = self.pooler.timer;
            self.at(at, Happening::PoolerTick);
        }
    }

    fn publish(&mut self, topology: Topology) {
        let primary = topology.primary;
        if self.pooler.topology.primary != primary || self.pooler.topology.gate != topology.gate {
            let (gate, epoch) = (topology.gate.clone(), topology.epoch);
            self.say(|| format!("howdah publishes primary {primary:?} epoch {epoch:?} gate {gate:?}"));
        }
        let older = self.pooler.topology.epoch;
        let newer = topology.epoch;
        let logs: Vec<&crate::wal::Wal> = self.nodes.iter().map(|n| &n.wal).collect();
        self.oracle.published(self.now, &topology, &logs);
        self.pooler.topology = topology;
        if older != newer {
            self.close_old_connections();
        }
    }

    /// The operator orders a switchover; a frozen pooler does not hear it.
    pub fn order_switchover(&mut self, to: Option<usize>, force: bool) {
        if self.pooler.frozen > 0 {
            return;
        }
        self.drive(Event::Operator(Command::Switchover { to: to.map(id_of), force }));
        let said = self.pooler.machine.refused().unwrap_or("taken").to_owned();
        self.say(|| format!("operator: SWITCHOVER to {to:?}, force {force}: {said}"));
    }

    /// Counts a switchover that has promoted somebody.
    fn count_switchover(&mut self) {
        let last = self.pooler.machine.failovers().last();
        if last.is_some_and(|r| r.planned && r.outcome == FailoverOutcome::Promoted) {
            self.oracle.switchovers += 1;
        }
    }

    /// The machine's timer.
    pub fn pooler_tick(&mut self) {
        if self.pooler.frozen > 0 {
            // It runs when it is thawed.
            self.at(self.now + 10_000, Happening::PoolerTick);
            return;
        }
        self.drive(Event::Tick);
    }

    /// Begins to carry an order out.
    fn dispatch(&mut self, order: Order) {
        let node = usize::from(order.node.0);
        let Some(control) = self.pooler.control.get(node).copied() else { return };
        let flight = Flight { node, action: order.action.clone(), sent: self.time() };
        self.pooler.flights.insert(order.id, flight);
        let life = self.pooler.life;
        let within = u64::try_from(order.within.as_micros()).unwrap_or(u64::MAX);
        self.at(self.now + within, Happening::Deadline { life, id: order.id });
        let fresh = matches!(order.action, Action::Probe { path: Path::Fresh });
        let via = match control {
            _ if fresh || !by_control(&order.action) => Via::Fresh,
            Some(session) if self.may_use(node, session, &order.action) => Via::Control(session),
            None if matches!(order.action, Action::Probe { .. }) => Via::Open(self.number()),
            _ => {
                let answer = Answer::Action(Err(ActionError::SessionLost));
                let message = Message::Reply { life, id: order.id, session: None, answer };
                let at = self.now;
                self.at(
                    at,
                    Happening::Arrive { from: Peer::Pooler, to: Peer::Pooler, message: Box::new(message) },
                );
                return;
            }
        };
        let request =
            Request { life, id: order.id, action: order.action, via, until: self.now + within * 9 / 10 };
        self.send(Peer::Pooler, Peer::Node(node), Message::Request(request));
    }

    /// Orders of a failover go through the session that was granted the vote, and no other.
    fn may_use(&self, node: usize, session: u64, action: &Action) -> bool {
        let free = matches!(action, Action::Probe { .. } | Action::Lock | Action::Unlock);
        free || self.pooler.voting.get(node).is_some_and(|v| *v == Some(session))
    }

    /// An order has had its time.
    pub fn deadline(&mut self, life: u32, id: ActionId) {
        if life != self.pooler.life || !self.pooler.flights.contains_key(&id) {
            return;
        }
        if self.pooler.frozen > 0 {
            self.at(self.now + 10_000, Happening::Deadline { life, id });
            return;
        }
        self.lose(id, ProbeFailure::Silent);
    }

    /// An order's answer will not come.
    fn lose(&mut self, id: ActionId, failure: ProbeFailure) {
        let Some(flight) = self.pooler.flights.remove(&id) else { return };
        let event = match flight.action {
            Action::Probe { .. } => Event::ProbeFailed { id, sent: flight.sent, failure },
            _ => Event::ActionDone { id, result: Err(ActionError::Unanswered) },
        };
        self.drive(event);
    }

    /// A message for the pooler.
    pub fn pooler_receives(&mut self, _from: Peer, message: Message) {
        match message {
            Message::Reply { life, id, session, answer } if life == self.pooler.life => {
                self.answered(id, session, answer)
            }
            Message::SessionEnded { node, session } => self.session_ended(node, session),
            Message::Reset { node } => self.node_reset(node),
            Message::Written { client, write, acknowledged } => self.written(client, write, acknowledged),
            _ => {}
        }
    }

    fn answered(&mut self, id: ActionId, session: Option<u64>, answer: Answer) {
        let Some(flight) = self.pooler.flights.remove(&id) else { return };
        let node = flight.node;
        let standing = matches!(flight.action, Action::Probe { path: Path::Standing });
        if standing && let Some(control) = self.pooler.control.get_mut(node) {
            *control = session;
        }
        if let Answer::Action(Ok(Done::Locked { granted: true, .. })) = &answer
            && let Some(voting) = self.pooler.voting.get_mut(node)
        {
            *voting = session;
        }
        let sent = flight.sent;
        let event = match answer {
            Answer::Sample(sample) => Event::ProbeAnswered { id, sent, sample },
            Answer::Failed(failure) => Event::ProbeFailed { id, sent, failure },
            Answer::Action(result) => {
                self.look(node, &flight.action, &result);
                Event::ActionDone { id, result }
            }
        };
        self.drive(event);
    }

    /// Lines for the log.
    fn look(&mut self, node: usize, action: &Action, result: &Result<Done, ActionError>) {
        let short = match result {
            Ok(Done::Locked { granted, .. }) => format!("granted {granted}"),
            Ok(Done::Promoted { .. }) => "promoted".to_owned(),
            other => format!("{other:?}"),
        };
        self.say(|| format!("howdah: {} on node {node}: {short}", action.name()));
    }

    fn session_ended(&mut self, node: usize, session: u64) {
        if let Some(control) = self.pooler.control.get_mut(node)
            && *control == Some(session)
        {
            *control = None;
        }
    }

    /// All connections to a node ended: what was asked there is lost, and the data path has seen it too.
    fn node_reset(&mut self, node: usize) {
        if let Some(control) = self.pooler.control.get_mut(node) {
            *control = None;
        }
        let lost: Vec<ActionId> =
            self.pooler.flights.iter().filter(|(_, f)| f.node == node).map(|(id, _)| *id).collect();
        for id in lost {
            self.lose(id, ProbeFailure::Eof);
        }
        self.fail_writes(node);
        self.drive(Event::NodeReported { node: id_of(node), report: Report::Eof });
    }
}
