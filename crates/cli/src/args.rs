//! The command line: PgBouncer's flags and one file, or a subcommand (PGBOUNCER.md section 6).

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{ArgAction, Parser, Subcommand};

/// PgBouncer's own flags.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Flags {
    /// Run in the background (not there yet).
    #[arg(short = 'd', long)]
    pub(crate) daemon: bool,
    /// Take over from a running process (not there yet).
    #[arg(short = 'R', long)]
    pub(crate) reboot: bool,
    /// Write nothing to standard error.
    #[arg(short = 'q', long)]
    pub(crate) quiet: bool,
    /// Log more; may be repeated.
    #[arg(short = 'v', long, action = ArgAction::Count)]
    pub(crate) verbose: u8,
    /// Become this user (not there yet).
    #[arg(short = 'u', long, value_name = "USER")]
    pub(crate) user: Option<String>,
}

/// A PostgreSQL pooler: PgBouncer's place, reads on replicas, failover without broken sessions.
#[derive(Debug, Parser)]
#[command(name = "howdah", disable_version_flag = true, args_conflicts_with_subcommands = true)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) flags: Flags,
    /// Print the version and leave.
    #[arg(short = 'V', long)]
    pub(crate) version: bool,
    /// `pgbouncer.ini` or `howdah.toml`.
    pub(crate) file: Option<PathBuf>,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

/// What else it can do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run with a configuration file, as without a subcommand.
    Run {
        /// `pgbouncer.ini` or `howdah.toml`.
        file: PathBuf,
    },
    /// Say everything about a configuration file: mistakes with line and column, and notes.
    Check {
        /// `pgbouncer.ini` or `howdah.toml`.
        file: PathBuf,
    },
    /// Print a `pgbouncer.ini` as TOML.
    Convert {
        /// `pgbouncer.ini`.
        file: PathBuf,
    },
    /// Say of SQL texts whether they may run on a replica.
    Classify {
        /// Read lines `{"id":…,"sql":…}` and answer `{"id":…,"route":…,"reason":…}`.
        #[arg(long)]
        jsonl: bool,
        /// One text, when there is no `--jsonl`.
        sql: Option<String>,
    },
    /// Say in one sentence where a SQL text goes and why.
    Explain {
        /// The text.
        sql: String,
    },
    /// Ask every node of every cluster, and say of each thing that Howdah needs whether it is there.
    Doctor {
        /// `pgbouncer.ini` or `howdah.toml`.
        file: PathBuf,
    },
    /// Print the SQL of the role that Howdah's own connections need.
    SetupSql(crate::doctor::SetupOptions),
    /// Show everything on this machine: a cluster, the example program, a failover, a return.
    Demo(crate::demo::Options),
    /// Show nodes, pools and traffic of a running Howdah, live.
    Top(crate::top::Options),
    /// Bring a stopped PostgreSQL back into its cluster as a standby: plain start, pg_rewind or pg_basebackup.
    Rejoin(crate::rejoin::Options),
}

/// The first line of `--version`, which SHOW VERSION repeats.
pub(crate) const VERSION: &str = "PgBouncer 1.25.2";

/// Reads the command line.
///
/// # Errors
/// The exit code, when everything is said already.
pub(crate) fn parse() -> Result<Args, ExitCode> {
    match Args::try_parse() {
        Ok(args) if args.version => {
            say(&format!("{VERSION}\nHowdah {}\n", env!("CARGO_PKG_VERSION")));
            Err(ExitCode::SUCCESS)
        }
        Ok(args) => Ok(args),
        Err(error) if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
            say(&error.to_string());
            Err(ExitCode::SUCCESS)
        }
        Err(error) => {
            let text = error.to_string();
            let first = text.lines().next().unwrap_or_default();
            complain(first.strip_prefix("error: ").unwrap_or(first));
            Err(ExitCode::from(1))
        }
    }
}

/// No file was named.
pub(crate) fn missing_file() -> ExitCode {
    complain("missing configuration file argument");
    ExitCode::from(1)
}

/// Two lines, as PgBouncer says it.
fn complain(what: &str) {
    let program = std::env::args().next().unwrap_or_else(|| "howdah".to_owned());
    warn(&format!("{program}: {what}\nTry \"{program} --help\" for more information.\n"));
}

/// To standard output; a reader that has gone is no reason to fail.
pub(crate) fn say(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// To standard error.
pub(crate) fn warn(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}
