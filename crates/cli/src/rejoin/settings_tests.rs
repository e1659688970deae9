//! A rejoined node keeps what is its own and takes what is the cluster's.

use super::settings::merged;

#[test]
fn own_lines_stay_and_the_clusters_come_from_the_primary() {
    let own = "# Do not edit\nport = '5433'\nsynchronous_standby_names = '*'\nprimary_conninfo = 'host=old'\n\
               primary_slot_name = 's'\nhowdah.fence = 'x'\ndefault_transaction_read_only = 'on'\n";
    let theirs = "port = '5434'\nsynchronous_standby_names = 'FIRST 1 (a, b)'\nhowdah.members = '3 1 a,b'\n\
                  primary_conninfo = ''\n";
    let text = merged(own, theirs, "host=new password='it''s' application_name=me", None);
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(
        lines,
        [
            "port = '5433'",
            "synchronous_standby_names = 'FIRST 1 (a, b)'",
            "howdah.members = '3 1 a,b'",
            "primary_conninfo = 'host=new password=''it''''s'' application_name=me'",
        ]
    );
}

#[test]
fn a_slot_is_written_when_there_is_one() {
    assert!(merged("", "", "host=a", Some("me")).ends_with("primary_slot_name = 'me'\n"));
}
