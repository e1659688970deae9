//! `xtask/tidy-exceptions.txt`: what may stay as it is, each with its reason. The aim is an empty list.
//!
//! A line is `path rule reason in words`. A line that excuses nothing, or gives no reason, is a finding itself, so the
//! list can only shrink.

use super::report::{Finding, Rule};
use crate::Failure;
use std::path::Path;

/// Where the list is.
const LIST: &str = "xtask/tidy-exceptions.txt";

/// One line of the list.
#[derive(Debug, PartialEq, Eq)]
struct Exception {
    line: usize,
    path: String,
    rule: String,
}

/// Takes out what is excused. `complete`: every file was looked at, so an exception without a breach is stale.
pub(crate) fn apply(root: &Path, findings: Vec<Finding>, complete: bool) -> Result<Vec<Finding>, Failure> {
    let text =
        std::fs::read_to_string(root.join(LIST)).map_err(|error| format!("cannot read {LIST}: {error}"))?;
    Ok(excuse(&text, findings, complete))
}

/// The findings that remain, and those that the list itself causes.
pub(crate) fn excuse(list: &str, findings: Vec<Finding>, complete: bool) -> Vec<Finding> {
    let mut remaining = Vec::new();
    let exceptions = parse(list, &mut remaining);
    let matches = |e: &Exception, f: &Finding| e.path == f.path && e.rule == f.rule.name();
    for exception in &exceptions {
        if complete && !findings.iter().any(|finding| matches(exception, finding)) {
            let what = format!("{} {} excuses nothing; remove the line", exception.path, exception.rule);
            remaining.push(list_finding(exception.line, what));
        }
    }
    remaining.extend(findings.into_iter().filter(|finding| !exceptions.iter().any(|e| matches(e, finding))));
    remaining
}

/// Reads the list; a line without a reason is a finding and excuses nothing.
fn parse(list: &str, findings: &mut Vec<Finding>) -> Vec<Exception> {
    let mut exceptions = Vec::new();
    for (index, line) in list.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let mut words = line.splitn(3, char::is_whitespace);
        match (words.next(), words.next(), words.next().map(str::trim)) {
            (Some(path), Some(rule), Some(reason)) if !reason.is_empty() => {
                exceptions.push(Exception { line: index + 1, path: path.to_owned(), rule: rule.to_owned() });
            }
            _ => findings.push(list_finding(index + 1, "want: path rule reason".to_owned())),
        }
    }
    exceptions
}

/// A finding in the list.
fn list_finding(line: usize, what: String) -> Finding {
    Finding { path: LIST.to_owned(), line, rule: Rule::Exception, what }
}
