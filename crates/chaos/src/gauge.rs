//! The longest time that something did not happen.

use std::time::{Duration, Instant};

/// Measures the longest time between two beats since it was reset.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Gauge {
    last: Instant,
    longest: Duration,
    beats: u64,
}

impl Gauge {
    pub(crate) fn new() -> Self {
        Self { last: Instant::now(), longest: Duration::ZERO, beats: 0 }
    }

    /// It happened.
    pub(crate) fn beat(&mut self) {
        let now = Instant::now();
        self.longest = self.longest.max(now - self.last);
        self.last = now;
        self.beats += 1;
    }

    /// Forgets the longest gap and what was before this moment.
    pub(crate) fn reset(&mut self) {
        self.last = Instant::now();
        self.longest = Duration::ZERO;
    }

    /// The longest gap since the reset; one that is still open counts.
    pub(crate) fn longest(&self) -> Duration {
        self.longest.max(self.last.elapsed())
    }

    /// How often it happened, ever.
    pub(crate) fn beats(&self) -> u64 {
        self.beats
    }
}
