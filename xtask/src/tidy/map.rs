//! The map from the contract's sentences to tests (docs/pgbouncer-map): every sentence names what holds it, and every
//! test that is named is there.

use super::report::{Finding, Rule};
use super::source::TextFile;

/// Where the tables are.
const MAP: &str = "docs/pgbouncer-map/";

/// Where it is said why a sentence is not held.
const REASONS: &str = "docs/pgbouncer.md";

/// Checks every table of the map.
pub(crate) fn check(texts: &[TextFile], findings: &mut Vec<Finding>) {
    for map in texts.iter().filter(|text| text.path.starts_with(MAP)) {
        for (index, line) in map.text.lines().enumerate() {
            let mut add = |what: String| {
                findings.push(Finding { path: map.path.clone(), line: index + 1, rule: Rule::Map, what });
            };
            let Some(held) = held_by(line) else { continue };
            let tests = tests_in(held);
            if tests.is_empty() && !held.contains(REASONS) {
                add(format!("names no test and not {REASONS}"));
            }
            for (path, name) in tests {
                if !is_there(texts, path, name) {
                    add(format!("{path} has no test {name}"));
                }
            }
        }
    }
}

/// The last cell of a table's row; not of its head.
fn held_by(line: &str) -> Option<&str> {
    let row = line.strip_prefix('|')?.strip_suffix('|')?;
    let cell = row.rsplit(" | ").next()?.trim();
    let head = cell == "held by" || cell.chars().all(|c| matches!(c, '-' | '|' | ' ')) && !cell.is_empty();
    (!head).then_some(cell)
}

/// Each `path.rs: name` of a cell.
fn tests_in(cell: &str) -> Vec<(&str, &str)> {
    let is_word = |c: char| c.is_alphanumeric() || "_/.:".contains(c);
    let words: Vec<&str> = cell.split(|c: char| !is_word(c)).filter(|word| !word.is_empty()).collect();
    let pairs = words.windows(2).filter_map(|pair| Some((pair[0].strip_suffix(':')?, pair[1])));
    pairs.filter(|(path, _)| path.ends_with(".rs")).collect()
}

fn is_there(texts: &[TextFile], path: &str, name: &str) -> bool {
    let named = format!("fn {name}(");
    texts.iter().any(|text| text.path == path && text.text.contains(&named))
}
