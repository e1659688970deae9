//! Tables line up.

use crate::table::text_of;

#[test]
fn columns_are_as_wide_as_their_widest_cell() {
    let row = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
    let table = vec![row(["node", "role", "lag"]), row(["database-master", "primary", ""])];
    assert_eq!(text_of(&table), "  node             role     lag\n  database-master  primary\n");
}
