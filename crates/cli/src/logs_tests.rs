//! Tests of `logs.rs`.

use super::logs::text_of;

#[test]
fn syslog_gets_the_text_without_time_and_level() {
    let line = "2026-01-01 00:00:00.000 UTC [1] LOG C-0x1: a/b@c closing because: x] y\n";
    assert_eq!(text_of(line), "C-0x1: a/b@c closing because: x] y");
    assert_eq!(text_of("{\"level\":\"INFO [1] a b\"}\n"), "{\"level\":\"INFO [1] a b\"}");
    assert_eq!(text_of("\n"), "");
}
