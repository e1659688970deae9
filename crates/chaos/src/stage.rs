//! Everything of one row: the cluster, a pooler, the clients; and the steps that most plots share.

use std::path::PathBuf;
use std::time::Duration;

use howdah_testkit::{wait_until, wait_until_some};

use crate::books::Gaps;
use crate::containers::Containers;
use crate::direct;
use crate::faults::{Fault, Place};
use crate::load::{self, Load};
use crate::pooler::Pooler;
use crate::processes::Processes;
use crate::site::{NODES, Site};
use crate::verdict::Figures;
use crate::{Failure, Options};

/// For what takes several probes, votes, a promotion or a base backup on a busy machine (time).
pub(crate) const PATIENCE: Duration = Duration::from_secs(40);
/// How often each session is answered before a fault and after it.
const SOME: u64 = 20;

/// Everything of one row.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) site: Site,
    pub(crate) pooler: Pooler,
    pub(crate) load: Load,
    pub(crate) figures: Figures,
    synchronous: bool,
    first_timeline: u32,
}

/// The `howdah` to test: given, or beside this program.
pub(crate) fn program(options: &Options) -> Result<PathBuf, Failure> {
    let path = match &options.howdah {
        Some(path) => path.clone(),
        None => std::env::current_exe()?.with_file_name("howdah"),
    };
    match path.is_file() {
        true => Ok(path),
        false => Err(format!("{} is missing: cargo build -p howdah-cli", path.display()).into()),
    }
}

impl Stage {
    /// The cluster, the pooler and the clients of a row, at work.
    pub(crate) async fn set(fault: &Fault, options: &Options) -> Result<Self, Failure> {
        let program = program(options)?;
        let site = make_site(fault, &program).await?;
        let pooler = Pooler::start(&program, &site, fault.settings).await?;
        let synchronous = fault.place != Place::Asynchronous;
        let whole = wait_whole(&site, &pooler, synchronous, 0).await;
        whole.map_err(|failure| format!("{failure}; howdah's log:\n{}", pooler.log()))?;
        load::make_tables(&pooler.conninfo()).await?;
        let load = Load::start(&pooler.conninfo(), 1).await?;
        load.advance(SOME, PATIENCE).await?;
        let first_timeline = site.timeline(0).await.ok_or("the primary does not say its timeline")?;
        Ok(Self { site, pooler, load, figures: Figures::default(), synchronous, first_timeline })
    }

    /// The present primary's place, as the pooler has it.
    pub(crate) async fn primary(&self) -> Result<usize, Failure> {
        let nodes = self.pooler.show("NODES").await?;
        let primary = nodes.iter().find(|row| row.named("role") == "primary" && row.named("state") == "up");
        self.site.place(primary.ok_or("no node is primary")?.named("node"))
    }

    /// Waits until every session was answered some more; the clients are past whatever was.
    pub(crate) async fn advance(&self) -> Result<(), Failure> {
        self.load.advance(SOME, PATIENCE).await
    }

    /// A fault begins: gaps and errors a session are counted from now.
    pub(crate) fn begin(&self) {
        self.load.books.reset();
    }

    /// Waits until each session was answered again, and notes the gaps since [`Stage::begin`].
    pub(crate) async fn recovered(&mut self) -> Result<Gaps, Failure> {
        self.load.advance(1, PATIENCE).await?;
        let gaps = self.load.books.gaps();
        self.figures.gaps.push(gaps);
        Ok(gaps)
    }

    /// Waits until the pooler has a primary other than this one; gives its place.
    pub(crate) async fn other_primary(&self, old: usize) -> Result<usize, Failure> {
        self.primary_that("is another", |node| node != old).await
    }

    /// Waits until the pooler has a primary that answers; gives its place.
    pub(crate) async fn some_primary(&self) -> Result<usize, Failure> {
        self.primary_that("answers", |_| true).await
    }

