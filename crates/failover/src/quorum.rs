//! Counting votes: how many make a quorum, and which changes of the list are safe (FAILOVER_PROTOCOL.md §§2, 4).
//! Pure arithmetic, tested against every set for small numbers. Read next: [`crate::rows`].

use crate::members::SyncNames;

/// Votes needed with `n` names of which `k` acknowledge a commit: the first term meets every acknowledged commit, the
/// second every other pooler.
#[must_use]
pub fn quorum(n: usize, k: usize) -> usize {
    let meets_commits = (n + 1).saturating_sub(k);
    meets_commits.max(majority(n))
}

/// More than half of `n`.
#[must_use]
pub fn majority(n: usize) -> usize {
    n / 2 + 1
}

/// How many of `n` meet every set of `quorum` of them: nobody can have promoted without one of these.
#[must_use]
pub fn meeting(n: usize, quorum: usize) -> usize {
    (n + 1).saturating_sub(quorum)
}

/// The quorum of a list; `None` when it is asynchronous (votes are then counted over all nodes) or a wildcard (who
/// acknowledges is not known).
#[must_use]
pub fn of_names(names: &SyncNames) -> Option<usize> {
    let known = !names.is_async() && !names.is_wildcard();
    known.then(|| quorum(names.names.len(), names.k))
}

/// Whether the list may be changed from `old` to `new` in one step: every old quorum meets every set that can
/// acknowledge under the new list and every new quorum. (That every new quorum has what was acknowledged under the old
/// list is the other half, which the order of a change sees to: a list that shrinks is published to the voters only
/// when those that remain have flushed all that was written before.)
#[must_use]
pub fn change_is_safe(old: &SyncNames, new: &SyncNames) -> bool {
    let (Some(old_quorum), Some(new_quorum)) = (of_names(old), of_names(new)) else {
        return false;
    };
    let sides = Sides::of(old, new);
    sides.always_meet(old_quorum, new.k) && sides.always_meet(old_quorum, new_quorum)
}

/// Whether the list may grow from `old` to `new` when enough of the old voters are told of it *before* the primary uses
/// it, so that nobody can be elected by the old list any more ([`meeting`]): until it is used, every new quorum must meet
/// every set that can acknowledge under the old list, and, while the voters are being told, every old quorum.
#[must_use]
pub fn growth_is_safe(old: &SyncNames, new: &SyncNames) -> bool {
    let (Some(old_quorum), Some(new_quorum)) = (of_names(old), of_names(new)) else {
        return false;
    };
    let sides = Sides::of(old, new);
    sides.always_meet(old.k, new_quorum) && sides.always_meet(old_quorum, new_quorum)
}

/// Two lists of names, by what they share.
#[derive(Debug, Clone, Copy)]
struct Sides {
    shared: usize,
    left_only: usize,
    right_only: usize,
}

impl Sides {
    fn of(old: &SyncNames, new: &SyncNames) -> Sides {
        let shared = old.names.iter().filter(|n| new.contains(n)).count();
        Sides { shared, left_only: old.names.len() - shared, right_only: new.names.len() - shared }
    }

    /// Whether every `left` names of the one list and every `right` names of the other have one in common: even when
    /// both take what is not shared first, what is left of them does not fit into the shared ones side by side.
    fn always_meet(self, left: usize, right: usize) -> bool {
        left.saturating_sub(self.left_only) + right.saturating_sub(self.right_only) > self.shared
    }
}
