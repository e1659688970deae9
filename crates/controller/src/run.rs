//! The main loop: one task that owns the machine. Events in, orders out, snapshots published.
//!
//! Read next: `execute.rs`.

use std::collections::HashMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use howdah_failover::{
    Action, ActionError, ActionId, ClusterSpec, Command, Done, Event, Limits, Machine, NodeSpec, OnLastNode,
    Report,
};
use howdah_topology::{NodeId, Topology};
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::clock::Clock;
use crate::config::ControllerConfig;
use crate::control::Control;
use crate::execute::Executor;
use crate::freshness::Sampler;
use crate::handle::{
    COMMANDS_WAITING, CommandAnswer, CommandError, ControllerHandle, REPORTS_WAITING, Shared,
};
use crate::journal::Journal;
use crate::link::NodeLink;
use crate::names;
use crate::patroni::Patroni;

/// Answers that may wait for the machine. It takes microseconds for each; a full queue holds the answering tasks.
const EVENTS_WAITING: usize = 1024;

/// While the primary is suspect everyone is asked this often: the standbys' receivers notice its death 10 to 50 ms
/// after it (FAILOVER.md §2), and each millisecond after that is part of the outage.
const SUSPECT_INTERVAL: Duration = Duration::from_millis(15);

/// The longest that a shutdown waits for what is put back on the nodes.
const RELEASE_LIMIT: Duration = Duration::from_secs(2);

/// The longest that a shutdown waits for control sessions to end.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(2);

/// Starts controllers.
#[derive(Debug)]
pub struct Controller;

impl Controller {
    /// Starts the controller of one cluster on the present tokio runtime. It begins with a snapshot in which nothing
    /// is known and the gate is held; `clock` is the one by which the whole process tells the time.
    #[must_use]
    pub fn spawn(config: ControllerConfig, clock: Clock) -> ControllerHandle {
        let (report_sender, reports) = mpsc::channel(REPORTS_WAITING);
        let (command_sender, commands) = mpsc::channel(COMMANDS_WAITING);
        let nodes = config
            .nodes
            .iter()
            .zip(0..)
            .map(|(node, id)| howdah_topology::Node::unseen(NodeId(id), &node.name, &node.host, node.port))
            .collect();
        let topology = Topology::unseen(&config.cluster, config.mode, nodes, clock.now());
        let shared = Arc::new(Shared {
            clock,
            topology: Arc::new(ArcSwap::from_pointee(topology)),
            version: watch::Sender::new(0),
            history: Mutex::default(),
            ends: Mutex::default(),
            wrote: AtomicBool::new(false),
            wrote_notify: Notify::new(),
            settings: watch::Sender::new(config.clone()),
            stop: watch::Sender::new(false),
            stopped: watch::Sender::new(false),
        });
        let handle = ControllerHandle {
            shared: Arc::clone(&shared),
            reports: report_sender.clone(),
            commands: command_sender,
        };
        tokio::spawn(async move {
            let mut stop = shared.stop.subscribe();
            let begin = Runner::begin(config, Arc::clone(&shared), report_sender);
            let runner = tokio::select! {
                runner = begin => runner,
                _ = stop.wait_for(|stop| *stop) => None,
            };
            if let Some(runner) = runner {
                runner.run(stop, reports, commands).await;
            }
            shared.stopped.send_replace(true);
        });
        handle
    }
}

struct Runner {
    machine: Machine,
    shared: Arc<Shared>,
    executor: Executor,
    events: mpsc::Receiver<Event>,
    tasks: JoinSet<()>,
    /// Orders that are being carried out, other than probes: for the log.
    begun: HashMap<ActionId, (NodeId, Action, Instant)>,
    journal: Journal,
}

impl Runner {
    async fn begin(
        mut config: ControllerConfig,
        shared: Arc<Shared>,
        reports: mpsc::Sender<(NodeId, Report)>,
    ) -> Option<Self> {
        names::learn(&mut config, &reports).await;
        let (event_sender, events) = mpsc::channel(EVENTS_WAITING);
        let mut links = Vec::new();
        let mut orders = Vec::new();
        for (node, id) in config.nodes.iter().zip(0..) {
            match NodeLink::new(&config, NodeId(id), node.clone(), reports.clone()) {
                Ok((link, order)) => {
                    links.push(Arc::new(link));
                    orders.push(order);
                }
                Err(e) => {
                    tracing::error!(cluster = %config.cluster, error = %e, "the controller cannot start");
                    return None;
                }
            }
        }
        let links: Arc<[Arc<NodeLink>]> = links.into();
        let mut tasks = JoinSet::new();
        for (link, orders) in links.iter().zip(orders) {
            let control =
                Control::new(Arc::clone(link), Arc::clone(&links), shared.clock, event_sender.clone());
            tasks.spawn(control.run(orders));
        }
        let sampler = Sampler {
            shared: Arc::clone(&shared),
            links: Arc::clone(&links),
            events: event_sender.clone(),
            interval: config.freshness_interval,
        };
        tasks.spawn(sampler.run());
        let patroni = Patroni::new(&config, Arc::clone(&shared), event_sender.clone());
        tasks.spawn(patroni.run());
        let machine = Machine::new(spec(&config), rand::random(), shared.clock.now());
        let executor = Executor { links, shared: Arc::clone(&shared), events: event_sender };
        let journal = Journal::new(&config.cluster);
        Some(Self { machine, shared, executor, events, tasks, begun: HashMap::new(), journal })
    }

