//! `cargo demo`: builds the `howdah` command and the example programs, then becomes `howdah demo`.
//!
//! What the demo does is in `crates/cli`; this only makes sure that what it starts is built.

use crate::{Failure, process};
use clap::Args;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode};

/// What `cargo demo` takes.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Build with optimisation: slower to start, faster to run.
    #[arg(long)]
    release: bool,
    /// Passed on to `howdah demo`, for example `--once`.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

/// Builds, then replaces this process, so that Ctrl-C reaches the demo and its exit code is ours.
pub(crate) fn run(root: &Path, options: &Options) -> Result<ExitCode, Failure> {
    let mut build = Command::new(process::cargo());
    build.current_dir(root).args(["build", "-p", "howdah-cli", "-p", "howdah-examples"]);
    if options.release {
        build.arg("--release");
    }
    process::run_to_success(&mut build)?;
    let profile = if options.release { "release" } else { "debug" };
    let binary = process::target_folder(root).join(profile).join("howdah");
    let mut demo = Command::new(&binary);
    demo.arg("demo").args(&options.arguments);
    let error = demo.exec();
    Err(format!("cannot start {}: {error}", binary.display()).into())
}
