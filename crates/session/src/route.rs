//! Which node a batch goes to: what the session remembers, what the entry allows, what the topology offers.
//!
//! The only place that answers "which node"; it decides over a snapshot and keeps no connection. DESIGN.md
//! sections 5 (routing) and 6 (reading your own writes).

use std::sync::Arc;
use std::time::Duration;

use howdah_classifier::{Context, Discard, Effects, RouteSetting};
use howdah_topology::{Balance, Lsn, Node, NodeId, ReplicaLimits, Time, Token, TokenFault, Topology};

use crate::causal::{Consistency, LastWrite, Seen};
use crate::guard::{Commit, Level};
use crate::read_after::{self, Refusal};
use crate::setting::{Changed, Setting};

/// Why a session waits that the primary has cut off.
const SILENT_SINCE: &str = "the primary has not answered since a connection to it was lost";

/// `target =` of a database entry, or `SET howdah.route`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RouteMode {
    /// By classification.
    Auto,
    /// Everything to the primary.
    Primary,
    /// Everything to a replica.
    Replica,
    /// Everything to a replica, and to the primary while there is none.
    PreferReplica,
}

/// `reads_without_replica =`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WithoutReplica {
    /// The primary answers.
    Primary,
    /// The read is refused.
    Fail,
}

/// How reads are spread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadPolicy {
    /// What a read must have seen.
    pub consistency: Consistency,
    /// How one of several replicas is chosen.
    pub balance: Balance,
    /// `max_replica_lag` in bytes.
    pub max_lag_bytes: Option<u64>,
    /// `max_replica_lag` as a time.
    pub max_lag_time: Option<Duration>,
    /// `causal_wait`: how long a read waits for a replica that is fresh enough.
    pub causal_wait: Duration,
    /// What becomes of a read when no replica is healthy.
    pub without_replica: WithoutReplica,
}

/// What a session of a cluster's entry remembers for its routing.
#[derive(Debug)]
pub struct Routing {
    entry: RouteMode,
    set: Option<RouteMode>,
    policy: ReadPolicy,
    pub(crate) context: Context,
    /// The session may own something that a replica does not see (DESIGN.md section 5).
    marked: bool,
    /// What its reads must not be older than.
    seen: Seen,
    /// What they have to be behind beside that.
    pub(crate) read_after: Setting<Token>,
    /// The client's own `client_min_messages` and `synchronous_commit`.
    pub(crate) level: Setting<Level>,
    pub(crate) commit: Setting<Commit>,
    /// The next batch sets that anew.
    exempt: bool,
    /// The next batch was refused by a replica.
    refused: bool,
    /// The primary that the session has lost a connection to, and when.
    lost: Option<(NodeId, Time)>,
}

impl Routing {
    /// The routing of a new session.
    pub fn new(entry: RouteMode, policy: ReadPolicy, context: Context) -> Self {
        Self {
            entry,
            set: None,
            policy,
            context,
            marked: false,
            seen: Seen::default(),
            read_after: Setting::default(),
            level: Setting::default(),
            commit: Setting::default(),
            exempt: false,
            refused: false,
            lost: None,
        }
    }

    /// The same in a database whose sessions' writes are kept together (`consistency = database`).
    #[must_use]
    pub fn with_database(mut self, database: Arc<LastWrite>) -> Self {
        self.set_database(database);
        self
    }

    pub(crate) fn set_database(&mut self, database: Arc<LastWrite>) {
        self.seen.set_database(database);
    }

    /// The policy of the entry.
    pub fn policy(&self) -> &ReadPolicy {
        &self.policy
    }

    /// The configuration was loaded anew.
    pub fn set_policy(&mut self, entry: RouteMode, policy: ReadPolicy) {
        self.entry = entry;
        self.policy = policy;
    }

    fn mode(&self) -> RouteMode {
        self.set.unwrap_or(self.entry)
    }

    /// Whether a batch must go to the primary; `by_text` is the classifier's answer.
    pub(crate) fn wants_primary(&self, by_text: bool) -> bool {
        match self.mode() {
            RouteMode::Primary => true,
            RouteMode::Replica => false,
            // What a replica refused has nowhere else to go.
            RouteMode::PreferReplica => self.refused,
            RouteMode::Auto => {
                by_text || self.marked || self.refused || self.policy.consistency == Consistency::Strong
            }
        }
    }

    /// The next batch takes `howdah.read_after` back or sets it anew, or not: then the present value cannot stop it.
    pub(crate) fn set_exempt(&mut self, effects: Effects) {
        let discards = matches!(effects.discard, Some(Discard::All | Discard::Parameters));
        self.exempt = discards || effects.sets_read_after();
    }