    async fn run(
        mut self,
        mut stop: watch::Receiver<bool>,
        mut reports: mpsc::Receiver<(NodeId, Report)>,
        mut commands: mpsc::Receiver<(Command, CommandAnswer)>,
    ) {
        let mut settings = self.shared.settings.subscribe();
        self.take(Event::Tick);
        // What was changed while the names were learnt.
        self.reload();
        loop {
            let wake = self.machine.poll_timeout().map(|at| Instant::from_std(self.shared.clock.instant(at)));
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => break,
                Some(event) = self.events.recv() => self.take(event),
                Some((node, report)) = reports.recv() => self.take(Event::NodeReported { node, report }),
                Ok(()) = settings.changed() => self.reload(),
                Some((command, answer)) = commands.recv() => self.command(command, answer),
                () = sleep_or_never(wake) => self.take(Event::Tick),
            }
        }
        self.let_go().await;
        self.end().await;
    }

    /// Gives the machine one event, then does what it asks for, in the order of its contract.
    fn take(&mut self, event: Event) {
        if let Event::ActionDone { id, result } = &event {
            self.log_done(*id, result);
        }
        self.machine.handle(self.shared.clock.now(), event);
        while let Some(topology) = self.machine.poll_topology() {
            // Whoever sees the new primary finds how it came to be.
            self.tell_failovers();
            let version = topology.version;
            self.journal.decided(&topology);
            self.shared.topology.store(Arc::new(topology));
            self.shared.version.send_replace(version);
        }
        while let Some(order) = self.machine.poll_order() {
            if !matches!(order.action, Action::Probe { .. }) {
                tracing::debug!(order = order.id.0, node = %order.node, action = ?order.action, "begun");
                self.begun.insert(order.id, (order.node, order.action.clone(), Instant::now()));
            }
            self.executor.begin(order);
        }
        if !self.begun.is_empty() {
            self.tell_failovers();
        }
    }

    /// What is new in the list of failovers.
    fn tell_failovers(&mut self) {
        self.journal.failovers(self.machine.failovers());
        let mut history = self.shared.history.lock().unwrap_or_else(PoisonError::into_inner);
        if *history != self.machine.failovers() {
            *history = self.machine.failovers().to_vec();
        }
    }

    /// Takes over the settings as they are now.
    fn reload(&mut self) {
        let settings = self.shared.settings.borrow().clone();
        let spec = spec(&settings);
        tracing::debug!(cluster = %settings.cluster, ?spec, "settings");
        for link in self.executor.links.iter() {
            link.take_over(&settings);
        }
        self.take(Event::Reconfigured { spec: Box::new(spec) });
    }

    fn command(&mut self, command: Command, answer: CommandAnswer) {
        self.take(Event::Operator(command));
        let said = match self.machine.refused() {
            Some(why) => Err(CommandError::Refused(why.to_owned())),
            None => Ok(self.machine.explain().to_owned()),
        };
        // Nobody waits any more when the operator's console is gone.
        let _ = answer.send(said);
    }

    fn log_done(&mut self, id: ActionId, result: &Result<Done, ActionError>) {
        let Some((node, action, begun)) = self.begun.remove(&id) else { return };
        let took = begun.elapsed();
        match result {
            Ok(_) => tracing::debug!(order = id.0, %node, ?took, ?action, "done"),
            Err(error) => tracing::warn!(order = id.0, %node, ?took, ?action, %error, "not done"),
        }
    }

    /// What was changed for as long as we watch is put back, and a failover under way comes to its end, if that is soon.
    async fn let_go(&mut self) {
        let limit = Instant::now() + RELEASE_LIMIT;
        self.take(Event::LettingGo);
        while !self.machine.has_let_go() {
            if Instant::now() >= limit {
                tracing::warn!("not everything could be put back in time; the next Howdah does it");
                return;
            }
            let wake = self.machine.poll_timeout().map(|at| Instant::from_std(self.shared.clock.instant(at)));
            tokio::select! {
                Some(event) = self.events.recv() => self.take(event),
                () = tokio::time::sleep_until(wake.map_or(limit, |at| at.min(limit))) => self.take(Event::Tick),
            }
        }
    }

    /// Ends the control sessions, which gives the votes back.
    async fn end(mut self) {
        drop(self.executor);
        self.events.close();
        self.tasks.abort_all();
        let ended = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(SHUTDOWN_LIMIT, ended).await.is_err() {
            tracing::warn!("a control session did not end in time");
        }
    }
}

async fn sleep_or_never(until: Option<Instant>) {
    match until {
        Some(until) => tokio::time::sleep_until(until).await,
        None => std::future::pending().await,
    }
}

/// The machine's view of the settings.
pub(crate) fn spec(config: &ControllerConfig) -> ClusterSpec {
    let nodes = config
        .nodes
        .iter()
        .map(|node| NodeSpec {
            name: node.name.clone(),
            application_name: node.application_name.clone().unwrap_or_else(|| node.name.clone()),
            named: node.application_name.is_some(),
            host: node.host.clone(),
            port: node.port,
            priority: node.priority,
            weight: node.weight,
            nofailover: node.nofailover,
            cascade: node.cascade,
        })
        .collect();
    ClusterSpec {
        name: config.cluster.clone(),
        mode: config.mode,
        pooler: format!("{:016x}", rand::random::<u64>()),
        nodes,
        on_last_node: if config.degrade_on_last_node { OnLastNode::Degrade } else { OnLastNode::Block },
        sync_standbys: config.sync_standbys,
        bootstrap: config.bootstrap,
        limits: Limits {
            probe_interval: config.probe_interval,
            suspect_interval: SUSPECT_INTERVAL,
            probe_timeout: config.probe_timeout,
            restart_grace: config.restart_grace,
            action_timeout: config.action_timeout,
            primary_lease: config.primary_lease,
            member_timeout: config.member_timeout,
            max_failovers_per_hour: config.max_failovers_per_hour,
            max_failover_lag: config.max_lost_bytes,
            ..Limits::default()
        },
    }
}
