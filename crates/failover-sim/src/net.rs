//! The network: who reaches whom, how long it takes, what gets lost. Read next: [`crate::world`].

use rand::Rng;
use rand::rngs::SmallRng;

/// One end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Peer {
    /// The Howdah.
    Pooler,
    /// A node by its place in the list.
    Node(usize),
}

impl Peer {
    fn at(self) -> usize {
        match self {
            Peer::Pooler => 0,
            Peer::Node(n) => n + 1,
        }
    }
}

/// The network.
#[derive(Debug, Clone)]
pub struct Net {
    size: usize,
    /// How often each direction is cut: several faults may cut the same.
    cuts: Vec<u32>,
    /// The usual delay, microseconds.
    pub delay: u64,
    /// Messages between the pooler and nodes that get lost, of 1000.
    pub loss: u32,
    /// The same for one node only.
    pub flap: Option<(usize, u32)>,
}

impl Net {
    /// A whole network of `nodes` nodes and the pooler.
    #[must_use]
    pub fn new(nodes: usize, delay: u64) -> Net {
        let size = nodes + 1;
        Net { size, cuts: vec![0; size * size], delay, loss: 0, flap: None }
    }

    /// Cuts one direction, or ends one cut of it.
    pub fn cut(&mut self, from: Peer, to: Peer, on: bool) {
        if let Some(c) = self.cuts.get_mut(from.at() * self.size + to.at()) {
            *c = if on { *c + 1 } else { c.saturating_sub(1) };
        }
    }

    /// Whether a message would arrive.
    #[must_use]
    pub fn reaches(&self, from: Peer, to: Peer) -> bool {
        self.cuts.get(from.at() * self.size + to.at()).is_some_and(|c| *c == 0)
    }

    /// How long a message takes, microseconds; `None`: it is lost.
    pub fn send(&self, rng: &mut SmallRng, from: Peer, to: Peer) -> Option<u64> {
        let pooler = from == Peer::Pooler || to == Peer::Pooler;
        let flaps = |(node, loss)| (from == Peer::Node(node) || to == Peer::Node(node)).then_some(loss);
        let loss = self.flap.and_then(flaps).unwrap_or(self.loss);
        let lost = pooler && loss > 0 && rng.random_range(0..1000) < loss;
        if lost || !self.reaches(from, to) {
            return None;
        }
        // Now and then a message takes much longer than usual.
        let slow = if rng.random_range(0..200) == 0 { 40 } else { 1 };
        Some(self.delay / 2 + rng.random_range(0..=self.delay) * slow)
    }
}
