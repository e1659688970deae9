//! Who votes, how many votes are needed, and who follows a primary (FAILOVER_PROTOCOL.md §§4, 7). Read next:
//! [`crate::guards`].

use howdah_topology::{NodeId, Time};

use crate::facts::{Facts, NodeFacts};
use crate::members::SyncNames;
use crate::quorum;
use crate::sample::Sample;
use crate::spec::ClusterSpec;

/// Who votes and how many votes are needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Electorate {
    /// Nodes that have a vote, in the order of the node list.
    pub(crate) voters: Vec<NodeId>,
    /// How many names there are: the voters, and names that belong to no node.
    pub(crate) total: usize,
    /// Votes needed for a promotion.
    pub(crate) quorum: usize,
    /// Commits wait for nobody: the votes are counted over all nodes.
    pub(crate) asynchronous: bool,
}

/// The electorate by the newest list of names seen; `None` when that is not known.
pub(crate) fn electorate(facts: &Facts, spec: &ClusterSpec) -> Option<Electorate> {
    electorate_of(facts, spec, facts.members.as_ref().map(|m| &m.sync))
}

/// The electorate by this list of names.
pub(crate) fn electorate_of(
    facts: &Facts,
    spec: &ClusterSpec,
    names: Option<&SyncNames>,
) -> Option<Electorate> {
    if names.is_some_and(SyncNames::is_async) || (names.is_none() && facts.seen_async) {
        return Some(over_all(spec));
    }
    let names = names?;
    if names.is_nobody() {
        // Every commit waits, and nobody can be promoted until a standby is named.
        return Some(Electorate { voters: Vec::new(), total: 0, quorum: 1, asynchronous: false });
    }
    let quorum = quorum::of_names(names)?;
    let voters =
        spec.by_id().filter(|(_, n)| !n.cascade && names.contains(&n.application_name)).map(|(id, _)| id);
    Some(Electorate { voters: voters.collect(), total: names.names.len(), quorum, asynchronous: false })
}

/// The moment as of which enough nodes are known to follow `primary`, or to know of no newer epoch, that nobody can
/// have promoted another before it (FAILOVER_PROTOCOL.md §7). `None`: not enough.
///
/// Enough is what meets every set of voters that could promote. A node that carries a fence record does not count unless
/// it streams: someone may be about to promote it, or, where it is the primary, to leave it. While the primary's own list
/// of names is not the newest, it takes enough of both: the newest may have been made under a successor, which was elected
/// by the primary's.
pub(crate) fn followed_as_of(facts: &Facts, spec: &ClusterSpec, primary: NodeId) -> Option<Time> {
    let node = facts.node(primary)?;
    let sample = node.live()?;
    let newest = electorate(facts, spec).unwrap_or_else(|| over_all(spec));
    let newest = enough_as_of(facts, spec, &newest, (node, sample))?;
    let own = sample.members.as_ref().filter(|own| facts.members.as_ref() != Some(*own));
    match own.and_then(|own| electorate_of(facts, spec, Some(&own.sync))) {
        Some(own) => enough_as_of(facts, spec, &own, (node, sample)).map(|own| own.min(newest)),
        None => Some(newest),
    }
}

/// The same, by the list of one electorate.
fn enough_as_of(
    facts: &Facts,
    spec: &ClusterSpec,
    electorate: &Electorate,
    (node, sample): (&NodeFacts, &Sample),
) -> Option<Time> {
    let need = quorum::meeting(electorate.total, electorate.quorum);
    let voter_as_of = |voter: &NodeId| match facts.node(*voter) {
        Some(own) if std::ptr::eq(own, node) => own_vote_as_of(facts, electorate, (*voter, sample)),
        _ => as_of(facts, spec, *voter, (node, sample)),
    };
    let mut times: Vec<Time> = electorate.voters.iter().filter_map(voter_as_of).collect();
    times.sort_unstable();
    let Some(last) = need.checked_sub(1) else { return Some(node.sampled) };
    times.iter().rev().nth(last).map(|t| (*t).min(node.sampled))
}

/// All nodes but cascading ones: where commits wait for nobody, and while the names are not known.
fn over_all(spec: &ClusterSpec) -> Electorate {
    let voters: Vec<NodeId> = spec.by_id().filter(|(_, n)| !n.cascade).map(|(id, _)| id).collect();
    let total = voters.len();
    Electorate { voters, total, quorum: quorum::majority(total), asynchronous: true }
}

/// The primary's own vote, which it has in an asynchronous cluster, and by a list that still names it: it is no standby
/// to be promoted. Marked, it may have given that vote to a successor ([`crate::leave`]). A mark of an older timeline may
/// be that of its own promotion, still to be cleared, if nobody else can have been promoted by it: then every other voter
/// is seen to be a standby.
fn own_vote_as_of(facts: &Facts, electorate: &Electorate, primary: (NodeId, &Sample)) -> Option<Time> {
    let (id, sample) = primary;
    let sampled = facts.node(id)?.sampled;
    let Some(mark) = &sample.fence else { return Some(sampled) };
    let stands = |other: &NodeId| {
        let node = facts.node(*other)?;
        let standby = node.live().is_some_and(|s| s.in_recovery && s.timeline <= sample.timeline);
        standby.then_some(node.sampled)
    };
    let others = electorate.voters.iter().filter(|v| **v != id).map(stands);
    let seen: Option<Vec<Time>> = others.collect();
    seen.filter(|_| mark.timeline < sample.timeline).map(|times| times.into_iter().fold(sampled, Time::min))
}

/// When another voter than the primary was last known to follow, or to know of no newer epoch.
fn as_of(facts: &Facts, spec: &ClusterSpec, voter: NodeId, primary: (&NodeFacts, &Sample)) -> Option<Time> {
    let (primary, sample) = primary;
    let node = facts.node(voter)?;
    let name = &spec.nodes.get(usize::from(voter.0))?.application_name;
    let attached = primary.replies.get(name).and_then(|r| r.as_of);
    let knows_no_newer = node.live().is_some_and(|s| {
        s.in_recovery && s.fence.is_none() && s.system_id == sample.system_id && s.timeline <= sample.timeline
    });
    attached.max(knows_no_newer.then_some(node.sampled))
}
