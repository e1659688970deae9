//! The decision table as text: `docs/failover-graph.md`. Read next: [`crate::rows`].

use std::collections::BTreeSet;
use std::fmt::Write;

use crate::rows::{ROWS, State};

/// The document: a Mermaid state diagram, and each row with its sentence.
#[must_use]
pub fn markdown() -> String {
    let mut text = String::from(
        "# The failover decision table\n\n\
         Made from `crates/failover/src/rows.rs` (a test of the crate `howdah-failover` fails when it is out of date, and \
         writes it anew with `UPDATE_GRAPH=1`). In each state the first row whose guard holds is taken.\n\n\
         ```mermaid\nstateDiagram-v2\n    [*] --> Start\n",
    );
    for row in ROWS.iter().filter(|r| r.from != r.to) {
        let _ = writeln!(text, "    {:?} --> {:?}: {:?}", row.from, row.to, row.guard);
    }
    text.push_str("```\n\n| row | in | when | go to | and do | because |\n|---|---|---|---|---|---|\n");
    for row in ROWS {
        let _ = writeln!(
            text,
            "| `{}` | {:?} | {:?} | {:?} | {:?} | {} |",
            row.name, row.from, row.guard, row.to, row.act, row.sentence
        );
    }
    text
}

/// The states that can be reached from `from` by the table.
#[must_use]
pub fn reachable(from: State) -> BTreeSet<State> {
    let mut seen = BTreeSet::from([from]);
    loop {
        let next: Vec<State> =
            ROWS.iter().filter(|r| seen.contains(&r.from) && !seen.contains(&r.to)).map(|r| r.to).collect();
        if next.is_empty() {
            return seen;
        }
        seen.extend(next);
    }
}
