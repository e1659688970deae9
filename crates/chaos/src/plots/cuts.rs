//! Partitions: nobody is dead, and not everybody reaches everybody.

use std::time::Duration;

use crate::Failure;
use crate::direct;
use crate::load::Load;
use crate::pooler::{USERS, configuration};
use crate::site::Cut;
use crate::stage::{PATIENCE, Stage};

/// How long a partition lasts beyond what is waited for (time).
const LAST: Duration = Duration::from_secs(5);
/// A short cut, and the pause after it (time): shorter than two probes.
const FLAP: Duration = Duration::from_millis(300);
const FLAPS: u32 = 10;

/// The primary loses everybody.
pub(super) async fn all(stage: &mut Stage, rounds: u32) -> Result<(), Failure> {
    for _ in 0..rounds {
        let old = stage.primary().await?;
        stage.advance().await?;
        stage.begin();
        stage.site.containers()?.cut(old, Cut::All).await?;
        stage.recovered().await?;
        stage.other_primary(old).await?;
        tokio::time::sleep(LAST).await;
        stage.site.containers()?.heal(old, Cut::All).await?;
        // The old primary is back as it was, and believes that it is primary; the sessions must not notice.
        stage.advance().await?;
        stage.rejoin(old).await?;
    }
    Ok(())
}

/// The primary loses only some, and the partition heals. Without its standbys (`Cut::Nodes`) nothing can be acknowledged
/// until it heals or the standbys' side promotes; without the pooler (`Cut::Pooler`) the standbys still see it: no
/// promotion, work waits.
pub(super) async fn some(stage: &mut Stage, cut: Cut, rounds: u32) -> Result<(), Failure> {
    for _ in 0..rounds {
        let old = stage.primary().await?;
        stage.advance().await?;
        stage.begin();
        stage.site.containers()?.cut(old, cut).await?;
        tokio::time::sleep(LAST).await;
        stage.site.containers()?.heal(old, cut).await?;
        stage.recovered().await?;
        stage.advance().await?;
        if stage.primary().await? != old {
            stage.rejoin(old).await?;
        }
        stage.whole().await?;
    }
    Ok(())
}

/// The pooler loses the primary again and again, for a moment each time.
pub(super) async fn flap(stage: &mut Stage) -> Result<(), Failure> {
    let primary = stage.primary().await?;
    stage.advance().await?;
    stage.begin();
    for _ in 0..FLAPS {
        stage.site.containers()?.cut(primary, Cut::Pooler).await?;
        tokio::time::sleep(FLAP).await;
        stage.site.containers()?.heal(primary, Cut::Pooler).await?;
        tokio::time::sleep(FLAP).await;
    }
    stage.recovered().await?;
    stage.whole().await
}

/// A second pooler and its clients are on the primary's side. What that side acknowledges after the cut must be there
/// in the end too.
pub(super) async fn two_sides(stage: &mut Stage) -> Result<(), Failure> {
    let old = stage.primary().await?;
    let directory = tempfile::tempdir()?;
    let site = stage.site.containers()?;
    let (host, port) = site.inner_address(old);
    std::fs::write(directory.path().join("userlist.txt"), USERS)?;
    std::fs::write(
        directory.path().join("howdah.ini"),
        configuration(&stage.site, "", ("*", port), "/chaos"),
    )?;
    open_to_all(directory.path())?;
    site.start_inner_pooler(old, directory.path()).await?;
    let conninfo = format!("host={host} port={port} user=app dbname=app connect_timeout=30");
    let ready = || async { direct::value(&conninfo, "SELECT 1").await.is_ok() };
    howdah_testkit::wait_until("the pooler beside the primary", PATIENCE, ready).await?;
    let mut inner = Load::start(&conninfo, 101).await?;
    inner.advance(1, PATIENCE).await?;
    stage.advance().await?;
    stage.begin();
    site.cut(old, Cut::NodesAndPooler).await?;
    stage.recovered().await?;
    stage.other_primary(old).await?;
    stage.advance().await?;
    tokio::time::sleep(LAST).await;
    stage.site.containers()?.heal(old, Cut::NodesAndPooler).await?;
    // The pooler beside it finds the new primary, and its sessions go on.
    inner.advance(1, PATIENCE).await?;
    stage.take_second(&mut inner).await
}

/// The container's user is nobody that this machine knows.
fn open_to_all(directory: &std::path::Path) -> Result<(), Failure> {
    use std::os::unix::fs::PermissionsExt as _;
    Ok(std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o755))?)
}
