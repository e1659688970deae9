//! SWITCHOVER again and again under load, with a supervisor beside each node (FAILOVER_PROTOCOL.md section 10): nobody
//! may notice but by the time. pgbench counts its failed transactions itself and tries none again; the bank's sessions
//! count every error, and the money.
//!
//! `HOWDAH_SWITCHOVERS=10 cargo nextest run -p howdah-tests switchover` makes ten of each instead of two.

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use std::time::Duration;

use howdah_testkit::{Cluster, Supervisor, wait_until};
use tokio::task::JoinHandle;
use tokio_postgres::{Client, SimpleQueryMessage, SimpleQueryRow};

use crate::support::{Binary, connect, howdah_program, sentence};

/// Sessions of the bank.
const TELLERS: usize = 4;
/// What the bank has, all in all, in its accounts of 100 each.
const ACCOUNTS: i64 = 20;
/// More seconds than any number of switchovers takes: pgbench is told to end.
const FOREVER: &str = "3600";

/// For what a loaded machine is waited for (time).
const PATIENCE: Duration = Duration::from_secs(90);

/// What runs, in the order in which it is to end.
struct Stage {
    binary: Binary,
    supervisors: Vec<Supervisor>,
    cluster: Cluster,
}

/// How many orders in a row may be called off (count).
const CALLED_OFF_AT_MOST: u32 = 3;

fn switchovers() -> usize {
    std::env::var("HOWDAH_SWITCHOVERS").ok().and_then(|count| count.parse().ok()).unwrap_or(2)
}

async fn stage(pool_mode: &str) -> Stage {
    let cluster = Cluster::builder().replicas(2).synchronous("*").setting("full_page_writes", "on").start();
    let cluster = cluster.await.unwrap();
    let supervisors = cluster.supervise(&howdah_program()).await.unwrap();
    let stage = Stage { binary: pooler(&cluster, pool_mode, "").await, supervisors, cluster };
    stage.is_whole().await;
    stage
}

/// Howdah before the cluster; `more` are further settings of it.
async fn pooler(cluster: &Cluster, pool_mode: &str, more: &str) -> Binary {
    let nodes: Vec<String> =
        cluster.nodes().iter().map(|node| format!("{}@{}", node.name(), node.address())).collect();
    let settings = format!(
        "pool_mode = {pool_mode}\ndefault_pool_size = 50\nadmin_users = postgres\n\
         [clusters]\nmain = nodes={} user=postgres failover=manage {more}",
        nodes.join(",")
    );
    Binary::start("postgres = cluster=main dbname=postgres", &settings).await
}

impl Stage {
    async fn console(&self) -> Client {
        connect(&self.binary.conninfo("postgres", "pgbouncer")).await.unwrap()
    }

    /// SHOW NODES: role, state and place in the synchronous list of each.
    async fn nodes(&self) -> Vec<String> {
        let rows = self.console().await.simple_query("SHOW NODES").await.unwrap();
        let rows = rows.iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        });
        let cell = |row: &SimpleQueryRow, name: &str| row.get(name).unwrap_or_default().to_owned();
        rows.map(|row| ["role", "state", "sync"].map(|name| cell(row, name)).join(" ")).collect()
    }

    /// A primary, a synchronous and a potentially synchronous replica, all of them up and supervised.
    async fn is_whole(&self) {
        let whole = wait_until("the cluster to be whole", PATIENCE, || async {
            let mut nodes = self.nodes().await;
            nodes.sort();
            nodes == ["primary up ", "replica up potential", "replica up sync"]
        });
        if let Err(error) = whole.await {
            panic!("{error}: {:?}\n{}", self.nodes().await, self.said());
        }
        for supervisor in &self.supervisors {
            supervisor.wait_present().await.unwrap();
        }
    }

    /// The planned change, to whichever node has everything; done when the old primary is back as a replica. A drain
    /// that takes too long on a busy machine is called off, as it is to be, and the operator orders it again; that is
    /// printed. The clients must notice neither.
    async fn switch(&self) {
        self.is_whole().await;
        let before = self.cluster.current_primary().await.unwrap().name().to_owned();
        let console = self.console().await;
        for order in 1.. {
            let done = tokio::time::timeout(PATIENCE, console.simple_query("SWITCHOVER main")).await;
            let called_off = matches!(&done, Ok(Err(error)) if sentence(error).contains("called off"));
            if !called_off || order > CALLED_OFF_AT_MOST {
                assert!(matches!(done, Ok(Ok(_))), "order {order}: {done:?}\n{}", self.said());
                break;
            }
            // Seen with --no-capture: how often it happens says how long the drain takes.
            eprintln!("order {order} was called off: {done:?}");
            self.is_whole().await;
        }
        self.is_whole().await;
        assert_ne!(self.cluster.current_primary().await.unwrap().name(), before);
    }

    fn said(&self) -> String {
        self.supervisors.iter().map(|s| format!("{}:\n{}\n", s.node().name(), s.said())).collect()
    }
}

