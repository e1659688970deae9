//! The parts of a sample that are computed rather than read.

use howdah_failover::TimelineStart;
use howdah_topology::Lsn;

use crate::sample::{end_of_records, parse_history};

#[test]
fn history_gives_each_timeline_its_beginning() {
    let text = "1\t0/3000060\tno recovery target specified\n\n3\t0/5000148\tbefore 2026-01-01\n";
    assert_eq!(
        parse_history(7, text),
        [
            TimelineStart { timeline: 3, began_at: Lsn(0x0300_0060) },
            TimelineStart { timeline: 7, began_at: Lsn(0x0500_0148) },
        ]
    );
    assert_eq!(parse_history(2, ""), []);
}

#[test]
fn a_page_header_is_no_record() {
    let page = Lsn(3 * 8192);
    assert_eq!(end_of_records(Lsn(page.0 + 24), Some(page)), page);
    assert_eq!(end_of_records(Lsn(page.0 + 40), Some(page)), page);
    assert_eq!(end_of_records(Lsn(page.0 + 56), Some(page)), Lsn(page.0 + 56));
    let inside = Lsn(page.0 + 100);
    assert_eq!(end_of_records(Lsn(inside.0 + 24), Some(inside)), Lsn(inside.0 + 24));
}
