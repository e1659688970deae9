//! Every named scenario holds, a file a test; and what is wrong in a file is said with its line and column.

#![allow(clippy::unwrap_used)]

use howdah_failover_sim::mutation::Mutation;
use howdah_failover_sim::scenario::{self, FILES, script};

/// Plays all scenarios of a file.
fn hold(file: &str) {
    let scripts = scenario::all().unwrap();
    let mut plays = 0;
    for script in scripts.iter().filter(|s| s.file == file) {
        for play in scenario::play(script, Mutation::default(), false) {
            plays += 1;
            let (name, words, seed) = (&play.name, &play.words, play.seed);
            assert!(
                !play.broken(),
                "{name} {words} seed {seed}: {:?}; failover-sim --scenario {name}",
                play.verdict
            );
        }
    }
    assert!(plays > 0, "{file} has no scenario");
}

#[test]
fn answers_and_orders_that_are_lost_or_late() {
    hold("answers.sim");
}

#[test]
fn evidence_and_false_alarms() {
    hold("evidence.sim");
}

#[test]
fn the_fence_and_the_votes() {
    hold("fence.sim");
}

#[test]
fn a_primary_that_is_left() {
    hold("leave.sim");
}

#[test]
fn the_list_of_names() {
    hold("names.sim");
}

#[test]
fn several_poolers_and_partitions() {
    hold("poolers.sim");
}

#[test]
fn restarts_in_every_order() {
    hold("restart.sim");
}

#[test]
fn switchovers() {
    hold("switchover.sim");
}

#[test]
fn every_file_is_played() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let entries = std::fs::read_dir(folder).unwrap();
    let mut there: Vec<String> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    there.sort();
    let listed: Vec<String> = FILES.iter().map(|(file, _)| (*file).to_owned()).collect();
    assert_eq!(listed, there);
}

/// What is said of a text that is no scenario.
fn mistake(text: &str) -> String {
    script::parse("x.sim", text).unwrap_err().to_string()
}

#[test]
fn a_mistake_has_its_place() {
    assert_eq!(mistake("kill n0"), "x.sim:1:1: a line `scenario NAME` must come first");
    assert_eq!(mistake("scenario a\n\nat 2s kill m0"), "x.sim:3:12: \"m0\" is not a node like n0");
    assert_eq!(mistake("scenario a\nat soon"), "x.sim:2:4: \"soon\" is not a time like 250ms or 2s");
    assert_eq!(mistake("scenario a\nat 2s\nexplode n0"), "x.sim:3:1: nothing is called \"explode\"");
    assert_eq!(mistake("scenario a\nexpect peace"), "x.sim:2:8: no condition is called \"peace\"");
    assert_eq!(mistake("scenario a\nexpect in fense"), "x.sim:2:11: \"fense\" is not a state of the machine");
    assert_eq!(mistake("scenario a\nkill n0 now"), "x.sim:2:9: \"now\" is too much here");
    assert_eq!(mistake("scenario a\nkill"), "x.sim:2:5: a node like n0 is missing");
    assert_eq!(mistake("scenario a\nnames (("), "x.sim:2:7: not a list of synchronous standbys: \"((\"");
    assert_eq!(mistake("scenario a\neach $x $y in 1 2 3"), "x.sim:2:15: 3 words cannot be put for 2 names");
}

/// A scenario can fail: what does not come to be breaks it, with the place.
#[test]
fn what_does_not_come_to_be_breaks_a_scenario() {
    let scripts =
        script::parse("x.sim", "scenario a\nseeds 1\nat 2s kill n0\nexpect promoted n2 within 3s").unwrap();
    let played = scenario::play(&scripts[0], Mutation::default(), false);
    let verdict = format!("{:?}", played[0].verdict);
    assert!(played[0].broken() && verdict.contains("x.sim:4 at 5."), "{verdict}");
}
