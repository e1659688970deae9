//! What `manage` demands, before real servers (FAILOVER_PROTOCOL.md §1): without it the primary is followed and nobody is
//! promoted, with a sentence; once it is there the cluster is taken into care.

// The helpers of a test may panic as the test itself may.
#![allow(clippy::unwrap_used)]

mod support;

use howdah_controller::{Verdict, examine, setup_sql};
use howdah_testkit::{Cluster, wait_until};
use howdah_topology::{FailoverOutcome, Mode, NodeId};
use support::{PATIENCE, config, is_open, setting, start, start_with, until, wait_for_members};

/// A standby as `pg_basebackup -R` leaves it: under the name that all of them have (*ran*, FAILOVER_PROTOCOL.md §2).
async fn unname(cluster: &Cluster, node: usize) {
    let own = cluster.conninfo_to(node, cluster.node(0));
    let (without, _) = own.split_once(" application_name=").unwrap();
    cluster.node(node).psql(&format!("ALTER SYSTEM SET primary_conninfo = '{without}'")).await.unwrap();
    cluster.node(node).reload().unwrap();
    let rows = "SELECT count(*) FROM pg_stat_replication WHERE application_name = 'walreceiver'";
    wait_until("a standby called walreceiver", PATIENCE, || async {
        cluster.node(0).value(rows).await.is_ok_and(|n| n == "1")
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_called_walreceiver_is_refused_until_it_has_a_name() {
    let cluster = Cluster::builder().replicas(2).synchronous("*").start().await.unwrap();
    unname(&cluster, 2).await;
    let handle = start(&cluster, Mode::Manage);
    let seen = until(&handle, "the primary is followed and manage refused", |t| {
        is_open(t) && t.decision.contains("failover = manage is refused: node2")
    })
    .await;
    assert!(seen.nodes[2].note.contains("application_name walreceiver"), "{:?}", seen.nodes[2]);
    assert_eq!(setting(cluster.node(0), "synchronous_standby_names").await, "*", "nothing is changed");
    assert_eq!(setting(cluster.node(1), "howdah.members").await, "");

    let named = cluster.conninfo_to(2, cluster.node(0));
    cluster.node(2).psql(&format!("ALTER SYSTEM SET primary_conninfo = '{named}'")).await.unwrap();
    cluster.node(2).reload().unwrap();
    until(&handle, "nothing is lacking any more", |t| !t.decision.contains("refused")).await;
    wait_for_members(&cluster).await;
    handle.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_without_the_rights_promotes_nobody_and_says_so() {
    let cluster = Cluster::builder().replicas(2).start().await.unwrap();
    let primary = cluster.node(0);
    primary.psql("CREATE ROLE howdah LOGIN PASSWORD 'secret'; GRANT pg_monitor TO howdah").await.unwrap();
    let right = "GRANT EXECUTE ON FUNCTION pg_read_file(text, bigint, bigint, boolean) TO howdah";
    primary.psql(right).await.unwrap();
    for standby in &cluster.nodes()[1..] {
        cluster.wait_caught_up(primary, standby).await.unwrap();
    }
    let mut config = config(&cluster, Mode::Manage);
    (config.user, config.password) = ("howdah".to_owned(), Some("secret".to_owned()));
    let handle = start_with(config);
    let refused = "howdah may not ALTER SYSTEM";
    until(&handle, "manage is refused", |t| is_open(t) && t.decision.contains(refused)).await;
    primary.kill9().unwrap();
    wait_until("the refusal to be on record", PATIENCE, || async { !handle.failovers().is_empty() })
        .await
        .unwrap();
    let record = handle.failovers().pop().unwrap();
    assert!(matches!(&record.outcome, FailoverOutcome::Refused(why) if why.contains(refused)), "{record:?}");
    assert_eq!(record.from, Some(NodeId(0)));
    for standby in &cluster.nodes()[1..] {
        assert!(standby.is_standby().await.unwrap());
    }
    // As in follow: what somebody else promotes is taken up.
    cluster.node(1).psql("SELECT pg_promote()").await.unwrap();
    until(&handle, "the other's primary", |t| is_open(t) && t.primary == Some(NodeId(1))).await;
    handle.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_doctor_finds_nothing_and_then_what_was_broken() {
    let cluster = Cluster::builder().replicas(2).synchronous("*").start().await.unwrap();
    let primary = cluster.node(0);
    for statement in setup_sql(primary.binaries().major(), Mode::Manage, "howdah").lines() {
        if !statement.starts_with("--") {
            primary.psql(statement).await.unwrap();
        }
    }
    primary.psql("ALTER ROLE howdah PASSWORD 'secret'").await.unwrap();
    for standby in &cluster.nodes()[1..] {
        cluster.wait_caught_up(primary, standby).await.unwrap();
    }
    let mut config = config(&cluster, Mode::Manage);
    (config.user, config.password) = ("howdah".to_owned(), Some("secret".to_owned()));
    let found = examine(config.clone()).await;
    assert_eq!(found.len(), 4, "the cluster and three nodes: {found:#?}");
    let bad = |f: &&howdah_controller::Finding| f.verdict != Verdict::Good;
    assert_eq!(found.iter().flat_map(|d| &d.findings).find(bad), None, "the role of setup-sql suffices");
    let checks = |check: &str| found.iter().flat_map(|d| &d.findings).filter(|f| f.check == check).count();
    assert_eq!(
        (checks("ALTER SYSTEM"), checks("replication of node0"), checks("application_name")),
        (3, 2, 2)
    );

    unname(&cluster, 1).await;
    let hba = cluster.node(2).pgdata().join("pg_hba.conf");
    let lines = std::fs::read_to_string(&hba).unwrap();
    let without: Vec<&str> = lines.lines().filter(|line| !line.contains("repuser1")).collect();
    std::fs::write(&hba, without.join("\n") + "\n").unwrap();
    primary.psql("REVOKE ALTER SYSTEM ON PARAMETER primary_conninfo FROM howdah").await.unwrap();
    for standby in &cluster.nodes()[1..] {
        cluster.wait_caught_up(primary, standby).await.unwrap();
    }
    let found = examine(config).await;
    let lacks = |node: usize| -> Vec<&str> {
        let of = found[node + 1].findings.iter().filter(|f| f.verdict == Verdict::Lack);
        of.map(|f| f.sentence.as_str()).collect()
    };
    assert!(found[1..].iter().all(howdah_controller::Diagnosis::lacks), "{found:#?}");
    assert!(lacks(0)[0].contains("may not ALTER SYSTEM primary_conninfo"), "{:?}", lacks(0));
    assert!(lacks(1).iter().any(|l| l.contains("walreceiver")), "{:?}", lacks(1));
    assert!(lacks(2).iter().any(|l| l.contains("lets repuser1 in, so node1")), "{:?}", lacks(2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_doctor_says_how_a_node_does_not_answer() {
    let cluster = Cluster::builder().replicas(1).setting("wal_log_hints", "off").start().await.unwrap();
    cluster.node(1).stop().await.unwrap();
    let found = examine(config(&cluster, Mode::Manage)).await;
    assert!(found[2].lacks() && found[2].findings[0].sentence.contains("nobody listens there"), "{found:#?}");
    let all = || found.iter().flat_map(|d| &d.findings).filter(|f| f.verdict == Verdict::Warning);
    assert!(all().any(|f| f.sentence.contains("of two nodes no majority is left")), "{found:#?}");
    assert!(all().any(|f| f.check == "pg_rewind"), "{found:#?}");
}
