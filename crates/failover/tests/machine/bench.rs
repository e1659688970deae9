//! Servers that do at once what they are told, and a clock that goes on with the machine.

use std::time::Duration;

use howdah_failover::{
    Action, ActionError, Attached, Checks, ClusterSpec, Command, Done, Event, FenceRecord, Limits, Machine,
    Members, NodeSpec, OnLastNode, Order, ProbeFailure, Receiver, Sample, StreamState, SyncNames,
    TimelineStart,
};
use howdah_topology::{Lsn, Mode, SyncState, Time, Topology};

/// An order is answered after this.
const ROUND_TRIP: Duration = Duration::from_millis(1);

/// One server.
#[derive(Debug, Clone)]
pub(crate) struct Server {
    pub(crate) sample: Sample,
    /// How it answers probes instead.
    pub(crate) down: Option<ProbeFailure>,
    /// Who holds its vote and is no Howdah.
    pub(crate) foreign: Option<String>,
    /// It streams and receives nothing.
    pub(crate) stalled: bool,
    /// How it answers actions instead, by name.
    pub(crate) refuses: Option<(&'static str, ActionError)>,
    /// It says so many times that it has not replayed all that it has.
    pub(crate) replays: u32,
    /// What another pooler has just written as the list of names when the vote is taken here.
    pub(crate) renamed: Option<Members>,
}

pub(crate) struct Bench {
    pub(crate) machine: Machine,
    pub(crate) now: Time,
    pub(crate) servers: Vec<Server>,
    /// What was ordered beside probes: node and name of the action.
    pub(crate) orders: Vec<(usize, Action)>,
    /// A server that does not answer probes is seen by its standbys all the same.
    pub(crate) streams_on: bool,
}

/// Three nodes, the first one the primary of the others, which wait for each other by `names`.
pub(crate) fn bench(names: &str) -> Bench {
    Bench::of(spec(3), names)
}

pub(crate) fn spec(nodes: usize) -> ClusterSpec {
    let node = |i: usize| NodeSpec::new(&format!("node{i}"), &format!("10.0.3.{i}"), 5432);
    ClusterSpec {
        name: "main".to_owned(),
        mode: Mode::Manage,
        pooler: "howdah".to_owned(),
        nodes: (0..nodes).map(node).collect(),
        on_last_node: OnLastNode::Block,
        sync_standbys: 1,
        bootstrap: false,
        limits: Limits::default(),
    }
}

fn server(spec: &ClusterSpec, at: usize, names: &SyncNames) -> Server {
    let standby = at > 0;
    let primary = &spec.nodes[0];
    let sample = Sample {
        in_recovery: standby,
        started_at: 1,
        system_id: 7,
        timeline: 1,
        history: Vec::new(),
        inserted: (!standby).then_some(Lsn(1000)),
        flushed: (!standby).then_some(Lsn(1000)),
        received: standby.then_some(Lsn(1000)),
        replayed: standby.then_some(Lsn(1000)),
        logical_slots: Vec::new(),
        receiver: None,
        replication: Vec::new(),
        sync_names: if standby { SyncNames::none() } else { names.clone() },
        members: None,
        fence: None,
        primary_conninfo: if standby {
            format!("host={} port={} application_name={}", primary.host, primary.port, spec.nodes[at].name)
        } else {
            String::new()
        },
        replay_paused: false,
        recovery_conflict: false,
        delayed: false,
        read_only: false,
        busy: 0,
        supervised: false,
        stop_ordered: false,
        tuned: false,
        times_kept: false,
        streams_as: standby.then(|| spec.nodes[at].name.clone()),
        checks: Some(Checks::default()),
    };
    Server { sample, down: None, foreign: None, stalled: false, refuses: None, replays: 0, renamed: None }
}

impl Bench {
    pub(crate) fn of(spec: ClusterSpec, names: &str) -> Self {
        let names: SyncNames = names.parse().unwrap();
        let servers = (0..spec.nodes.len()).map(|at| server(&spec, at, &names)).collect();
        let now = Time::from_millis(1_000);
        Self { machine: Machine::new(spec, 1, now), now, servers, orders: Vec::new(), streams_on: false }
    }

