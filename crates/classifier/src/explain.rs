//! One sentence for people: where a text goes and why (`howdah explain`, `EXPLAIN ROUTE`).

use crate::{Context, Options, judge};

/// Says in one sentence where `sql` goes and why, with the name that decided.
pub fn explain(sql: &[u8], context: Context) -> String {
    let judged = judge::judge(sql, context, Options::default().max_text_bytes);
    let route = judged.verdict.route.as_str();
    format!("goes to {}: {}", article(route), sentence(&judged))
}

fn article(route: &str) -> String {
    if route == "replica" { "a replica".into() } else { "the primary".into() }
}

/// The reason with its detail, as `explain` and `classify --jsonl` print it.
pub(crate) fn sentence(judged: &judge::Judgement) -> String {
    let reason = judged.verdict.reason.as_str();
    match &judged.detail {
        Some(detail) => format!("{reason} ({detail})"),
        None => reason.to_owned(),
    }
}
