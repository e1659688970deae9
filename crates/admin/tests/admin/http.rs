//! Every endpoint, over a loopback socket.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use howdah_admin::http::{documentation, serve};
use howdah_admin::rows::PauseState;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::fake::Fake;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

struct Served {
    address: SocketAddr,
    pooler: Arc<Fake>,
    stop: oneshot::Sender<()>,
    task: tokio::task::JoinHandle<std::io::Result<()>>,
}

async fn served(fake: Fake) -> Served {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let pooler = Arc::new(fake);
    let (stop, stopped) = oneshot::channel::<()>();
    let until = async {
        let _ = stopped.await;
    };
    let task = tokio::spawn(serve(listener, Arc::<Fake>::clone(&pooler), until));
    Served { address, pooler, stop, task }
}

impl Served {
    /// Status code, headers in small letters, body.
    async fn ask(&self, method: &str, path: &str) -> (u16, String, String) {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let request = format!("{method} {path} HTTP/1.1\r\nHost: howdah\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        timeout(PATIENCE, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let code = head.split(' ').nth(1).unwrap().parse().unwrap();
        (code, head.to_lowercase(), body.to_owned())
    }

    async fn code(&self, path: &str) -> u16 {
        self.ask("GET", path).await.0
    }

    async fn json(&self, path: &str) -> Value {
        let (code, head, body) = self.ask("GET", path).await;
        assert_eq!(code, 200, "{path}");
        assert!(head.contains("content-type: application/json"), "{head}");
        serde_json::from_str(&body).unwrap()
    }
}

#[tokio::test]
async fn health_codes() {
    let served = served(Fake::default()).await;
    for (path, code) in [
        ("/healthz", 200),
        ("/liveness", 200),
        ("/readyz", 200),
        ("/primary", 200),
        ("/leader", 200),
        ("/read-write", 200),
        ("/read-only", 200),
        ("/primary?cluster=main", 200),
        ("/primary?cluster=other", 404),
        ("/primary?node=node0", 200),
        ("/primary?node=node1", 503),
        ("/primary?node=node9", 404),
        ("/replica", 200),
        ("/replica?node=node0", 503),
        ("/replica?node=node2&lag=10MB", 503),
        ("/replica?node=node1&lag=1kB", 200),
        ("/replica?node=node1&lag=999", 503),
        ("/replica?lag=big", 400),
        ("/read-only?node=node1", 200),
        ("/nothing", 404),
        ("/api/nothing", 404),
    ] {
        assert_eq!(served.code(path).await, code, "{path}");
    }
    assert_eq!(served.ask("OPTIONS", "/primary").await.0, 200);
    assert_eq!(served.ask("OPTIONS", "/primary?node=node1").await.0, 503);
    let (code, _, body) = served.ask("HEAD", "/replica").await;
    assert_eq!((code, body.as_str()), (200, ""));
    assert_eq!(served.ask("POST", "/primary").await.0, 405);
    let (_, _, body) = served.ask("GET", "/primary?cluster=other").await;
    assert_eq!(body, r#"{"error":"no such cluster: other"}"#);
}

#[tokio::test]
async fn held_writes_and_no_cluster() {
    let held = served(Fake { unwritable: true, ..Fake::default() }).await;
    assert_eq!(held.code("/primary").await, 503);
    assert_eq!(held.code("/read-write").await, 503);
    assert_eq!(held.code("/replica").await, 200);
    assert_eq!(held.code("/read-only").await, 200);
    assert_eq!(held.code("/readyz").await, 200, "it takes clients, and holds them");
    let none = served(Fake { no_clusters: true, ..Fake::default() }).await;
    assert_eq!(none.code("/primary").await, 404);
    assert_eq!(none.code("/healthz").await, 200);
}

#[tokio::test]
async fn ready_follows_the_state() {
    let served = served(Fake::default()).await;
    for (pause, ending, code, status) in [
        (PauseState::Paused, false, 503, "paused"),
        (PauseState::Suspended, false, 503, "suspended"),
        (PauseState::Active, true, 503, "shutting down"),
        (PauseState::Active, false, 200, "ok"),
    ] {
        served.pooler.hold(pause);
        served.pooler.state.lock().unwrap().shutting_down = ending;
        let (got, _, body) = served.ask("GET", "/readyz").await;
        assert_eq!((got, body), (code, format!(r#"{{"status":"{status}"}}"#)));
    }
}

#[tokio::test]
async fn topology_and_rows() {
    let served = served(Fake::default()).await;
    let topology = served.json("/topology").await;
    assert_eq!(topology["clusters"][0]["name"], "main");
    assert_eq!(topology["clusters"][0]["nodes"][2]["sync"], "potential");
    assert_eq!(topology["failovers"][0]["steps"][1]["name"], "votes");
    for what in
        ["clients", "servers", "databases", "users", "pools", "stats", "nodes", "failovers", "clusters"]
    {
        assert!(!served.json(&format!("/api/{what}")).await.as_array().unwrap().is_empty(), "{what}");
    }
    assert_eq!(served.json("/api/lists").await["dns_pending"], 14);
    assert_eq!(served.json("/api/state").await["pause"], "active");
    let snapshot = served.json("/api/snapshot").await;
    assert_eq!(snapshot["counts"]["clients"], 4);
    assert_eq!(snapshot["counts"]["clients_waiting"], 1);
    assert_eq!(snapshot["clients"][0]["state"], "waiting", "those that wait come first");
    assert_eq!(snapshot["clients"][1]["pinned"], "temporary table");
    assert_eq!(snapshot["stats"][0]["totals"]["query_count"], 102);
}

#[tokio::test]
async fn the_dashboard_needs_nothing_else() {
    let served = served(Fake::default()).await;
    let (code, head, body) = served.ask("GET", "/").await;
    assert_eq!(code, 200);
    assert!(
        head.contains("content-type: text/html")
            && head.contains("content-security-policy: default-src 'none'")
    );
    for outside in ["src=\"http", "href=\"http", "url(http", "@import", "innerHTML"] {
        assert!(!body.contains(outside), "{outside}");
    }
}

#[tokio::test]
async fn metrics() {
    let served = served(Fake::default()).await;
    let (code, head, body) = served.ask("GET", "/metrics").await;
    assert_eq!(code, 200);
    assert!(head.contains("content-type: application/openmetrics-text"), "{head}");
    for line in [
        "howdah_build_info{version=\"PgBouncer 1.25.2 (Howdah 0.1.0)\"} 1.0",
        "howdah_state{state=\"active\"} 1.0",
        "howdah_pool_clients{database=\"app\",user=\"app\",state=\"waiting\"} 2.0",
        "howdah_pool_servers{database=\"app\",user=\"app\",state=\"idle\"} 8.0",
        "howdah_pool_max_wait_seconds{database=\"app\",user=\"app\"} 2.5",
        "# TYPE howdah_queries counter",
        "howdah_queries_total{database=\"app\"} 102.0",
        "# UNIT howdah_received_bytes bytes",
        "howdah_received_bytes_total{database=\"app\"} 103.0",
        "howdah_wait_time_seconds_total{database=\"app\"} 0.000107",
        "howdah_database_paused{database=\"app\"} 1.0",
        "howdah_cluster_writable{cluster=\"main\"} 1.0",
        "howdah_failovers_total{cluster=\"main\"} 1.0",
        "howdah_last_failover_lost_bytes{cluster=\"main\"} 8192.0",
        "howdah_last_failover_step_seconds{cluster=\"main\",step=\"promote\"} 0.04",
        "howdah_node_up{cluster=\"main\",node=\"node0\"} 1.0",
        "howdah_node_lag_bytes{cluster=\"main\",node=\"node2\"} 50000000.0",
        "howdah_phase_seconds_bucket{le=\"0.0001\",database=\"app\",phase=\"wait\"} 3",
        "howdah_phase_seconds_bucket{le=\"0.001\",database=\"app\",phase=\"wait\"} 5",
        "howdah_phase_seconds_bucket{le=\"+Inf\",database=\"app\",phase=\"wait\"} 6",
        "howdah_phase_seconds_sum{database=\"app\",phase=\"wait\"} 0.005",
        "howdah_phase_seconds_count{database=\"app\",phase=\"wait\"} 6",
        "# EOF",
    ] {
        assert!(body.lines().any(|had| had == line), "{line} in\n{body}");
    }
    assert!(!body.contains("node_lag_bytes{cluster=\"main\",node=\"node0\"}"), "a primary has no lag");
}

#[tokio::test]
async fn every_metric_is_documented_and_nothing_else() {
    let served = served(Fake::default()).await;
    let (_, _, body) = served.ask("GET", "/metrics").await;
    let page = documentation();
    for family in body.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let (name, kind) = family.split_once(' ').unwrap();
        let total = if kind == "counter" { "_total" } else { "" };
        assert!(page.contains(&format!("| `{name}{total}` | {kind} |")), "{family}");
    }
    let documented = page.lines().filter(|line| line.starts_with("| `")).count();
    assert_eq!(documented, body.lines().filter(|line| line.starts_with("# TYPE")).count());
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/metrics.md");
    if std::env::var_os("HOWDAH_WRITE_DOCS").is_some() {
        std::fs::write(file, &page).unwrap();
    }
    assert_eq!(std::fs::read_to_string(file).unwrap(), page, "write it with HOWDAH_WRITE_DOCS=1");
}

#[tokio::test]
async fn it_ends_when_told() {
    let served = served(Fake::default()).await;
    assert_eq!(served.code("/healthz").await, 200);
    served.stop.send(()).unwrap();
    timeout(PATIENCE, served.task).await.unwrap().unwrap().unwrap();
    assert!(TcpStream::connect(served.address).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_silent_connection_ends() {
    let served = served(Fake::default()).await;
    let mut silent = TcpStream::connect(served.address).await.unwrap();
    silent.write_all(b"GET /healthz HTT").await.unwrap();
    // The clock is paused: it runs on to the guard's limit by itself.
    let mut answer = Vec::new();
    let ended = timeout(Duration::from_secs(300), silent.read_to_end(&mut answer)).await;
    assert!(matches!(ended, Ok(Ok(0) | Err(_))), "{ended:?} {answer:?}");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_end_does_not_hold_up_the_end() {
    let served = served(Fake::default()).await;
    let mut half = TcpStream::connect(served.address).await.unwrap();
    half.write_all(b"GET /healthz HTT").await.unwrap();
    // The other connection's answer proves that the first was accepted.
    assert_eq!(served.code("/healthz").await, 200);
    served.stop.send(()).unwrap();
    timeout(PATIENCE, served.task).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn connections_are_bounded() {
    let served = served(Fake::default()).await;
    let mut idle = Vec::new();
    for _ in 0..256 {
        let mut stream = TcpStream::connect(served.address).await.unwrap();
        stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: howdah\r\n\r\n").await.unwrap();
        let mut first = [0; 12];
        timeout(PATIENCE, stream.read_exact(&mut first)).await.unwrap().unwrap();
        assert_eq!(&first, b"HTTP/1.1 200");
        idle.push(stream);
    }
    let one_more = served.code("/healthz");
    tokio::pin!(one_more);
    assert!(timeout(Duration::from_millis(300), &mut one_more).await.is_err(), "the 257th waits");
    idle.pop();
    assert_eq!(timeout(PATIENCE, one_more).await.unwrap(), 200);
}
