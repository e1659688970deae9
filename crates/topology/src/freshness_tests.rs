//! `fresh_as_of` never claims more than was seen.

use proptest::prelude::*;

use crate::{Epoch, Freshness, Lsn, Time};

const EPOCH: Epoch = Epoch { system_id: 1, timeline: 1, began_at: Lsn(0) };
const NEXT: Epoch = Epoch { system_id: 1, timeline: 2, began_at: Lsn(500) };

#[test]
fn a_replica_is_fresh_as_of_the_last_sample_it_replayed() {
    let mut f = Freshness::new(Some(EPOCH));
    f.primary_at(EPOCH, Time(10), Lsn(100));
    f.primary_at(EPOCH, Time(20), Lsn(200));
    assert_eq!(f.fresh_as_of(Lsn(99)), None);
    assert_eq!(f.fresh_as_of(Lsn(100)), Some(Time(10)));
    assert_eq!(f.fresh_as_of(Lsn(250)), Some(Time(20)));
    f.primary_at(EPOCH, Time(30), Lsn(200));
    assert_eq!(f.fresh_as_of(Lsn(200)), Some(Time(30)), "an idle primary keeps its replicas fresh");
}

#[test]
fn never_across_epochs() {
    let mut f = Freshness::new(Some(EPOCH));
    f.primary_at(EPOCH, Time(10), Lsn(100));
    f.enter(Some(NEXT));
    assert_eq!(f.fresh_as_of(Lsn(9_999)), None);
    f.primary_at(EPOCH, Time(20), Lsn(100));
    assert_eq!(f.fresh_as_of(Lsn(9_999)), None, "a late answer of the old primary counts for nothing");
}

proptest! {
    #[test]
    fn never_fresher_than_true(steps in prop::collection::vec((1u64..5, 0u64..50), 1..2000), replayed in 0u64..60_000) {
        let mut f = Freshness::new(Some(EPOCH));
        let (mut at, mut lsn) = (0, 0);
        let mut truth = None;
        for (dt, bytes) in steps {
            at += dt;
            lsn += bytes;
            f.primary_at(EPOCH, Time(at), Lsn(lsn));
            if lsn <= replayed {
                truth = Some(Time(at));
            }
        }
        prop_assert!(f.fresh_as_of(Lsn(replayed)) <= truth);
    }
}
