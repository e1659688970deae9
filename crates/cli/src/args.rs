//! The command line: PgBouncer's flags and one file, or a subcommand (PGBOUNCER.md section 6).

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ArgAction, CommandFactory, Parser, Subcommand};

/// PgBouncer's own flags.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Flags {
    /// Run in the background.
    #[arg(short = 'd', long)]
    pub(crate) daemon: bool,
    /// What `-d` starts.
    #[arg(long, hide = true)]
    pub(crate) daemon_child: bool,
    /// Take over from a running process.
    #[arg(short = 'R', long)]
    pub(crate) reboot: bool,
    /// Write nothing to standard error.
    #[arg(short = 'q', long)]
    pub(crate) quiet: bool,
    /// Log more; may be repeated.
    #[arg(short = 'v', long, action = ArgAction::Count)]
    pub(crate) verbose: u8,
    /// Become this user.
    #[arg(short = 'u', long, value_name = "USERNAME")]
    pub(crate) user: Option<String>,
}

/// A PostgreSQL pooler: PgBouncer's place, reads on replicas, failover without broken sessions.
#[derive(Debug, Parser)]
#[command(
    name = "howdah",
    disable_version_flag = true,
    disable_help_subcommand = true,
    args_conflicts_with_subcommands = true,
    infer_long_args = true
)]
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

/// What `--help` says; the first part is PgBouncer's.
const HELP: &str = "\
Usage:
  {program} [OPTION]... CONFIG_FILE
  {program} COMMAND ...

Options:
  -d, --daemon         run in background (as a daemon)
  -q, --quiet          run quietly
  -R, --reboot         do an online reboot
  -u, --user=USERNAME  assume identity of USERNAME
  -v, --verbose        increase verbosity
  -V, --version        show version, then exit
  -h, --help           show this help, then exit

Commands (each with --help of its own):
";

/// Reads the command line.
///
/// # Errors
/// The exit code, when everything is said already.
pub(crate) fn parse() -> Result<Args, ExitCode> {
    match Args::try_parse() {
        Ok(args) if args.version => {
            say(&format!(
                "{VERSION}\nHowdah {}\nadns: getaddrinfo\nsystemd: yes\n",
                env!("CARGO_PKG_VERSION")
            ));
            Err(ExitCode::SUCCESS)
        }
        Ok(args) => Ok(args),
        Err(error) if error.kind() == ErrorKind::DisplayHelp && !names_a_command() => {
            say(&help());
            Err(ExitCode::SUCCESS)
        }
        Err(error) if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
            say(&error.to_string());
            Err(ExitCode::SUCCESS)
        }
        Err(error) => {
            complain(&complaint(&error));
            Err(ExitCode::from(1))
        }
    }
}

/// Whether the command line begins with a subcommand.
fn names_a_command() -> bool {
    let first = std::env::args().nth(1);
    first.is_some_and(|first| Args::command().get_subcommands().any(|command| command.get_name() == first))
}

fn help() -> String {
    let called = program();
    let program = called.rsplit('/').next().unwrap_or(&called);
    let mut text = format!("{program} is a connection pooler for PostgreSQL.\n\n");
    text.push_str(&HELP.replace("{program}", program));
    for command in Args::command().get_subcommands() {
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        text.push_str(&format!("  {:<20} {about}\n", command.get_name()));
    }
    text
}

/// A mistake of the command line in the words of getopt_long(3), which PgBouncer's users know.
fn complaint(error: &clap::Error) -> String {
    let context = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => text.clone(),
        Some(ContextValue::Strings(texts)) => texts.first().cloned().unwrap_or_default(),
        _ => String::new(),
    };
    let argument = context(ContextKind::InvalidArg);
    let option = argument.trim_end_matches('.').split([' ', '=']).next().unwrap_or_default().to_owned();
    match error.kind() {
        ErrorKind::UnknownArgument if option.starts_with("--") => format!("unrecognized option '{option}'"),
        ErrorKind::UnknownArgument if option.starts_with('-') => {
            format!("invalid option -- '{}'", option.trim_start_matches('-'))
        }
        // Options of ours have one spelling with a value: `-u`, `--user`.
        ErrorKind::InvalidValue if context(ContextKind::InvalidValue).is_empty() => {
            if std::env::args().next_back().is_some_and(|last| last.starts_with("--")) {
                "option '--user' requires an argument".to_owned()
            } else {
                "option requires an argument -- 'u'".to_owned()
            }
        }
        ErrorKind::TooManyValues => format!("option '{option}' doesn't allow an argument"),
        ErrorKind::UnknownArgument | ErrorKind::ArgumentConflict | ErrorKind::InvalidSubcommand => {
            NO_FILE.to_owned()
        }
        _ => {
            let text = error.to_string();
            let first = text.lines().next().unwrap_or_default();
            first.strip_prefix("error: ").unwrap_or(first).to_owned()
        }
    }
}

/// What PgBouncer says when there is not exactly one file.
const NO_FILE: &str = "no configuration file specified";

/// No file was named.
pub(crate) fn missing_file() -> ExitCode {
    complain(NO_FILE);
    ExitCode::from(1)
}

/// The name that the program was called by, as getopt shows it.
fn program() -> String {
    let name = std::env::args_os().next().map(|name| name.to_string_lossy().into_owned());
    name.unwrap_or_else(|| "howdah".to_owned())
}

/// Two lines, as PgBouncer says it.
fn complain(what: &str) {
    let program = program();
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
