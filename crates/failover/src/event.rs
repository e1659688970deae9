//! What the machine is told. Read next: [`crate::action`] (what it asks for).

use howdah_topology::{Lsn, NodeId, Time};

use crate::action::{ActionError, ActionId, Done};
use crate::advice::Advice;
use crate::sample::Sample;
use crate::spec::ClusterSpec;

/// By which connection a probe goes. Both are tried: a hung postmaster fails only the fresh one, a hung backend
/// only the standing one (FAILOVER_PROTOCOL.md §3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Path {
    /// The control session that stands open.
    Standing,
    /// A connection opened for this probe, and closed after it.
    Fresh,
}

/// Why a probe has no sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProbeFailure {
    /// The connection was refused (ECONNREFUSED, or no socket file): no postmaster listens.
    Refused,
    /// The connection ended (EOF, RST) without an error message.
    Eof,
    /// No answer within `probe_timeout`, or no route.
    Silent,
    /// SQLSTATE 57P03, or 57P01/57P02 on a standing connection: the postmaster lives and starts or stops.
    StartingOrStopping,
    /// Any other answer that is none (too many connections, wrong password …): it lives, and the operator has
    /// something to mend.
    Rejected,
}

/// What the data path saw of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Report {
    /// A connection was refused.
    Refused,
    /// A connection ended (EOF, RST).
    Eof,
    /// A connect or a login got no answer in time.
    Silent,
    /// A write outside a read-only transaction was refused with 25006, or `in_hot_standby` turned on. No
    /// evidence by itself: it causes one probe.
    ReadOnly,
}

/// What an operator may command (console, HTTP).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// `FAILOVER cluster [TO node]`: promote though the primary answers or the evidence is weak. Votes and fence
    /// are taken all the same.
    Failover {
        /// The node to promote; `None`: the machine elects.
        to: Option<NodeId>,
    },
    /// `SWITCHOVER cluster [TO node] [FORCE]`: the planned change. Work is held, the primary drained and stopped cleanly by
    /// its supervisor, then another is promoted. What does not succeed in its time is put back.
    Switchover {
        /// The node to promote; `None`: the machine elects.
        to: Option<NodeId>,
        /// Go on where no supervisor answers, and where transactions do not end in time.
        force: bool,
    },
    /// Maintenance mode: no automatic failover while on.
    Maintenance(bool),
    /// After a halt: look anew.
    Resume,
}

/// What the machine is told. Everything that it does follows from these and from time passing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A [`crate::action::Action::Probe`] was answered.
    ProbeAnswered {
        /// The order's id.
        id: ActionId,
        /// When the question was sent: the sample is of a moment after it.
        sent: Time,
        /// What it read.
        sample: Box<Sample>,
    },
    /// A [`crate::action::Action::Probe`] was not answered with a sample.
    ProbeFailed {
        /// The order's id.
        id: ActionId,
        /// When the question was sent.
        sent: Time,
        /// Why.
        failure: ProbeFailure,
    },
    /// Positions read between probes, for freshness (DESIGN.md §6) and for what a promotion would lose: after a write the
    /// controller samples the primary and then its replicas without waiting for the next probe.
    Moved {
        /// The node.
        node: NodeId,
        /// When the question was sent.
        sent: Time,
        /// Its timeline, as in [`Sample::timeline`].
        timeline: u32,
        /// Out of recovery: the insert position.
        inserted: Option<Lsn>,
        /// Out of recovery: the flush position.
        flushed: Option<Lsn>,
        /// In recovery: the replayed position.
        replayed: Option<Lsn>,
    },
    /// The data path could not use a node.
    NodeReported {
        /// The node.
        node: NodeId,
        /// What it saw.
        report: Report,
    },
    /// Another manager of this cluster was asked (`failover = follow` with Patroni).
    Advised {
        /// What it says of each node, in the order of the nodes; `None`: it does not know the node. Empty: there is no
        /// such manager any more.
        advice: Vec<Option<Advice>>,
    },
    /// An order other than a probe was carried out, or not.
    ActionDone {
        /// The order's id.
        id: ActionId,
        /// What came of it.
        result: Result<Done, ActionError>,
    },
    /// The operator's command.
    Operator(Command),
    /// The settings were changed (RELOAD). Who promotes, what happens to the last standby, times, bounds, and each node's
    /// priority, weight and bars are taken over, and everything that is known stays; a failover or a change under way
    /// comes to its end by the old ones first. With other nodes than before nothing is taken over.
    Reconfigured {
        /// As they are now.
        spec: Box<ClusterSpec>,
    },
    /// This Howdah is about to end: what it has changed for as long as it watches is put back
    /// ([`crate::Machine::has_let_go`]).
    LettingGo,
    /// Only time has passed.
    Tick,
}
