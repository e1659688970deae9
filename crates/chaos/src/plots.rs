//! What is done in a row.

mod cuts;
mod nodes;
mod poolers;

use crate::faults::{Fault, Plot};
use crate::site::Cut;
use crate::stage::Stage;
use crate::verdict::Figures;
use crate::{Failure, Options};

/// Plays a row.
///
/// # Errors
/// Something did not come to pass in time, with the end of the pooler's log.
pub(crate) async fn play(fault: &Fault, options: &Options) -> Result<Figures, Failure> {
    let mut stage = Stage::set(fault, options).await?;
    let rounds = options.rounds.unwrap_or(fault.rounds).min(fault.rounds);
    let played = match act(fault, &mut stage, rounds).await {
        Ok(()) => stage.judge().await,
        Err(failure) => Err(failure),
    };
    let described = match played {
        Ok(()) => Ok(()),
        Err(failure) => {
            let (shown, log) = (stage.pooler.describe().await, tail(&stage.pooler.log()));
            Err(format!("{}\n{shown}\n{log}", crate::direct::chain(failure.as_ref())))
        }
    };
    stage.print_failovers().await;
    let figures = stage.remove().await;
    described?;
    Ok(figures)
}

async fn act(fault: &Fault, stage: &mut Stage, rounds: u32) -> Result<(), Failure> {
    match fault.plot {
        Plot::Kill => nodes::kill(stage, rounds).await,
        Plot::Freeze => nodes::freeze(stage, rounds).await,
        Plot::KillTwice => nodes::kill_twice(stage).await,
        Plot::RestartAll => nodes::restart_all(stage, rounds).await,
        Plot::Switchover => nodes::switchover(stage, rounds).await,
        Plot::Lag => nodes::lag(stage, rounds).await,
        Plot::Checkpoint => nodes::checkpoint(stage).await,
        Plot::KillPooler => poolers::kill(stage, rounds).await,
        Plot::StallPooler => poolers::stall(stage, rounds).await,
        Plot::TwoPoolers => poolers::two(stage, rounds).await,
        Plot::CutAll => cuts::all(stage, rounds).await,
        Plot::CutNodes => cuts::some(stage, Cut::Nodes, rounds).await,
        Plot::CutPooler => cuts::some(stage, Cut::Pooler, rounds).await,
        Plot::Flap => cuts::flap(stage).await,
        Plot::TwoSides => cuts::two_sides(stage).await,
    }
}

/// The end of a log.
fn tail(log: &str) -> String {
    const LINES: usize = 60;
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}
