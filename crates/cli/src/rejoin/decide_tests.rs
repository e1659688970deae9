//! Each way is taken when it is right, and none when none is.

use super::decide::{Way, decide};
use super::source::{Source, history};
use super::state::{Control, Node};

fn primary(state: &str, timeline: u32, checkpoint: u64) -> Control {
    Control {
        system: 7,
        state: state.to_owned(),
        timeline,
        checkpoint,
        recovered: 0,
        can_rewind: true,
        was_standby: false,
        has_tablespaces: false,
    }
}

fn standby(timeline: u32, recovered: u64) -> Control {
    Control { was_standby: true, recovered, ..primary("in archive recovery", timeline, 10) }
}

/// The primary of timeline 3; timeline 1 ended at 1000, timeline 2 at 2000.
fn source() -> Source {
    Source { system: 7, timeline: 3, position: 3000, is_standby: false, forks: vec![(1, 1000), (2, 2000)] }
}

fn way(control: Control) -> Result<Way, String> {
    decide(&Node::Stopped(control), &source()).map(|plan| plan.way)
}

#[test]
fn an_empty_directory_is_copied() {
    assert_eq!(decide(&Node::Nothing, &source()).unwrap().way, Way::Copy);
}

#[test]
fn a_killed_primary_is_rewound_wherever_its_checkpoint_is() {
    assert_eq!(way(primary("in production", 2, 1500)), Ok(Way::Rewind));
    assert_eq!(way(primary("in production", 2, 2500)), Ok(Way::Rewind));
}

#[test]
fn a_primary_that_was_stopped_before_the_fork_is_started() {
    assert_eq!(way(primary("shut down", 2, 1999)), Ok(Way::Start));
    assert_eq!(way(primary("shut down", 2, 2000)), Ok(Way::Rewind), "its last record is beyond the fork");
}

#[test]
fn a_standby_is_started_unless_it_went_past_the_fork() {
    assert_eq!(way(standby(3, 2900)), Ok(Way::Start));
    assert_eq!(way(standby(2, 2000)), Ok(Way::Start));
    assert_eq!(way(standby(1, 1001)), Ok(Way::Rewind));
}

#[test]
fn without_hints_it_is_copied_but_not_over_table_spaces() {
    let control = Control { can_rewind: false, ..primary("in production", 2, 1500) };
    assert_eq!(way(control.clone()), Ok(Way::Copy));
    let refused = way(Control { has_tablespaces: true, ..control });
    assert!(refused.unwrap_err().contains("table spaces"));
}

#[test]
fn refuses_what_it_does_not_understand() {
    assert!(way(Control { system: 8, ..standby(3, 1) }).unwrap_err().contains("nothing in common"));
    assert!(way(standby(4, 1)).unwrap_err().contains("older timeline"));
    assert!(way(primary("in production", 3, 1)).unwrap_err().contains("nobody was promoted"));
    assert!(way(standby(3, 3001)).unwrap_err().contains("beyond"));
}

#[test]
fn a_timeline_that_the_primary_never_had_is_copied() {
    let source = Source { forks: vec![(1, 1000)], ..source() };
    let plan = decide(&Node::Stopped(standby(2, 5)), &source).unwrap();
    assert_eq!(plan.way, Way::Copy);
}

#[test]
fn reads_a_history_file() {
    let answer = "00000003.history\t1\t0/3E8\tno recovery target specified\n\n2\t1/7D0\tno recovery target specified\n";
    assert_eq!(history(answer), [(1, 1000), (2, (1 << 32) + 2000)]);
}
