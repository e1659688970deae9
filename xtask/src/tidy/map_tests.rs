//! Breaches of the map are found, and what is in order is not.

use super::map::check;
use super::source::TextFile;

fn findings(table: &str) -> Vec<String> {
    let file = |path: &str, text: &str| TextFile { path: path.to_owned(), text: text.to_owned() };
    let texts = [
        file("docs/pgbouncer-map/01.md", table),
        file("tests/tests/it/a.rs", "#[test]\nfn one_is_one() {}\nasync fn two_is_two() {}"),
    ];
    let mut findings = Vec::new();
    check(&texts, &mut findings);
    findings.into_iter().map(|finding| format!("{}: {}", finding.line, finding.what)).collect()
}

#[test]
fn tests_that_are_there_and_reasons_are_in_order() {
    let table = "# §1\n\n| sentence (shortened) | held by |\n|---|---|\n| a \\| b | tests/tests/it/a.rs: one_is_one; `tests/tests/it/a.rs: two_is_two` (both) |\n| --- | docs/pgbouncer.md |\n";
    assert_eq!(findings(table), [""; 0]);
}

#[test]
fn a_test_that_is_gone_and_a_sentence_that_nothing_holds_are_found() {
    let table = "| sentence | held by |\n|---|---|\n| x | tests/tests/it/a.rs: one_is |\n| y | seen by hand |\n| z | tests/tests/it/b.rs: one_is_one |\n";
    let expected = [
        "3: tests/tests/it/a.rs has no test one_is",
        "4: names no test and not docs/pgbouncer.md",
        "5: tests/tests/it/b.rs has no test one_is_one",
    ];
    assert_eq!(findings(table), expected);
}
