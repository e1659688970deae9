//! Tests of `pidfile.rs`.

#![allow(clippy::unwrap_used)]

use super::pidfile::*;

#[test]
fn it_is_refused_while_its_owner_runs_and_removed_by_its_owner_only() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pid");
    let file = PidFile::write(&path).unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("{}\n", std::process::id()));
    drop(file);
    assert!(!path.exists());
    std::fs::write(&path, "1\n").unwrap();
    assert_eq!(PidFile::write(&path).unwrap_err(), "pidfile exists, another instance running?");
    // No process has this number: it is above the largest that there can be.
    std::fs::write(&path, format!("{}\n", i32::MAX)).unwrap();
    let file = PidFile::write(&path).unwrap();
    std::fs::write(&path, "1\n").unwrap();
    drop(file);
    assert!(path.exists(), "another's is left alone");
    assert!(PidFile::write(&dir.path().join("no/such/dir")).unwrap_err().starts_with("could not write"));
}
