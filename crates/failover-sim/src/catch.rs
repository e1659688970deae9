//! The mutation check: for each mutation the seed or the scenario that catches it, or why nothing can. The list is the file
//! `mutations.txt`, and this is what reads, checks and makes it. Read next: [`crate::mutation`].

use std::fmt;

use crate::mutation::Mutation;
use crate::run::{Options, run};
use crate::scenario::script::Script;
use crate::scenario::{self, Played};

/// The list.
pub const LIST: &str = include_str!("../mutations.txt");

/// Seeds that are tried for a mutation that no scenario catches.
pub const SEEDS: u64 = 60;

/// What becomes of a mutation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Catch {
    /// This scenario is broken by it.
    Scenario(String),
    /// This seed is.
    Seed(u64),
    /// Nothing can be seen of it, for this reason: another row or rule stands in.
    Covered(String),
    /// Nothing has caught it yet.
    Open,
}

impl fmt::Display for Catch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Catch::Scenario(name) => write!(f, "scenario {name}"),
            Catch::Seed(seed) => write!(f, "seed {seed}"),
            Catch::Covered(why) => write!(f, "covered: {why}"),
            Catch::Open => f.write_str("open"),
        }
    }
}

/// Reads a list: lines `MUTATION = CATCH`.
///
/// # Errors
/// The first line that is none, with its number.
pub fn read(text: &str) -> Result<Vec<(Mutation, Catch)>, String> {
    let lines = text.lines().enumerate().filter(|(_, l)| !l.trim().is_empty() && !l.starts_with('#'));
    lines.map(|(at, line)| entry(line).map_err(|why| format!("mutations.txt:{}: {why}", at + 1))).collect()
}

fn entry(line: &str) -> Result<(Mutation, Catch), String> {
    let (mutation, catch) = line.split_once(" = ").ok_or("a line is `MUTATION = CATCH`")?;
    let mutation: Mutation = mutation.parse().map_err(|e| format!("{e}"))?;
    let catch = if let Some(name) = catch.strip_prefix("scenario ") {
        Catch::Scenario(name.to_owned())
    } else if let Some(seed) = catch.strip_prefix("seed ") {
        Catch::Seed(seed.parse().map_err(|_| format!("{seed:?} is no seed"))?)
    } else if let Some(why) = catch.strip_prefix("covered: ") {
        Catch::Covered(why.to_owned())
    } else if catch == "open" {
        Catch::Open
    } else {
        return Err(format!("{catch:?} is not `scenario NAME`, `seed NUMBER`, `covered: WHY` or `open`"));
    };
    Ok((mutation, catch))
}

/// Why an entry is not true; `None`: it is. What is said to be covered or open must not be caught by any scenario, played
/// under one seed.
///
/// # Errors
/// A scenario's file has a mistake.
pub fn refute(mutation: Mutation, catch: &Catch) -> Result<Option<String>, scenario::words::ScriptError> {
    let scripts = scenario::all()?;
    Ok(match catch {
        Catch::Seed(seed) => {
            let sound = run(*seed, Options::default());
            let caught = run(*seed, Options { mutation, ..Options::default() }).broken();
            (sound.broken() || !caught).then(|| format!("seed {seed} does not tell {mutation} from none"))
        }
        Catch::Scenario(name) => match scripts.iter().find(|s| s.name == *name) {
            None => Some(format!("there is no scenario {name}")),
            Some(script) => (!breaks(script, mutation)).then(|| format!("{name} does not catch {mutation}")),
        },
        Catch::Covered(_) | Catch::Open => {
            let mut scripts = scripts;
            scripts.iter_mut().for_each(|s| s.seeds = 1);
            let caught = scripts.iter().find(|s| breaks(s, mutation));
            caught.map(|s| format!("{mutation} is caught by the scenario {}", s.name))
        }
    })
}

/// Whether the scenario is broken by the mutation.
fn breaks(script: &Script, mutation: Mutation) -> bool {
    scenario::play(script, mutation, false).iter().any(Played::broken)
}

/// What catches a mutation: the first scenario, or the first of some seeds.
///
/// # Errors
/// A scenario's file has a mistake.
pub fn search(mutation: Mutation) -> Result<Catch, scenario::words::ScriptError> {
    let mut scripts = scenario::all()?;
    for script in &mut scripts {
        script.seeds = 1;
    }
    if let Some(script) = scripts.iter().find(|s| breaks(s, mutation)) {
        return Ok(Catch::Scenario(script.name.clone()));
    }
    let broken = |seed: &u64| run(*seed, Options { mutation, ..Options::default() }).broken();
    Ok((1..=SEEDS).find(broken).map_or(Catch::Open, Catch::Seed))
}

/// The list as a table for `docs/failover-sim.md`.
#[must_use]
pub fn markdown(list: &[(Mutation, Catch)]) -> String {
    let row = |(mutation, catch): &(Mutation, Catch)| format!("| {mutation} | {catch} |\n");
    let rows: String = list.iter().map(row).collect();
    format!("| mutation | caught by |\n|---|---|\n{rows}")
}
