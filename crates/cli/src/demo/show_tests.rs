//! Tables line up.

use std::time::Duration;

use super::show::{millis, text_of};

#[test]
fn columns_are_as_wide_as_their_widest_cell() {
    let row = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
    let table = vec![row(["node", "role", "lag"]), row(["database-master", "primary", ""])];
    assert_eq!(text_of(&table), "  node             role     lag\n  database-master  primary\n");
}

#[test]
fn durations_are_short() {
    assert_eq!(millis(Duration::from_micros(1_240)), "1.2 ms");
    assert_eq!(millis(Duration::from_millis(512)), "512 ms");
    assert_eq!(millis(Duration::from_secs(12)), "12.0 s");
}
