//! `howdah rejoin`: brings a PostgreSQL back into its cluster as a standby (FAILOVER_PROTOCOL.md section 10).
//!
//! It runs on the node itself, beside a server that is stopped. What it finds in the data directory and what the
//! primary says decide between a plain start, `pg_rewind` and `pg_basebackup`; after each of them the node's own
//! settings are written anew, for both programs bring the settings of the other node along.
//!
//! `state.rs` reads the directory, `source.rs` asks the primary, `decide.rs` decides and is pure, `carry.rs` does it.

mod carry;
mod conninfo;
mod decide;
mod programs;
mod settings;
mod source;
mod state;

#[cfg(test)]
mod conninfo_tests;
#[cfg(test)]
mod decide_tests;
#[cfg(test)]
mod settings_tests;
#[cfg(test)]
mod state_tests;

use std::path::PathBuf;
use std::process::ExitCode;

use crate::args::{say, warn};
use conninfo::Conninfo;
use programs::Programs;

/// The exit code when the directory or the primary is not what `rejoin` can work with; nothing was changed.
const REFUSED: u8 = 2;

/// What `howdah rejoin` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The node's data directory. Its server must be stopped.
    #[arg(long, value_name = "DIR")]
    pgdata: PathBuf,
    /// How the node follows the present primary: `host=… port=… user=… password=…` of a replication role.
    #[arg(long, value_name = "CONNINFO")]
    primary: String,
    /// A login on the primary that may run pg_rewind; the one of `--primary` unless said.
    #[arg(long, value_name = "CONNINFO")]
    rewind_as: Option<String>,
    /// The node's name: its `application_name` as a standby; the data directory's name unless said.
    #[arg(long)]
    name: Option<String>,
    /// The replication slot on the primary that the node uses.
    #[arg(long)]
    slot: Option<String>,
    /// `postgresql.conf`, where it is not in the data directory.
    #[arg(long, value_name = "FILE")]
    config_file: Option<PathBuf>,
    /// The log of the started server; beside the data directory unless said.
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// Make the directory ready and leave the start to somebody else.
    #[arg(long)]
    no_start: bool,
    /// Say what would be done, and do nothing.
    #[arg(long)]
    dry_run: bool,
}

/// Why it did not happen.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Nothing was changed, and this program must not go on.
    #[error("{0}")]
    Refused(String),
    /// Something that was begun did not end well.
    #[error("{0}")]
    Failed(String),
}

impl Error {
    /// For `map_err` around operations on files.
    fn file(what: &str, path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Self {
        let text = format!("cannot {what} {}", path.display());
        move |error| Self::Failed(format!("{text}: {error}"))
    }
}

/// Runs the command.
pub(crate) fn run(options: &Options) -> ExitCode {
    match rejoin(options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            warn(&format!("howdah rejoin: {error}\n"));
            ExitCode::from(if matches!(error, Error::Refused(_)) { REFUSED } else { 1 })
        }
    }
}

fn rejoin(options: &Options) -> Result<(), Error> {
    let primary = Conninfo::parse(&options.primary).map_err(Error::Refused)?;
    let programs = Programs::find(&options.pgdata)?;
    let node = state::look(&options.pgdata, &programs)?;
    let source = source::ask(&primary, &programs)?;
    say(&format!("{}\n{}\n", node.sentence(), source.sentence(&primary)));
    let plan = decide::decide(&node, &source).map_err(Error::Refused)?;
    say(&format!("{}\n", plan.why));
    if options.dry_run {
        return Ok(());
    }
    let carry = carry::Carry { options, primary: &primary, programs: &programs, node: &node };
    carry.out(plan.way)?;
    if options.no_start {
        return Ok(());
    }
    carry.start()
}
