//! `howdah rejoin`: brings a PostgreSQL back into its cluster as a standby (FAILOVER_PROTOCOL.md section 10).
//!
//! It runs on the node itself, beside a server that is stopped. What it finds in the data directory and what the
//! primary says decide between a plain start, `pg_rewind` and `pg_basebackup`; after each of them the node's own
//! settings are written anew, for both programs bring the settings of the other node along.
//!
//! `state.rs` reads the directory, `source.rs` asks the primary, `decide.rs` decides and is pure, `carry.rs` does it.
//! `supervise.rs` does all of it again whenever the server has ended.

mod carry;
mod conninfo;
mod decide;
mod pace;
mod peers;
mod programs;
mod server;
mod settings;
mod source;
mod state;
mod supervise;
mod verdict;
mod watch;

#[cfg(test)]
mod conninfo_tests;
#[cfg(test)]
mod decide_tests;
#[cfg(test)]
mod pace_tests;
#[cfg(test)]
mod settings_tests;
#[cfg(test)]
mod state_tests;
#[cfg(test)]
mod verdict_tests;
#[cfg(test)]
mod watch_tests;

use std::path::PathBuf;
use std::process::ExitCode;

use crate::args::{say, warn};
use conninfo::Conninfo;
use peers::Peers;
use programs::Programs;
use source::Source;

/// The exit code when the directory or the primary is not what `rejoin` can work with; nothing was changed.
const REFUSED: u8 = 2;

/// What `howdah rejoin` takes.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    /// The node's data directory. Its server must be stopped.
    #[arg(long, value_name = "DIR")]
    pgdata: PathBuf,
    /// How the node follows the present primary: `host=… port=… user=… password=…` of a replication role. Several
    /// hosts, separated by commas, are the cluster's nodes: the one that is the primary is found.
    #[arg(long, value_name = "CONNINFO")]
    primary: String,
    /// A login on the primary that may run pg_rewind; the one of `--primary` unless said, and its host and port too.
    #[arg(long, value_name = "CONNINFO")]
    rewind_as: Option<String>,
    /// The node's name: its `application_name` as a standby; the data directory's name unless said.
    #[arg(long)]
    name: Option<String>,
    /// The replication slot on the primary that the node uses; it is made where it is missing.
    #[arg(long)]
    slot: Option<String>,
    /// `postgresql.conf`, where it is not in the data directory.
    #[arg(long, value_name = "FILE")]
    config_file: Option<PathBuf>,
    /// The log of the started server; beside the data directory unless said.
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// Run PostgreSQL beside this program, and bring it back whenever it ends; stop it for a switchover. What it says
    /// goes to `--log`, or where this program's own output goes. SIGTERM and SIGINT stop both.
    #[arg(long, conflicts_with_all = ["no_start", "dry_run"])]
    supervise: bool,
    /// The supervisor's login on its own server: `user=… password=…`; `user=postgres` unless said.
    #[arg(long, value_name = "CONNINFO", requires = "supervise")]
    local: Option<String>,
    /// A primary that was stopped for a switchover is started as it was when nobody is promoted within this (seconds).
    #[arg(long, value_name = "SECONDS", default_value_t = 30, requires = "supervise")]
    switchover_wait: u64,
    /// The same after a crash (seconds).
    #[arg(long, value_name = "SECONDS", default_value_t = 5, requires = "supervise")]
    crash_wait: u64,
    /// Make the directory ready and leave the start to somebody else.
    #[arg(long)]
    no_start: bool,
    /// Say what would be done, and do nothing.
    #[arg(long)]
    dry_run: bool,
}

impl Options {
    /// The name that the node streams under.
    fn name(&self) -> String {
        let folder = self.pgdata.file_name().unwrap_or_default().to_string_lossy();
        self.name.clone().unwrap_or_else(|| folder.into_owned())
    }
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
        Ok(code) => code,
        Err(error) => {
            warn(&format!("howdah rejoin: {error}\n"));
            ExitCode::from(if matches!(error, Error::Refused(_)) { REFUSED } else { 1 })
        }
    }
}

fn rejoin(options: &Options) -> Result<ExitCode, Error> {
    let peers = Peers::new(&options.primary, options.rewind_as.as_deref())?;
    let programs = Programs::find(&options.pgdata)?;
    if options.supervise {
        return supervise::run(options, programs, peers);
    }
    let node = state::look(&options.pgdata, &programs)?;
    let (primary, source) = primary(&peers, &programs)?;
    say(&format!("{}\n{}\n", node.sentence(), source.sentence(&primary)));
    let plan = decide::decide(&node, &source).map_err(Error::Refused)?;
    say(&format!("{}\n", plan.why));
    if options.dry_run {
        return Ok(ExitCode::SUCCESS);
    }
    let login = peers.login_at(&primary);
    let carry = carry::Carry { options, primary: &primary, login: &login, programs: &programs, node: &node };
    carry.out(plan.way)?;
    if !options.no_start {
        carry.start()?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The server to follow: the only one that is named, or the one of them that is the primary.
fn primary(peers: &Peers, programs: &Programs) -> Result<(Conninfo, Source), Error> {
    if let Some(only) = peers.only() {
        return Ok((only.clone(), source::ask(only, &peers.login_at(only), programs)?));
    }
    let seen = peers.look(programs);
    seen.primary().cloned().ok_or_else(|| {
        let standbys = seen.answers.iter().map(|(place, _)| format!("{} is a standby", place.place()));
        let all: Vec<String> = seen.complaints.iter().cloned().chain(standbys).collect();
        Error::Refused(format!("none of the named servers is the primary: {}", all.join("; ")))
    })
}
