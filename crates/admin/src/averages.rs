//! Averages over `stats_period`, with the time as an argument. Next: [`crate::rows::Totals`].
//!
//! PgBouncer compares the counters of now with those of the last-but-one tick, so that an average always spans
//! between one and two periods. Times are per event, everything else per second.

use crate::rows::{Averages, Totals};

/// The samples that one database's averages need. Two of them: a bounded history by construction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Averager {
    /// The last-but-one tick: when (µs of a monotonic clock) and what the counters were.
    older: (u64, Totals),
    /// The last tick.
    newer: (u64, Totals),
}

/// Before the first tick an average is taken over the time since the start, plus this much (µs), so that the
/// first query of a fresh process is not shown as millions a second. PgBouncer does the same.
const HEAD_START_US: u64 = 1_000_000;

/// The moment with the head start in front of it.
const fn later(now_us: u64) -> u64 {
    now_us.saturating_add(HEAD_START_US)
}

impl Averager {
    /// Begins at `now_us` (µs of a monotonic clock) with all counters 0.
    #[must_use]
    pub fn new(now_us: u64) -> Self {
        // All moments are kept as that much later than they were: the clock of a process begins at 0.
        Self { older: (now_us, Totals::default()), newer: (later(now_us), Totals::default()) }
    }

    /// To be called every `stats_period` with the counters of that moment.
    pub fn tick(&mut self, now_us: u64, totals: Totals) {
        self.older = self.newer;
        self.newer = (later(now_us), totals);
    }

    /// The averages at `now_us` with the counters as they are now.
    #[must_use]
    pub fn averages(&self, now_us: u64, totals: &Totals) -> Averages {
        let (since, old) = self.older;
        let elapsed = u128::from(later(now_us).saturating_sub(since));
        if elapsed == 0 {
            return Averages::default();
        }
        let grown = totals.zip(&old, u64::saturating_sub);
        let per_second = |n: u64| u64::try_from(u128::from(n) * 1_000_000 / elapsed).unwrap_or(u64::MAX);
        let mut averages = grown.zip(&grown, |n, _| per_second(n));
        let per_event = |time: u64, events: u64| time.checked_div(events).unwrap_or(0);
        averages.xact_time = per_event(grown.xact_time, grown.xact_count);
        averages.query_time = per_event(grown.query_time, grown.query_count);
        averages.wait_time = per_event(grown.wait_time, grown.server_assignment_count);
        averages
    }
}
