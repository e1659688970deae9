//! The document of the decision table is the table's, and every state can be reached and left.

use std::collections::BTreeSet;
use std::path::Path;

use howdah_failover::{ROWS, State, graph};

#[test]
fn the_document_is_up_to_date() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/failover-graph.md");
    if std::env::var_os("UPDATE_GRAPH").is_some() {
        std::fs::write(&file, graph::markdown()).expect("docs/ can be written");
    }
    let written = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(written == graph::markdown(), "run UPDATE_GRAPH=1 cargo nextest run -p howdah-failover");
}

#[test]
fn every_state_is_reached_from_the_start_and_leads_somewhere() {
    let named: BTreeSet<State> = ROWS.iter().flat_map(|row| [row.from, row.to]).collect();
    assert_eq!(graph::reachable(State::Start), named);
    for state in named {
        assert!(ROWS.iter().any(|row| row.from == state && row.to != state), "{state:?} is never left");
    }
}

#[test]
fn names_are_unique_and_say_their_state() {
    let names: BTreeSet<&str> = ROWS.iter().map(|row| row.name).collect();
    assert_eq!(names.len(), ROWS.len());
    for row in ROWS {
        let state = row.name.split('.').next().unwrap_or_default().replace('_', "");
        assert_eq!(state, format!("{:?}", row.from).to_lowercase(), "{}", row.name);
    }
}
