//! What `compare` reads and computes, on texts as the programs write them.

use super::order_of;
use super::pgbench::{Report, parse};
use super::poolers::{Kind, version_of};
use super::table::{median, ratio};
use super::{idle, usage};

const REPORT: &str = "pgbench (15.20 (Debian 15.20-0+deb12u1))
transaction type: <builtin: select only>
scaling factor: 10
query mode: simple
number of clients: 16
number of threads: 2
maximum number of tries: 1
duration: 3 s
number of transactions actually processed: 61234
number of failed transactions: 2 (0.003%)
latency average = 0.784 ms
initial connection time = 9.210 ms
tps = 20408.163265 (without initial connection time)
";

#[test]
fn pgbenchs_report_is_read() {
    let expected = Report { transactions: 61234, failed: 2, latency_us: 784.0, tps: 20408.163265 };
    assert_eq!(parse(REPORT), Some(expected));
    let older = REPORT.replace("number of failed transactions: 2 (0.003%)\n", "");
    assert_eq!(parse(&older).map(|report| report.failed), Some(0));
    assert_eq!(parse("pgbench: error: connection failed"), None);
}

#[test]
fn a_process_name_with_blanks_and_brackets_is_no_obstacle() {
    let line = "42 (a) b (c)) S 7 42 42 0 -1 0 0 0 0 0 120 30 5 6 20 0 2 0 99 1000 321 18446744073709551615";
    assert_eq!(usage::parse_stat(line), Some((7, 150, 321)));
}

#[test]
fn our_own_usage_can_be_read() {
    let ours = usage::of_tree(std::process::id()).unwrap();
    assert!(ours.resident_kib > 100, "{ours:?}");
}

#[test]
fn versions_order_as_numbers() {
    assert_eq!(version_of("PgBouncer 1.18.0"), Some((1, 18)));
    assert!(version_of("PgBouncer 1.9.0") < version_of("PgBouncer 1.21.0"));
    assert_eq!(version_of("something"), None);
}

#[test]
fn medians_and_paired_ratios() {
    assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
    assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
    assert!(median(&[]).is_nan());
    // A round that was slow for both does not change the ratio.
    assert_eq!(ratio(&[10.0, 100.0, 10.0], &[20.0, 200.0, 20.0]), 0.5);
}

#[test]
fn everybody_goes_first_once() {
    let first: Vec<Kind> = (0..3).map(|round| order_of(round)[0]).collect();
    assert_eq!(first, [Kind::Direct, Kind::PgBouncer, Kind::Howdah]);
}

#[test]
fn the_startup_packet_has_its_length_and_its_end() {
    let packet = idle::startup_packet("u", "d");
    assert_eq!(packet, b"\0\0\0\x1b\0\x03\0\0user\0u\0database\0d\0\0");
}

#[test]
fn the_message_of_an_error_is_found() {
    assert_eq!(idle::error_text(b"SFATAL\0C53300\0Mtoo many\0\0"), "too many");
    assert_eq!(idle::error_text(b"\0"), "an error without a message");
}
