//! Tests of `unused.rs`.

use std::collections::HashMap;
use std::time::Duration;

use howdah_topology::Time;

use super::unused::*;

#[test]
fn the_clock_starts_anew_when_it_was_used_in_between() {
    let mut since = HashMap::new();
    let limit = Duration::from_secs(2);
    let at = |seconds: u64| Time(seconds * 1_000_000);
    assert!(overdue(&mut since, &["a", "b"], at(1), limit).is_empty());
    assert!(overdue(&mut since, &["a"], at(3), limit).is_empty());
    assert_eq!(overdue(&mut since, &["a", "b"], at(4), limit), ["a"]);
    assert!(overdue(&mut since, &["b"], at(6), limit).is_empty());
    assert_eq!(overdue(&mut since, &["b"], at(7), limit), ["b"]);
}
