//! Tests of `identity.rs`.

#![allow(clippy::unwrap_used)]

use super::identity::*;

#[test]
fn whoever_one_is_already_and_nobody_at_all() {
    let own = uzers::get_user_by_uid(rustix::process::geteuid().as_raw()).unwrap();
    assert_eq!(assume(own.name().to_str().unwrap()), Ok(()));
    let error = assume("no-such-user").unwrap_err();
    assert_eq!(error, "could not find user 'no-such-user' to switch to");
    assert_eq!(words(rustix::io::Errno::PERM), "Operation not permitted");
}