    /// What a text means for the session. Taken when it is planned or sent, before it has run: each mark only
    /// ever sends more to the primary, so being early or wrong about it is safe.
    pub(crate) fn apply(&mut self, effects: Effects) {
        self.marked |= effects.marks_session();
        if effects.sets_search_path() {
            self.context.search_path_untouched = false;
        }
        if effects.sets_string_syntax() {
            self.context.standard_conforming_strings = false;
        }
        match effects.sets_route {
            Some(RouteSetting::Primary) => self.set = Some(RouteMode::Primary),
            Some(RouteSetting::Replica) => self.set = Some(RouteMode::Replica),
            Some(RouteSetting::Auto) => self.set = None,
            Some(RouteSetting::Unknown) | None => {}
        }
    }

    /// Something ran that nobody has looked at.
    pub(crate) fn mark(&mut self) {
        self.marked = true;
        self.context.search_path_untouched = false;
        self.context.standard_conforming_strings = false;
    }

    /// Whether the session may own something that only its server has.
    pub(crate) fn is_marked(&self) -> bool {
        self.marked
    }

    /// The server has acknowledged `DISCARD ALL`. Not before: one that fails leaves everything as it was.
    pub(crate) fn discarded(&mut self) {
        self.marked = false;
        self.set = None;
        self.read_after.reset();
        self.level.reset();
        self.commit.reset();
        self.context = Context { utf8: self.context.utf8, ..Context::default() };
    }

    /// A statement has set something; `open` says that its transaction goes on.
    pub(crate) fn change(&mut self, changed: Changed, open: bool) {
        match changed {
            Changed::ReadAfter(change) => self.read_after.change(change, open),
            Changed::Level(change) => self.level.change(change, open),
            Changed::Commit(change) => self.commit.change(change, open),
        }
    }

    /// The transaction has ended, and with it what was set in it or for it.
    pub(crate) fn transaction_ended(&mut self, committed: bool) {
        self.read_after.ended(committed);
        self.level.ended(committed);
        self.commit.ended(committed);
    }

    /// Something ran on the primary and was acknowledged at `now`.
    /// `wrote` unless it is proven to have only read.
    pub(crate) fn touched_primary(&mut self, now: Time, wrote: bool) {
        self.seen.primary(now, wrote);
    }

    /// A replica was heard of at `now`.
    pub(crate) fn heard_replica(&mut self, now: Time) {
        if self.policy.consistency == Consistency::Monotonic {
            self.seen.replica(now);
        }
    }

    /// A read goes to this replica: a `monotonic` session stays there.
    pub(crate) fn settle(&mut self, node: NodeId) {
        if self.policy.consistency == Consistency::Monotonic {
            self.seen.settle(node);
        }
    }

    pub(crate) fn unsettle(&mut self) {
        self.seen.unsettle();
    }

    pub(crate) fn is_too_young(&mut self, since: Time) {
        self.seen.ask_after(since);
    }

    /// A replica refused the batch that comes next.
    pub(crate) fn refused_by_replica(&mut self) {
        self.refused = true;
    }

    /// A connection to the primary was lost.
    pub(crate) fn lost_primary(&mut self, node: NodeId, now: Time) {
        self.lost = Some((node, now));
    }

    /// Whether the session has lost a connection to this primary, which has not answered anybody since. Of a dying server
    /// some connections live longer than others: who has lost one is not sent to the next, to lose that too.
    fn mistrusts(&self, primary: &Node) -> bool {
        let silent = |at| primary.sampled_at.is_none_or(|asked| asked <= at);
        self.lost.is_some_and(|(node, at)| node == primary.id && silent(at))
    }

    /// Whether a batch that a replica could not answer may run again: once, and where nothing but replicas may
    /// serve only if another replica may do better.
    pub(crate) fn may_run_again(&self, elsewhere: bool) -> bool {
        !self.refused && (elsewhere || !self.replicas_only())
    }

    /// The batch that was refused is answered or given up.
    pub(crate) fn forgive(&mut self) {
        self.refused = false;
    }

    /// Whether nothing but replicas may serve this session.
    pub fn replicas_only(&self) -> bool {
        self.mode() == RouteMode::Replica
    }

    fn limits(&self, replayed: Option<Lsn>) -> ReplicaLimits {
        let fresh_after = self.seen.needs(self.policy.consistency);
        ReplicaLimits {
            max_lag_bytes: self.policy.max_lag_bytes,
            max_lag_time: self.policy.max_lag_time,
            fresh_after,
            replayed,
            asked_after: self.seen.asked_after().filter(|_| fresh_after.is_some() || replayed.is_some()),
        }
    }

    /// The position that the next batch has to be behind. Of one that goes to the primary only that it is one of its
    /// history: the primary has it then.
    fn position(&self, topology: &Topology) -> Result<Option<Lsn>, NoNode> {
        let token = self.read_after.value().filter(|_| !self.exempt);
        let position = token
            .map(|token| topology.position_after(&token).map_err(|fault| NoNode::ReadAfter { token, fault }));
        position.transpose()
    }
}

