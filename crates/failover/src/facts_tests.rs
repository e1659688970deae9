//! What a node's answers change in what is known of it.

use howdah_topology::{Lsn, Time};

use crate::facts::NodeFacts;
use crate::members::SyncNames;
use crate::sample::Sample;

/// A standby that has replayed so far.
fn standby(replayed: u64) -> Sample {
    Sample {
        in_recovery: true,
        started_at: 1,
        system_id: 7,
        timeline: 1,
        history: Vec::new(),
        inserted: None,
        flushed: None,
        received: None,
        replayed: Some(Lsn(replayed)),
        logical_slots: Vec::new(),
        receiver: None,
        replication: Vec::new(),
        sync_names: "".parse::<SyncNames>().unwrap(),
        members: None,
        fence: None,
        primary_conninfo: String::new(),
        replay_paused: false,
        recovery_conflict: false,
        delayed: false,
        read_only: false,
        busy: 0,
        supervised: false,
        stop_ordered: false,
        tuned: false,
        times_kept: false,
        streams_as: None,
        checks: None,
    }
}

fn known(facts: &NodeFacts) -> (Option<u64>, Time) {
    (facts.replayed.map(|lsn| lsn.0), facts.replayed_asked)
}

#[test]
fn a_position_is_what_the_newest_question_has_shown() {
    let mut facts = NodeFacts::default();
    facts.take(Time(12), Time(10), standby(100), None);
    assert_eq!(known(&facts), (Some(100), Time(10)));
    facts.take_replayed(Time(15), Lsn(130));
    assert_eq!(known(&facts), (Some(130), Time(15)));
    // Answers that were late.
    facts.take_replayed(Time(14), Lsn(140));
    facts.take(Time(21), Time(13), standby(120), None);
    assert_eq!(known(&facts), (Some(130), Time(15)));
    facts.take(Time(22), Time(20), standby(150), None);
    facts.take_replayed(Time(19), Lsn(160));
    assert_eq!(known(&facts), (Some(150), Time(20)), "a probe that was sent later");
}

#[test]
fn a_standby_that_has_restarted_is_where_it_says_it_is_and_not_where_it_was() {
    let mut facts = NodeFacts::default();
    facts.take(Time(12), Time(10), standby(100), None);
    facts.take_replayed(Time(15), Lsn(60));
    assert_eq!(known(&facts), (Some(60), Time(15)));
    facts.take(Time(22), Time(20), standby(50), None);
    assert_eq!(known(&facts), (Some(50), Time(20)));
}
