//! The command `failover-sim`: seeds in, verdicts out.

use std::io::Write;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Parser;
use howdah_failover_sim::{Options, Report, Verdict, run};

/// Runs the failover machine against a model of PostgreSQL; a seed repeats a run to the last event.
#[derive(Parser)]
#[command(name = "failover-sim")]
struct Args {
    /// Run this one seed and print its event log.
    #[arg(long)]
    seed: Option<u64>,
    /// Run so many seeds.
    #[arg(long, default_value_t = 500)]
    seeds: u64,
    /// The first of them; without it the clock chooses one, and it is printed.
    #[arg(long)]
    from: Option<u64>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let mut out = std::io::stdout().lock();
    let done = match args.seed {
        Some(seed) => one(&mut out, seed),
        None => many(&mut out, args.from.unwrap_or_else(fresh_seed), args.seeds),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "failover-sim: {error}");
            ExitCode::FAILURE
        }
    }
}

/// A seed that nobody has chosen.
fn fresh_seed() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_micros());
    u64::try_from(since % 1_000_000_000_000).unwrap_or(0)
}

fn one(out: &mut impl Write, seed: u64) -> std::io::Result<bool> {
    let report = run(seed, Options { log: true, ..Options::default() });
    show(out, &report)?;
    Ok(!report.broken())
}

fn many(out: &mut impl Write, from: u64, seeds: u64) -> std::io::Result<bool> {
    writeln!(out, "failover-sim: {seeds} seeds from {from}")?;
    let (mut halted, mut promotions, mut switchovers, mut acknowledged) = (0u64, 0u64, 0u64, 0u64);
    for seed in from..from.saturating_add(seeds) {
        let report = run(seed, Options::default());
        if report.broken() {
            one(out, seed)?;
            writeln!(out, "repeat it with: failover-sim --seed {seed}")?;
            return Ok(false);
        }
        if let Verdict::Halted(why) = &report.verdict {
            writeln!(out, "seed {seed} halted: {why}")?;
            halted += 1;
        }
        promotions += u64::from(report.promotions);
        switchovers += u64::from(report.switchovers);
        acknowledged += report.acknowledged;
    }
    writeln!(
        out,
        "all held: {seeds} seeds, {halted} halted with a reason, {promotions} promotions ({switchovers} by switchover), {acknowledged} acknowledged writes"
    )?;
    Ok(true)
}

fn show(out: &mut impl Write, report: &Report) -> std::io::Result<()> {
    for line in &report.log {
        writeln!(out, "{line}")?;
    }
    let (p, a) = (report.promotions, report.acknowledged);
    writeln!(out, "seed {}: {:?} ({p} promotions, {a} acknowledged writes)", report.seed, report.verdict)
}
