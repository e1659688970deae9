//! `cargo xtask chaos`: builds `howdah` and the chaos program, then becomes the latter.
//!
//! What is played and what must hold is in `crates/chaos`.

use crate::{Failure, process};
use clap::Args;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode};

/// What `cargo xtask chaos` takes.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Build with optimisation: slower to start; the figures are those of a real installation.
    #[arg(long)]
    release: bool,
    /// Passed on to `howdah-chaos`, for example `--only kill --rounds 3`.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

/// Builds, then replaces this process, so that its exit code is ours.
pub(crate) fn run(root: &Path, options: &Options) -> Result<ExitCode, Failure> {
    let mut build = Command::new(process::cargo());
    build.current_dir(root).args(["build", "-p", "howdah-cli", "-p", "howdah-chaos"]);
    if options.release {
        build.arg("--release");
    }
    process::run_to_success(&mut build)?;
    let profile = if options.release { "release" } else { "debug" };
    let program = process::target_folder(root).join(profile).join("howdah-chaos");
    let mut chaos = Command::new(&program);
    chaos.current_dir(root).args(&options.arguments);
    let error = chaos.exec();
    Err(format!("cannot start {}: {error}", program.display()).into())
}
