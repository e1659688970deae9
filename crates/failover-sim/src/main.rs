//! The command `failover-sim`: seeds in, verdicts out.

mod mutants;
mod plots;

use std::io::Write;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Parser;
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
    /// Play this scenario and print the log of the play that is broken, or of its first.
    #[arg(long, value_name = "NAME")]
    scenario: Option<String>,
    /// Play all scenarios.
    #[arg(long)]
    scenarios: bool,
    /// Check the list of mutations and what catches them; with --fault that one only.
    #[arg(long)]
    mutate: bool,
    /// With --mutate: find what catches them, and print the list.
    #[arg(long)]
    search: bool,
    /// With --mutate: print the list as a table for the documents.
    #[arg(long)]
    markdown: bool,
    /// List the scenarios.
    #[arg(long)]
    list: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let mut out = std::io::stdout().lock();
    let fault = args.fault.unwrap_or_default();
    let done = match (args.seed, args.scenario) {
        _ if args.list => plots::list(&mut out),
        _ if args.mutate && args.markdown => mutants::table(&mut out),
        _ if args.mutate && args.search => mutants::search(&mut out, args.fault),
        _ if args.mutate => mutants::check(&mut out, args.fault),
        _ if args.scenarios => plots::all(&mut out, fault),
        (_, Some(name)) => plots::one(&mut out, &name, fault),
        (Some(seed), None) => one(&mut out, seed, fault),
        (None, None) => many(&mut out, (args.from.unwrap_or_else(fresh_seed), args.seeds), fault),
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

fn one(out: &mut impl Write, seed: u64, fault: Mutation) -> std::io::Result<bool> {
    let report = run(seed, Options { log: true, mutation: fault });
    show(out, &report)?;
    Ok(!report.broken())
}

fn many(out: &mut impl Write, seeds: (u64, u64), fault: Mutation) -> std::io::Result<bool> {
    let (from, seeds) = seeds;
    writeln!(out, "failover-sim: {seeds} seeds from {from}")?;
    let mut red = Vec::new();
    let (mut halted, mut promotions, mut switchovers, mut acknowledged) = (0u64, 0u64, 0u64, 0u64);
    for seed in from..from.saturating_add(seeds) {
        let report = run(seed, Options { mutation: fault, ..Options::default() });
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
