//! The network: who reaches whom, how long it takes, what gets lost. Read next: [`crate::world`].

use rand::Rng;
use rand::rngs::SmallRng;

/// One end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Peer {
    /// A Howdah.
    Pooler(usize),
    /// A node by its place in the list.
    Node(usize),
}

impl Peer {
    /// Whether it is a Howdah.
    #[must_use]
    pub fn is_pooler(self) -> bool {
        matches!(self, Peer::Pooler(_))
    }
}

/// The network.
#[derive(Debug, Clone)]
pub struct Net {
    poolers: usize,
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
    /// A whole network of `poolers` Howdahs and `nodes` nodes.
    #[must_use]
    pub fn new(poolers: usize, nodes: usize, delay: u64) -> Net {
        let size = poolers + nodes;
        Net { poolers, size, cuts: vec![0; size * size], delay, loss: 0, flap: None }
    }

    fn at(&self, from: Peer, to: Peer) -> usize {
        let place = |peer| match peer {
            Peer::Pooler(p) => p,
            Peer::Node(n) => self.poolers + n,
        };
        place(from) * self.size + place(to)
    }

    /// Everyone, poolers first.
    pub fn peers(&self) -> impl Iterator<Item = Peer> + use<> {
        let nodes = self.size - self.poolers;
        (0..self.poolers).map(Peer::Pooler).chain((0..nodes).map(Peer::Node))
    }

    /// Cuts one direction, or ends one cut of it.
    pub fn cut(&mut self, from: Peer, to: Peer, on: bool) {
        let at = self.at(from, to);
        if let Some(c) = self.cuts.get_mut(at) {
            *c = if on { *c + 1 } else { c.saturating_sub(1) };
        }
    }

    /// Whether a message would arrive.
    #[must_use]
    pub fn reaches(&self, from: Peer, to: Peer) -> bool {
        self.cuts.get(self.at(from, to)).is_some_and(|c| *c == 0)
    }

    /// Everyone reaches everyone, and nothing gets lost.
    pub fn mend(&mut self) {
        self.cuts.fill(0);
        self.loss = 0;
        self.flap = None;
    }

    /// How long a message takes, microseconds; `None`: it is lost.
    pub fn send(&self, rng: &mut SmallRng, from: Peer, to: Peer) -> Option<u64> {
        let pooler = from.is_pooler() || to.is_pooler();
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
