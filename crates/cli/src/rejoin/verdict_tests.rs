//! Whom a node follows, and when it is started as it was.

use howdah::FenceRecord;

use super::conninfo::Conninfo;
use super::peers::Seen;
use super::source::Source;
use super::state::{Control, Node};
use super::verdict::{Verdict, judge};

fn control(timeline: u32, was_standby: bool) -> Node {
    Node::Stopped(Control {
        system: 7,
        state: "in production".to_owned(),
        timeline,
        checkpoint: 10,
        recovered: 0,
        can_rewind: true,
        was_standby,
        has_tablespaces: false,
    })
}

/// Everybody who answers: timeline, and whether it is a standby.
fn seen(answers: &[(u32, bool)]) -> Seen {
    let answer = |(timeline, is_standby): &(u32, bool)| {
        let source = Source {
            system: 7,
            timeline: *timeline,
            position: 90,
            is_standby: *is_standby,
            forks: Vec::new(),
        };
        (Conninfo::parse("host=a").unwrap(), source)
    };
    Seen { answers: answers.iter().map(answer).collect(), complaints: Vec::new() }
}

fn mark(timeline: u32) -> FenceRecord {
    FenceRecord { pooler: "p".to_owned(), attempt: 1, timeline, old_conninfo: String::new() }
}

fn waits(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Wait(_))
}

fn as_it_was(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::AsItWas(_))
}

#[test]
fn a_former_primary_follows_the_new_one() {
    assert_eq!(judge(&control(1, false), None, &seen(&[(2, false), (2, true)]), true), Verdict::Follow);
}

#[test]
fn a_primary_that_nobody_replaces_is_started_when_the_wait_is_over() {
    let (node, others) = (control(1, false), seen(&[(1, true), (1, true)]));
    assert!(waits(&judge(&node, None, &others, true)));
    assert!(as_it_was(&judge(&node, None, &others, false)));
    assert!(as_it_was(&judge(&node, None, &seen(&[]), false)));
}

#[test]
fn a_former_primary_is_never_started_while_a_newer_timeline_is_known() {
    assert!(waits(&judge(&control(1, false), None, &seen(&[(2, true)]), false)));
}

#[test]
fn an_older_primary_is_followed_by_nobody() {
    assert!(as_it_was(&judge(&control(2, false), None, &seen(&[(1, false)]), false)));
    assert!(as_it_was(&judge(&control(2, true), None, &seen(&[(1, false)]), false)));
    assert_eq!(judge(&control(2, true), None, &seen(&[(1, false), (2, false)]), false), Verdict::Follow);
}

#[test]
fn a_marked_standby_keeps_its_mark_until_the_new_primary_is_there() {
    let node = control(1, true);
    assert!(as_it_was(&judge(&node, Some(&mark(1)), &seen(&[(1, false)]), false)));
    assert_eq!(judge(&node, Some(&mark(1)), &seen(&[(2, false)]), false), Verdict::Follow);
    assert_eq!(judge(&node, None, &seen(&[(1, false)]), false), Verdict::Follow);
}

#[test]
fn an_empty_directory_waits_for_somebody_to_copy() {
    assert!(waits(&judge(&Node::Nothing, None, &seen(&[(1, true)]), false)));
    assert_eq!(judge(&Node::Nothing, None, &seen(&[(1, false)]), false), Verdict::Follow);
}
