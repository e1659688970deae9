//! The data files: sorted, without a name twice, and in agreement with each other.

use std::collections::HashSet;

use crate::tables::{self, Known, Refusal};

const LONG: &[(&str, &str)] = &[
    ("functions.txt", include_str!("../data/functions.txt")),
    ("types.txt", include_str!("../data/types.txt")),
    ("operators.txt", include_str!("../data/operators.txt")),
    ("catalogs.txt", include_str!("../data/catalogs.txt")),
];
const SAFE: &str = include_str!("../data/safe.txt");
const PRIMARY: &str = include_str!("../data/primary.txt");

fn names(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.starts_with('#'))
}

#[test]
fn generated_files_are_sorted_and_full() {
    for (name, text) in LONG {
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines.windows(2).all(|pair| pair[0] < pair[1]), "{name} is not sorted");
        assert!(
            lines.len() > 50 && lines.iter().all(|line| line.trim() == *line && !line.is_empty()),
            "{name}"
        );
    }
}

#[test]
fn no_function_is_both_safe_and_refused() {
    let refused: HashSet<&str> = names(PRIMARY).collect();
    for name in names(SAFE).chain(names(LONG[0].1)) {
        assert!(!refused.contains(name), "{name} is in primary.txt and in another list");
    }
    for name in names(PRIMARY) {
        assert!(matches!(tables::function(name), Some(Known::Refused(_))), "{name}");
    }
    for name in names(SAFE).chain(names(LONG[0].1)) {
        assert!(
            matches!(tables::function(name), Some(Known::Safe | Known::GrammarCall | Known::GrammarWord)),
            "{name}"
        );
    }
}

#[test]
fn every_group_of_the_primary_list_is_known() {
    let cases = [
        ("nextval", Refusal::Sequence),
        ("txid_current", Refusal::Writes),
        ("query_to_xml", Refusal::RunsText),
        ("lo_open", Refusal::Session),
        ("set_config", Refusal::Sets),
        ("pg_advisory_lock", Refusal::Lock),
        ("pg_terminate_backend", Refusal::Instance),
        ("pg_is_in_recovery", Refusal::Role),
        ("pg_backend_pid", Refusal::Server),
    ];
    for (name, refusal) in cases {
        assert_eq!(tables::function(name), Some(Known::Refused(refusal)), "{name}");
    }
    let groups = PRIMARY.lines().filter(|line| line.starts_with("# ") && line.contains(": ")).count();
    assert_eq!(groups, cases.len() + 1, "one line of each group is tested (and one line explains the form)");
}

#[test]
fn names_that_nobody_listed() {
    for name in ["f", "", "Lower", "st_area", "dblink_exec", &"a".repeat(100)] {
        assert_eq!(tables::function(name), None, "{name}");
    }
    assert_eq!(tables::function("pg_stat_get_something_new"), Some(Known::Refused(Refusal::Server)));
    assert!(tables::is_type("int4") && !tables::is_type("my_type"));
    assert!(tables::is_operator("#>>") && tables::is_operator("#") && !tables::is_operator("<=->"));
    assert!(tables::is_catalog("pg_class") && !tables::is_catalog("pg_stat_activity"));
}
