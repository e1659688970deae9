//! Is the primary dead? What the probes of it and the receivers of its standbys say together (FAILOVER_PROTOCOL.md §3).
//! Read next: [`crate::rows`], which acts on it.

use howdah_topology::{NodeId, Time};

use crate::event::ProbeFailure;
use crate::facts::{Facts, NodeFacts};
use crate::sample::Receiver;
use crate::spec::{ClusterSpec, Limits};

/// What the evidence says, with a sentence each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Evidence {
    /// It lives, or may well: not to be acted on.
    Alive(String),
    /// Not enough yet.
    Wanting(String),
    /// It is dead or cut off.
    Dead(String),
}

/// How one silent node looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Look {
    /// Its postmaster lives and gets its time to start or stop.
    Grace,
    /// Not asked or not failed on both paths yet.
    Unsure,
    /// Nothing but silence, and often enough.
    Silent,
    /// Its connections ended and nobody takes new ones.
    Gone,
}

/// Judges the primary, or, where none is known, all nodes that do not answer.
pub(crate) fn judge(
    facts: &Facts,
    spec: &ClusterSpec,
    primary: Option<NodeId>,
    since: Time,
    now: Time,
) -> Evidence {
    let suspects: Vec<NodeId> = facts
        .iter()
        .filter(|(id, f)| primary.map_or_else(|| !f.answers_since(since), |p| p == *id))
        .map(|(id, _)| id)
        .collect();
    let look =
        suspects.iter().filter_map(|id| facts.node(*id)).map(|f| look(f, since, now, &spec.limits)).min();
    let who = name(spec, primary);
    if primary.and_then(|p| facts.node(p)).is_some_and(|f| demoted(f, since)) {
        return Evidence::Dead(format!("{who} is a standby now"));
    }
    let receivers = receivers(facts, spec, primary, since);
    match look {
        Some(Look::Grace) => {
            Evidence::Wanting(format!("{who} is starting or stopping and gets restart_grace"))
        }
        Some(Look::Unsure) => Evidence::Wanting(format!("{who} has not failed both kinds of probe yet")),
        Some(Look::Gone) | None if receivers == Receivers::Gone => {
            Evidence::Dead(format!("{who} takes no connections and no standby receives from it"))
        }
        _ => match deaf(facts, spec, primary, since).filter(|_| receivers == Receivers::Some) {
            Some(standby) => Evidence::Wanting(format!(
                "{who} is silent, and the receiver of {} asks it too seldom yet to say more",
                name(spec, Some(standby))
            )),
            None => by_silence(facts, spec, &who, quiet_since(facts, primary, since, &spec.limits), now),
        },
    }
}

/// Since when the primary is silent: since its last answer, at most one `probe_timeout` before the suspicion, which
/// began when a question of then was not answered.
fn quiet_since(facts: &Facts, primary: Option<NodeId>, since: Time, limits: &Limits) -> Time {
    let answered = primary.and_then(|p| facts.node(p)).map_or(since, |f| f.answered);
    answered.max(since - limits.probe_timeout).min(since)
}

/// Silence: long enough, and no receiver has heard anything for as long.
fn by_silence(facts: &Facts, spec: &ClusterSpec, who: &str, quiet_since: Time, now: Time) -> Evidence {
    let silence = spec.limits.silence;
    let heard = facts.iter().filter_map(|(id, f)| f.life.map(|at| (at, id))).max();
    if let Some((at, id)) = heard
        && now.since(at) < silence
    {
        let standby = name(spec, Some(id));
        return Evidence::Alive(format!("{who} does not answer, but {standby} still hears from it"));
    }
    if now.since(quiet_since) < silence {
        return Evidence::Wanting(format!("{who} is silent, and not for long enough"));
    }
    Evidence::Dead(format!("{who} is silent and no standby hears from it"))
}

/// How one node looks since the suspicion began.
fn look(f: &NodeFacts, since: Time, now: Time, limits: &Limits) -> Look {
    if f.starting.is_some_and(|at| now.since(at) < limits.restart_grace) {
        return Look::Grace;
    }
    let (Some(standing), Some(fresh)) = (f.standing.failing_since(since), f.fresh.failing_since(since))
    else {
        return Look::Unsure;
    };
    let ended = |x| matches!(x, ProbeFailure::Eof | ProbeFailure::Refused);
    match (standing, fresh) {
        (ProbeFailure::Rejected, _) | (_, ProbeFailure::Rejected) => Look::Unsure,
        // A machine that goes answers the fresh connect with silence, and the standing one has ended.
        (standing, fresh) if ended(standing) && (ended(fresh) || fresh == ProbeFailure::Silent) => Look::Gone,
        (ProbeFailure::StartingOrStopping, ProbeFailure::Refused) => Look::Gone,
        _ if f.standing.fails.min(f.fresh.fails) >= limits.silent_probes => Look::Silent,
        _ => Look::Unsure,
    }
}

/// The receivers of all standbys that answer, together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Receivers {
    /// None receives from the suspect.
    Gone,
    /// At least one may.
    Some,
}

fn receivers(facts: &Facts, spec: &ClusterSpec, primary: Option<NodeId>, since: Time) -> Receivers {
    let receives = |f: &NodeFacts| {
        let receiver = f.sample.as_ref().and_then(|s| s.receiver.as_ref());
        f.answers_since(since) && receiver.is_some_and(|r| may_be_from(spec, primary, r))
    };
    if facts.iter().any(|(_, f)| receives(f)) { Receivers::Some } else { Receivers::Gone }
}

/// A standby that receives from the suspect, where no receiver has got its times from Howdah yet: with PostgreSQL's own it
/// asks an idle primary after half a minute only, so that it has heard nothing means nothing.
fn deaf(facts: &Facts, spec: &ClusterSpec, primary: Option<NodeId>, since: Time) -> Option<NodeId> {
    let untuned = |f: &NodeFacts| {
        let sample = f.sample.as_ref().filter(|s| f.answers_since(since) && !s.tuned);
        sample.and_then(|s| s.receiver.as_ref()).is_some_and(|r| may_be_from(spec, primary, r))
    };
    let tuned =
        |f: &NodeFacts| f.answers_since(since) && f.sample.as_ref().is_some_and(|s| s.in_recovery && s.tuned);
    let nobody = !facts.iter().any(|(_, f)| tuned(f));
    facts.iter().find(|(_, f)| nobody && untuned(f)).map(|(id, _)| id)
}

/// Whether the receiver may stream from the suspect: unless it is clearly another node's address, it may.
fn may_be_from(spec: &ClusterSpec, primary: Option<NodeId>, receiver: &Receiver) -> bool {
    let sender =
        spec.nodes.iter().position(|n| n.host == receiver.sender_host && n.port == receiver.sender_port);
    match (sender, primary) {
        (Some(at), Some(p)) => at == usize::from(p.0),
        _ => true,
    }
}

/// Whether the former primary answers as a standby.
fn demoted(f: &NodeFacts, since: Time) -> bool {
    f.answers_since(since) && f.sample.as_ref().is_some_and(|s| s.in_recovery)
}

/// What to call it in a sentence.
pub(crate) fn name(spec: &ClusterSpec, node: Option<NodeId>) -> String {
    let found = node.and_then(|id| spec.nodes.get(usize::from(id.0)));
    found.map_or_else(|| "the primary".to_owned(), |n| n.name.clone())
}
