//! The project's own commands, started by the cargo aliases `xtask`, `ci` and `demo`.
//!
//! [`tidy`] holds the numbers of CONTRIBUTING.md, [`ci`] runs everything that CI runs, [`compare`] measures Howdah
//! beside PgBouncer, [`demo`] builds and starts the demo, [`chaos`] breaks clusters under load, [`versions`] tests on other
//! versions of PostgreSQL. Read `tidy/mod.rs` first: it is what fails most builds.

// A command's output is what it is for.
#![allow(clippy::print_stdout)]

mod chaos;
mod ci;
#[cfg(test)]
mod ci_tests;
mod compare;
mod demo;
mod process;
mod tidy;
mod versions;

use clap::{Parser, Subcommand};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What a command may fail with: a sentence that the person at the terminal can act on.
type Failure = Box<dyn std::error::Error>;

/// The project's own commands.
#[derive(Debug, Parser)]
#[command(name = "xtask", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

/// One command each.
#[derive(Debug, Subcommand)]
enum Command {
    /// Check the numbers and rules of CONTRIBUTING.md; every breach is printed as `file:line: what`.
    Tidy(tidy::Options),
    /// Run everything that CI runs, in order, with the time of each step.
    Ci(ci::Options),
    /// Measure Howdah, PgBouncer and a direct connection in interleaved rounds.
    Compare(compare::Options),
    /// Failover under load with every kind of fault; the arguments go to `howdah-chaos`.
    Chaos(chaos::Options),
    /// Build everything that the demo needs and start it; the arguments go to `howdah demo`.
    Demo(demo::Options),
    /// Run a short set of tests on the other major versions of PostgreSQL that can be had.
    Versions(versions::Options),
}

fn main() -> ExitCode {
    let root = workspace_root();
    let outcome = match Arguments::parse().command {
        Command::Tidy(options) => tidy::run(&root, &options),
        Command::Ci(options) => ci::run(&root, &options),
        Command::Compare(options) => compare::run(&root, &options),
        Command::Chaos(options) => chaos::run(&root, &options),
        Command::Demo(options) => demo::run(&root, &options),
        Command::Versions(options) => versions::run(&root, &options),
    };
    match outcome {
        Ok(code) => code,
        Err(failure) => {
            println!("xtask: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// The folder of the workspace's `Cargo.toml`: the parent of this package's folder.
fn workspace_root() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package).to_path_buf()
}
