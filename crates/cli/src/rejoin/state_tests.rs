//! The output of `pg_controldata` is read, and a directory that is none is refused.

use super::state::{lsn_text, parse, parse_lsn};

const OUTPUT: &str = "\
pg_control version number:            1300
Database system identifier:           7577012345678901234
Database cluster state:               in production
Latest checkpoint location:           0/3000110
Latest checkpoint's REDO location:    0/30000D8
Latest checkpoint's TimeLineID:       1
Latest checkpoint's PrevTimeLineID:   1
Minimum recovery ending location:     1/F0
Min recovery ending loc's timeline:   2
wal_log_hints setting:                off
Data page checksum version:           0
";

#[test]
fn reads_what_matters() {
    let control = parse(OUTPUT).unwrap();
    assert_eq!(control.system, 7_577_012_345_678_901_234);
    assert_eq!(control.state, "in production");
    assert_eq!(control.timeline, 2, "recovery has gone on to a newer timeline than the last checkpoint's");
    assert_eq!((control.checkpoint, control.recovered), (0x300_0110, (1 << 32) + 0xF0));
    assert!(!control.can_rewind);
    assert!(parse(&OUTPUT.replace("setting:                off", "setting: on")).unwrap().can_rewind);
    assert!(parse(&OUTPUT.replace("version:           0", "version: 1")).unwrap().can_rewind);
}

#[test]
fn says_which_line_is_missing() {
    let text = OUTPUT.replace("Database cluster state", "state");
    assert!(parse(&text).unwrap_err().contains("Database cluster state"));
}

#[test]
fn positions_are_hexadecimal_halves() {
    assert_eq!(parse_lsn("16/B374D848"), Some((0x16 << 32) + 0xB374_D848));
    assert_eq!(lsn_text((0x16 << 32) + 0xB374_D848), "16/B374D848");
    assert_eq!(parse_lsn("nonsense"), None);
}
