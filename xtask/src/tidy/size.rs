//! How long a file may be: 500 lines without its tests, and half of all files under 180.

use super::report::{Finding, Rule, Summary};
use super::source::SourceFile;

/// The longest file, in lines without tests.
const MAX_FILE_LINES: usize = 500;
/// The median of all files stays under this, in lines without tests.
const MEDIAN_FILE_LINES: usize = 180;

/// Counts one file of code.
pub(crate) fn check(file: &SourceFile<'_>, summary: &mut Summary, findings: &mut Vec<Finding>) {
    let total = file.text.lines().count();
    let tests = (1..=total).filter(|line| file.is_test_line(*line)).count();
    let code = total - tests;
    summary.file_lengths.push(code);
    summary.test_lines += tests;
    if code > MAX_FILE_LINES {
        let what = format!("{code} lines without tests; at most {MAX_FILE_LINES}");
        findings.push(file.finding(1, Rule::FileLength, what));
    }
}

/// Looks at the median when every file was counted.
pub(crate) fn check_median(summary: &Summary, findings: &mut Vec<Finding>) {
    let median = summary.median_file_length();
    if median >= MEDIAN_FILE_LINES {
        findings.push(Finding {
            path: "Cargo.toml".to_owned(),
            line: 1,
            rule: Rule::MedianLength,
            what: format!("the median file has {median} lines; it stays under {MEDIAN_FILE_LINES}"),
        });
    }
}
