//! A template gives the same text or another one each time, as it was asked to.

use crate::{Changing, LONG_CTE, ORM_SELECT, PGBENCH_SELECT, PGBENCH_UPDATE, Template};

#[test]
fn what_is_to_change_changes_and_nothing_else() {
    let text = |changing| {
        let mut template = Template::new(PGBENCH_SELECT, changing);
        let first = String::from_utf8(template.next_text().to_vec()).unwrap();
        (first, String::from_utf8(template.next_text().to_vec()).unwrap())
    };
    let select = |table: &str, value: &str| {
        format!("SELECT abalance FROM pgbench_accounts{table} WHERE aid = {value};")
    };
    let ones = "111111111";
    assert_eq!(text(Changing::Nothing), (select(ones, ones), select(ones, ones)));
    assert_eq!(text(Changing::Value), (select(ones, "000000001"), select(ones, "000000002")));
    assert_eq!(text(Changing::Table), (select("000000001", ones), select("000000002", ones)));
}

#[test]
fn every_text_has_both_places() {
    for text in [PGBENCH_SELECT, PGBENCH_UPDATE, ORM_SELECT, LONG_CTE] {
        let filled = Template::new(text, Changing::Nothing).next_text().to_vec();
        assert!(!filled.contains(&b'{'), "{text}");
    }
}
