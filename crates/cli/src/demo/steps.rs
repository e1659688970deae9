//! The plot: each step does one thing, shows it, and says whether it held.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use howdah_testkit::{Cluster, Prepared, Supervisor};

use super::load::{Load, WRITERS};
use super::nodes;
use super::pooler::Pooler;
use super::program::Program;
use super::show::{Screen, millis};
use super::{Broken, Options};
use crate::table::Row;

/// For what takes a few probes or statements on a loaded machine (time).
const PATIENCE: Duration = Duration::from_secs(60);

/// The most that a promotion may take from the kill on (time): issue 3, "Done when".
const PROMOTION_LIMIT: Duration = Duration::from_secs(2);

/// How often the table of nodes is drawn anew at the end (time).
const REDRAW: Duration = Duration::from_secs(1);

/// Everything that runs, in the order in which it is to end: clients, Howdah, servers.
struct Stage<'a> {
    program: Program,
    load: Load,
    pooler: Pooler,
    /// One beside each node, in the nodes' order.
    supervisors: Vec<Supervisor>,
    cluster: Cluster,
    screen: &'a Screen,
}

/// Plays it to the end.
///
/// # Errors
/// The step that did not hold.
pub(crate) async fn play(options: &Options, screen: &Screen) -> Result<(), Broken> {
    let (pooler, supervisors, cluster) = set_up(options, screen).await?;
    let (program, load) = clients(&pooler, screen).await?;
    let stage = Stage { program, load, pooler, supervisors, cluster, screen };
    stage.kill().await?;
    stage.sessions_went_on().await?;
    stage.returns().await?;
    stage.switch_back().await?;
    stage.summary();
    if !options.once {
        stage.leave_running().await?;
    }
    let Stage { program, load, pooler, supervisors, cluster, .. } = stage;
    drop((program, load));
    pooler.stop().await;
    drop(supervisors);
    drop(cluster);
    screen.line("Everything is removed.");
    Ok(())
}

/// Howdah, then the servers that it waits for.
async fn set_up(options: &Options, screen: &Screen) -> Result<(Pooler, Vec<Supervisor>, Cluster), Broken> {
    screen.heading("1. Howdah starts, before there is any server");
    let prepared: Prepared = nodes::prepare(screen)?;
    let pooler = Pooler::start(prepared.nodes(), prepared.workdir(), options.port).await?;
    screen.line(&format!("everything is in {}", prepared.workdir().path().display()));
    screen.line(&format!("clients connect to 127.0.0.1:{}, dashboard {}", pooler.port(), pooler.dashboard()));

    screen.heading("2. A primary and two replicas, synchronous_standby_names = '*'");
    let cluster = prepared.start().await.map_err(|error| Broken::new(error.to_string()))?;
    let supervisors = nodes::supervise(&cluster).await?;
    screen.line("howdah rejoin --supervise runs beside each node.");
    pooler.until("NODES", PATIENCE, is_whole).await?;
    screen.line("Howdah sees the primary and both replicas:");
    screen.table(&pooler.nodes().await?);
    screen.line("pg_stat_replication of database-master:");
    screen.table(&nodes::replication(cluster.node(0)).await?);
    Ok((pooler, supervisors, cluster))
}

/// One primary, two replicas that take reads, one of them synchronous and the other potentially so.
fn is_whole(rows: &[Row]) -> bool {
    let count = |role: &str, sync: &str| {
        let fits =
            |row: &&Row| row.get("role") == role && row.get("state") == "up" && row.get("sync") == sync;
        rows.iter().filter(fits).count()
    };
    count("primary", "") == 1 && count("replica", "sync") == 1 && count("replica", "potential") == 1
}

async fn clients(pooler: &Pooler, screen: &Screen) -> Result<(Program, Load), Broken> {
    screen.heading("3. The example program, with one connection string");
    screen.line(&format!("example \"{}\"", pooler.conninfo()));
    let program = Program::start(&pooler.conninfo(), screen)?;
    program
        .until("rows written on the primary and read from both replicas", PATIENCE, |seen| {
            seen.written_at == ["127.0.3.200"]
                && ["127.0.3.201", "127.0.3.202"].iter().all(|replica| seen.read_from.contains(*replica))
        })
        .await?;
    let load = Load::start(&pooler.conninfo()).await?;
    load.advance(PATIENCE).await?;
    screen.line(&format!("{WRITERS} more sessions write without pause."));
    Ok((program, load))
}

