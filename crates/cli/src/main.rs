//! The `howdah` command. `howdah FILE` runs in PgBouncer's place, with PgBouncer's command line; the subcommands
//! are in modules of their name.

mod args;
mod check;
mod classify;
mod demo;
mod doctor;
mod logs;
mod rejoin;
mod run;
mod syslog;
mod table;
mod top;

#[cfg(test)]
mod logs_tests;
#[cfg(test)]
mod syslog_tests;
#[cfg(test)]
mod table_tests;

use std::process::ExitCode;

use args::{Args, Command};

fn main() -> ExitCode {
    let args = match args::parse() {
        Ok(args) => args,
        Err(code) => return code,
    };
    dispatch(args)
}

fn dispatch(args: Args) -> ExitCode {
    match args.command {
        Some(Command::Run { file }) => run::run(&args.flags, &file),
        Some(Command::Check { file }) => check::check(&file),
        Some(Command::Convert { file }) => check::convert(&file),
        Some(Command::Classify { jsonl, sql }) => classify::classify(jsonl, sql.as_deref()),
        Some(Command::Explain { sql }) => classify::explain(&sql),
        Some(Command::Doctor { file }) => doctor::doctor(&file),
        Some(Command::SetupSql(options)) => doctor::setup_sql(&options),
        Some(Command::Demo(options)) => demo::run(&options),
        Some(Command::Top(options)) => top::run(&options),
        Some(Command::Rejoin(options)) => rejoin::run(&options),
        None => match args.file {
            Some(file) => run::run(&args.flags, &file),
            None => args::missing_file(),
        },
    }
}
