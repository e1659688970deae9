//! The life of a setting.

use crate::setting::{Change, Setting};

fn to(value: u64, local: bool) -> Change<u64> {
    Change { local, value: Some(value) }
}

#[test]
fn what_a_transaction_sets_is_undone_with_it() {
    let mut setting = Setting::default();
    setting.change(to(1, false), false);
    setting.change(to(2, false), true);
    assert_eq!(setting.value(), Some(2));
    setting.ended(false);
    assert_eq!(setting.value(), Some(1));
    setting.change(to(3, false), true);
    setting.change(to(4, true), true);
    assert_eq!(setting.value(), Some(4), "LOCAL hides what the session has");
    setting.ended(true);
    assert_eq!(setting.value(), Some(3));
    setting.change(to(5, true), true);
    setting.change(Change::default(), true);
    assert_eq!(setting.value(), None, "the later one counts");
    setting.ended(true);
    assert_eq!(setting.value(), None);
    setting.change(to(6, true), false);
    assert_eq!(setting.value(), None, "LOCAL without a transaction");
}

#[test]
fn a_reset_goes_back_to_what_the_session_began_with() {
    let mut setting = Setting::default();
    setting.set_default(Some(9));
    assert_eq!(setting.value(), Some(9));
    setting.change(to(1, false), false);
    assert_eq!(setting.value(), Some(1));
    setting.change(Change::default(), true);
    assert_eq!(setting.value(), Some(9));
    setting.ended(false);
    assert_eq!(setting.value(), Some(1), "RESET is undone with its transaction");
    setting.reset();
    assert_eq!(setting.value(), Some(9));
}
