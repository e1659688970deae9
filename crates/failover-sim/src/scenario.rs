//! Named scenarios: a plot in a small language, one step a line, played against the same world as the seeds.
//!
//! ```text
//! scenario paused-replay
//! # Comments say why.
//! nodes 3                     settings of the world come first
//! at 2s                       the world runs until then
//! pause-replay n1             something happens now
//! kill n0
//! expect promoted n1 within 5s
//! ```
//!
//! `each $x in a b c` plays it once for each word, `each order $a $b $c of n0 n1 n2` once for each order; every play is made
//! under several seeds. At the end all that is broken is mended, and the judges of the seeds judge: nothing acknowledged
//! is lost, what clients saw is linearizable, and every pooler goes on (unless the plot says `may halt`). `docs/failover-sim.md`
//! has the words. Reading order: [`script`] (lines into steps), `play.rs`, [`condition`].

pub mod act;
pub mod condition;
pub mod play;
pub mod script;
pub mod words;

use crate::mutation::Mutation;
use crate::run::Verdict;
use script::Script;
use words::ScriptError;

/// The files, by topic.
pub const FILES: [(&str, &str); 9] = [
    ("answers.sim", include_str!("../scenarios/answers.sim")),
    ("evidence.sim", include_str!("../scenarios/evidence.sim")),
    ("fence.sim", include_str!("../scenarios/fence.sim")),
    ("leave.sim", include_str!("../scenarios/leave.sim")),
    ("names.sim", include_str!("../scenarios/names.sim")),
    ("poolers.sim", include_str!("../scenarios/poolers.sim")),
    ("prefer.sim", include_str!("../scenarios/prefer.sim")),
    ("restart.sim", include_str!("../scenarios/restart.sim")),
    ("switchover.sim", include_str!("../scenarios/switchover.sim")),
];

/// All scenarios, in the order of the files.
///
/// # Errors
/// The first mistake in a file, with its line and column.
pub fn all() -> Result<Vec<Script>, ScriptError> {
    let mut scripts = Vec::new();
    for (file, text) in FILES {
        scripts.extend(script::parse(file, text)?);
    }
    Ok(scripts)
}

/// How one play of a scenario ended.
#[derive(Debug, Clone)]
pub struct Played {
    /// The scenario.
    pub name: String,
    /// What stood for the words of its `each` lines.
    pub words: String,
    /// The seed.
    pub seed: u64,
    /// Whether everything held.
    pub verdict: Verdict,
    /// The event log, if it was kept.
    pub log: Vec<String>,
}

impl Played {
    /// Whether something that was expected did not come, or an invariant was broken.
    #[must_use]
    pub fn broken(&self) -> bool {
        matches!(self.verdict, Verdict::Broken(_))
    }
}

/// Plays a scenario in all its forms, and stops at the first that is broken.
#[must_use]
pub fn play(script: &Script, mutation: Mutation, log: bool) -> Vec<Played> {
    let mut played = Vec::new();
    for form in &script.forms {
        for seed in 1..=script.seeds {
            played.push(play::play(script, form, (seed, log), mutation));
            if played.last().is_some_and(Played::broken) {
                return played;
            }
        }
    }
    played
}
