//! The machine and its contract.
//!
//! Calls are of four kinds, as in a sans-IO protocol implementation:
//!
//! - **Getters** say what is: [`Machine::topology`], [`Machine::failovers`], [`Machine::explain`].
//! - **Events** go in: [`Machine::handle`], with the present moment. Time never goes back.
//! - **Effects** come out: after every `handle` poll, in this order and each until `None`:
//!   1. [`Machine::poll_topology`]: publish the snapshot *before* any order is carried out: a gate that the machine
//!      has closed must be closed when the fence begins;
//!   2. [`Machine::poll_order`]: begin to carry each order out, all at the same time, in the order given on one
//!      node's control session; report each by an event;
//!   3. [`Machine::poll_timeout`]: if nothing happens before that moment, call `handle` with [`Event::Tick`].
//! - **Commands** are events too ([`crate::Command`]).
//!
//! A machine begins when `handle` is first called (a `Tick` will do): it then orders the first probes.
//!
//! Inside: events change the facts ([`crate::event`]), then the decision table is run until no row fires
//! ([`crate::rows`]), then the snapshot is built anew. Decisions rest on facts, never on the order of events, so a lost or
//! late answer can only delay them. Read next: [`crate::action`].

use std::collections::{BTreeSet, VecDeque};

use howdah_topology::{Epoch, FailoverRecord, NodeId, Time, Topology};

use crate::action::Order;
use crate::advice::Advice;
use crate::attempt::Attempt;
use crate::event::{Command, Event};
use crate::facts::Facts;
use crate::fault::Fault;
use crate::job::Job;
use crate::probing::Probing;
use crate::rng::Rng;
use crate::rows::{ROWS, Row, State};
use crate::sample::Sample;
use crate::spec::ClusterSpec;
use crate::tasks::Tasks;
use crate::view;

/// Rows taken for one event, at most. More is a loop in the table, and the machine stops.
const MAX_ROWS_PER_EVENT: usize = 64;

/// Failovers remembered for SHOW FAILOVERS.
pub(crate) const MAX_RECORDS: usize = 100;

/// The published primary.
#[derive(Debug, Clone)]
pub(crate) struct Reign {
    /// Who.
    pub(crate) node: NodeId,
    /// Its epoch.
    pub(crate) epoch: Epoch,
    /// Its newest sample out of recovery: what histories are compared with, also when it is dead.
    pub(crate) sample: Sample,
    /// When this machine published it while it held the votes and fences of a quorum: nobody else was promoted then.
    pub(crate) elected_at: Option<Time>,
}

/// The decision machine of one cluster.
#[derive(Debug)]
pub struct Machine {
    pub(crate) spec: ClusterSpec,
    pub(crate) rng: Rng,
    pub(crate) fault: Fault,
    pub(crate) now: Time,
    pub(crate) state: State,
    /// Since when it is in this state (rows that stay in a state do not count).
    pub(crate) entered: Time,
    pub(crate) facts: Facts,
    /// What another manager says of each node, where one is asked.
    pub(crate) advice: Vec<Option<Advice>>,
    pub(crate) probing: Probing,
    pub(crate) tasks: Tasks,
    pub(crate) reign: Option<Reign>,
    /// The newest epoch ever published; it never goes back.
    pub(crate) epoch: Option<Epoch>,
    /// Since when the primary is suspect, while it is.
    pub(crate) suspect_since: Option<Time>,
    pub(crate) attempt: Option<Attempt>,
    pub(crate) attempts: u64,
    /// Times of the promotions of the last hour that nobody had ordered.
    pub(crate) promotions: VecDeque<Time>,
    pub(crate) job: Option<Job>,
    /// Settings that are taken over when nothing is under way any more.
    pub(crate) reconfiguration: Option<Box<ClusterSpec>>,
    /// When the last change of settings ended: older answers do not show it.
    pub(crate) job_ended: Time,
    /// Since when none is published, while none is.
    pub(crate) leaderless: Time,
    /// When the published primary was published.
    pub(crate) enthroned: Time,
    /// No change of settings before this.
    pub(crate) next_job: Time,
    pub(crate) backoff_until: Time,
    pub(crate) maintenance: bool,
    /// Whether the cluster was found to have what `manage` demands.
    pub(crate) accepted: bool,
    /// Since when it lets go.
    pub(crate) leaving: Option<Time>,
    /// Nodes whose times were put back, or could not be.
    pub(crate) released: BTreeSet<NodeId>,
    pub(crate) command: Option<Command>,
    pub(crate) sentence: String,
    /// Why the last command was refused.
    pub(crate) refused: Option<String>,
    /// Since when the primary is seen dead and no failover can be begun.
    pub(crate) refusing: Option<Time>,
    /// That this is so of the present suspicion is in the records.
    pub(crate) refusal_told: bool,
    pub(crate) records: Vec<FailoverRecord>,
    topology: Topology,
    topology_new: bool,
}