impl Stage<'_> {
    /// Kills the primary, and waits for the promotion of another node.
    async fn kill(&self) -> Result<(), Broken> {
        let screen = self.screen;
        screen.heading("4. The primary is killed (SIGKILL), in the middle of it all");
        // A failover needs to know beforehand who was synchronous; the names are in force a moment after the start.
        self.pooler.until("NODES", PATIENCE, is_whole).await?;
        self.load.look();
        self.program.forget_reads();
        let killed = Instant::now();
        self.cluster.node(0).kill9().map_err(|error| Broken::new(error.to_string()))?;
        screen.line("database-master is dead.");
        let is_done = |rows: &[Row]| rows.first().is_some_and(|row| row.get("outcome") == "done");
        let rows = self.pooler.until("FAILOVERS", PATIENCE, is_done).await?;
        let took = killed.elapsed();
        let row = rows.first().ok_or_else(|| Broken::new("SHOW FAILOVERS is empty"))?;
        let name = row.get("new_primary");
        screen.line(&format!(
            "{name} is the primary, {} after the kill. {}",
            millis(took),
            row.get("reason")
        ));
        let mut table = vec![vec!["step".to_owned(), "took".to_owned()]];
        table.extend(row.get("steps").split(", ").filter_map(|step| {
            let (name, took) = step.split_once(' ')?;
            Some(vec![name.to_owned(), took.to_owned()])
        }));
        screen.table(&table);
        if took > PROMOTION_LIMIT {
            return Err(Broken::new(format!("the promotion took {}, more than 2 s", millis(took))));
        }
        Ok(())
    }

    /// The same sessions go on, and what was acknowledged to them is there.
    async fn sessions_went_on(&self) -> Result<(), Broken> {
        let screen = self.screen;
        screen.heading("5. The same sessions go on");
        self.load.advance(PATIENCE).await?;
        let report = self.load.look();
        if !report.lost.is_empty() {
            return Err(Broken::new(format!("sessions were lost: {}", report.lost.join("; "))));
        }
        let before = self.program.seen();
        self.program
            .until("three more rows", PATIENCE, |seen| seen.acknowledged >= before.acknowledged + 3)
            .await?;
        let seen = self.program.seen();
        if seen.sessions.len() != 1 || seen.there != seen.acknowledged {
            return Err(Broken::new(format!("the example program's session or rows were lost: {seen:?}")));
        }
        let missing = self.load.missing().await?;
        screen.line(&format!(
            "{WRITERS} of {WRITERS} sessions are the same; the longest wait for an acknowledgement was {}.",
            millis(report.gap)
        ));
        let kinds: BTreeSet<&String> = report.interrupted.iter().collect();
        for told in kinds {
            let count = report.interrupted.iter().filter(|other| *other == told).count();
            screen.line(&format!("told to {count} of them: {told}"));
        }
        screen.line(&format!(
            "{} rows were acknowledged, {missing} of them are missing.",
            self.load.look().acknowledged
        ));
        if missing != 0 {
            return Err(Broken::new(format!("{missing} acknowledged rows are missing")));
        }
        Ok(())
    }

    /// The old primary comes back as a replica: its supervisor sees to that.
    async fn returns(&self) -> Result<(), Broken> {
        let screen = self.screen;
        screen.heading("6. The old primary comes back");
        let is_back = |rows: &[Row]| {
            let mut own = rows.iter().filter(|row| row.get("node") == "database-master");
            is_whole(rows) && own.all(|row| row.get("role") == "replica")
        };
        self.pooler.until("NODES", PATIENCE, is_back).await?;
        screen.line("what the supervisor of database-master said:");
        nodes::quote(&self.supervisors[0], 0, screen);
        screen.table(&self.pooler.nodes().await?);
        self.program
            .until("a row read from database-master", PATIENCE, |seen| seen.read_from.contains("127.0.3.200"))
            .await
    }

    /// The planned change back: the supervisor stops the primary cleanly, and nobody gets an error.
    async fn switch_back(&self) -> Result<(), Broken> {
        let screen = self.screen;
        screen.heading("7. SWITCHOVER main TO database-master, in the middle of it all");
        for supervisor in &self.supervisors {
            supervisor.wait_present().await.map_err(|error| Broken::new(error.to_string()))?;
        }
        self.load.look();
        let began = Instant::now();
        self.pooler.command("SWITCHOVER main TO \"database-master\"").await?;
        let took = began.elapsed();
        self.load.advance(PATIENCE).await?;
        let report = self.load.look();
        if !report.lost.is_empty() || !report.interrupted.is_empty() {
            let told = [report.lost, report.interrupted].concat().join("; ");
            return Err(Broken::new(format!("the switchover was noticed: {told}")));
        }
        self.pooler.until("NODES", PATIENCE, is_whole).await?;
        screen.line(&format!(
            "done after {}; no session got an error, and the longest wait for an acknowledgement was {}.",
            millis(took),
            millis(report.gap)
        ));
        screen.table(&self.pooler.nodes().await?);
        Ok(())
    }

    fn summary(&self) {
        self.screen.heading("Every step held.");
        self.screen.line(&format!("connection string: {}", self.pooler.conninfo()));
        self.screen.line(&format!("dashboard:         {}", self.pooler.dashboard()));
    }

    /// Until Ctrl-C; on a terminal the nodes are shown live.
    async fn leave_running(&self) -> Result<(), Broken> {
        let screen = self.screen;
        screen.line("All of it goes on running; Ctrl-C ends and removes it.");
        if !screen.is_terminal() {
            std::future::pending::<()>().await;
        }
        self.program.hush();
        screen.table(&self.pooler.nodes().await?);
        loop {
            tokio::time::sleep(REDRAW).await;
            // As many rows as before: nodes come and go only with the settings.
            screen.table_again(&self.pooler.nodes().await?);
        }
    }
}
