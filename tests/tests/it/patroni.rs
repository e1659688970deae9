//! A cluster that a real Patroni manages with a real etcd: a switchover and the death of the primary, followed with and
//! without Patroni's REST interface.
//!
//! Both poolers are before the same cluster at the same time, and clients write through both all along. Times are printed;
//! most of the second one is Patroni's `ttl`.

// The times are what is looked for in the output.
#![allow(clippy::print_stdout)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use howdah_testkit::{PatroniCluster, wait_until};
use tokio::task::JoinHandle;
use tokio_postgres::{Client, SimpleQueryMessage};

use crate::support::{Bouncer, Row};

/// For what Patroni does on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(90);

/// Clients that write through each pooler.
const WRITERS: usize = 3;

/// Where a statement runs.
const PLACE: &str = "SELECT host(inet_server_addr())";

/// What clients of one pooler have seen.
#[derive(Default)]
struct Seen {
    /// Acknowledged rows, each with its moment.
    acknowledged: std::sync::Mutex<Vec<(String, Instant)>>,
    /// Errors by SQLSTATE.
    errors: std::sync::Mutex<BTreeMap<String, u32>>,
    /// Where reads ran.
    places: std::sync::Mutex<BTreeSet<String>>,
}

/// A pooler and its clients.
struct Side {
    name: &'static str,
    bouncer: Bouncer,
    seen: Arc<Seen>,
    stop: Arc<AtomicBool>,
    tasks: Vec<JoinHandle<Client>>,
}

impl Side {
    async fn start(name: &'static str, cluster: &PatroniCluster, more: &str) -> Self {
        let nodes: Vec<_> = cluster.nodes().iter().map(|n| format!("{}@{}", n.name(), n.address())).collect();
        let settings = format!(
            "server_login_retry = 0.2\n[clusters]\nmain = nodes={} user=postgres failover=follow failover_hold=60 {more}",
            nodes.join(",")
        );
        let bouncer = Bouncer::with("postgres = cluster=main dbname=postgres", &settings).await;
        let side = Self { name, bouncer, seen: Arc::default(), stop: Arc::default(), tasks: Vec::new() };
        side.nodes_become("a primary and two replicas", |nodes| {
            let up = nodes.iter().filter(|row| row["state"] == "up").count();
            up == 3 && role_of(nodes, "node0") == "primary"
        })
        .await;
        side
    }

    /// Waits for a condition of SHOW NODES.
    async fn nodes_become(&self, what: &str, condition: impl Fn(&[Row]) -> bool) {
        let last = std::sync::Mutex::new(Vec::new());
        let waited = wait_until(what, PATIENCE, || async {
            let nodes = self.bouncer.show("SHOW NODES").await;
            let holds = condition(&nodes);
            *last.lock().unwrap() = nodes;
            holds
        })
        .await;
        assert!(waited.is_ok(), "{}: not {what}: {:#?}", self.name, last.lock().unwrap());
    }

    /// Sessions that write, and one that reads, until they are told to stop.
    async fn begin(&mut self) {
        for writer in 0..WRITERS {
            let client = self.bouncer.connect().await;
            let (seen, stop) = (Arc::clone(&self.seen), Arc::clone(&self.stop));
            let prefix = format!("{}-{writer}", self.name);
            self.tasks.push(tokio::spawn(write(client, prefix, seen, stop)));
        }
        let client = self.bouncer.connect().await;
        self.tasks.push(tokio::spawn(read(client, Arc::clone(&self.seen), Arc::clone(&self.stop))));
    }

    fn count(&self) -> usize {
        self.seen.acknowledged.lock().unwrap().len()
    }

    /// Waits until every writer's work goes on, and prints the longest time without an acknowledgement since `begun`.
    async fn goes_on(&self, what: &str, begun: Instant) {
        let before = self.count();
        let more = || async { self.count() >= before + 20 };
        wait_until("writes to be acknowledged again", PATIENCE, more).await.unwrap();
        let acknowledged = self.seen.acknowledged.lock().unwrap();
        let moments = acknowledged.iter().map(|(_, at)| *at).filter(|at| *at >= begun);
        let mut moments: Vec<_> = std::iter::once(begun).chain(moments).collect();
        moments.sort();
        let gap = moments.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
        println!("{what}, {}: write gap {gap:?}", self.name);
    }

    /// Ends the clients' work: every session is the one that it was.
    async fn end(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for task in self.tasks.drain(..) {
            let client = tokio::time::timeout(PATIENCE, task).await.unwrap().unwrap();
            assert!(!client.is_closed(), "{}: a session was closed", self.name);
            client.simple_query("SELECT 1").await.unwrap();
        }
        println!("{}: {} rows, errors {:?}", self.name, self.count(), self.seen.errors.lock().unwrap());
        for code in self.seen.errors.lock().unwrap().keys() {
            // In doubt, or certainly not done: nothing else may become of a write.
            assert!(["08007", "40001"].contains(&code.as_str()), "{}: SQLSTATE {code}", self.name);
        }
    }
}

