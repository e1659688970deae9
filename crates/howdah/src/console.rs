//! The operator's side: actions on the whole pooler, and where the console and the HTTP side (crate
//! `howdah_admin`) are connected to it. `session.rs` is a console client, `operator.rs` what SHOW shows.

mod actions;
mod commands;
mod connections;
mod directory;
pub(crate) mod http;
mod moments;
mod nodes;
mod operator;
mod pools;
mod process;
pub(crate) mod session;
mod stats;
pub(crate) mod suspend;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use howdah_admin::Averager;
use howdah_admin::rows;

use crate::pooler::Pooler;

pub(crate) use actions::{is_drained, pause, resume, wait_for_servers};

/// What a client that KILL closes is told.
const REMOVED: &str = "database removed";

/// The samples behind the averages of SHOW STATS, by entry; times in µs of the pooler's clock, which starts at 0.
#[derive(Debug)]
pub(crate) struct Averages {
    period: Duration,
    /// When the last samples but one were taken.
    before: u64,
    /// When the last samples were taken.
    sampled: u64,
    by_entry: HashMap<Arc<str>, Averager>,
    /// When the last samples were taken, and all entries' counters then, for the line in the log.
    logged: (u64, rows::Totals),
}

impl Averages {
    pub(crate) fn new(period: Duration) -> Self {
        Self { period, before: 0, sampled: 0, by_entry: HashMap::new(), logged: (0, rows::Totals::default()) }
    }

    pub(crate) fn set_period(&mut self, period: Duration) {
        self.period = period;
    }

    /// Whether a `stats_period` has passed since the last samples.
    fn is_due(&self, now: u64) -> bool {
        u128::from(now.saturating_sub(self.sampled)) >= self.period.as_micros()
    }

    /// The samples of an entry that has none: it has counted nothing before the last ones were taken.
    fn fresh(before: u64, sampled: u64) -> Averager {
        let mut averager = Averager::new(before);
        if sampled > 0 {
            averager.tick(sampled, rows::Totals::default());
        }
        averager
    }

    /// The averages of an entry whose counters are `totals` now.
    fn of(&self, entry: &str, now: u64, totals: &rows::Totals) -> rows::Averages {
        let averager = self.by_entry.get(entry).copied();
        averager.unwrap_or_else(|| Self::fresh(self.before, self.sampled)).averages(now, totals)
    }

    /// What there was a second, and how long each took, since the last time that this was called; PgBouncer's text.
    fn line(&mut self, now: u64, totals: rows::Totals) -> String {
        let (since, before) = std::mem::replace(&mut self.logged, (now, totals));
        let mut over_the_time = Averager::new(since);
        over_the_time.tick(since, before);
        over_the_time.tick(now, totals);
        let a = over_the_time.averages(now, &totals);
        format!(
            "stats: {} xacts/s, {} queries/s, {} client parses/s, {} server parses/s, {} binds/s, in {} B/s, out {} B/s, \
             xact {} us, query {} us, wait {} us",
            a.xact_count,
            a.query_count,
            a.client_parse_count,
            a.server_parse_count,
            a.bind_count,
            a.received,
            a.sent,
            a.xact_time,
            a.query_time,
            a.wait_time
        )
    }

    /// Takes the samples of all entries; those of entries that are not there any more are forgotten.
    fn sample(&mut self, now: u64, counted: Vec<(Arc<str>, rows::Totals)>) {
        let (before, sampled) = (self.before, self.sampled);
        let mut by_entry = HashMap::with_capacity(counted.len());
        for (entry, totals) in counted {
            let known = self.by_entry.get(&entry).copied();
            let mut averager = known.unwrap_or_else(|| Self::fresh(before, sampled));
            averager.tick(now, totals);
            by_entry.insert(entry, averager);
        }
        self.by_entry = by_entry;
        (self.before, self.sampled) = (sampled, now);
    }
}

/// The version of PgBouncer whose contract is kept; scripts compare it.
pub(crate) const VERSION: &str = "1.25.2";

/// What the console and the HTTP side see of a pooler.
pub(crate) fn operator(pooler: &Arc<Pooler>) -> Arc<dyn howdah_admin::Pooler> {
    Arc::new(operator::Operator::new(pooler))
}
