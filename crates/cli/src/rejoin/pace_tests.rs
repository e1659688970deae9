//! The pauses between starts.

use std::time::Duration;

use super::pace::Pace;

#[test]
fn a_server_that_does_not_stay_up_is_started_ever_later() {
    let (short, long) = (Duration::from_millis(10), Duration::from_secs(60));
    let mut pace = Pace::default();
    let pauses: Vec<u64> = (0..8).map(|_| pace.after(short).as_secs()).collect();
    assert_eq!(pauses, [0, 1, 2, 4, 8, 16, 30, 30]);
    assert_eq!(pace.after(long), Duration::ZERO);
    assert_eq!(pace.after(short), Duration::from_secs(1));
}
