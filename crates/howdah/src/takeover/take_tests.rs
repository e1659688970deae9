//! Tests of `take.rs`.

use super::take::row;

#[test]
fn rows_of_any_bytes_are_read_or_refused() {
    assert_eq!(row(&[0, 2, 0, 0, 0, 1, b'x', 255, 255, 255, 255]).unwrap_or_default(), ["x", ""]);
    for bytes in [&[][..], &[0], &[0, 1], &[0, 1, 0, 0, 0, 9, 1], &[0, 1, 0, 0, 0, 1, 255]] {
        assert!(row(bytes).is_err(), "{bytes:?}");
    }
}
