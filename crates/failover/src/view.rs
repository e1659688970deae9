//! The snapshot that the routers read, built from the facts. Read next: `howdah_topology`.

use howdah_topology::{Gate, Mode, Node, NodeId, NodeState, Role, SyncState, Time, Topology};

use crate::event::ProbeFailure;
use crate::facts::NodeFacts;
use crate::machine::Machine;
use crate::rows::State;
use crate::sample::{Sample, TimelineStart};
use crate::spec::{ClusterSpec, NodeSpec};
use crate::votes;

/// The nodes before the first probe.
pub(crate) fn unseen(spec: &ClusterSpec) -> Vec<Node> {
    spec.by_id().map(|(id, n)| empty(id, n)).collect()
}

fn empty(id: NodeId, spec: &NodeSpec) -> Node {
    Node {
        priority: spec.priority,
        weight: spec.weight,
        nofailover: spec.nofailover,
        ..Node::unseen(id, &spec.name, &spec.host, spec.port)
    }
}

/// The present snapshot, with the given version.
pub(crate) fn build(m: &Machine, version: u64) -> Topology {
    let nodes = m.spec.by_id().map(|(id, spec)| node(m, id, spec)).collect();
    Topology {
        version,
        cluster: m.spec.name.clone(),
        mode: m.spec.mode,
        epoch: m.epoch,
        history: history(m),
        nodes,
        primary: m.reign.as_ref().map(|r| r.node),
        gate: gate(m),
        lease_until: lease(m),
        maintenance: m.maintenance,
        decision: decision(m),
    }
}

/// The sentence of the last decision, and that `manage` is refused, while it is.
fn decision(m: &Machine) -> String {
    match m.unmet().filter(|_| m.attempt.is_none()) {
        Some(why) => format!("{}; {why}", m.sentence),
        None => m.sentence.clone(),
    }
}

/// Of the primary of the epoch, also when it is dead. Where its newest answer has none, what was known.
fn history(m: &Machine) -> Vec<TimelineStart> {
    match &m.reign {
        Some(reign) if Some(reign.epoch) == m.epoch && !reign.sample.history.is_empty() => {
            reign.sample.history.clone()
        }
        _ => m.topology().history.clone(),
    }
}

/// Held unless the primary is published and not suspect. The moment stays that of the first closed snapshot.
fn gate(m: &Machine) -> Gate {
    let Some(reason) = m.held_because() else { return Gate::Open };
    let since = match &m.topology().gate {
        Gate::Held { since, .. } => *since,
        Gate::Open => m.now,
    };
    Gate::Held { since, reason }
}

/// Until when the primary may be handed out (FAILOVER_PROTOCOL.md §7).
fn lease(m: &Machine) -> Option<Time> {
    let reign = m.reign.as_ref()?;
    if m.spec.mode != Mode::Manage || m.spec.nodes.len() == 1 || m.spec.bootstrap {
        return None;
    }
    let seen = votes::followed_as_of(&m.facts, &m.spec, reign.node).max(reign.elected_at);
    let seen = seen.map(|at| at + m.spec.limits.primary_lease);
    // A lease that was had stays until its end; without one it has ended already.
    let kept = m.topology().lease_until.filter(|_| m.topology().epoch == m.epoch);
    Some(seen.max(kept).unwrap_or(Time::ZERO))
}

fn node(m: &Machine, id: NodeId, spec: &NodeSpec) -> Node {
    let mut node = empty(id, spec);
    if let Some(facts) = m.facts.node(id) {
        seen(m, facts, spec, &mut node);
    }
    m.apply_advice(&mut node);
    node
}

/// What the node itself and the primary say.
fn seen(m: &Machine, facts: &NodeFacts, spec: &NodeSpec, node: &mut Node) {
    let id = node.id;
    node.state = state(m, id, facts);
    let Some(sample) = latest(m, id, facts) else {
        node.note = demands(m, id, facts);
        return;
    };
    node.role = if sample.in_recovery { Role::Replica } else { Role::Primary };
    node.timeline = Some(sample.timeline);
    node.insert_lsn = sample.inserted;
    node.received_lsn = sample.received;
    if sample.in_recovery {
        (node.replayed_lsn, node.asked_at) = (facts.replayed, Some(facts.replayed_asked));
    }
    node.latency = Some(facts.latency);
    node.seen_at = Some(facts.answered);
    node.sampled_at = Some(facts.sampled);
    replication(m, id, spec, node);
    node.note = note(m, id, sample, node.state);
    if node.note.is_empty() {
        node.note = demands(m, id, facts);
    }
}

/// What a node said last. Of the node that was just promoted that is what it said when it was found to be out of
/// recovery, until a probe says more: the probe before still shows a fenced standby.
fn latest<'a>(m: &'a Machine, id: NodeId, facts: &'a NodeFacts) -> Option<&'a Sample> {
    let reign = m.reign.as_ref().filter(|r| r.node == id && r.elected_at > Some(facts.answered));
    reign.map(|r| &r.sample).or(facts.sample.as_ref())
}

