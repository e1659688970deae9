//! Durations are for people.

use std::time::Duration;

use super::show::millis;

#[test]
fn durations_are_short() {
    assert_eq!(millis(Duration::from_micros(1_240)), "1.2 ms");
    assert_eq!(millis(Duration::from_millis(512)), "512 ms");
    assert_eq!(millis(Duration::from_secs(12)), "12.0 s");
}