    /// Time passes.
    pub(crate) fn pass(&mut self, time: Duration) -> &mut Self {
        let end = self.now + time;
        self.give(Event::Tick);
        while self.now < end {
            let next = self.machine.poll_timeout().unwrap_or(end).max(self.now + ROUND_TRIP).min(end);
            self.now = next;
            self.give(Event::Tick);
        }
        self
    }

    /// Time passes until the condition holds.
    #[track_caller]
    pub(crate) fn until(&mut self, what: &str, condition: impl Fn(&Self) -> bool) -> &mut Self {
        for _ in 0..6_000 {
            if condition(self) {
                return self;
            }
            self.pass(Duration::from_millis(10));
        }
        panic!("never: {what}; {:?}: {}", self.machine.state(), self.machine.explain());
    }

    /// One event and whatever follows from it at once.
    pub(crate) fn give(&mut self, event: Event) {
        let mut events = vec![event];
        while let Some(event) = events.pop() {
            self.machine.handle(self.now, event);
            while self.machine.poll_topology().is_some() {}
            while let Some(order) = self.machine.poll_order() {
                events.insert(0, self.carry_out(&order));
            }
        }
    }

    pub(crate) fn command(&mut self, command: Command) -> Result<(), String> {
        self.give(Event::Operator(command));
        self.machine.refused().map_or(Ok(()), |why| Err(why.to_owned()))
    }

    pub(crate) fn topology(&self) -> &Topology {
        self.machine.topology()
    }

    pub(crate) fn primary(&self) -> Option<usize> {
        self.topology().primary.map(|id| usize::from(id.0))
    }

    /// The primary is known, and nothing more is to be changed.
    pub(crate) fn settle(&mut self) -> &mut Self {
        self.until("a primary", |b| b.primary().is_some());
        self.pass(Duration::from_secs(4))
    }

    pub(crate) fn kill(&mut self, node: usize) {
        self.servers[node].down = Some(ProbeFailure::Refused);
    }

    /// Orders of this name, with their nodes.
    pub(crate) fn ordered(&self, name: &str) -> Vec<usize> {
        self.orders.iter().filter(|(_, a)| a.name() == name).map(|(node, _)| *node).collect()
    }

    fn upstream_of(&self, at: usize) -> Option<usize> {
        let host = self.servers[at]
            .sample
            .primary_conninfo
            .split_whitespace()
            .find_map(|w| w.strip_prefix("host="))?;
        let nodes = &self.machine.spec().nodes;
        let up = |up: &usize| {
            (self.streams_on || self.servers[*up].down.is_none()) && self.servers[at].down.is_none()
        };
        nodes.iter().position(|n| n.host == host).filter(up)
    }

    /// The node as it is, with its streams.
    fn sample(&self, at: usize) -> Sample {
        let mut sample = self.servers[at].sample.clone();
        let micros = i64::try_from(self.now.0).unwrap();
        sample.receiver = self.upstream_of(at).filter(|_| sample.in_recovery).map(|up| Receiver {
            sender_host: self.machine.spec().nodes[up].host.clone(),
            sender_port: 5432,
            last_message: micros,
            latest_end: sample.position(),
            timeline: sample.timeline,
        });
        let streams = |standby: &usize| {
            self.servers[*standby].sample.in_recovery && self.upstream_of(*standby) == Some(at)
        };
        let rows = (0..self.servers.len()).filter(streams).map(|standby| {
            let position = self.servers[standby].sample.position();
            let name = self.servers[standby].sample.streams_as.clone();
            Attached {
                application_name: name.unwrap_or_else(|| self.machine.spec().nodes[standby].name.clone()),
                state: StreamState::Streaming,
                reply_time: micros,
                sync: SyncState::Async,
                flushed: position,
                replayed: position,
            }
        });
        sample.replication.extend(rows);
        sample
    }

    /// Standbys receive at once what their primary has, unless they are beyond it or of another history.
    fn stream(&mut self) {
        for at in 0..self.servers.len() {
            let receives = self.servers[at].sample.in_recovery && !self.servers[at].stalled;
            let Some(up) = self.upstream_of(at).filter(|_| receives) else {
                continue;
            };
            let (up, own) = (self.servers[up].sample.clone(), &mut self.servers[at].sample);
            let (position, same) = (up.position(), own.timeline == up.timeline && own.history == up.history);
            if own.position() <= position && (same || own.timeline < up.timeline) {
                (own.timeline, own.history) = (up.timeline, up.history);
                own.received = Some(position);
                own.replayed = if own.replay_paused { own.replayed } else { Some(position) };
            }
        }
    }

