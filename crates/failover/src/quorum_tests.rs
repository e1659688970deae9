//! The formulas against every set of names, for all small numbers.

use crate::members::{Method, SyncNames};
use crate::quorum::{change_is_safe, growth_is_safe, meeting, of_names, quorum};

fn list(mask: u32, k: usize) -> SyncNames {
    let names = (0..6).filter(|i| mask & (1 << i) != 0).map(|i| format!("n{i}")).collect();
    SyncNames { method: Method::Any, k, names }
}

fn subsets(of: u32, size: usize) -> impl Iterator<Item = u32> {
    (0..64u32).filter(move |s| s & !of == 0 && s.count_ones() as usize == size)
}

fn all_meet(a: u32, left: usize, b: u32, right: usize) -> bool {
    subsets(a, left).all(|x| subsets(b, right).all(|y| x & y != 0))
}

#[test]
fn a_quorum_meets_every_commit_and_every_other_quorum_and_is_the_least() {
    for n in 1..=6usize {
        let all = (1u32 << n) - 1;
        for k in 1..=n {
            let q = quorum(n, k);
            assert!(q <= n, "reachable when everyone is there");
            assert!(all_meet(all, q, all, k) && all_meet(all, q, all, q), "n={n} k={k}");
            let less = q - 1;
            assert!(
                !(all_meet(all, less, all, k) && all_meet(all, less, all, less)),
                "n={n} k={k}: one less fails"
            );
            let m = meeting(n, q);
            assert!(all_meet(all, m, all, q), "n={n} k={k}");
            assert!(!all_meet(all, m - 1, all, q), "n={n} k={k}: one less can be missed");
        }
    }
}

#[test]
fn two_standbys_one_synchronous_needs_both() {
    assert_eq!(quorum(2, 1), 2);
    assert_eq!(quorum(1, 1), 1);
    assert_eq!(quorum(3, 2), 2);
    assert_eq!(quorum(3, 1), 3);
    assert_eq!(of_names(&SyncNames::none()), None);
    assert_eq!(of_names(&"*".parse().unwrap()), None);
}

#[test]
fn a_change_is_judged_as_every_set_judges_it() {
    let mut safe = 0;
    for (old_mask, new_mask) in (1..32u32).flat_map(|a| (1..32u32).map(move |b| (a, b))) {
        for old_k in 1..=old_mask.count_ones() as usize {
            for new_k in 1..=new_mask.count_ones() as usize {
                let (old, new) = (list(old_mask, old_k), list(new_mask, new_k));
                let old_q = quorum(old.names.len(), old_k);
                let new_q = quorum(new.names.len(), new_k);
                let truth =
                    all_meet(old_mask, old_q, new_mask, new_k) && all_meet(old_mask, old_q, new_mask, new_q);
                assert_eq!(change_is_safe(&old, &new), truth, "{old} -> {new}");
                safe += u32::from(truth);
            }
        }
    }
    assert!(safe > 100, "the test must see both answers: {safe}");
}

#[test]
fn the_changes_that_happen_are_safe() {
    let parse = |t: &str| t.parse::<SyncNames>().unwrap();
    for (old, new) in [
        ("FIRST 1 (b, c)", "FIRST 1 (c)"),
        ("ANY 2 (a, b, c)", "ANY 2 (a, b)"),
        ("ANY 2 (a, b)", "ANY 1 (a, b)"),
        ("ANY 1 (a, b, c)", "ANY 2 (a, b, c)"),
    ] {
        assert!(change_is_safe(&parse(old), &parse(new)), "{old} -> {new}");
    }
    for (old, new) in [("FIRST 1 (b)", "FIRST 1 (c)"), ("FIRST 1 (a)", "")] {
        assert!(!change_is_safe(&parse(old), &parse(new)), "{old} -> {new}");
    }
}

#[test]
fn a_list_grows_when_the_voters_know_before_it_is_used() {
    let parse = |t: &str| t.parse::<SyncNames>().unwrap();
    for (old, new) in [("FIRST 1 (c)", "FIRST 1 (c, a)"), ("FIRST 1 (a, b)", "FIRST 1 (a, b, c)")] {
        assert!(growth_is_safe(&parse(old), &parse(new)), "{old} -> {new}");
        // Used at once it would not be: a voter of the old list could be elected without the one that acknowledged.
        assert!(!change_is_safe(&parse(old), &parse(new)), "{old} -> {new}");
    }
    // With k raised the quorum is smaller: told first, two voters could be elected without the third, which alone
    // has acknowledged under the old list.
    assert!(!growth_is_safe(&parse("ANY 1 (a, b, c)"), &parse("ANY 2 (a, b, c)")));
    for (old_mask, new_mask) in (1..32u32).flat_map(|a| (1..32u32).map(move |b| (a, b))) {
        for old_k in 1..=old_mask.count_ones() as usize {
            for new_k in 1..=new_mask.count_ones() as usize {
                let (old, new) = (list(old_mask, old_k), list(new_mask, new_k));
                let old_q = quorum(old.names.len(), old_k);
                let new_q = quorum(new.names.len(), new_k);
                let truth =
                    all_meet(old_mask, old_k, new_mask, new_q) && all_meet(old_mask, old_q, new_mask, new_q);
                assert_eq!(growth_is_safe(&old, &new), truth, "{old} -> {new}");
            }
        }
    }
}
