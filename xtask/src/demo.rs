//! `cargo demo`: builds the `howdah` command and the example programs, then becomes `howdah demo`.
//!
//! What the demo does is in `crates/cli`; this only makes sure that what it starts is built.

use crate::{Failure, process};
use clap::Args;
use std::path::Path;
use std::process::ExitCode;

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

/// Builds, then becomes `howdah demo`.
pub(crate) fn run(root: &Path, options: &Options) -> Result<ExitCode, Failure> {
    let arguments: Vec<String> =
        std::iter::once("demo".to_owned()).chain(options.arguments.clone()).collect();
    process::build_and_become(
        root,
        options.release,
        &["howdah-cli", "howdah-examples"],
        ("howdah", &arguments),
    )
}
