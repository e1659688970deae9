//! `cargo xtask chaos`: builds `howdah` and the chaos program, then becomes the latter.
//!
//! What is played and what must hold is in `crates/chaos`.

use crate::{Failure, process};
use clap::Args;
use std::path::Path;
use std::process::ExitCode;

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

/// Builds, then becomes the program.
pub(crate) fn run(root: &Path, options: &Options) -> Result<ExitCode, Failure> {
    let program = ("howdah-chaos", options.arguments.as_slice());
    process::build_and_become(root, options.release, &["howdah-cli", "howdah-chaos"], program)
}
