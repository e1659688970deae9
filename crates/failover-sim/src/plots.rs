//! The part of the command that plays scenarios. Read next: `howdah_failover_sim::scenario`.

use std::io::{Error, Result, Write};

use howdah_failover_sim::mutation::Mutation;
use howdah_failover_sim::scenario::script::Script;
use howdah_failover_sim::scenario::{self, Played};

fn scripts() -> Result<Vec<Script>> {
    scenario::all().map_err(Error::other)
}

/// Lists them.
pub(crate) fn list(out: &mut impl Write) -> Result<bool> {
    for script in scripts()? {
        let (name, about, forms) = (&script.name, &script.about, script.forms.len());
        writeln!(out, "{name} ({}, {forms} forms, {} seeds): {about}", script.file, script.seeds)?;
    }
    Ok(true)
}

/// Plays all of them.
pub(crate) fn all(out: &mut impl Write, mutation: Mutation) -> Result<bool> {
    let (mut plays, mut broken) = (0, 0);
    for script in scripts()? {
        let played = scenario::play(&script, mutation, false);
        plays += played.len();
        for play in played.iter().filter(|p| p.broken()) {
            broken += 1;
            show(out, play)?;
        }
    }
    writeln!(out, "{plays} plays, {broken} scenarios broken")?;
    Ok(broken == 0)
}

/// Plays one, with its log.
pub(crate) fn one(out: &mut impl Write, name: &str, mutation: Mutation) -> Result<bool> {
    let scripts = scripts()?;
    let found = scripts.iter().find(|s| s.name == name);
    let script = found.ok_or_else(|| Error::other(format!("no scenario is called {name:?}: see --list")))?;
    let played = scenario::play(script, mutation, true);
    let shown = played.iter().find(|p| p.broken()).or(played.first());
    if let Some(play) = shown {
        for line in &play.log {
            writeln!(out, "{line}")?;
        }
        show(out, play)?;
    }
    writeln!(out, "{} plays", played.len())?;
    Ok(!played.iter().any(Played::broken))
}

fn show(out: &mut impl Write, play: &Played) -> Result<()> {
    writeln!(out, "{} {} seed {}: {:?}", play.name, play.words, play.seed, play.verdict)
}
