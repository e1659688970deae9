//! Faults of the pooler itself, and two of them.

use std::time::Duration;

use crate::Failure;
use crate::load::Load;
use crate::pooler::Pooler;
use crate::stage::{PATIENCE, Stage};

/// How long the pooler is frozen (time).
const STALL: Duration = Duration::from_secs(10);

/// Kills the pooler and starts it again; its clients come back.
pub(super) async fn kill(stage: &mut Stage, rounds: u32) -> Result<(), Failure> {
    for _ in 0..rounds {
        stage.advance().await?;
        stage.begin();
        stage.pooler.kill().await?;
        stage.pooler.start_again().await?;
        stage.recovered().await?;
        stage.whole().await?;
    }
    Ok(())
}

/// Freezes the pooler for longer than any of its limits.
pub(super) async fn stall(stage: &mut Stage, rounds: u32) -> Result<(), Failure> {
    for _ in 0..rounds {
        stage.advance().await?;
        stage.begin();
        stage.pooler.freeze()?;
        tokio::time::sleep(STALL).await;
        stage.pooler.thaw()?;
        stage.recovered().await?;
    }
    stage.whole().await
}

/// A second pooler with clients of its own; the primary is killed.
pub(super) async fn two(stage: &mut Stage, rounds: u32) -> Result<(), Failure> {
    let program = stage.pooler.program().to_owned();
    let other = Pooler::start(&program, &stage.site, "").await?;
    // Numbers that the first load does not use.
    let mut load = Load::start(&other.conninfo(), 101).await?;
    for _ in 0..rounds {
        let old = stage.primary().await?;
        load.advance(1, PATIENCE).await?;
        stage.advance().await?;
        stage.begin();
        load.books.reset();
        stage.site.kill(old).await?;
        stage.recovered().await?;
        load.advance(1, PATIENCE).await?;
        stage.figures.gaps.push(load.books.gaps());
        stage.other_primary(old).await?;
        stage.rejoin(old).await?;
    }
    stage.take_second(&mut load).await
}
