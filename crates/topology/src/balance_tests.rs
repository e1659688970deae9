//! Reads are spread as the settings say.

use crate::{Balance, Node, NodeId};

fn nodes(weights: &[u32]) -> Vec<Node> {
    (0u16..).zip(weights).map(|(i, w)| Node { weight: *w, ..Node::unseen(NodeId(i), "n", "h", 1) }).collect()
}

fn counts(balance: Balance, nodes: &[Node], tickets: u64) -> Vec<u32> {
    let mut seen = vec![0; nodes.len()];
    for t in 0..tickets {
        let id = balance.pick(nodes.iter(), t, |_| 0).unwrap();
        seen[usize::from(id.0)] += 1;
    }
    seen
}

#[test]
fn round_robin_takes_turns_by_weight() {
    assert_eq!(counts(Balance::RoundRobin, &nodes(&[1, 1]), 10), [5, 5]);
    assert_eq!(counts(Balance::RoundRobin, &nodes(&[3, 1]), 8), [6, 2]);
    assert_eq!(counts(Balance::RoundRobin, &nodes(&[0, 1]), 8), [0, 8]);
}

#[test]
fn random_reaches_all() {
    let seen = counts(Balance::Random, &nodes(&[1, 1, 1]), 300);
    assert!(seen.iter().all(|c| *c > 50), "{seen:?}");
}

#[test]
fn least_loaded_prefers_the_idle_and_takes_turns_among_equals() {
    let two = nodes(&[1, 1]);
    let pick = |t, loads: [u32; 2]| {
        Balance::LeastLoaded.pick(two.iter(), t, |id| loads[usize::from(id.0)]).unwrap().0
    };
    assert_eq!(pick(0, [3, 1]), 1);
    assert_eq!(pick(0, [0, 1]), 0);
    assert_ne!(pick(0, [2, 2]), pick(1, [2, 2]));
    let heavy = nodes(&[4, 1]);
    let loads = [3u32, 1];
    let id = Balance::LeastLoaded.pick(heavy.iter(), 0, |id| loads[usize::from(id.0)]);
    assert_eq!(id, Some(NodeId(0)), "four times the weight bears three more");
}

#[test]
fn nobody_is_nobody() {
    for b in [Balance::LeastLoaded, Balance::RoundRobin, Balance::Random] {
        assert_eq!(b.pick([].iter(), 3, |_| 0), None);
        assert_eq!(b.pick(nodes(&[0]).iter(), 3, |_| 0), None);
        assert_eq!(b.as_str().parse(), Ok(b));
    }
    assert!("fastest".parse::<Balance>().is_err());
}
