//! What a scenario may expect: of what poolers publish, of what servers are, of what clients hear. Read next:
//! `play.rs`.

use howdah_failover::State;
use howdah_topology::{FailoverOutcome, ReplicaLimits};

use super::words::{Read, Words, Wrong};
use crate::world::World;

/// Something that is or is not so.
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    /// The opposite.
    Not(Box<Condition>),
    /// A pooler publishes this node as the primary and its gate is open.
    Promoted(usize, usize),
    /// So many promotions since the beginning.
    Promotions(u64),
    /// A pooler hands out a primary.
    Open(usize),
    /// A pooler's machine is in this state.
    In(usize, State),
    /// A pooler's machine has been in this state.
    Visited(usize, State),
    /// A write through this pooler was acknowledged in the last so many milliseconds.
    Writes(usize, u64),
    /// A node is marked by a fence.
    Fenced(usize),
    /// A node streams from another.
    Streams(usize, usize),
    /// The list of names in force, as a pooler's machine publishes it on a node, has so many.
    Names(usize, u64),
    /// A node's name is in the list that another uses.
    Named(usize, usize),
    /// A node is in recovery.
    Standby(usize),
    /// A node runs.
    Runs(usize),
    /// A node's disposition against writes of its own.
    ReadOnly(usize),
    /// A pooler would send reads to this node.
    Routed(usize, usize),
    /// A pooler's last failover was called off.
    CalledOff(usize),
    /// A pooler's vote on a node is held by that pooler.
    Votes(usize, usize),
    /// A pooler's last decision has this text in its sentence.
    Says(usize, String),
}

/// Reads one.
///
/// # Errors
/// The words are no such thing.
pub fn read(words: &mut Words) -> Read<Condition> {
    let first = words.word("a condition")?;
    if first.text == "no" || first.text == "not" {
        return Ok(Condition::Not(Box::new(read(words)?)));
    }
    if let Some(condition) = of_pooler(&first.text, words)? {
        return Ok(condition);
    }
    let condition = match first.text.as_str() {
        "promotion" => Condition::Not(Box::new(Condition::Promotions(0))),
        "promotions" => Condition::Promotions(words.number()?),
        "fenced" => Condition::Fenced(words.node()?),
        "streams" => {
            let node = words.node()?;
            words.take("from");
            Condition::Streams(node, words.node()?)
        }
        "names" => Condition::Names(words.node()?, words.number()?),
        "named" => {
            let node = words.node()?;
            words.take("by");
            Condition::Named(node, words.node()?)
        }
        "standby" => Condition::Standby(words.node()?),
        "runs" => Condition::Runs(words.node()?),
        "read-only" => Condition::ReadOnly(words.node()?),
        other => {
            return Err(Wrong { column: first.column, what: format!("no condition is called {other:?}") });
        }
    };
    Ok(condition)
}

/// Conditions of one pooler, the first unless another is named.
fn of_pooler(word: &str, words: &mut Words) -> Read<Option<Condition>> {
    let pooler = words.clone().pooler_or_first();
    let condition = match word {
        "promoted" | "routed" => {
            let node = words.node()?;
            let pooler = if words.take("on") { words.pooler()? } else { 0 };
            let promoted = word == "promoted";
            return Ok(Some(if promoted {
                Condition::Promoted(node, pooler)
            } else {
                Condition::Routed(node, pooler)
            }));
        }
        "open" => Condition::Open(pooler),
        "in" | "visited" | "votes" | "writes" | "says" => {
            words.pooler_or_first();
            return of_pooler_and(word, pooler, words).map(Some);
        }
        "called-off" => Condition::CalledOff(pooler),
        "halted" => Condition::In(pooler, State::Halted),
        _ => return Ok(None),
    };
    words.pooler_or_first();
    Ok(Some(condition))
}

fn of_pooler_and(word: &str, pooler: usize, words: &mut Words) -> Read<Condition> {
    Ok(match word {
        "in" => Condition::In(pooler, words.state()?),
        "visited" => Condition::Visited(pooler, words.state()?),
        "votes" => Condition::Votes(pooler, words.node()?),
        "says" => Condition::Says(pooler, words.word("a word of a sentence")?.text),
        _ => Condition::Writes(pooler, 200),
    })
}

impl World {
    /// Whether it is so.
    #[must_use]
    pub fn is_so(&self, condition: &Condition) -> bool {
        let pg = |n: usize| self.nodes.get(n);
        match condition {
            Condition::Not(inner) => !self.is_so(inner),
            Condition::Promotions(count) => u64::from(self.oracle.promotions) == *count,
            Condition::Fenced(n) => pg(*n).is_some_and(|p| p.fence.is_some()),
            Condition::Streams(n, from) => {
                let receiver = pg(*n).and_then(|p| p.receiver.as_ref());
                receiver.is_some_and(|r| r.sender == *from && !r.lying)
            }
            Condition::Names(n, count) => pg(*n).is_some_and(|p| p.sync_names.names.len() as u64 == *count),
            Condition::Named(name, n) => {
                let name = self.hosts.get(*name).map(|h| h.application_name.clone()).unwrap_or_default();
                pg(*n).is_some_and(|p| p.sync_names.contains(&name))
            }
            Condition::Standby(n) => pg(*n).is_some_and(|p| p.in_recovery),
            Condition::Runs(n) => self.runs(*n),
            Condition::ReadOnly(n) => pg(*n).is_some_and(|p| p.read_only),
            of_pooler => self.pooler_is_so(of_pooler),
        }
    }

    fn pooler_is_so(&self, condition: &Condition) -> bool {
        let now = self.time();
        let pooler = |p: &usize| self.poolers.get(*p);
        let last = |p: &usize| pooler(p).and_then(|p| p.machine.failovers().last());
        match condition {
            Condition::Promoted(n, p) => pooler(p).is_some_and(|p| {
                p.topology.writable_primary(now).is_some_and(|found| usize::from(found.id.0) == *n)
            }),
            Condition::Open(p) => pooler(p).is_some_and(|p| p.topology.writable_primary(now).is_some()),
            Condition::In(p, state) => pooler(p).is_some_and(|p| p.machine.state() == *state),
            Condition::Visited(p, state) => pooler(p).is_some_and(|p| p.visited.contains(state)),
            Condition::Writes(p, ms) => {
                let last = self.oracle.last_acknowledged.get(p).copied();
                last.is_some_and(|at| at + ms * 1_000 > self.now)
            }
            Condition::Routed(n, p) => pooler(p).is_some_and(|p| {
                let mut replicas = p.topology.routable_replicas(now, ReplicaLimits::default());
                replicas.any(|found| usize::from(found.id.0) == *n)
            }),
            Condition::CalledOff(p) => {
                last(p).is_some_and(|r| matches!(r.outcome, FailoverOutcome::CalledOff(_)))
            }
            Condition::Votes(p, n) => self.nodes.get(*n).is_some_and(|pg| {
                let holder = pg.vote.and_then(|session| pg.sessions.get(&session));
                holder.is_some_and(|s| s.pooler == *p)
            }),
            Condition::Says(p, text) => {
                pooler(p).is_some_and(|p| p.machine.explain().contains(text.as_str()))
            }
            _ => false,
        }
    }
}
