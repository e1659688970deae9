//! Positions read and print as PostgreSQL does.

use proptest::prelude::*;

use crate::Lsn;

#[test]
fn prints_as_postgres() {
    assert_eq!(Lsn(0x16B_3748).to_string(), "0/16B3748");
    assert_eq!(Lsn(0x0000_0001_0000_0000).to_string(), "1/0");
    assert_eq!(Lsn(u64::MAX).to_string(), "FFFFFFFF/FFFFFFFF");
}

#[test]
fn refuses_what_is_none() {
    for bad in ["", "/", "0/", "/0", "0", "0/+1", "0/-1", "0/g", "0/123456789", "0/1/2", " 0/1", "0x1/0"] {
        assert!(bad.parse::<Lsn>().is_err(), "{bad:?}");
    }
}

proptest! {
    #[test]
    fn round_trip(n: u64) {
        prop_assert_eq!(Lsn(n).to_string().parse::<Lsn>(), Ok(Lsn(n)));
    }

    #[test]
    fn any_text_is_answered(text in ".{0,20}") {
        if let Ok(lsn) = text.parse::<Lsn>() {
            prop_assert_eq!(lsn.to_string().parse::<Lsn>(), Ok(lsn));
        }
    }
}