/// The role of a node in SHOW NODES.
fn role_of<'a>(nodes: &'a [Row], name: &str) -> &'a str {
    nodes.iter().find(|row| row["node"] == name).map_or("", |row| row["role"].as_str())
}

async fn write(client: Client, prefix: String, seen: Arc<Seen>, stop: Arc<AtomicBool>) -> Client {
    let mut number = 0_u32;
    while !stop.load(Ordering::Relaxed) {
        number += 1;
        let id = format!("{prefix}-{number}");
        match client.batch_execute(&format!("INSERT INTO written VALUES ('{id}')")).await {
            Ok(()) => seen.acknowledged.lock().unwrap().push((id, Instant::now())),
            Err(error) => {
                let code = error.code().map_or_else(|| format!("none: {error}"), |c| c.code().to_owned());
                *seen.errors.lock().unwrap().entry(code).or_default() += 1;
                if client.is_closed() {
                    break;
                }
            }
        }
    }
    client
}

async fn read(client: Client, seen: Arc<Seen>, stop: Arc<AtomicBool>) -> Client {
    while !stop.load(Ordering::Relaxed) && !client.is_closed() {
        if let Ok(place) = place(&client).await {
            seen.places.lock().unwrap().insert(place);
        }
    }
    client
}

async fn place(client: &Client) -> Result<String, tokio_postgres::Error> {
    let answer = client.simple_query(PLACE).await?;
    let row = answer.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    });
    Ok(row.unwrap())
}

/// The write of every client that was told of it is there.
async fn nothing_is_lost(cluster: &PatroniCluster, primary: usize, sides: &[&Side]) {
    let rows = cluster.nodes()[primary].psql("SELECT id FROM written").await.unwrap();
    let rows: BTreeSet<String> = rows.into_iter().map(|mut row| row.remove(0)).collect();
    for side in sides {
        let acknowledged = side.seen.acknowledged.lock().unwrap();
        let lost: Vec<_> = acknowledged.iter().filter(|(id, _)| !rows.contains(id)).collect();
        assert!(lost.is_empty(), "{}: acknowledged and not there: {lost:?}", side.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn patronis_switchover_and_failover_are_followed() {
    let begun = Instant::now();
    let cluster = PatroniCluster::start(&["", "", "noloadbalance: true\n  nosync: true"]).await.unwrap();
    println!("etcd, Patroni and three nodes up after {:?}", begun.elapsed());
    cluster.nodes()[0].psql("CREATE TABLE written (id text PRIMARY KEY)").await.unwrap();
    let rest: Vec<_> = (0..3).map(|index| cluster.rest(index).to_string()).collect();
    let mut hinted = Side::start("with REST", &cluster, &format!("patroni={}", rest.join(","))).await;
    let mut alone = Side::start("without REST", &cluster, "").await;
    let tagged = cluster.nodes()[2].host();

    // Only Patroni knows the tag.
    hinted
        .nodes_become("the tag to be known", |nodes| {
            nodes.iter().any(|row| row["node"] == "node2" && row["reason"].contains("noloadbalance"))
        })
        .await;
    hinted.begin().await;
    alone.begin().await;
    wait_until("reads at the node whose tag is not known", PATIENCE, || async {
        alone.seen.places.lock().unwrap().contains(&tagged)
    })
    .await
    .unwrap();

    let begun = Instant::now();
    cluster.switchover(0, 1).await.unwrap();
    for side in [&hinted, &alone] {
        side.nodes_become("node1 the primary", |nodes| role_of(nodes, "node1") == "primary").await;
        side.goes_on("switchover", begun).await;
    }
    cluster.wait_synchronous(1, 3).await.unwrap();
    hinted.nodes_become("node0 back as a replica", |nodes| role_of(nodes, "node0") == "replica").await;
    let places = hinted.seen.places.lock().unwrap().clone();
    assert!(
        !places.contains(&tagged) && !places.is_empty(),
        "reads with noloadbalance on {tagged}: {places:?}"
    );

    let begun = Instant::now();
    cluster.kill9(1).unwrap();
    let moved = |nodes: &[Row]| ["node0", "node2"].iter().any(|name| role_of(nodes, name) == "primary");
    for side in [&hinted, &alone] {
        side.nodes_become("another node the primary", moved).await;
        side.goes_on("kill -9", begun).await;
    }
    hinted.end().await;
    alone.end().await;
    let primary = if role_of(&hinted.bouncer.show("SHOW NODES").await, "node0") == "primary" { 0 } else { 2 };
    nothing_is_lost(&cluster, primary, &[&hinted, &alone]).await;
}