impl Machine {
    /// A machine without memory: it takes no node for the primary until the rules of a cold start allow it.
    /// `seed` feeds the random waits between two votes; it should differ from pooler to pooler.
    #[must_use]
    pub fn new(spec: ClusterSpec, seed: u64, now: Time) -> Machine {
        Machine::with_fault(spec, seed, now, Fault::None)
    }

    /// A machine with a fault planted in its decisions, for the simulator's proof that it finds faults.
    #[must_use]
    pub fn with_fault(spec: ClusterSpec, seed: u64, now: Time, fault: Fault) -> Machine {
        let topology = Topology::unseen(&spec.name, spec.mode, view::unseen(&spec), now);
        Machine {
            facts: Facts::new(&spec),
            advice: Vec::new(),
            rng: Rng::new(seed),
            fault,
            now,
            state: State::Start,
            entered: now,
            probing: Probing::default(),
            tasks: Tasks::default(),
            reign: None,
            epoch: None,
            suspect_since: None,
            attempt: None,
            attempts: 0,
            promotions: VecDeque::new(),
            job: None,
            reconfiguration: None,
            job_ended: now,
            leaderless: now,
            enthroned: now,
            next_job: now,
            backoff_until: now,
            maintenance: false,
            accepted: false,
            leaving: None,
            released: BTreeSet::new(),
            command: None,
            sentence: "the nodes are asked for the first time".to_owned(),
            refused: None,
            refusing: None,
            refusal_told: false,
            records: Vec::new(),
            topology,
            topology_new: true,
            spec,
        }
    }

    /// The settings it was made with.
    #[must_use]
    pub fn spec(&self) -> &ClusterSpec {
        &self.spec
    }

    /// Takes one event at `now`.
    pub fn handle(&mut self, now: Time, event: Event) {
        self.now = self.now.max(now);
        self.take(event);
        self.expire_probes();
        self.tasks.expire(self.now);
        self.note_results();
        self.note_accepted();
        self.run();
        self.reconfigure();
        self.note_refusal();
        self.order_probes();
        let version = self.topology.version;
        let mut fresh = view::build(self, version);
        if fresh != self.topology {
            fresh.version += 1;
            self.topology = fresh;
            self.topology_new = true;
        }
    }

    /// The new snapshot, if anything in it has changed since the last call. To be published before the orders.
    pub fn poll_topology(&mut self) -> Option<Topology> {
        std::mem::take(&mut self.topology_new).then(|| self.topology.clone())
    }

    /// The next order to carry out.
    pub fn poll_order(&mut self) -> Option<Order> {
        self.tasks.out.pop_front()
    }

    /// When [`Event::Tick`] is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        // What is over is acted on by whatever comes next: a moment that has passed would be asked for again and again.
        let waits = self.state == State::BackOff && self.backoff_until > self.now;
        let backoff = waits.then_some(self.backoff_until);
        [self.probe_timer(), self.tasks.deadline(), backoff].into_iter().flatten().min()
    }

    /// The present snapshot.
    #[must_use]
    pub fn topology(&self) -> &Topology {
        &self.topology
    }

    /// The last failovers, oldest first, the running one included; at most 100.
    #[must_use]
    pub fn failovers(&self) -> &[FailoverRecord] {
        &self.records
    }

    /// What was decided last and why, one sentence.
    #[must_use]
    pub fn explain(&self) -> &str {
        &self.sentence
    }

    /// Why the last [`Event::Operator`] was refused, one sentence; `None` when it was taken. Taken does not mean
    /// begun: [`Machine::explain`] says what is going on.
    #[must_use]
    pub fn refused(&self) -> Option<&str> {
        self.refused.as_deref()
    }

    /// The state that it is in.
    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }

    /// Takes rows until none fires.
    fn run(&mut self) {
        for _ in 0..MAX_ROWS_PER_EVENT {
            let Some(row) = ROWS.iter().find(|r| r.from == self.state && self.fires(r)) else {
                return;
            };
            self.enter(row);
        }
        self.state = State::Halted;
        self.sentence = format!("halted: the decision table went round in {}", self.state.name());
    }

    /// Whether a row's guard holds, the planted fault included.
    fn fires(&self, row: &Row) -> bool {
        match self.fault {
            Fault::WithoutRow(name) if name == row.name => false,
            // A guard that is not asked still needs the state's orders to be answered, or it fires before they are sent.
            Fault::AlwaysRow(name) if name == row.name => self.tasks.idle(),
            _ => self.holds(row.guard),
        }
    }

    /// Takes one row.
    fn enter(&mut self, row: &'static Row) {
        if row.to != self.state {
            self.end_step();
            self.state = row.to;
            self.entered = self.now;
            self.sentence = self.say(row);
        }
        self.perform(row);
    }
}
