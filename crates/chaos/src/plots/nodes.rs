//! Faults of nodes: killed, frozen, slow, all of them restarted.

use std::time::Duration;

use crate::Failure;
use crate::bare::Bare;
use crate::direct::{self, rows};
use crate::site::{NODES, Site};
use crate::stage::Stage;

/// The orders in which three nodes can be started.
const ORDERS: [[usize; NODES]; 6] = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
/// How long the new primary lives before it is killed too (time): issue 4.
const SECOND_KILL: Duration = Duration::from_secs(15);
/// How long a standby replays nothing (time).
const LAG: Duration = Duration::from_secs(3);
/// How many MB the checkpoints have to write.
const MEGABYTES: u32 = 200;

/// Kills the primary, brings it back, and again. Beside each kill of processes the bare limit is measured.
pub(super) async fn kill(stage: &mut Stage, rounds: u32) -> Result<(), Failure> {
    let bare = match &stage.site {
        Site::Processes(_) => Some(Bare::start().await?),
        Site::Containers(_) => None,
    };
    for round in 1..=rounds {
        let old = stage.primary().await?;
        stage.advance().await?;
        stage.begin();
        stage.site.kill(old).await?;
        let gaps = stage.recovered().await?;
        let new = stage.other_primary(old).await?;
        println!("chaos: round {round}: {gaps:?}, {} is primary", stage.site.name(new));
        if let Some(bare) = &bare {
            stage.figures.bare.push(bare.measure().await?);
        }
        back(stage, old).await?;
    }
    Ok(())
}

/// Brings a killed node back.
async fn back(stage: &Stage, node: usize) -> Result<(), Failure> {
    match &stage.site {
        Site::Processes(_) => stage.rejoin(node).await,
        // The entry point rejoins by itself.
        Site::Containers(_) => {
            stage.site.start(node).await?;
            stage.whole().await
        }
    }
}

/// Freezes the primary; thaws it when another is primary, and brings it back.
pub(super) async fn freeze(stage: &mut Stage, rounds: u32) -> Result<(), Failure> {
    for _ in 0..rounds {
        let old = stage.primary().await?;
        stage.advance().await?;
        stage.begin();
        stage.site.freeze(old).await?;
        stage.recovered().await?;
        stage.other_primary(old).await?;
        // The old primary wakes up and believes that it is primary; the sessions must not notice.
        stage.site.thaw(old).await?;
        stage.advance().await?;
        stage.rejoin(old).await?;
    }
    Ok(())
}

/// Kills the primary and later the new one; brings both back. The last node is promoted, and acknowledges writes as
/// soon as one of the others is its standby (`on_last_node = wait`).
pub(super) async fn kill_twice(stage: &mut Stage) -> Result<(), Failure> {
    let first = stage.primary().await?;
    stage.begin();
    stage.site.kill(first).await?;
    stage.recovered().await?;
    let second = stage.other_primary(first).await?;
    tokio::time::sleep(SECOND_KILL).await;
    stage.advance().await?;
    stage.begin();
    stage.site.kill(second).await?;
    let last = stage.other_primary(second).await?;
    for node in [first, second] {
        stage.site.rejoin(node, last).await?;
    }
    stage.recovered().await?;
    stage.whole().await
}

/// Two primaries are killed one after the other, then the last node; all are started in one of the orders. Only the
/// last primary has everything.
pub(super) async fn restart_all(stage: &mut Stage, rounds: u32) -> Result<(), Failure> {
    for order in ORDERS.iter().take(usize::try_from(rounds)?) {
        let first = stage.primary().await?;
        stage.begin();
        stage.site.kill(first).await?;
        stage.recovered().await?;
        let second = stage.other_primary(first).await?;
        stage.advance().await?;
        for node in (0..NODES).filter(|node| *node != first) {
            stage.site.kill(node).await?;
        }
        for place in order {
            // The order counts from the first primary: 0 is the one that was killed first.
            stage.site.start((first + place) % NODES).await?;
        }
        let primary = stage.some_primary().await?;
        println!(
            "chaos: order {order:?}: {} is primary, was {}",
            stage.site.name(primary),
            stage.site.name(second)
        );
        // Those that believe to be primaries are told otherwise by whoever runs them; nothing is acknowledged by the
        // last primary before one of them follows it (`on_last_node = wait`).
        for node in (0..NODES).filter(|node| *node != primary) {
            if stage.site.timeline(node).await.is_some() || node == first {
                stage.site.rejoin(node, primary).await?;
            }
        }
        stage.recovered().await?;
        stage.whole().await?;
    }
    Ok(())
}

/// Moves the primary as an operator does, again and again.
pub(super) async fn switchover(stage: &mut Stage, rounds: u32) -> Result<(), Failure> {
    let _supervisors = stage.site.supervise(stage.pooler.program()).await?;
    for _ in 0..rounds {
        let old = stage.primary().await?;
        stage.advance().await?;
        stage.begin();
        stage.pooler.order("SWITCHOVER main").await?;
        stage.other_primary(old).await?;
        stage.recovered().await?;
        stage.whole().await?;
    }
    Ok(())
}

/// Pauses the replay of each standby in turn, while sessions read what they wrote.
pub(super) async fn lag(stage: &mut Stage, rounds: u32) -> Result<(), Failure> {
    stage.begin();
    for _ in 0..rounds {
        let primary = stage.primary().await?;
        for node in (0..NODES).filter(|node| *node != primary) {
            let session = direct::connect(&stage.site.conninfo(node, "postgres")).await?;
            rows(&session, "SELECT pg_wal_replay_pause()").await?;
            tokio::time::sleep(LAG).await;
            rows(&session, "SELECT pg_wal_replay_resume()").await?;
        }
    }
    stage.recovered().await?;
    stage.whole().await
}

/// Writes much and checkpoints at once, so that the primary is busy with its disk.
pub(super) async fn checkpoint(stage: &mut Stage) -> Result<(), Failure> {
    const TIMES: u32 = 4;
    stage.begin();
    let primary = stage.primary().await?;
    let session = direct::connect(&stage.site.conninfo(primary, "app")).await?;
    for time in 0..TIMES {
        let count = MEGABYTES / TIMES;
        let fill = format!(
            "CREATE TABLE ballast{time} AS SELECT repeat('x', 1000) FROM generate_series(1, {count} * 1000)"
        );
        // Sent together: the checkpoint follows at once. More than the usual limit of an answer.
        session.batch_execute(&fill).await?;
        session.batch_execute("CHECKPOINT").await?;
    }
    stage.recovered().await?;
    Ok(())
}
