//! `howdah doctor` and `howdah setup-sql` as an operator runs them. The checks themselves are tried before real servers by
//! the controller's tests.

// The helpers of a test may panic as the test itself may.
#![allow(clippy::unwrap_used)]

use std::process::{Command, Output};

fn howdah(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_howdah")).args(arguments).output().unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn nodes_that_do_not_answer_are_lacking() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("howdah.ini");
    // Port 1 of the loopback: nobody listens there.
    let ini = "[clusters]\nmain = nodes=a@127.0.0.1:1,b@127.0.0.2:1 user=postgres failover=manage\n\
               [databases]\napp = cluster=main\n[pgbouncer]\nlisten_port = 0\nauth_type = trust\n";
    std::fs::write(&file, ini).unwrap();
    let output = howdah(&["doctor", file.to_str().unwrap()]);
    let said = text(&output);
    assert_eq!(output.status.code(), Some(2), "{said} {}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("cluster main (failover = manage)"), "{said}");
    assert_eq!(said.matches("nobody listens there").count(), 2, "{said}");
    assert!(said.contains("no node that answers is a primary"), "{said}");
    assert!(said.contains("lacking: 3"), "{said}");
}

#[test]
fn a_file_without_clusters_lacks_nothing_and_a_bad_one_cannot_be_used() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("pgbouncer.ini");
    std::fs::write(&file, "[databases]\n[pgbouncer]\nlisten_port = 0\nauth_type = trust\n").unwrap();
    assert!(howdah(&["doctor", file.to_str().unwrap()]).status.success());
    assert_eq!(howdah(&["doctor", "/nowhere/at/all.ini"]).status.code(), Some(1));
}

#[test]
fn the_sql_is_that_of_the_version_and_the_mode() {
    let said = text(&howdah(&["setup-sql", "--version", "16", "--role", "Mein"]));
    assert!(said.contains("GRANT ALTER SYSTEM ON PARAMETER primary_conninfo TO \"Mein\";"), "{said}");
    let old = text(&howdah(&["setup-sql", "--version", "13"]));
    assert!(old.contains("LOGIN SUPERUSER") && !old.contains("ON PARAMETER"), "{old}");
    let follow = text(&howdah(&["setup-sql", "--failover", "follow"]));
    assert!(follow.contains("NOSUPERUSER") && !follow.contains("ALTER SYSTEM"), "{follow}");
    assert!(!howdah(&["setup-sql", "--failover", "sometimes"]).status.success());
}
