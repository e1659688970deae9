//! The check of histories agrees with a search over all orders, for thousands of small histories.

#![allow(clippy::unwrap_used)]

use howdah_failover_sim::history::{History, Op, REGISTERS, What};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

/// Whether some order of the operations explains what was read: a search, as the definition says it.
fn explained(ops: &[Op], done: u32, newest: Option<u64>) -> bool {
    let left = |i: usize| done & (1 << i) == 0;
    // What is answered must have its moment; a write whose outcome is not known may never have happened.
    if (0..ops.len()).all(|i| !left(i) || ops[i].answered.is_none()) {
        return true;
    }
    let first_answer = (0..ops.len()).filter(|i| left(*i)).filter_map(|i| ops[i].answered).min().unwrap();
    (0..ops.len()).filter(|i| left(*i) && ops[*i].sent <= first_answer).any(|i| match ops[i].what {
        What::Write(value) => explained(ops, done | 1 << i, Some(value)),
        What::Read(value) => value == newest && explained(ops, done | 1 << i, newest),
    })
}

/// A history of one register: overlapping operations, values mostly of writes that were sent.
fn draw(rng: &mut SmallRng) -> Vec<Op> {
    let count = rng.random_range(1..9);
    let mut moments: Vec<u64> = (1..=2 * count as u64).collect();
    (0..count)
        .map(|i| {
            let a = moments.remove(rng.random_range(0..moments.len()));
            let b = moments.remove(rng.random_range(0..moments.len().min(4)));
            let write = i == 0 || rng.random_bool(0.5);
            let unknown = write && rng.random_bool(0.3);
            let value = (rng.random_bool(0.9)).then(|| rng.random_range(0..count as u64) * REGISTERS);
            let what = if write { What::Write(i as u64 * REGISTERS) } else { What::Read(value) };
            Op { register: 0, what, sent: a.min(b), answered: (!unknown).then_some(a.max(b)) }
        })
        .collect()
}

#[test]
fn the_check_agrees_with_a_search() {
    let mut rng = SmallRng::seed_from_u64(7);
    let (mut good, mut bad) = (0, 0);
    for round in 0..20_000 {
        let ops = draw(&mut rng);
        let history = History { ops: ops.clone(), unkept: 0 };
        let found = history.violation(0);
        let explained = explained(&ops, 0, None);
        assert_eq!(found.is_none(), explained, "round {round}: {found:?} of {ops:?}");
        if explained { good += 1 } else { bad += 1 }
    }
    assert!(good > 1_000 && bad > 1_000, "{good} explained, {bad} not");
}

#[test]
fn a_read_may_be_as_old_as_is_allowed() {
    let op = |what, sent, answered| Op { register: 0, what, sent, answered: Some(answered) };
    let ops = vec![op(What::Write(4), 10, 20), op(What::Write(8), 30, 40), op(What::Read(Some(4)), 100, 110)];
    let history = History { ops, unkept: 0 };
    assert!(history.violation(0).is_some());
    assert!(history.violation(50).is_some());
    assert!(history.violation(60).is_none());
}
