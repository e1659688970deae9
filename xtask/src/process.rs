//! Starting programs: which one, from where, and what it said, for the other commands of `xtask`.

use crate::Failure;
use std::ffi::OsStr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// The cargo that started us, so that one toolchain is used throughout.
pub(crate) fn cargo() -> PathBuf {
    std::env::var_os("CARGO").map_or_else(|| PathBuf::from("cargo"), PathBuf::from)
}

/// Where cargo puts what it builds: `CARGO_TARGET_DIR`, else `target` in the workspace.
pub(crate) fn target_folder(root: &Path) -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |folder| root.join(folder))
}

/// Runs a program to its end with our terminal; an error unless it ended with 0.
pub(crate) fn run_to_success(command: &mut Command) -> Result<(), Failure> {
    let shown = describe(command);
    let status = command.status().map_err(|error| format!("cannot start `{shown}`: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("`{shown}` ended with {status}").into()) }
}

/// Runs a program to its end and returns what it wrote to standard output; an error unless it ended with 0.
pub(crate) fn output_of(command: &mut Command) -> Result<String, Failure> {
    let shown = describe(command);
    let output = command.output().map_err(|error| format!("cannot start `{shown}`: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    Err(format!("`{shown}` ended with {}: {}", output.status, complaint.trim()).into())
}

/// Builds packages, then replaces this process by a program of theirs, so that Ctrl-C reaches it and its exit code is ours.
/// Comes back only when something failed.
pub(crate) fn build_and_become(
    root: &Path,
    release: bool,
    packages: &[&str],
    (program, arguments): (&str, &[String]),
) -> Result<ExitCode, Failure> {
    let mut build = Command::new(cargo());
    build.current_dir(root).arg("build");
    build.args(packages.iter().flat_map(|package| ["-p", package]));
    if release {
        build.arg("--release");
    }
    run_to_success(&mut build)?;
    let profile = if release { "release" } else { "debug" };
    let program = target_folder(root).join(profile).join(program);
    let error = Command::new(&program).current_dir(root).args(arguments).exec();
    Err(format!("cannot start {}: {error}", program.display()).into())
}

/// A program that is on the `PATH`, if there is one of that name.
pub(crate) fn find_on_path(name: &str) -> Option<PathBuf> {
    let folders = std::env::var_os("PATH")?;
    std::env::split_paths(&folders).map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// The command as one would type it, for messages and replays.
pub(crate) fn describe(command: &Command) -> String {
    let mut words: Vec<String> = command
        .get_envs()
        .filter_map(|(name, value)| Some(format!("{}={}", name.to_string_lossy(), quoted(value?))))
        .collect();
    // Whoever repeats it has a cargo of their own.
    let is_cargo = command.get_program() == cargo();
    words.push(if is_cargo { "cargo".to_owned() } else { quoted(command.get_program()) });
    words.extend(command.get_args().map(quoted));
    words.join(" ")
}

/// A word as a shell takes it.
fn quoted(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,@+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.into_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}
