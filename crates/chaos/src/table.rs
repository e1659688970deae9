//! The evidence as a table, for the terminal and for `docs/failover-evidence.md`.

use std::fmt::Write as _;
use std::time::Duration;

use crate::verdict::Verdict;

const HEADING: [&str; 13] = [
    "row",
    "acknowledged",
    "lost",
    "duplicated",
    "stale",
    "broken sessions",
    "errors",
    "write gap ms (median / worst)",
    "transfer gap ms (worst)",
    "read gap ms (worst)",
    "promotions",
    "bare limit ms",
    "holds",
];

fn cells(verdict: &Verdict) -> Vec<String> {
    let mut cells = vec![verdict.fault.name.to_owned()];
    cells.extend(verdict.cells());
    cells.push(verdict.bare().map_or_else(|| "—".to_owned(), |bare| bare.as_millis().to_string()));
    cells.push(if verdict.holds() { "yes" } else { "NO" }.to_owned());
    cells
}

/// The table in Markdown.
pub(crate) fn text(verdicts: &[Verdict]) -> String {
    let mut lines = vec![HEADING.map(str::to_owned).to_vec(), HEADING.map(|_| "---".to_owned()).to_vec()];
    lines.extend(verdicts.iter().map(cells));
    lines.iter().map(|line| format!("| {} |\n", line.join(" | "))).collect()
}

/// The whole document.
pub(crate) fn document(verdicts: &[Verdict], took: Duration) -> String {
    let mut rows = String::new();
    for verdict in verdicts {
        let fault = verdict.fault;
        let rounds = verdict.figures.gaps.len();
        // Writing to a String cannot fail.
        let _ = writeln!(rows, "| {} | {} | {rounds} |", fault.name, fault.what);
    }
    format!(
        "# Evidence of failover

Written by `TMPDIR={} cargo xtask chaos {}--write docs/failover-evidence.md`, in {} s. Clients are sessions through Howdah
in transaction pooling, in both protocols: appends, bank transfers, counters that are read back after each write, and
sums of all accounts by sessions that only read. `lost` is acknowledged and not on the primary in the end; `duplicated`
is there twice though sent again only after 40001; `stale` is a read that lacks what its session was told before, or a
sum that no snapshot has. A gap is the longest time that any one session was not answered, from the fault on: a write gap
of sessions that write a statement at a time, a transfer gap of those whose transaction of five statements has to be begun
anew and takes some twenty messages by itself. The bare limit is the same failover by hand over standing sessions, to one
INSERT, measured beside each kill. 08007 is a write whose outcome
is not known, 40001 a transaction that certainly did not happen.

{}
| row | what is done | measured |
| --- | --- | --- |
{rows}",
        std::env::temp_dir().display(),
        if cfg!(debug_assertions) { "" } else { "--release " },
        took.as_secs(),
        text(verdicts),
    )
}
