//! How fresh a replica's data are, without a round trip for each read (DESIGN.md §6).
//!
//! The primary's insert position is sampled; a replica that has replayed it is fresh as of the moment at which
//! the sample was *sent*: everything acknowledged before that moment lies before that position. Read next:
//! [`crate::query::ReplicaLimits`], which uses the result.

use std::collections::VecDeque;

use crate::{Epoch, Lsn, Time};

/// Samples kept at most. With one every few milliseconds under load this spans some hundred milliseconds; a
/// replica further behind is judged by the oldest sample, which only makes it look less fresh than it is.
const MAX_SAMPLES: usize = 256;

/// Positions of one epoch's primary against time. Figures of one epoch say nothing in another: a diverged
/// standby with a greater position would look fresh (FAILOVER_PROTOCOL.md §8).
#[derive(Debug, Clone, Default)]
pub struct Freshness {
    epoch: Option<Epoch>,
    /// Sent-at times and positions, both growing.
    samples: VecDeque<(Time, Lsn)>,
}

impl Freshness {
    /// The book of an epoch of which nothing was sampled yet.
    #[must_use]
    pub fn new(epoch: Option<Epoch>) -> Freshness {
        Freshness { epoch, samples: VecDeque::new() }
    }

    /// The epoch that this book is of.
    #[must_use]
    pub fn epoch(&self) -> Option<Epoch> {
        self.epoch
    }

    /// Forgets everything when the epoch is another.
    pub fn enter(&mut self, epoch: Option<Epoch>) {
        if self.epoch != epoch {
            *self = Freshness::new(epoch);
        }
    }

    /// The primary of `epoch` had inserted WAL up to `position` at a moment not before `sent`. For an idle
    /// primary give the flush position when it equals the insert position. A sample of another epoch, or one
    /// that came out of order, is dropped.
    pub fn primary_at(&mut self, epoch: Epoch, sent: Time, position: Lsn) {
        if self.epoch != Some(epoch) {
            return;
        }
        if let Some((last, lsn)) = self.samples.back_mut() {
            if sent < *last || position < *lsn {
                return;
            }
            if position == *lsn {
                // Nothing was written in between: the later moment is as true as the earlier.
                *last = sent;
                return;
            }
        }
        if self.samples.len() == MAX_SAMPLES {
            self.thin();
        }
        self.samples.push_back((sent, position));
    }

    /// The latest moment such that everything acknowledged before it lies at or before `replayed`. The caller
    /// has shown that the replica's history is a prefix of this epoch's.
    #[must_use]
    pub fn fresh_as_of(&self, replayed: Lsn) -> Option<Time> {
        let known = self.samples.partition_point(|(_, lsn)| *lsn <= replayed);
        known.checked_sub(1).and_then(|i| self.samples.get(i)).map(|(at, _)| *at)
    }

    /// Drops every second sample, oldest first kept: less exact, never wrong.
    fn thin(&mut self) {
        let mut keep = false;
        self.samples.retain(|_| {
            keep = !keep;
            keep
        });
    }
}
