//! Comparing histories: which epoch a node is in, and whether a standby's history is a prefix of the primary's
//! (FAILOVER_PROTOCOL.md §8). Read next: `crate::facts`.

use howdah_topology::{Epoch, Lsn};

use crate::sample::Sample;

/// The epoch that a node is in; `None` where its history cannot be read, so that its beginning is not known.
#[must_use]
pub fn epoch_of(sample: &Sample) -> Option<Epoch> {
    let began_at = began_at(sample, sample.timeline)?;
    Some(Epoch { system_id: sample.system_id, timeline: sample.timeline, began_at })
}

/// Where `timeline` begins in this node's history; `None` if it is none of its timelines or not known.
fn began_at(sample: &Sample, timeline: u32) -> Option<Lsn> {
    if timeline == 1 {
        return Some(Lsn::INVALID);
    }
    sample.history.iter().find(|t| t.timeline == timeline).map(|t| t.began_at)
}

/// Where this node's history leaves `timeline`: the beginning of the next one. `None`: it is still on it, or it is
/// none of its timelines.
fn left_at(sample: &Sample, timeline: u32) -> Option<Lsn> {
    began_at(sample, timeline)?;
    sample.history.iter().filter(|t| t.timeline > timeline).map(|t| t.began_at).min()
}

/// Whether the standby's history is shown to be a prefix of the primary's: the same system, and either the same
/// timeline with the same beginning, or an older one of the primary's own timelines and not beyond the fork.
#[must_use]
pub fn is_prefix(standby: &Sample, primary: &Sample) -> bool {
    if standby.system_id != primary.system_id {
        return false;
    }
    if standby.timeline == primary.timeline {
        return match (epoch_of(standby), epoch_of(primary)) {
            (Some(a), Some(b)) => a == b,
            // One of the two cannot be read: the numbers agree, and no difference is known.
            _ => true,
        };
    }
    let same_beginning = began_at(standby, standby.timeline) == began_at(primary, standby.timeline);
    same_beginning && left_at(primary, standby.timeline).is_some_and(|fork| standby.position() <= fork)
}

/// Whether the two are the same timeline with different beginnings: two promotions that did not know of each other.
#[must_use]
pub fn diverge(a: &Sample, b: &Sample) -> bool {
    match (epoch_of(a), epoch_of(b)) {
        (Some(x), Some(y)) => x.system_id == y.system_id && x.diverges_from(&y),
        _ => false,
    }
}
