//! `cargo xtask chaos`: failover under load, and what the clients saw of it (DESIGN.md section 8).
//!
//! A cluster of a primary and two standbys, as processes on loopback or as containers; the real `howdah` before it;
//! bank transfers, appends and read-your-writes through it; then a fault. [`faults`] lists them, one row each, with the
//! limits that must hold; [`plots`] plays them; [`load`] is the clients and [`books`] what they remember, which is
//! compared with what the surviving primary has. [`bare`] is the limit: the same failover by hand, without a pooler.
//! [`table`] prints the evidence and writes it to `docs/failover-evidence.md`.
//!
//! A [`site::Site`] is where the nodes run; [`stage::Stage`] is everything of one row together.

// A command's output is what it is for.
#![allow(clippy::print_stdout)]

mod bare;
mod books;
mod containers;
mod direct;
mod faults;
mod gauge;
mod load;
mod plots;
mod pooler;
mod processes;
mod site;
mod stage;
mod table;
mod verdict;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use faults::{FAULTS, Fault};
use verdict::Verdict;

/// What a step may fail with: a sentence that the person at the terminal can act on.
pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// What the command takes.
#[derive(Debug, Parser)]
#[command(name = "howdah-chaos", version, about = "Failover under load, and what the clients saw of it.")]
pub(crate) struct Options {
    /// Play only these rows of the table.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// How often a fault that is repeated is repeated; what the row says unless given.
    #[arg(long)]
    rounds: Option<u32>,
    /// The `howdah` to test; the one beside this program unless given.
    #[arg(long, value_name = "FILE")]
    howdah: Option<PathBuf>,
    /// Write the table to this file.
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
    /// Print the rows and end.
    #[arg(long)]
    list: bool,
    /// Leave out the rows that need containers.
    #[arg(long)]
    no_containers: bool,
    /// Figures of time are shown and not judged: for machines that other work keeps busy.
    #[arg(long)]
    lenient: bool,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let wanted = match chosen(&options) {
        Ok(wanted) => wanted,
        Err(sentence) => return failed(&sentence),
    };
    if options.list {
        for fault in wanted {
            println!("{:<24} {}", fault.name, fault.what);
        }
        return ExitCode::SUCCESS;
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&format!("cannot start the runtime: {error}").into()),
    };
    match runtime.block_on(play_all(&options, &wanted)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(sentence) => failed(&sentence),
    }
}

fn failed(sentence: &Failure) -> ExitCode {
    println!("chaos: {sentence}");
    ExitCode::FAILURE
}

/// The rows to play, in the table's order.
fn chosen(options: &Options) -> Result<Vec<&'static Fault>, Failure> {
    let unknown = options.only.iter().find(|name| !FAULTS.iter().any(|fault| fault.name == name.as_str()));
    if let Some(name) = unknown {
        return Err(format!("there is no row {name}; --list prints them").into());
    }
    let named = |fault: &&Fault| options.only.is_empty() || options.only.iter().any(|n| n == fault.name);
    let possible = |fault: &&Fault| !(options.no_containers && fault.place.needs_containers());
    Ok(FAULTS.iter().filter(named).filter(possible).collect())
}

/// Plays the rows; whether all of them hold.
async fn play_all(options: &Options, wanted: &[&'static Fault]) -> Result<bool, Failure> {
    let began = std::time::Instant::now();
    let mut verdicts: Vec<Verdict> = Vec::new();
    for fault in wanted {
        println!("chaos: {}: {}", fault.name, fault.what);
        let verdict = match plots::play(fault, options).await {
            Ok(figures) => Verdict::of(fault, figures, options.lenient),
            Err(failure) => Verdict::broken(fault, &direct::chain(failure.as_ref())),
        };
        println!("chaos: {}: {}", fault.name, verdict.sentence());
        verdicts.push(verdict);
    }
    println!("{}", table::text(&verdicts));
    if let Some(file) = &options.write {
        let text = table::document(&verdicts, began.elapsed());
        std::fs::write(file, text).map_err(|error| format!("cannot write {}: {error}", file.display()))?;
    }
    Ok(verdicts.iter().all(Verdict::holds))
}
