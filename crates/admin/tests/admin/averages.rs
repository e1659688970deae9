//! Averages over `stats_period`.

use howdah_admin::Averager;
use howdah_admin::rows::{Averages, Totals};

const SECOND: u64 = 1_000_000;

#[test]
fn counts_are_a_second_and_times_an_event() {
    let averager = Averager::new(50 * SECOND);
    let totals = Totals {
        server_assignment_count: 20,
        xact_count: 10,
        query_count: 40,
        received: 1000,
        sent: 2000,
        xact_time: 5000,
        query_time: 4000,
        wait_time: 600,
        client_parse_count: 8,
        server_parse_count: 4,
        bind_count: 80,
        client_login_count: 2,
    };
    // Two seconds: one since the start, and the head start of one.
    let expected = Averages {
        server_assignment_count: 10,
        xact_count: 5,
        query_count: 20,
        received: 500,
        sent: 1000,
        xact_time: 500,
        query_time: 100,
        wait_time: 30,
        client_parse_count: 4,
        server_parse_count: 2,
        bind_count: 40,
        client_login_count: 1,
    };
    assert_eq!(averager.averages(51 * SECOND, &totals), expected);
}

#[test]
fn they_span_one_to_two_periods() {
    let at = |n: u64| Totals { query_count: n, ..Totals::default() };
    let mut averager = Averager::new(0);
    averager.tick(60 * SECOND, at(600));
    averager.tick(120 * SECOND, at(1800));
    // Since the tick at 60 s.
    assert_eq!(averager.averages(120 * SECOND, &at(1800)).query_count, 20);
    assert_eq!(averager.averages(150 * SECOND, &at(1800)).query_count, 13);
    averager.tick(180 * SECOND, at(1800));
    assert_eq!(averager.averages(180 * SECOND, &at(1800)).query_count, 0);
}

#[test]
fn nothing_happened() {
    let mut averager = Averager::new(0);
    averager.tick(10, Totals::default());
    averager.tick(10, Totals::default());
    assert_eq!(averager.averages(10, &Totals { query_count: 9, ..Totals::default() }), Averages::default());
    // A clock that went back is no reason to fail.
    assert_eq!(averager.averages(5, &Totals::default()), Averages::default());
}

#[test]
fn a_process_whose_clock_begins_at_0_has_its_head_start_too() {
    let averager = Averager::new(0);
    let totals = Totals { query_count: 9, ..Totals::default() };
    assert_eq!(averager.averages(0, &totals).query_count, 9);
    assert_eq!(averager.averages(2 * SECOND, &totals).query_count, 3);
}