/// What the classifier knows of a new session: everything is as PostgreSQL has it by default.
pub fn context(utf8: bool) -> Context {
    Context { utf8, ..Context::default() }
}

/// Where to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chosen {
    /// To this replica. Where it has to be shown to be fresh, only by a connection that was there at this moment, when it
    /// was asked: what it said then may be of before a restart else ([`crate::Session::is_too_young`]).
    Replica(NodeId, Option<Time>),
    /// To the replica that has shown the session what it read last, though it is not proven to have that any more.
    /// Only by a connection that was there at this moment: one that outlived it proves that the replica has not
    /// restarted in between, and so has not gone back. Else [`crate::Session::unsettle`], and choose again.
    Stays(NodeId, Time),
    /// To the primary.
    Primary(NodeId),
}

/// Why there is nowhere to go at the moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoNode {
    /// No primary takes writes: wait at the gate.
    Gate {
        /// Why, one sentence.
        reason: String,
    },
    /// Replicas are there, but none is fresh enough yet; after `causal_wait` the primary answers.
    NotFresh,
    /// No healthy replica, and the entry wants no other.
    NoReplica,
    /// Nobody can be shown to be behind `howdah.read_after`.
    ReadAfter {
        /// The token.
        token: Token,
        /// Why not.
        fault: TokenFault,
    },
}

impl NoNode {
    /// Whether it may become otherwise by itself.
    pub fn may_pass(&self) -> bool {
        !matches!(self, NoNode::ReadAfter { fault, .. } if *fault != TokenFault::Ahead)
    }

    /// What the client is told when it was waited for in vain: SQLSTATE and sentence.
    pub fn words(&self) -> (&'static str, String) {
        match self {
            NoNode::Gate { reason } => ("57P03", format!("no primary takes writes: {reason}")),
            NoNode::NotFresh => ("57P03", "no replica is fresh enough".to_owned()),
            NoNode::NoReplica => ("57P03", "no replica is healthy".to_owned()),
            NoNode::ReadAfter { token, fault } => {
                let Refusal { code, message } = read_after::fault(token, *fault);
                (code, message)
            }
        }
    }
}

/// The moment at which a replica said what makes it fit for a read with these limits. One that has never been asked
/// proves nothing by any connection.
fn proof(topology: &Topology, node: NodeId, limits: ReplicaLimits) -> Option<Time> {
    let asked = topology.node(node).and_then(|node| node.asked_at).unwrap_or(Time::ZERO);
    (limits.fresh_after.is_some() || limits.replayed.is_some()).then_some(asked)
}

/// Chooses the node of a read. `waited` says that `causal_wait` is over.
///
/// # Errors
/// Nobody can answer now; [`NoNode`] says what to wait for.
pub fn choose(
    topology: &Topology,
    routing: &Routing,
    read: bool,
    at: Moment,
    load: impl Fn(NodeId) -> u32,
) -> Result<Chosen, NoNode> {
    let primary = || match topology.writable_primary(at.now) {
        Some(node) if routing.mistrusts(node) => Err(NoNode::Gate { reason: SILENT_SINCE.to_owned() }),
        Some(node) => Ok(Chosen::Primary(node.id)),
        None => Err(NoNode::Gate {
            reason: topology.held_reason(at.now).unwrap_or("no primary takes writes").to_owned(),
        }),
    };
    let position = routing.position(topology)?;
    if !read {
        return primary();
    }
    let limits = routing.limits(position);
    let fresh = topology.routable_replicas(at.now, limits);
    if let Some(stay) = routing.seen.stays(routing.policy.consistency) {
        if fresh.clone().any(|node| node.id == stay.node) {
            return Ok(Chosen::Replica(stay.node, proof(topology, stay.node, limits)));
        }
        let limits = ReplicaLimits { fresh_after: stay.fresh_after, ..limits };
        if topology.routable_replicas(at.now, limits).any(|node| node.id == stay.node) {
            let since = proof(topology, stay.node, limits).map_or(stay.since, |asked| asked.min(stay.since));
            return Ok(Chosen::Stays(stay.node, since));
        }
    }
    if let Some(node) = routing.policy.balance.pick(fresh, at.ticket, load) {
        return Ok(Chosen::Replica(node, proof(topology, node, limits)));
    }
    let any = topology.routable_replicas(at.now, ReplicaLimits::default()).next().is_some();
    if any && !at.waited && !routing.policy.causal_wait.is_zero() {
        return Err(NoNode::NotFresh);
    }
    if routing.replicas_only() || (!any && routing.policy.without_replica == WithoutReplica::Fail) {
        return Err(if any { NoNode::NotFresh } else { NoNode::NoReplica });
    }
    primary()
}

/// When and in which turn a node is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Now.
    pub now: Time,
    /// A counter's next number, or a random one (`balance`).
    pub ticket: u64,
    /// `causal_wait` is over.
    pub waited: bool,
}
