//! `howdah demo`: everything that Howdah is for, on this machine, in a minute (DESIGN.md sections 1 and 2).
//!
//! A primary and two replicas on loopback addresses in a temporary directory, Howdah before them, the example
//! program with one connection string, four sessions that write without pause; then the primary is killed. What
//! must hold is checked at each step, and a step that does not hold ends the demo with a sentence.
//!
//! `steps.rs` is the plot. Its actors: `nodes.rs` (PostgreSQL), `pooler.rs` (Howdah), `program.rs` (the example),
//! `load.rs` (the writers). `show.rs` prints, `install.rs` gets PostgreSQL where there is none.

mod install;
mod load;
mod nodes;
mod pooler;
mod program;
mod show;
mod steps;

#[cfg(test)]
mod program_tests;
#[cfg(test)]
mod show_tests;

use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};

use show::Screen;

/// What `howdah demo` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// End after the last step instead of leaving all of it running.
    #[arg(long)]
    once: bool,
    /// The port that Howdah listens on; a free one unless said.
    #[arg(long)]
    port: Option<u16>,
}

/// PostgreSQL is not there and could not be installed.
const NO_POSTGRES: u8 = 3;

/// A step that did not hold, in one sentence.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Broken(String);

impl Broken {
    fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }
}

/// How the demo ended.
enum End {
    Done,
    Interrupted,
    Broken(Broken),
}

/// Runs the command.
pub(crate) fn run(options: &Options) -> ExitCode {
    let screen = Screen::new();
    if let Err(sentence) = install::postgres(&screen) {
        crate::args::warn(&format!("{sentence}\n"));
        return ExitCode::from(NO_POSTGRES);
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            crate::args::warn(&format!("cannot start the runtime: {error}\n"));
            return ExitCode::from(1);
        }
    };
    let end = runtime.block_on(until_told(options, &screen));
    // Nothing that still runs in it matters: servers and files are gone with their owners.
    runtime.shutdown_background();
    match end {
        End::Done => ExitCode::SUCCESS,
        End::Interrupted => {
            screen.line("Everything is removed.");
            // A demo that was left running is ended this way; one that had to end by itself was cut short.
            if options.once { ExitCode::from(1) } else { ExitCode::SUCCESS }
        }
        End::Broken(broken) => {
            crate::args::warn(&format!("\nThe demo failed: {broken}\n"));
            ExitCode::from(1)
        }
    }
}

/// The plot, or a signal, whichever ends first. Dropping the plot ends every process and removes every file.
async fn until_told(options: &Options, screen: &Screen) -> End {
    let (mut terminate, mut hangup) = match (signal(SignalKind::terminate()), signal(SignalKind::hangup())) {
        (Ok(terminate), Ok(hangup)) => (terminate, hangup),
        (Err(error), _) | (_, Err(error)) => {
            return End::Broken(Broken::new(format!("signals cannot be taken: {error}")));
        }
    };
    tokio::select! {
        done = steps::play(options, screen) => match done {
            Ok(()) => End::Done,
            Err(broken) => End::Broken(broken),
        },
        _ = tokio::signal::ctrl_c() => End::Interrupted,
        _ = terminate.recv() => End::Interrupted,
        _ = hangup.recv() => End::Interrupted,
    }
}
