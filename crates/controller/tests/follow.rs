//! `failover = follow` before real servers: whose word counts when two nodes say that they are the primary, and what is
//! taken from Patroni's REST interface. A real Patroni is in `tests/tests/it/patroni.rs`.

// The helpers of a test may panic as the test itself may.
#![allow(clippy::unwrap_used)]

mod support;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use howdah_controller::{Command, ControllerHandle, RestAddress, setup_sql};
use howdah_testkit::{Cluster, Node, wait_until};
use howdah_topology::{Gate, Mode, NodeId, NodeState, Topology};
use support::{PATIENCE, config, start_with, until};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

fn follow(cluster: &Cluster, patroni: Vec<RestAddress>) -> ControllerHandle {
    let mut config = config(cluster, Mode::Follow);
    config.patroni = patroni;
    start_with(config)
}

fn reigns(topology: &Topology, node: u16) -> bool {
    topology.gate == Gate::Open && topology.primary == Some(NodeId(node))
}

/// Settings that Howdah writes where it manages, and the locks that are its votes.
async fn is_untouched(node: &Node) {
    let written = "SELECT count(*) FROM pg_file_settings \
                   WHERE sourcefile LIKE '%auto.conf' AND (name LIKE 'howdah.%' OR name = 'wal_receiver_timeout')";
    assert_eq!(node.value(written).await.unwrap(), "0", "follow writes no setting");
    let locks = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'";
    assert_eq!(node.value(locks).await.unwrap(), "0", "follow takes no lock");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_primaries_the_newer_epoch_wins() {
    let cluster = Cluster::builder().replicas(2).start().await.unwrap();
    let handle = follow(&cluster, Vec::new());
    until(&handle, "node0 is the primary", |t| reigns(t, 0)).await;
    cluster.node(2).psql("SELECT pg_promote()").await.unwrap();
    let seen = until(&handle, "node2 is the primary and node0 out", |t| {
        reigns(t, 2) && t.nodes[0].state == NodeState::Returning
    })
    .await;
    assert_eq!(seen.epoch.unwrap().timeline, 2);
    assert!(!seen.nodes[0].is_routable_replica(), "reads may not go to the former primary");
    // It is out of recovery all the same, and nobody but its manager changes that.
    assert!(!cluster.node(0).is_standby().await.unwrap());
    for node in cluster.nodes() {
        is_untouched(node).await;
    }
    let refused = handle.command(Command::Failover { to: None }).await.unwrap_err().to_string();
    assert!(refused.contains("failover is follow here"), "{refused}");
    handle.shutdown().await;
}

/// The present primary is down when Howdah starts, and the former one answers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_former_primary_is_not_taken_while_a_newer_timeline_is_known() {
    let cluster = Cluster::builder().replicas(2).start().await.unwrap();
    cluster.node(2).psql("SELECT pg_promote()").await.unwrap();
    cluster.rebuild(1, cluster.node(2)).await.unwrap();
    let streams = "SELECT received_tli FROM pg_stat_wal_receiver";
    wait_until("node1 to stream from node2", PATIENCE, || async {
        cluster.node(1).value(streams).await.is_ok_and(|timeline| timeline == "2")
    })
    .await
    .unwrap();
    cluster.node(2).kill9().unwrap();
    let handle = follow(&cluster, Vec::new());
    let held = until(
        &handle,
        "the reason is said",
        |t| matches!(&t.gate, Gate::Held { reason, .. } if reason.contains("knows a newer timeline")),
    )
    .await;
    assert_eq!(held.primary, None);
    cluster.node(2).start().await.unwrap();
    until(&handle, "node2 is the primary", |t| reigns(t, 2)).await;
    handle.shutdown().await;
}

/// What `howdah setup-sql` grants for `follow` suffices, on the version at hand.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_without_superuser_follows() {
    let cluster = Cluster::builder().replicas(1).start().await.unwrap();
    let major = cluster.node(0).binaries().major();
    let sql = setup_sql(major, Mode::Follow, "watcher");
    cluster.node(0).psql(&format!("{sql}; ALTER ROLE watcher PASSWORD 'secret'")).await.unwrap();
    cluster.wait_caught_up(cluster.node(0), cluster.node(1)).await.unwrap();
    let mut config = config(&cluster, Mode::Follow);
    config.user = "watcher".to_owned();
    config.password = Some("secret".to_owned());
    let handle = start_with(config);
    let seen = until(&handle, "the replica can be read", |t| {
        reigns(t, 0) && t.nodes[1].attached && t.nodes[1].is_routable_replica()
    })
    .await;
    assert!(seen.nodes[1].replayed_lsn.is_some() && seen.nodes[1].lag_bytes.is_some());
    cluster.node(0).kill9().unwrap();
    cluster.node(1).psql("SELECT pg_promote()").await.unwrap();
    until(&handle, "node1 is the primary", |t| reigns(t, 1)).await;
    handle.shutdown().await;
}

/// Answers every connection with the same bytes, as Patroni would.
struct Rest {
    address: RestAddress,
    answer: Arc<Mutex<Vec<u8>>>,
    asked: Arc<AtomicU32>,
    task: JoinHandle<()>,
}

