//! The command `failover-sim`: seeds in, verdicts out.

use std::io::Write;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Parser;
use howdah_failover::Fault;
use howdah_failover_sim::mutation::Mutation;
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
    /// Plant this fault in the machine: "without ROW", "always ROW", or a planted fault's name.
    #[arg(long, value_name = "MUTATION")]
    fault: Option<Mutation>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let mut out = std::io::stdout().lock();
    let fault = args.fault.map_or(Fault::None, |m| m.0);
    let done = match args.seed {
        Some(seed) => one(&mut out, seed, fault),
        None => many(&mut out, (args.from.unwrap_or_else(fresh_seed), args.seeds), fault),
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

fn one(out: &mut impl Write, seed: u64, fault: Fault) -> std::io::Result<bool> {
    let report = run(seed, Options { log: true, fault });
    show(out, &report)?;
    Ok(!report.broken())
}

fn many(out: &mut impl Write, seeds: (u64, u64), fault: Fault) -> std::io::Result<bool> {
    let (from, seeds) = seeds;
    writeln!(out, "failover-sim: {seeds} seeds from {from}")?;
    let mut red = Vec::new();
    let (mut halted, mut promotions, mut switchovers, mut acknowledged) = (0u64, 0u64, 0u64, 0u64);
    for seed in from..from.saturating_add(seeds) {
        let report = run(seed, Options { fault, ..Options::default() });
        if report.broken() {
            if red.is_empty() {
                one(out, seed, fault)?;
            }
            writeln!(out, "seed {seed}: {:?}; repeat it with: failover-sim --seed {seed}", report.verdict)?;
            red.push(seed);
        }
        if let Verdict::Halted(why) = &report.verdict {
            writeln!(out, "seed {seed} halted: {why}")?;
            halted += 1;
        }
        promotions += u64::from(report.promotions);
        switchovers += u64::from(report.switchovers);
        acknowledged += report.acknowledged;
    }
    if !red.is_empty() {
        writeln!(out, "broken: {} of {seeds} seeds: {red:?}", red.len())?;
        return Ok(false);
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
