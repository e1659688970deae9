//! A test may unwrap, and waits for what it wants.

use std::time::Instant;

#[test]
fn starts() {
    let started = Instant::now();
    let value: u32 = "1".parse().unwrap();
    assert_eq!(value, 1, "after {:?}", started.elapsed());
}
