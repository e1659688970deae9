//! SHOW STATS and the samples that its averages need.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use howdah_admin::rows::{StatsRow, Totals};
use howdah_config::CONSOLE_DATABASE;

use crate::entry::Entry;
use crate::pooler::Pooler;
use crate::stats::Counters;

/// The counters under the console's names.
fn totals(counters: &Counters) -> Totals {
    let totals = counters.totals();
    Totals {
        server_assignment_count: totals.assignments,
        xact_count: totals.transactions,
        query_count: totals.queries,
        received: totals.received,
        sent: totals.sent,
        xact_time: totals.transaction_time,
        query_time: totals.query_time,
        wait_time: totals.wait_time,
        client_parse_count: totals.client_parses,
        server_parse_count: totals.server_parses,
        bind_count: totals.binds,
        client_login_count: totals.logins,
    }
}

/// Entries that have or had a pool, and the console, with their counters; by name.
fn counted(pooler: &Arc<Pooler>) -> Vec<(Arc<str>, Totals)> {
    let entries: Vec<Arc<Entry>> = pooler.entries.lock().values().cloned().collect();
    let used = |entry: &Entry| {
        entry.clients.load(Ordering::Relaxed) > 0
            || pooler.account(|account, _| !account.pools_in(entry.group).is_empty())
    };
    let mut counted: Vec<(Arc<str>, Totals)> = entries
        .iter()
        .map(|entry| (entry, totals(&entry.counters)))
        .filter(|(entry, totals)| *totals != Totals::default() || used(entry))
        .map(|(entry, totals)| (Arc::clone(&entry.name), totals))
        .collect();
    counted.push((CONSOLE_DATABASE.into(), totals(&pooler.console_counters)));
    counted.sort_by(|a, b| a.0.cmp(&b.0));
    counted
}

/// Counters since the start, and averages, by name.
pub(super) fn rows(pooler: &Arc<Pooler>) -> Vec<StatsRow> {
    let counted = counted(pooler);
    let averages = pooler.averages.lock();
    let now = pooler.clock.now().0;
    let row = |(name, totals): (Arc<str>, Totals)| StatsRow {
        averages: averages.of(&name, now, &totals),
        unprotected_commits: pooler.entry(&name).map_or(0, |entry| entry.counters.unprotected.get()),
        database: name.to_string(),
        totals,
    };
    counted.into_iter().map(row).collect()
}

impl Pooler {
    /// Takes the samples that the averages of SHOW STATS compare with, when `stats_period` has passed.
    pub(crate) fn sample_averages(self: &Arc<Self>) {
        let now = self.clock.now().0;
        if !self.averages.lock().is_due(now) {
            return;
        }
        let counted = counted(self);
        let all = counted.iter().fold(Totals::default(), |all, (_, totals)| all.plus(totals));
        let mut averages = self.averages.lock();
        averages.sample(now, counted);
        let line = averages.line(now, all);
        drop(averages);
        if self.config.load().settings.log_stats {
            tracing::info!("{line}");
        }
    }
}
