//! Lines of pg_hba.conf against roles and hosts.

use crate::hba::{Admission, Line, admission};

fn line(kind: &str, user: &str, address: &str, mask: &str, method: &str) -> Line {
    Line {
        kind: kind.to_owned(),
        users: vec![user.to_owned()],
        address: address.to_owned(),
        netmask: mask.parse().ok(),
        method: method.to_owned(),
    }
}

#[test]
fn a_role_without_a_line_is_not_let_in() {
    let lines = [line("host", "rep1", "10.0.3.0", "255.255.255.0", "scram-sha-256")];
    assert_eq!(admission(&lines, Some("rep1"), "10.0.3.7"), Admission::Yes);
    assert_eq!(admission(&lines, Some("rep2"), "10.0.3.7"), Admission::No);
    assert_eq!(admission(&lines, None, "10.0.3.7"), Admission::Yes, "some role is let in");
    assert_eq!(admission(&[], None, "10.0.3.7"), Admission::No);
    assert_eq!(
        admission(&lines, Some("rep1"), "/run/postgresql"),
        Admission::No,
        "that needs a line `local`"
    );
}

#[test]
fn an_address_is_compared_under_the_mask() {
    let lines = [line("host", "all", "10.0.3.0", "255.255.255.0", "md5")];
    assert_eq!(admission(&lines, Some("x"), "10.0.4.1"), Admission::NotFromThere);
    let six = [line("hostssl", "all", "fd00::", "ffff::", "md5")];
    assert_eq!(admission(&six, Some("x"), "fd00::1"), Admission::Yes);
    assert_eq!(admission(&six, Some("x"), "fe00::1"), Admission::NotFromThere);
    assert_eq!(admission(&six, Some("x"), "10.0.3.1"), Admission::NotFromThere, "another family");
}

#[test]
fn what_cannot_be_told_from_here_is_taken_for_yes() {
    for (user, address) in [("+standbys", "all"), ("/^rep", "samenet"), ("all", "node1.example")] {
        let lines = [line("host", user, address, "", "trust")];
        assert_eq!(admission(&lines, Some("rep1"), "10.0.3.7"), Admission::Yes, "{user} {address}");
    }
    let lines = [line("host", "all", "10.0.3.7", "255.255.255.255", "trust")];
    assert_eq!(admission(&lines, Some("rep1"), "node1"), Admission::Yes, "a host name has some address");
}

#[test]
fn the_first_line_that_fits_decides() {
    let lines = [
        line("host", "all", "10.0.3.7", "255.255.255.255", "reject"),
        line("host", "all", "10.0.3.0", "255.255.255.0", "trust"),
    ];
    assert_eq!(admission(&lines, Some("x"), "10.0.3.7"), Admission::NotFromThere);
    assert_eq!(admission(&lines, Some("x"), "10.0.3.8"), Admission::Yes);
    assert_eq!(admission(&lines[..1], Some("x"), "10.0.3.8"), Admission::No, "nobody is ever let in");
}
