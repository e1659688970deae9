//! Choosing one replica of several. The caller keeps the counters; here is only arithmetic. Read next:
//! [`crate::query`], which says who is in the choice.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use crate::{Node, NodeId};

/// `balance =`: how reads are spread over the replicas that may answer them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Balance {
    /// The one with the least work in relation to its weight; equals take turns.
    #[default]
    LeastLoaded,
    /// In turns, each as often as its weight.
    RoundRobin,
    /// By chance, each as likely as its weight.
    Random,
}

impl Balance {
    /// Chooses one of `replicas`. `ticket` is the next number of a counter (round robin, and ties of least
    /// loaded) or a random number (random); `load` is the work that a node has now (checkouts in use and waiting).
    #[must_use]
    pub fn pick<'a>(
        self,
        replicas: impl Iterator<Item = &'a Node> + Clone,
        ticket: u64,
        load: impl Fn(NodeId) -> u32,
    ) -> Option<NodeId> {
        match self {
            Balance::LeastLoaded => least_loaded(replicas, ticket, load),
            Balance::RoundRobin => by_share(replicas, ticket),
            // A multiplication by the golden ratio spreads a weak generator's low bits.
            Balance::Random => by_share(replicas, ticket.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 16),
        }
    }

    /// The word in the settings and in SHOW.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Balance::LeastLoaded => "least_loaded",
            Balance::RoundRobin => "round_robin",
            Balance::Random => "random",
        }
    }
}

impl fmt::Display for Balance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Balance {
    type Err = String;

    fn from_str(text: &str) -> Result<Balance, String> {
        match text {
            "least_loaded" => Ok(Balance::LeastLoaded),
            "round_robin" => Ok(Balance::RoundRobin),
            "random" => Ok(Balance::Random),
            other => Err(format!("balance is least_loaded, round_robin or random, not {other:?}")),
        }
    }
}

/// The node under whose share of the weights the ticket falls.
fn by_share<'a>(replicas: impl Iterator<Item = &'a Node> + Clone, ticket: u64) -> Option<NodeId> {
    let total: u64 = replicas.clone().map(|n| u64::from(n.weight)).sum();
    let mut rest = ticket.checked_rem(total)?;
    for node in replicas {
        let weight = u64::from(node.weight);
        if rest < weight {
            return Some(node.id);
        }
        rest -= weight;
    }
    None
}

/// The node with the least (load + 1) / weight, the one more being the read in question; among equals the
/// ticket decides.
fn least_loaded<'a>(
    replicas: impl Iterator<Item = &'a Node> + Clone,
    ticket: u64,
    load: impl Fn(NodeId) -> u32,
) -> Option<NodeId> {
    let usable = replicas.filter(|n| n.weight > 0);
    let cost = |n: &Node| (u64::from(load(n.id)) + 1, u64::from(n.weight));
    let less = |a: (u64, u64), b: (u64, u64)| a.0 * b.1 < b.0 * a.1;
    let best = usable.clone().map(cost).reduce(|a, b| if less(b, a) { b } else { a })?;
    let mut ties = usable.filter(|n| !less(best, cost(n)));
    let count = u64::try_from(ties.clone().count()).ok()?;
    let turn = usize::try_from(ticket.checked_rem(count)?).ok()?;
    ties.nth(turn).map(|n| n.id)
}
