//! `cargo ci`: everything that CI runs, in order, with the time of each step.
//!
//! A step is a row of [`steps`]. The first that fails ends the run, and the command that repeats it alone is printed.
//! The test runner's summary is kept and printed as the last line.

use crate::{Failure, process};
use clap::Args;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant, SystemTime};

/// The first seed and the number of seeds that the simulator runs every time.
const FIXED_SEEDS: (u64, u32) = (1, 250);
/// How many seeds the simulator runs from a fresh, printed one.
const FRESH_SEEDS: u32 = 250;
/// The newest version of PostgreSQL that can be had, and what is run on it every time; `cargo xtask versions` runs more.
const NEWEST: &str = "18";
const ON_NEWEST: &str = "(package(howdah-controller) & (test(a_killed_primary_is_replaced) | test(failovers_in_a_row))) | \
    (package(howdah-tests) & (test(routing::) | test(auth::)))";
/// The rows of `cargo xtask chaos` that are played every time, once each: a fault of each kind.
const CHAOS: &str = "kill,pooler-killed,lag,async-kill,cut-off,two-sides";

/// What `cargo ci` takes.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Run only these steps.
    #[arg(long, value_name = "STEP")]
    only: Vec<String>,
    /// Leave these steps out.
    #[arg(long, value_name = "STEP")]
    skip: Vec<String>,
    /// The simulator's first fresh seed, to repeat a run that failed.
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
    /// Print the steps and end.
    #[arg(long)]
    list: bool,
}

/// One thing that CI runs.
pub(crate) struct Step {
    pub(crate) name: &'static str,
    pub(crate) command: Command,
}

/// A step that has run.
pub(crate) struct Done {
    pub(crate) name: &'static str,
    pub(crate) took: Duration,
    pub(crate) passed: bool,
}

/// Runs the steps that are wanted.
pub(crate) fn run(root: &Path, options: &Options) -> Result<ExitCode, Failure> {
    let all = steps(root, options.seed.unwrap_or_else(fresh_seed));
    check_names(&all, &options.only.iter().chain(&options.skip).collect::<Vec<_>>())?;
    let wanted = |step: &Step| {
        let named = |names: &[String]| names.iter().any(|name| name == step.name);
        (options.only.is_empty() || named(&options.only)) && !named(&options.skip)
    };
    if options.list {
        for step in all.iter().filter(|step| wanted(step)) {
            println!("{}: {}", step.name, process::describe(&step.command));
        }
        return Ok(ExitCode::SUCCESS);
    }
    let mut done = Vec::new();
    let mut summary = None;
    let mut replay = None;
    for step in all.into_iter().filter(wanted) {
        let shown = process::describe(&step.command);
        println!("ci: {}: {shown}", step.name);
        let outcome = run_step(step, &mut summary)?;
        println!("ci: {} {} in {:.1} s", outcome.name, verdict(outcome.passed), outcome.took.as_secs_f64());
        let passed = outcome.passed;
        done.push(outcome);
        if !passed {
            replay = Some(shown);
            break;
        }
    }
    print_end(&done, replay.as_deref(), summary.as_deref());
    Ok(if replay.is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The steps in their order: the quick ones first, what needs real servers later.
pub(crate) fn steps(root: &Path, seed: u64) -> Vec<Step> {
    let cargo = |name: &'static str, words: &[&str]| {
        let mut command = Command::new(process::cargo());
        command.current_dir(root).args(words);
        Step { name, command }
    };
    let simulate = |name: &'static str, first: u64, count: u32| {
        let (first, count) = (first.to_string(), count.to_string());
        cargo(name, &["run", "-q", "-p", "howdah-failover-sim", "--", "--from", &first, "--seeds", &count])
    };
    let mut rustdoc = cargo("rustdoc", &["doc", "--workspace", "--no-deps", "--quiet"]);
    rustdoc.command.env("RUSTDOCFLAGS", "-D warnings");
    let mut all = vec![
        cargo("fmt", &["fmt", "--all", "--check"]),
        cargo("tidy", &["xtask", "tidy"]),
        cargo("clippy", &["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"]),
        cargo(
            "pam",
            &[
                "clippy",
                "-p",
                "howdah-cli",
                "-p",
                "howdah",
                "--features",
                "pam",
                "--quiet",
                "--",
                "-D",
                "warnings",
            ],
        ),
        cargo("build", &["build", "--quiet", "--workspace", "--bins", "--examples"]),
        cargo("test", &["nextest", "run", "--workspace", "--profile", "ci"]),
        cargo("versions", &["xtask", "versions", NEWEST, "--if-available", "--filter", ON_NEWEST]),
        cargo("demo", &["demo", "--once"]),
        cargo("doctest", &["test", "--quiet", "--workspace", "--doc"]),
        simulate("simulate", FIXED_SEEDS.0, FIXED_SEEDS.1),
        simulate("simulate-fresh", seed, FRESH_SEEDS),
        cargo("bench-smoke", &["test", "--quiet", "-p", "howdah-benches", "--benches"]),
        rustdoc,
    ];
    // Times are shown and not judged: other work may keep the machine busy.
    let mut chaos = cargo("chaos", &["xtask", "chaos", "--lenient", "--rounds", "1", "--only", CHAOS]);
    if containers_answer(root) {
        let mut command = Command::new("docker/smoke");
        command.current_dir(root);
        all.push(Step { name: "compose", command });
    } else {
        println!(
            "ci: no container engine with Compose answers: compose and the rows of chaos with containers are not run"
        );
        chaos.command.arg("--no-containers");
    }
    all.push(chaos);
    all
}