/// A running pgbench of 8 clients.
struct Bench {
    child: Option<Child>,
    protocol: &'static str,
}

/// How it ended, as it says itself.
struct Counted {
    protocol: &'static str,
    processed: u64,
    failed: u64,
    output: String,
}

impl Bench {
    fn command(stage: &Stage) -> Command {
        let mut command = Command::new(stage.cluster.node(0).binaries().program("pgbench"));
        let port = stage.binary.port().to_string();
        command.args(["-h", "127.0.0.1", "-U", "postgres", "-p", &port]).stdin(Stdio::null());
        command
    }

    fn prepare(stage: &Stage) {
        let made = Self::command(stage).args(["-i", "-q", "-s", "4", "postgres"]).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    }

    fn start(stage: &Stage, protocol: &'static str) -> Self {
        let mut command = Self::command(stage);
        command.args([
            "-n",
            "-c",
            "8",
            "-j",
            "1",
            "-T",
            FOREVER,
            "-M",
            protocol,
            "--failures-detailed",
            "postgres",
        ]);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        Self { child: Some(child), protocol }
    }

    /// An alarm is how pgbench ends by itself when its time is over.
    fn end(mut self) -> Counted {
        let child = self.child.take().unwrap();
        let told = Command::new("kill").args(["-s", "ALRM", &child.id().to_string()]).status().unwrap();
        assert!(told.success());
        let output = child.wait_with_output().unwrap();
        let output = format!(
            "{}{}{}",
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        let number = |name: &str| {
            let line = output
                .lines()
                .find_map(|line| line.trim().strip_prefix(name))
                .unwrap_or_else(|| panic!("{output}"));
            let digits: String = line.trim().chars().take_while(char::is_ascii_digit).collect();
            digits.parse().unwrap()
        };
        let processed = number("number of transactions actually processed:");
        let failed = number("number of failed transactions:");
        Counted { protocol: self.protocol, processed, failed, output }
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Counted {
    fn is_faultless(&self) {
        let Self { protocol, processed, failed, output } = self;
        eprintln!("pgbench -M {protocol}: {processed} transactions, {failed} failed");
        let aborted = output.contains("aborted") || output.contains("ERROR") || output.contains("FATAL");
        assert!(*failed == 0 && *processed > 0 && !aborted, "pgbench -M {protocol}: {output}");
    }
}

/// Sessions that move money between accounts, in transactions and in single statements.
struct Bank {
    ended: Arc<AtomicBool>,
    moved: Arc<AtomicI64>,
    tellers: Vec<JoinHandle<Result<(), String>>>,
}

impl Bank {
    async fn open(stage: &Stage) -> Self {
        let conninfo = stage.binary.conninfo("postgres", "postgres");
        let client = connect(&conninfo).await.unwrap();
        let accounts = format!(
            "CREATE TABLE bank AS SELECT i AS account, 100 AS money FROM generate_series(1, {ACCOUNTS}) i;
             CREATE TABLE moves (teller int, number bigint, PRIMARY KEY (teller, number))"
        );
        client.batch_execute(&accounts).await.unwrap();
        let (ended, moved) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicI64::new(0)));
        let mut tellers = Vec::new();
        for teller in 0..TELLERS {
            let client = connect(&conninfo).await.unwrap();
            let (ended, moved) = (Arc::clone(&ended), Arc::clone(&moved));
            tellers.push(tokio::spawn(async move { work(client, teller, &ended, &moved).await }));
        }
        Self { ended, moved, tellers }
    }

    /// Everything that was said to be done is done, and the money is all there.
    async fn close(self, stage: &Stage) {
        self.ended.store(true, Ordering::Relaxed);
        for teller in self.tellers {
            tokio::time::timeout(PATIENCE, teller).await.unwrap().unwrap().unwrap();
        }
        let primary = stage.cluster.current_primary().await.unwrap();
        let sum = primary.value("SELECT sum(money) FROM bank").await.unwrap();
        assert_eq!(sum, (ACCOUNTS * 100).to_string());
        let moved = self.moved.load(Ordering::Relaxed);
        assert_eq!(primary.value("SELECT count(*) FROM moves").await.unwrap(), moved.to_string());
        eprintln!("the bank: {moved} moves by {TELLERS} sessions, no error");
    }
}

/// One session's life; the first error ends it.
async fn work(
    mut client: Client,
    teller: usize,
    ended: &AtomicBool,
    moved: &AtomicI64,
) -> Result<(), String> {
    let said = |error: tokio_postgres::Error| match error.as_db_error() {
        Some(told) => format!("{}: {}", told.code().code(), told.message()),
        None => error.to_string(),
    };
    let teller = i32::try_from(teller).unwrap();
    for number in 0_i64.. {
        if ended.load(Ordering::Relaxed) {
            break;
        }
        let (from, to) = (i32::try_from(number % ACCOUNTS).unwrap() + 1, rand::random_range(1..=20_i32));
        // In one order, so that no two sessions wait for each other.
        let mut sides = [(from, -1_i32), (to, 1)];
        sides.sort_unstable();
        let transaction = client.transaction().await.map_err(said)?;
        for (account, change) in sides {
            let sql = "UPDATE bank SET money = money + $2 WHERE account = $1";
            transaction.execute(sql, &[&account, &change]).await.map_err(said)?;
        }
        transaction.execute("INSERT INTO moves VALUES ($1, $2)", &[&teller, &number]).await.map_err(said)?;
        transaction.commit().await.map_err(said)?;
        moved.fetch_add(1, Ordering::Relaxed);
        // A session reads what it has written, wherever its read goes.
        let sql = "SELECT count(*) FROM moves WHERE teller = $1 AND number = $2";
        let row = client.query_one(sql, &[&teller, &number]).await.map_err(said)?;
        if row.get::<_, i64>(0) != 1 {
            return Err(format!("teller {teller} does not see its own move {number}"));
        }
    }
    Ok(())
}

async fn again_and_again(pool_mode: &str) {
    let stage = stage(pool_mode).await;
    Bench::prepare(&stage);
    let bank = Bank::open(&stage).await;
    let benches = ["simple", "extended", "prepared"].map(|protocol| Bench::start(&stage, protocol));
    for _ in 0..switchovers() {
        stage.switch().await;
    }
    for bench in benches {
        bench.end().is_faultless();
    }
    bank.close(&stage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gets_an_error_from_switchovers_in_transaction_pooling() {
    again_and_again("transaction").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gets_an_error_from_switchovers_in_session_pooling() {
    again_and_again("session").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_with_a_server_is_told_when_nobody_takes_writes_and_goes_on_later() {
    let cluster = Cluster::builder().replicas(1).start().await.unwrap();
    let binary = pooler(&cluster, "session", "failover_hold=1").await;
    let stage = Stage { binary, supervisors: Vec::new(), cluster };
    let up = |nodes: &[String]| nodes.iter().any(|node| node.starts_with("primary up"));
    wait_until("a primary", PATIENCE, || async { up(&stage.nodes().await) }).await.unwrap();
    let client = connect(&stage.binary.conninfo("postgres", "postgres")).await.unwrap();
    client.batch_execute("CREATE TABLE t (i int)").await.unwrap();
    for node in stage.cluster.nodes() {
        node.freeze().unwrap();
    }
    // From here on the gate is closed.
    wait_until("the suspicion", PATIENCE, || async { !up(&stage.nodes().await) }).await.unwrap();
    let insert = || tokio::time::timeout(PATIENCE, client.batch_execute("INSERT INTO t VALUES (1)"));
    let error = insert().await.unwrap().unwrap_err();
    assert_eq!(error.code().map(|code| code.code()), Some("57P03"), "{error:?}");
    for node in stage.cluster.nodes() {
        node.thaw();
    }
    wait_until("the session to go on", PATIENCE, || async { matches!(insert().await, Ok(Ok(()))) })
        .await
        .unwrap();
    assert_eq!(stage.cluster.node(0).value("SELECT count(*) FROM t").await.unwrap(), "1");
}