    async fn primary_that(&self, what: &str, fits: impl Fn(usize) -> bool) -> Result<usize, Failure> {
        let fits = &fits;
        let what = format!("a primary that {what}");
        let found = wait_until_some(&what, PATIENCE, || async move {
            let node = self.primary().await.ok().filter(|node| fits(*node))?;
            self.site.timeline(node).await.map(|_| node)
        });
        Ok(found.await?)
    }

    /// Brings a node back as a standby, and waits until the cluster is whole.
    pub(crate) async fn rejoin(&self, node: usize) -> Result<(), Failure> {
        let primary = self.primary().await?;
        self.site.rejoin(node, primary).await?;
        self.whole().await
    }

    /// Waits until the cluster is whole: a primary, two standbys that stream and take reads, names in force.
    pub(crate) async fn whole(&self) -> Result<(), Failure> {
        let primary = self.primary().await?;
        wait_whole(&self.site, &self.pooler, self.synchronous, primary).await
    }

    /// Lets the clients end, and compares what they were told with what the primary has.
    pub(crate) async fn judge(&mut self) -> Result<(), Failure> {
        self.advance().await?;
        let primary = self.primary().await?;
        self.figures.take(&mut self.load, &self.site.conninfo(primary, "app")).await?;
        let timeline = self.site.timeline(primary).await.ok_or("the primary does not say its timeline")?;
        self.figures.promotions = timeline - self.first_timeline;
        Ok(())
    }

    /// The same of a second load, which a plot has brought.
    pub(crate) async fn take_second(&mut self, load: &mut Load) -> Result<(), Failure> {
        let primary = self.primary().await?;
        self.figures.take(load, &self.site.conninfo(primary, "app")).await
    }

    /// Prints each failover of the row with its steps: where the time went.
    pub(crate) async fn print_failovers(&self) {
        for row in self.pooler.show("FAILOVERS").await.unwrap_or_default() {
            let named = |column: &str| row.named(column).to_owned();
            println!(
                "chaos: {} to {}: {} ({}): {}",
                named("kind"),
                named("new_primary"),
                named("outcome"),
                named("reason"),
                named("steps")
            );
        }
    }

    /// Removes everything; gives what was seen.
    pub(crate) async fn remove(self) -> Figures {
        let Self { site, pooler, load, figures, .. } = self;
        drop((load, pooler));
        site.remove().await;
        figures
    }
}

async fn make_site(fault: &Fault, program: &std::path::Path) -> Result<Site, Failure> {
    Ok(match fault.place {
        Place::Processes => Site::Processes(Processes::start_cluster("*", program.to_owned()).await?),
        Place::Asynchronous => Site::Processes(Processes::start_cluster("", program.to_owned()).await?),
        Place::Containers => {
            let root = std::env::current_dir()?;
            // The image takes the `howdah` of this build.
            let profile = program.parent().and_then(|folder| folder.file_name()).unwrap_or_default();
            Site::Containers(Containers::start_cluster(&root, &profile.to_string_lossy()).await?)
        }
    })
}

/// Waits until a cluster is whole.
async fn wait_whole(site: &Site, pooler: &Pooler, synchronous: bool, primary: usize) -> Result<(), Failure> {
    wait_until("the whole cluster, as SHOW NODES has it", PATIENCE, || async {
        let Ok(nodes) = pooler.show("NODES").await else { return false };
        let up = |role: &str| {
            let of = |row: &&direct::Row| row.named("role") == role && row.named("state") == "up";
            nodes.iter().filter(of).count()
        };
        let in_sync = nodes.iter().filter(|row| ["sync", "potential", "quorum"].contains(&row.named("sync")));
        up("primary") == 1 && up("replica") == NODES - 1 && (!synchronous || in_sync.count() == NODES - 1)
    })
    .await?;
    if !synchronous {
        return Ok(());
    }
    Ok(wait_until("the names in force on every node", PATIENCE, || site.names_in_force(primary)).await?)
}
