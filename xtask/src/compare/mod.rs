//! `cargo xtask compare`: Howdah, PgBouncer and a direct connection under the same load, in interleaved rounds.
//!
//! Everything runs on loopback beside one PostgreSQL that this starts and removes. [`poolers`] starts the two poolers
//! with the same `pgbouncer.ini`, [`pgbench`] makes load, [`usage`] reads what a pooler cost, [`table`] prints
//! medians and ratios, [`idle`] is the other question: what a client costs that does nothing.
//!
//! On a busy machine trust the ratios, not the figures; differences under 10 % are not findings.

mod cases;
mod idle;
mod pgbench;
mod poolers;
mod table;
mod usage;

#[cfg(test)]
mod compare_tests;

use crate::{Failure, process};
use cases::Case;
use clap::Args;
use howdah_testkit::Postgres;
use pgbench::{Bench, Sample};
use poolers::{Kind, PoolMode, Pooler, Programs};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// The size of pgbench's tables: 100,000 accounts each.
const SCALE: u32 = 10;
/// How many server connections a PostgreSQL gets at most: session pooling needs one for each client.
const MAX_SERVER_CONNECTIONS: &str = "600";
/// The role and the database of the load.
const ROLE: &str = "postgres";
const DATABASE: &str = "bench";

/// What `cargo xtask compare` takes.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// How often each case is measured with each pooler.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// How long one measurement takes, in seconds.
    #[arg(long, default_value_t = 3)]
    seconds: u32,
    /// Numbers of clients.
    #[arg(long, value_delimiter = ',', default_value = "1,16,64")]
    clients: Vec<u32>,
    /// Protocols: simple, extended, prepared.
    #[arg(long, value_delimiter = ',', default_value = "simple,extended,prepared")]
    modes: Vec<cases::Protocol>,
    /// What is asked: `select` (pgbench -S) or `one` (select 1).
    #[arg(long, value_delimiter = ',', default_value = "select,one")]
    scripts: Vec<cases::Script>,
    /// Instead: the memory of this many idle logged-in clients, and how their logins went.
    #[arg(long, value_name = "CLIENTS")]
    idle: Option<usize>,
    /// Howdah's binary; built with --release when not given.
    #[arg(long, env = "HOWDAH")]
    howdah: Option<PathBuf>,
    /// PgBouncer's binary.
    #[arg(long, env = "PGBOUNCER")]
    pgbouncer: Option<PathBuf>,
}

/// Starts everything, measures, prints, removes everything.
pub(crate) fn run(root: &Path, options: &Options) -> Result<ExitCode, Failure> {
    usage::raise_file_limit()?;
    let programs = Programs {
        howdah: howdah_binary(root, options)?,
        pgbouncer: pgbouncer_binary(options)?,
        pgbouncer_version: String::new(),
    }
    .with_version()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let server = runtime.block_on(Postgres::single(
        howdah_testkit::Options::default()
            .setting("max_connections", MAX_SERVER_CONNECTIONS)
            .setting("shared_buffers", "256MB")
            .database(DATABASE),
    ))?;
    println!("compare: {} beside {}", programs.howdah.display(), programs.pgbouncer_version);
    match options.idle {
        Some(clients) => idle::compare(&programs, &server, clients)?,
        None => compare_load(&programs, &server, options)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Howdah's binary as given, else built.
fn howdah_binary(root: &Path, options: &Options) -> Result<PathBuf, Failure> {
    if let Some(binary) = &options.howdah {
        return Ok(binary.canonicalize().map_err(|e| format!("{}: {e}", binary.display()))?);
    }
    let mut build = Command::new(process::cargo());
    build.current_dir(root).args(["build", "--release", "--quiet", "-p", "howdah-cli"]);
    process::run_to_success(&mut build)?;
    Ok(process::target_folder(root).join("release/howdah"))
}

/// PgBouncer's binary as given, else the installed one; Debian keeps it outside an ordinary `PATH`.
fn pgbouncer_binary(options: &Options) -> Result<PathBuf, Failure> {
    if let Some(binary) = &options.pgbouncer {
        return Ok(binary.canonicalize().map_err(|e| format!("{}: {e}", binary.display()))?);
    }
    let debian = PathBuf::from("/usr/sbin/pgbouncer");
    let found = process::find_on_path("pgbouncer").or_else(|| debian.is_file().then_some(debian));
    found.ok_or_else(|| "there is no pgbouncer: install it, or give PGBOUNCER=path".into())
}

/// Everything with pgbench.
fn compare_load(programs: &Programs, server: &Postgres, options: &Options) -> Result<(), Failure> {
    let bench = Bench::prepare(server, SCALE, options.seconds)?;
    let cases = cases::all(options, programs);
    let mut poolers = BTreeMap::new();
    for (kind, mode) in wanted_poolers(&cases) {
        poolers.insert((kind, mode), Pooler::start(kind, mode, programs, server)?);
    }
    let mut samples: BTreeMap<(usize, Kind), Vec<Sample>> = BTreeMap::new();
    for round in 0..options.rounds {
        for (index, case) in cases.iter().enumerate() {
            for kind in order_of(round) {
                let sample = bench.run(case, poolers.get(&(kind, case.pool_mode)))?;
                samples.entry((index, kind)).or_default().push(sample);
            }
        }
        println!("compare: round {} of {} done", round + 1, options.rounds);
    }
    table::print(&cases, &samples);
    Ok(())
}

/// The poolers that the cases need.
fn wanted_poolers(cases: &[Case]) -> Vec<(Kind, PoolMode)> {
    let both = |mode| [(Kind::Howdah, mode), (Kind::PgBouncer, mode)];
    let mut wanted: Vec<_> = cases.iter().flat_map(|case| both(case.pool_mode)).collect();
    wanted.sort();
    wanted.dedup();
    wanted
}

/// Who goes first changes with the round, so that nobody always runs on a warmer machine.
fn order_of(round: usize) -> [Kind; 3] {
    let mut order = [Kind::Direct, Kind::PgBouncer, Kind::Howdah];
    order.rotate_left(round % 3);
    order
}