impl Drop for Rest {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Rest {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address =
            RestAddress { host: "127.0.0.1".to_owned(), port: listener.local_addr().unwrap().port() };
        let (answer, asked) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicU32::new(0)));
        let task = tokio::spawn(serve(listener, Arc::clone(&answer), Arc::clone(&asked)));
        Self { address, answer, asked, task }
    }

    fn answers(&self, bytes: Vec<u8>) {
        *self.answer.lock().unwrap() = bytes;
    }

    /// Members by name: role and tags.
    fn says(&self, members: &[(&str, &str, &str)]) {
        let member = |(name, role, tags): &(&str, &str, &str)| {
            format!(r#"{{"name": "{name}", "role": "{role}", "state": "running", "tags": {{{tags}}}}}"#)
        };
        let members: Vec<_> = members.iter().map(member).collect();
        let body = format!(r#"{{"members": [{}]}}"#, members.join(", "));
        self.answers(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes());
    }

    /// Waits until it was asked twice more: what it said first was taken in by then.
    async fn is_heard(&self) {
        let until = self.asked.load(Ordering::Relaxed) + 2;
        wait_until("Patroni to be asked", PATIENCE, || async { self.asked.load(Ordering::Relaxed) >= until })
            .await
            .unwrap();
    }
}

async fn serve(listener: TcpListener, answer: Arc<Mutex<Vec<u8>>>, asked: Arc<AtomicU32>) {
    while let Ok((mut stream, _)) = listener.accept().await {
        let bytes = answer.lock().unwrap().clone();
        let asked = Arc::clone(&asked);
        tokio::spawn(async move {
            let mut request = [0_u8; 4096];
            let length = stream.read(&mut request).await.unwrap_or(0);
            assert!(request[..length].starts_with(b"GET /cluster HTTP/1.1\r\n"));
            asked.fetch_add(1, Ordering::Relaxed);
            if bytes.is_empty() {
                // Never an answer, and no end either.
                std::future::pending::<()>().await;
            }
            // The other side may have had enough before the end.
            let _ = stream.write_all(&bytes).await;
        });
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn patronis_tags_are_obeyed_and_its_word_is_only_a_hint() {
    let cluster = Cluster::builder().replicas(1).start().await.unwrap();
    let rest = Rest::start().await;
    rest.says(&[
        ("node0", "leader", ""),
        ("node1", "replica", r#""noloadbalance": true, "nofailover": true"#),
    ]);
    let nowhere = RestAddress { host: "127.0.0.1".to_owned(), port: 1 };
    let handle = follow(&cluster, vec![nowhere.clone(), rest.address.clone()]);
    let seen = until(&handle, "the tags are known", |t| reigns(t, 0) && t.nodes[1].weight == 0).await;
    assert!(seen.nodes[1].nofailover && !seen.nodes[1].is_routable_replica());
    until(&handle, "the note says why", |t| t.nodes[1].note.contains("noloadbalance")).await;

    // The servers disagree: they are right, and an operator sees it.
    rest.says(&[("node0", "replica", ""), ("node1", "leader", "")]);
    let seen = until(&handle, "the disagreement is shown", |t| {
        t.nodes[0].note.contains("does not call it the leader")
            && t.nodes[1].note.contains("calls it the leader")
    })
    .await;
    assert!(reigns(&seen, 0) && seen.nodes[1].weight == 1);

    // RELOAD without the address: nothing is left of it.
    let mut config = handle.settings();
    config.patroni = Vec::new();
    assert_eq!(handle.reload(&config), Vec::<String>::new());
    until(&handle, "the notes are gone", |t| reigns(t, 0) && t.nodes.iter().all(|n| n.note.is_empty())).await;
    rest.says(&[("node0", "leader", ""), ("node1", "replica", r#""noloadbalance": true"#)]);
    config.patroni = vec![rest.address.clone()];
    assert_eq!(handle.reload(&config), Vec::<String>::new());
    until(&handle, "the tag is known again", |t| t.nodes[1].weight == 0).await;
    handle.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_patroni_that_answers_nonsense_or_nothing_harms_nobody() {
    let cluster = Cluster::builder().replicas(1).start().await.unwrap();
    let rest = Rest::start().await;
    rest.says(&[("node0", "leader", ""), ("node1", "replica", r#""noloadbalance": true"#)]);
    let handle = follow(&cluster, vec![rest.address.clone()]);
    until(&handle, "the tag is known", |t| reigns(t, 0) && t.nodes[1].weight == 0).await;
    let endless = [b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), vec![b' '; 4 << 20]].concat();
    let large_head = [b"HTTP/1.1 200 OK\r\nX: ".to_vec(), vec![b'x'; 1 << 20]].concat();
    let answers = [
        b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n".to_vec(),
        b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n[1,2,3]".to_vec(),
        b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{\"members\"".to_vec(),
        b"SSH-2.0-OpenSSH_9.2p1\r\n".to_vec(),
        endless,
        large_head,
        Vec::new(),
    ];
    for answer in answers {
        let shown = String::from_utf8_lossy(&answer[..answer.len().min(60)]).into_owned();
        rest.answers(answer);
        rest.is_heard().await;
        let topology = handle.topology();
        assert!(reigns(&topology, 0), "{shown:?}");
        assert_eq!(topology.nodes[1].weight, 0, "the tag is kept while nothing else is said: {shown:?}");
    }
    // What moves meanwhile is seen by the nodes' own word.
    cluster.node(0).kill9().unwrap();
    cluster.node(1).psql("SELECT pg_promote()").await.unwrap();
    until(&handle, "node1 is the primary", |t| reigns(t, 1)).await;
    handle.shutdown().await;
}