/// What the primary says of a standby, and how fresh it is.
fn replication(m: &Machine, id: NodeId, spec: &NodeSpec, node: &mut Node) {
    let Some(reign) = m.reign.as_ref().filter(|r| r.node != id) else { return };
    let row = reign.sample.replication.iter().find(|r| is_row_of(m, id, spec, &r.application_name));
    node.attached = row.is_some();
    node.sync = row.map_or(SyncState::None, |r| r.sync);
    node.prefix = node.role == Role::Replica && m.is_prefix(id) && m.follows(id);
    let Some(replayed) = node.replayed_lsn.filter(|_| node.prefix) else { return };
    node.lag_bytes = Some(m.facts.primary_reached.bytes_since(replayed));
    node.fresh_as_of = m.facts.freshness.fresh_as_of(replayed);
    node.lag_time = node.fresh_as_of.zip(node.seen_at).map(|(fresh, seen)| seen.since(fresh));
}

/// Whether the primary's row is the standby's. Where someone else manages, the names are his: a node that was the primary
/// when Howdah started has told no name by then, and its `primary_conninfo` has it later.
fn is_row_of(m: &Machine, id: NodeId, spec: &NodeSpec, name: &str) -> bool {
    let told = || m.facts.sample(id).and_then(|s| s.streams_as()).is_some_and(|own| own == name);
    name == spec.application_name || m.spec.mode != Mode::Manage && told()
}

fn state(m: &Machine, id: NodeId, facts: &NodeFacts) -> NodeState {
    if !facts.reachable() {
        return unreachable(m, facts);
    }
    let Some(sample) = latest(m, id, facts) else { return NodeState::Unknown };
    let primary = m.reign.as_ref().map(|r| r.node);
    let foreign = m.epoch.is_some_and(|e| e.system_id != sample.system_id);
    if foreign {
        return NodeState::Diverged;
    }
    if !sample.in_recovery {
        let out = m.epoch.is_some_and(|e| sample.timeline < e.timeline)
            || (primary.is_some() && primary != Some(id));
        return if out { NodeState::Returning } else { suspect_or_up(m, id) };
    }
    if m.reign.is_some() && !m.is_prefix(id) {
        return NodeState::Diverged;
    }
    if sample.fence.is_some() { NodeState::Fenced } else { NodeState::Up }
}

fn suspect_or_up(m: &Machine, id: NodeId) -> NodeState {
    let suspect = m.suspect_since.is_some() && m.reign.as_ref().is_some_and(|r| r.node == id);
    if suspect { NodeState::Suspect } else { NodeState::Up }
}

fn unreachable(m: &Machine, facts: &NodeFacts) -> NodeState {
    let last = [&facts.standing, &facts.fresh].iter().filter_map(|p| p.failed).max_by_key(|(at, _)| *at);
    match last.map(|(_, failure)| failure) {
        None => NodeState::Unknown,
        Some(ProbeFailure::StartingOrStopping) => NodeState::Starting,
        Some(ProbeFailure::Refused) => NodeState::Down,
        Some(_) if facts.standing.fails.max(facts.fresh.fails) >= m.spec.limits.silent_probes => {
            NodeState::Down
        }
        Some(_) => NodeState::Suspect,
    }
}

fn note(m: &Machine, id: NodeId, sample: &Sample, state: NodeState) -> String {
    match state {
        NodeState::Returning => {
            "a former primary of an older epoch: it must be rejoined as a standby".to_owned()
        }
        NodeState::Diverged => "its history is not a prefix of the primary's: it must be rejoined".to_owned(),
        NodeState::Fenced => "a failover keeps it from streaming".to_owned(),
        NodeState::Starting => "it starts or stops".to_owned(),
        NodeState::Up if sample.in_recovery && m.reign.is_some() && !m.follows(id) => {
            "it does not follow the present primary yet".to_owned()
        }
        NodeState::Up if sample.in_recovery && sample.replay_paused => "its replay is paused".to_owned(),
        NodeState::Up if m.state == State::Follow && hung(m, id) => {
            "it answers on standing connections and takes no new ones".to_owned()
        }
        _ => String::new(),
    }
}

/// What is lacking for `manage` on this node, or, on the primary, at all; else what an operator should know.
fn demands(m: &Machine, id: NodeId, facts: &NodeFacts) -> String {
    if m.spec.mode != Mode::Manage {
        return String::new();
    }
    let own = m.lack_of(id, facts).map(|lack| match m.accepted {
        true => lack,
        false => format!("failover = manage is refused: {lack}"),
    });
    let whole = || m.unmet().filter(|_| m.reign.as_ref().is_some_and(|r| r.node == id));
    let warning = || facts.sample.as_ref()?.checks.as_ref()?.warnings.first().cloned();
    own.or_else(whole).or_else(warning).unwrap_or_default()
}

/// A hung postmaster: the standing connection answers and a fresh one does not.
fn hung(m: &Machine, id: NodeId) -> bool {
    m.facts.node(id).is_some_and(|f| f.standing_answers() && f.fresh.fails >= m.spec.limits.silent_probes)
}