    fn carry_out(&mut self, order: &Order) -> Event {
        self.stream();
        let at = usize::from(order.node.0);
        let sent = self.now;
        if let Action::Probe { .. } = order.action {
            return match self.servers[at].down {
                Some(failure) => Event::ProbeFailed { id: order.id, sent, failure },
                None => Event::ProbeAnswered { id: order.id, sent, sample: Box::new(self.sample(at)) },
            };
        }
        self.orders.push((at, order.action.clone()));
        let result = match &self.servers[at] {
            Server { down: Some(_), .. } => Err(ActionError::SessionLost),
            Server { refuses: Some((name, error)), .. } if *name == order.action.name() => Err(error.clone()),
            _ => Ok(self.act(at, &order.action)),
        };
        Event::ActionDone { id: order.id, result }
    }

    fn act(&mut self, at: usize, action: &Action) -> Done {
        let nodes = self.machine.spec().nodes.clone();
        let unfinished = self.servers[at].replays;
        if *action == Action::ReadPosition {
            self.servers[at].replays = unfinished.saturating_sub(1);
        }
        let server = &mut self.servers[at].sample;
        match action {
            Action::Lock => {
                let renamed = self.servers[at].renamed.take();
                let server = &mut self.servers[at].sample;
                server.members = renamed.or(server.members.take());
                let foreign = self.servers[at].foreign.clone();
                let sample = Box::new(self.sample(at));
                return Done::Locked { granted: foreign.is_none(), foreign, sample };
            }
            Action::CheckVote => return Done::Vote(true),
            Action::Fence { record } => {
                server.fence = Some(record.clone());
                server.primary_conninfo.clear();
                return Done::Fenced { receiver_gone: true, replay_paused: false, recovery_conflict: false };
            }
            Action::ReadPosition => {
                let replays = unfinished > 0;
                let (replay_paused, recovery_conflict) = (server.replay_paused, server.recovery_conflict);
                return Done::Position {
                    timeline: server.timeline,
                    received: server.received,
                    replayed: server.replayed.unwrap_or_default(),
                    at_end: !replays && !replay_paused && !recovery_conflict,
                    replay_paused,
                    recovery_conflict,
                };
            }
            Action::WriteNames { names } => {
                server.sync_names = names.clone();
                return Done::Names { inserted: server.inserted };
            }
            Action::WriteMembers { members } => server.members = Some(members.clone()),
            Action::Repoint { to } => point(server, &nodes[usize::from(to.0)], &nodes[at].name),
            Action::Promote => promote(server),
            Action::AwaitPromoted => return Done::Promoted { sample: Box::new(self.sample(at)) },
            Action::Undo { record } => undo(server, record),
            Action::ClearFence => server.fence = None,
            Action::SetReadOnly { on } => server.read_only = *on,
            Action::Tune { on } => (server.tuned, server.times_kept) = (*on, *on),
            Action::ResumeReplay => server.replay_paused = false,
            Action::EndConflictingReads => server.recovery_conflict = false,
            Action::Unlock
            | Action::Checkpoint
            | Action::Stop { .. }
            | Action::Recall
            | Action::Probe { .. } => {}
        }
        Done::Written
    }
}

fn point(server: &mut Sample, to: &NodeSpec, name: &str) {
    server.primary_conninfo = format!("host={} port={} application_name={name}", to.host, to.port);
}

fn promote(server: &mut Sample) {
    let at = server.position();
    server.in_recovery = false;
    server.timeline += 1;
    server.history.push(TimelineStart { timeline: server.timeline, began_at: at });
    (server.inserted, server.flushed) = (Some(at), Some(at));
    (server.received, server.replayed) = (None, None);
    server.primary_conninfo.clear();
}

fn undo(server: &mut Sample, record: &FenceRecord) {
    if server.fence.take().is_some() {
        server.primary_conninfo = record.old_conninfo.clone();
    }
}
