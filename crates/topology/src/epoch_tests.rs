//! Epochs order within one history and nowhere else.

use crate::{Epoch, Lsn};

const fn epoch(system_id: u64, timeline: u32, began_at: u64) -> Epoch {
    Epoch { system_id, timeline, began_at: Lsn(began_at) }
}

#[test]
fn later_timeline_is_newer() {
    assert!(epoch(7, 3, 900).is_newer_than(&epoch(7, 2, 500)));
    assert!(!epoch(7, 2, 500).is_newer_than(&epoch(7, 3, 900)));
    assert!(!epoch(7, 2, 500).is_newer_than(&epoch(7, 2, 500)));
}

#[test]
fn same_timeline_with_another_beginning_diverges() {
    assert!(epoch(7, 2, 500).diverges_from(&epoch(7, 2, 600)));
    assert!(!epoch(7, 2, 500).diverges_from(&epoch(7, 2, 500)));
}

#[test]
fn systems_do_not_compare() {
    assert!(epoch(7, 2, 500).diverges_from(&epoch(8, 3, 500)));
    assert!(!epoch(8, 3, 500).is_newer_than(&epoch(7, 2, 500)));
}
