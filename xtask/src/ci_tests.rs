//! A step's end is seen, the test runner's summary is kept, and a misspelled step is refused.

use crate::ci::{Step, check_names, run_step, steps};
use crate::process;
use std::path::Path;
use std::process::Command;

fn shell(script: &str) -> Step {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    Step { name: "shell", command }
}

#[test]
fn the_summary_of_the_test_runner_is_kept() {
    let mut summary = None;
    let script = "echo '  PASS x' >&2; echo '     Summary [   0.1s] 3 tests run: 3 passed, 0 skipped' >&2";
    assert!(run_step(shell(script), &mut summary).unwrap().passed);
    assert_eq!(summary.as_deref(), Some("     Summary [   0.1s] 3 tests run: 3 passed, 0 skipped"));
    // A later step without a summary leaves it.
    assert!(run_step(shell("echo something >&2"), &mut summary).unwrap().passed);
    assert!(summary.is_some());
}

#[test]
fn a_step_that_ends_badly_has_failed() {
    assert!(!run_step(shell("exit 3"), &mut None).unwrap().passed);
    assert!(run_step(Step { name: "x", command: Command::new("/nowhere/at/all") }, &mut None).is_err());
}

#[test]
fn a_misspelled_step_is_refused() {
    let all = steps(Path::new("."), 7);
    assert!(check_names(&all, &[&"tidy".to_owned(), &"test".to_owned()]).is_ok());
    let complaint = check_names(&all, &[&"tests".to_owned()]).unwrap_err().to_string();
    assert_eq!(complaint, "there is no step tests; `cargo ci --list` prints them");
}

#[test]
fn a_command_is_shown_so_that_a_shell_takes_it() {
    let mut command = Command::new(process::cargo());
    command.env("RUSTDOCFLAGS", "-D warnings").args(["doc", "it's"]);
    assert_eq!(process::describe(&command), r"RUSTDOCFLAGS='-D warnings' cargo doc 'it'\''s'");
}
