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
//!   3. [`Machine::poll_timeout`]: if nothing happens before that moment, call `handle` with [`crate::Event::Tick`].
//! - **Commands** are events too ([`crate::Command`]).
//!
//! Read next: [`crate::action`].

use howdah_topology::{FailoverRecord, Time, Topology};

use crate::action::Order;
use crate::event::Event;
use crate::spec::ClusterSpec;

/// The decision machine of one cluster.
#[derive(Debug)]
pub struct Machine {
    spec: ClusterSpec,
    topology: Topology,
    records: Vec<FailoverRecord>,
}

impl Machine {
    /// A machine without memory: it takes no node for the primary until the rules of a cold start allow it.
    /// `seed` feeds the random waits between two votes; it should differ from pooler to pooler.
    #[must_use]
    pub fn new(spec: ClusterSpec, seed: u64, now: Time) -> Machine {
        let _ = seed;
        let topology = Topology::unseen(&spec.name, spec.mode, Vec::new(), now);
        Machine { spec, topology, records: Vec::new() }
    }

    /// The settings it was made with.
    #[must_use]
    pub fn spec(&self) -> &ClusterSpec {
        &self.spec
    }

    /// Takes one event at `now`.
    pub fn handle(&mut self, _now: Time, _event: Event) {}

    /// The new snapshot, if anything in it has changed since the last call. To be published before the orders.
    pub fn poll_topology(&mut self) -> Option<Topology> {
        None
    }

    /// The next order to carry out.
    pub fn poll_order(&mut self) -> Option<Order> {
        None
    }

    /// When [`Event::Tick`] is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        None
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
        &self.topology.decision
    }
}
