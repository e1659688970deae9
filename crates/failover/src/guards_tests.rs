//! What a guard counts.

use crate::guards::is_reached;

#[test]
fn a_limit_of_none_is_never_reached() {
    assert!(!is_reached(1000, 0), "0 is no limit (docs/settings.md)");
    assert!(!is_reached(9, 10));
    assert!(is_reached(10, 10), "the eleventh within the hour is left to a person");
}