/// Whether there is something to run containers.
fn containers_answer(root: &Path) -> bool {
    let answers = |program: &str, word: &str| {
        let mut command = Command::new(program);
        command.current_dir(root).arg(word).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    answers("docker", "info") && answers("docker/compose", "version")
}

/// A misspelled step would pass by running nothing.
pub(crate) fn check_names(all: &[Step], named: &[&String]) -> Result<(), Failure> {
    let known = |name: &String| all.iter().any(|step| step.name == name.as_str());
    match named.iter().find(|name| !known(name)) {
        Some(name) => Err(format!("there is no step {name}; `cargo ci --list` prints them").into()),
        None => Ok(()),
    }
}

/// Runs one step to its end and keeps the test runner's summary when there is one.
pub(crate) fn run_step(mut step: Step, summary: &mut Option<String>) -> Result<Done, Failure> {
    let started = Instant::now();
    // The test runner writes everything to standard error.
    let mut child = step
        .command
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("cannot start the step {}: {error}", step.name))?;
    if let Some(errors) = child.stderr.take() {
        for line in BufReader::new(errors).split(b'\n') {
            let line = String::from_utf8_lossy(&line?).into_owned();
            eprintln!("{line}");
            if line.trim_start().starts_with("Summary [") {
                *summary = Some(line);
            }
        }
    }
    let passed = child.wait()?.success();
    Ok(Done { name: step.name, took: started.elapsed(), passed })
}

fn verdict(passed: bool) -> &'static str {
    if passed { "passed" } else { "FAILED" }
}

/// The table of times, the command that repeats a failure, and the test runner's summary as the last line.
fn print_end(done: &[Done], replay: Option<&str>, summary: Option<&str>) {
    for step in done {
        println!("ci: {:<15} {:>7.1} s  {}", step.name, step.took.as_secs_f64(), verdict(step.passed));
    }
    let total: Duration = done.iter().map(|step| step.took).sum();
    println!("ci: {:<15} {:>7.1} s", "total", total.as_secs_f64());
    if let Some(command) = replay {
        println!("ci: to repeat the step that failed: {command}");
    }
    if let Some(line) = summary {
        println!("{}", line.trim());
    }
}

/// A seed that no run had before; it is part of the printed command.
fn fresh_seed() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    since.as_millis() as u64
}
