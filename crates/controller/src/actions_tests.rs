//! Each action against real servers, one by one: what it says it does is what the servers then show.

use std::sync::Arc;
use std::time::Duration;

use howdah_failover::{ActionError, Done, FenceRecord, Members, ProbeFailure, SyncNames};
use howdah_testkit::{Cluster, DEFAULT_DEADLINE, wait_until};
use howdah_topology::NodeId;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::actions;
use crate::ask::{self, Ask as _, Line};
use crate::config::{ControllerConfig, NodeConfig};
use crate::connect::ReportSender;
use crate::link::NodeLink;
use crate::sample;

fn config(cluster: &Cluster) -> ControllerConfig {
    let nodes = cluster.nodes().iter().map(|n| NodeConfig::new(n.name(), &n.host(), n.port())).collect();
    ControllerConfig::new("main", nodes, "postgres")
}

fn links(config: &ControllerConfig, reports: &ReportSender) -> Vec<Arc<NodeLink>> {
    let nodes = config.nodes.iter().zip(0..);
    nodes
        .map(|(node, id)| {
            Arc::new(NodeLink::new(config, NodeId(id), node.clone(), reports.clone()).unwrap().0)
        })
        .collect()
}

async fn line(link: &NodeLink) -> Line {
    Line::new(link.target.open().await.unwrap())
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

struct Bench {
    cluster: Cluster,
    links: Vec<Arc<NodeLink>>,
    reports: mpsc::Receiver<(NodeId, howdah_failover::Report)>,
}

async fn bench(synchronous: &str) -> Bench {
    let cluster = Cluster::builder().replicas(2).synchronous(synchronous).start().await.unwrap();
    let (sender, reports) = mpsc::channel(64);
    let links = links(&config(&cluster), &sender);
    Bench { cluster, links, reports }
}

#[tokio::test]
async fn a_sample_reads_primary_and_standby() {
    let bench = bench("*").await;
    let mut primary = line(&bench.links[0]).await;
    let (_, sample) = ask::sample(&mut primary, &bench.links[0], None, soon()).await.unwrap();
    assert!(!sample.in_recovery);
    assert_eq!((sample.timeline, sample.history.len()), (1, 0));
    assert!(sample.inserted.unwrap() >= sample.flushed.unwrap());
    assert_eq!(sample.receiver, None);
    let mut names: Vec<_> = sample.replication.iter().map(|r| r.application_name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["node1", "node2"]);
    assert!(sample.sync_names.is_wildcard());

    let mut standby = line(&bench.links[1]).await;
    let (_, seen) = ask::sample(&mut standby, &bench.links[1], None, soon()).await.unwrap();
    assert!(seen.in_recovery);
    assert_eq!(seen.system_id, sample.system_id);
    let receiver = seen.receiver.unwrap();
    assert_eq!(
        (receiver.sender_host.as_str(), receiver.sender_port),
        ("127.0.0.200", bench.cluster.node(0).port())
    );
    assert_eq!(receiver.timeline, 1);
    assert!(receiver.last_message > 0);
    assert_eq!(seen.inserted, None);
    assert!(seen.replayed.is_some() && !seen.tuned && !seen.replay_paused && !seen.read_only);
    assert!(seen.primary_conninfo.contains("repuser1"));
    assert_eq!(bench.links[1].memory().application_name.as_deref(), Some("node1"));
    assert!(seen.started_at > 0);
}

#[tokio::test]
async fn a_vote_is_held_once_and_goes_with_its_session() {
    let bench = bench("").await;
    let link = &bench.links[1];
    let (mut mine, mut other) = (line(link).await, line(link).await);
    let lock = sample::lock_sql();
    for _ in 0..2 {
        let (granted, _) = ask::sample(&mut mine, link, Some(&lock), soon()).await.unwrap();
        assert!(granted, "taking the vote again must not count twice");
    }
    assert!(actions::vote::holds(&mut mine, soon()).await.unwrap());
    let (granted, _) = ask::sample(&mut other, link, Some(&lock), soon()).await.unwrap();
    assert!(!granted);
    actions::vote::give_back(&mut mine, soon()).await.unwrap();
    assert!(!actions::vote::holds(&mut mine, soon()).await.unwrap());
    let (granted, _) = ask::sample(&mut other, link, Some(&lock), soon()).await.unwrap();
    assert!(granted, "one unlock is enough");
    drop(other);
    wait_until("the vote to be free", DEFAULT_DEADLINE, || async {
        let mut next = line(link).await;
        ask::sample(&mut next, link, Some(&lock), soon()).await.unwrap().0
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_fence_stops_commits_and_is_undone() {
    let bench = bench("ANY 1 (node1, node2)").await;
    let (primary, links) = (bench.cluster.node(0), &bench.links);
    primary.psql("CREATE TABLE t (i int)").await.unwrap();
    let mut lines = vec![line(&links[1]).await, line(&links[2]).await];
    let mut before = Vec::new();
    for (link, line) in links[1..].iter().zip(&mut lines) {
        let (_, seen) = ask::sample(line, link, None, soon()).await.unwrap();
        let record = FenceRecord {
            pooler: "p".into(),
            attempt: 1,
            timeline: 1,
            old_conninfo: seen.primary_conninfo.clone(),
        };
        actions::fence::write(line, &record, soon()).await.unwrap();
        let done = actions::fence::watch(link, soon()).await.unwrap();
        assert_eq!(
            done,
            Done::Fenced { receiver_gone: true, replay_paused: false, recovery_conflict: false }
        );
        let (_, fenced) = ask::sample(line, link, None, soon()).await.unwrap();
        assert_eq!(fenced.fence.as_ref(), Some(&record));
        assert_eq!((fenced.receiver, fenced.primary_conninfo.as_str()), (None, ""));
        before.push(record);
    }
    let writer = primary.connect().await.unwrap();
    let commit = tokio::spawn(async move { writer.batch_execute("INSERT INTO t VALUES (1)").await });
    wait_until("the commit to wait", DEFAULT_DEADLINE, || async {
        primary.value("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'").await.unwrap()
            == "1"
    })
    .await
    .unwrap();
    assert!(!commit.is_finished(), "the old primary acknowledged a commit behind the fence");
    for (line, record) in lines.iter_mut().zip(&before) {
        actions::fence::undo(line, record, soon()).await.unwrap();
    }
    commit.await.unwrap().unwrap();
    bench.cluster.wait_streaming().await.unwrap();
    for ((link, line), record) in links[1..].iter().zip(&mut lines).zip(&before) {
        let (_, seen) = ask::sample(line, link, None, soon()).await.unwrap();
        assert_eq!((seen.fence, &seen.primary_conninfo), (None, &record.old_conninfo));
        actions::fence::undo(line, record, soon()).await.unwrap();
    }
}

#[tokio::test]
async fn a_primary_that_is_left_is_marked_and_put_back() {
    let bench = bench("").await;
    let (primary, link) = (bench.cluster.node(0), &bench.links[0]);
    let mut on = line(link).await;
    let (_, before) = ask::sample(&mut on, link, None, soon()).await.unwrap();
    let old_conninfo = before.primary_conninfo.clone();
    let record = FenceRecord { pooler: "p".into(), attempt: 1, timeline: 1, old_conninfo };
    actions::fence::write(&mut on, &record, soon()).await.unwrap();
    let done = actions::fence::watch(link, soon()).await.unwrap();
    assert_eq!(done, Done::Fenced { receiver_gone: true, replay_paused: false, recovery_conflict: false });
    let client = primary.connect().await.unwrap();
    actions::demote::set_read_only(&mut on, true, soon()).await.unwrap();
    assert!(client.batch_execute("SELECT").await.is_err(), "a session of before goes on");
    assert!(primary.psql("CREATE TABLE t (i int)").await.is_err(), "it takes writes");
    let (_, left) = ask::sample(&mut on, link, None, soon()).await.unwrap();
    assert_eq!((left.read_only, left.fence.as_ref()), (true, Some(&record)));
    actions::demote::set_read_only(&mut on, false, soon()).await.unwrap();
    actions::fence::undo(&mut on, &record, soon()).await.unwrap();
    primary.psql("CREATE TABLE t (i int)").await.unwrap();
    let (_, after) = ask::sample(&mut on, link, None, soon()).await.unwrap();
    assert_eq!((after.read_only, after.fence), (false, None));
    assert_eq!(after.primary_conninfo, before.primary_conninfo);
}

#[tokio::test]
async fn a_paused_replay_is_reported_and_resumed() {
    let bench = bench("").await;
    let (link, primary) = (&bench.links[1], bench.cluster.node(0));
    bench.cluster.node(1).psql("SELECT pg_wal_replay_pause()").await.unwrap();
    // Replay pauses when it comes to the next record.
    primary.psql("CREATE TABLE t (i int); INSERT INTO t VALUES (1)").await.unwrap();
    let mut on = line(link).await;
    let (_, seen) = ask::sample(&mut on, link, None, soon()).await.unwrap();
    let record =
        FenceRecord { pooler: "p".into(), attempt: 1, timeline: 1, old_conninfo: seen.primary_conninfo };
    actions::fence::write(&mut on, &record, soon()).await.unwrap();
    match actions::fence::watch(link, soon()).await.unwrap() {
        Done::Fenced { receiver_gone: false, replay_paused: true, .. } => {}
        other => panic!("{other:?}: the setting alone must not count as a fence"),
    }
    actions::promote::resume_replay(&mut on, soon()).await.unwrap();
    let done = actions::fence::watch(link, soon()).await.unwrap();
    assert_eq!(done, Done::Fenced { receiver_gone: true, replay_paused: false, recovery_conflict: false });
    match actions::position::read(link, soon()).await.unwrap() {
        Done::Position { timeline: 1, received: Some(received), replayed, at_end: true, .. } => {
            assert!(replayed >= received);
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_read_that_replay_waits_for_is_ended_at_the_fence() {
    let cluster =
        Cluster::builder().replicas(1).setting("max_standby_streaming_delay", "-1").start().await.unwrap();
    let (sender, _reports) = mpsc::channel(8);
    let links = links(&config(&cluster), &sender);
    let (primary, standby, link) = (cluster.node(0), cluster.node(1), &links[1]);
    primary.psql("CREATE TABLE t AS SELECT generate_series(1, 1000) AS i").await.unwrap();
    cluster.wait_caught_up(primary, standby).await.unwrap();
    let reader = standby.connect().await.unwrap();
    reader.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM t").await.unwrap();
    primary.psql("DELETE FROM t").await.unwrap();
    primary.psql("VACUUM t").await.unwrap();
    let mut on = line(link).await;
    let seen = howdah_testkit::wait_until_some("a recovery conflict", DEFAULT_DEADLINE, || async {
        let mut on = line(link).await;
        let (_, seen) = ask::sample(&mut on, link, None, soon()).await.unwrap();
        seen.recovery_conflict.then_some(seen)
    })
    .await
    .unwrap();
    let record =
        FenceRecord { pooler: "p".into(), attempt: 1, timeline: 1, old_conninfo: seen.primary_conninfo };
    actions::fence::write(&mut on, &record, soon()).await.unwrap();
    match actions::fence::watch(link, soon()).await.unwrap() {
        Done::Fenced { receiver_gone: false, recovery_conflict: true, .. } => {}
        other => panic!("{other:?}: replay waits for a read, so the receiver goes on"),
    }
    assert_eq!(actions::position::end_conflicting_reads(link, soon()).await.unwrap(), Done::Written);
    assert!(reader.batch_execute("SELECT 1").await.is_err(), "the read goes on");
    assert!(matches!(
        actions::fence::watch(link, soon()).await,
        Ok(Done::Fenced { receiver_gone: true, .. })
    ));
}

#[tokio::test]
async fn the_other_is_repointed_then_one_is_promoted() {
    let bench = bench("ANY 1 (node1, node2)").await;
    let links = &bench.links;
    bench.cluster.node(0).kill9().unwrap();
    let (mut first, mut second) = (line(&links[1]).await, line(&links[2]).await);
    let all: Vec<_> = links.clone();
    actions::repoint::repoint(&mut second, &links[2], &all, NodeId(1), soon()).await.unwrap();
    let names = "FIRST 1 (node2)".parse::<SyncNames>().unwrap();
    let done = actions::names::write_names(&mut first, &names, soon()).await.unwrap();
    assert_eq!(done, Done::Names { inserted: None }, "a standby has no insert position");
    assert_eq!(actions::promote::promote(&mut first, soon()).await.unwrap(), Done::Written);
    let Done::Promoted { sample } = actions::promote::await_promoted(&links[1], soon()).await.unwrap() else {
        panic!("not promoted")
    };
    assert!(!sample.in_recovery);
    assert_eq!(sample.timeline, 2);
    assert_eq!(sample.history.len(), 1);
    assert_eq!(sample.history[0].timeline, 2);
    assert_eq!(actions::promote::promote(&mut first, soon()).await.unwrap(), Done::Written, "idempotent");
    bench.cluster.node(1).psql("CREATE TABLE t (i int)").await.unwrap();
    bench.cluster.wait_caught_up(bench.cluster.node(1), bench.cluster.node(2)).await.unwrap();
    let (_, follower) = ask::sample(&mut second, &links[2], None, soon()).await.unwrap();
    assert_eq!(follower.timeline, 2);
    assert_eq!(follower.history, sample.history);
    assert!(follower.primary_conninfo.contains("repuser2"), "its own role is kept");
}

#[tokio::test]
async fn settings_are_read_back_or_refused() {
    let bench = bench("").await;
    let mut on = line(&bench.links[0]).await;
    let members: Members = "7 FIRST 1 (node1)".parse().unwrap();
    actions::names::write_members(&mut on, &members, soon()).await.unwrap();
    actions::demote::tune(&mut on, true, soon()).await.unwrap();
    actions::demote::set_read_only(&mut on, true, soon()).await.unwrap();
    let (_, seen) = ask::sample(&mut on, &bench.links[0], None, soon()).await.unwrap();
    assert_eq!(seen.members, Some(members));
    assert!(seen.tuned && seen.read_only);
    let refused = bench.cluster.node(0).psql("CREATE TABLE t (i int)").await;
    assert!(refused.is_err(), "a former primary took a write");
    let bad = actions::settings::alter(&mut on, "synchronous_standby_names", "FIRST 1 (", soon()).await;
    assert!(matches!(ActionError::from(bad.unwrap_err()), ActionError::Refused(_)));
    actions::demote::tune(&mut on, false, soon()).await.unwrap();
    // The kit's own postgresql.conf has the same interval; the timeout is the default again.
    let timeout =
        ask::value(&mut on, "SELECT current_setting('wal_receiver_timeout')", soon()).await.unwrap();
    assert_eq!(timeout.as_deref(), Some("1min"));
}

#[tokio::test]
async fn the_end_of_a_session_is_told_at_once_and_says_how() {
    let mut bench = bench("").await;
    let mut on = line(&bench.links[0]).await;
    bench.cluster.node(0).kill9().unwrap();
    let (node, _) = tokio::time::timeout(DEFAULT_DEADLINE, bench.reports.recv()).await.unwrap().unwrap();
    assert_eq!(node, NodeId(0));
    assert_eq!(on.failure(), Some(ProbeFailure::Eof));
    assert!(on.ask("SELECT 1", soon()).await.is_err());
    assert_eq!(bench.links[0].target.open().await.err(), Some(ProbeFailure::Refused));

    let standby = line(&bench.links[1]).await;
    bench.cluster.node(1).stop().await.unwrap();
    wait_until("the session to end", DEFAULT_DEADLINE, || async { standby.failure().is_some() })
        .await
        .unwrap();
    assert_eq!(standby.failure(), Some(ProbeFailure::StartingOrStopping));
}

#[tokio::test]
async fn a_frozen_node_is_silent_and_answers_late_questions_in_order() {
    let bench = bench("").await;
    let mut on = line(&bench.links[1]).await;
    bench.cluster.node(1).freeze().unwrap();
    let soon_over = Instant::now() + Duration::from_millis(100);
    assert_eq!(on.ask("SELECT 1", soon_over).await.err(), Some(ask::AskError::Unanswered));
    let soon_over = Instant::now() + Duration::from_millis(100);
    assert_eq!(on.ask("SELECT 2", soon_over).await.err(), Some(ask::AskError::Unanswered));
    assert_eq!(bench.links[1].target.open().await.err(), Some(ProbeFailure::Silent));
    bench.cluster.node(1).thaw();
    assert_eq!(ask::value(&mut on, "SELECT 3", soon()).await.unwrap().as_deref(), Some("3"));
}

#[tokio::test]
async fn a_slot_is_made_where_the_node_is_pointed_at() {
    let cluster = Cluster::builder().replicas(2).start().await.unwrap();
    let mut config = config(&cluster);
    config.nodes[2].slot = Some("node2".to_owned());
    let (sender, _reports) = mpsc::channel(8);
    let links = links(&config, &sender);
    let mut on = line(&links[2]).await;
    for _ in 0..2 {
        actions::repoint::repoint(&mut on, &links[2], &links, NodeId(1), soon()).await.unwrap();
    }
    let active = "SELECT count(*) FROM pg_replication_slots WHERE slot_name = 'node2' AND active";
    wait_until("the cascading standby to use its slot", DEFAULT_DEADLINE, || async {
        cluster.node(1).value(active).await.unwrap() == "1"
    })
    .await
    .unwrap();
}

/// The role of `setup_sql` may do every action, and no more is granted than that.
#[tokio::test]
async fn the_role_of_setup_sql_suffices() {
    let bench = bench("").await;
    let primary = bench.cluster.node(0);
    let major = primary.binaries().major();
    for statement in crate::setup_sql(major, howdah_topology::Mode::Manage, "howdah").lines() {
        if !statement.starts_with("--") {
            primary.psql(statement).await.unwrap();
        }
    }
    primary.psql("ALTER ROLE howdah PASSWORD 'secret'").await.unwrap();
    bench.cluster.wait_caught_up(primary, bench.cluster.node(1)).await.unwrap();
    let mut config = config(&bench.cluster);
    (config.user, config.password) = ("howdah".to_owned(), Some("secret".to_owned()));
    let (sender, _reports) = mpsc::channel(8);
    let links = links(&config, &sender);
    let link = &links[1];
    let mut on = line(link).await;
    let (granted, seen) = ask::sample(&mut on, link, Some(&sample::lock_sql()), soon()).await.unwrap();
    assert!(granted && seen.receiver.is_some() && !seen.primary_conninfo.is_empty());
    let mut on_primary = line(&links[0]).await;
    let (_, upstream) = ask::sample(&mut on_primary, &links[0], None, soon()).await.unwrap();
    assert!(upstream.replication.iter().all(|row| row.flushed.0 > 0), "pg_stat_replication is hidden");
    actions::demote::tune(&mut on, true, soon()).await.unwrap();
    actions::demote::tune(&mut on, false, soon()).await.unwrap();
    let members: Members = "1 FIRST 1 (node1)".parse().unwrap();
    actions::names::write_members(&mut on, &members, soon()).await.unwrap();
    actions::names::write_names(&mut on, &members.sync, soon()).await.unwrap();
    actions::demote::set_read_only(&mut on, true, soon()).await.unwrap();
    actions::demote::set_read_only(&mut on, false, soon()).await.unwrap();
    let record = FenceRecord {
        pooler: "p".into(),
        attempt: 1,
        timeline: 1,
        old_conninfo: seen.primary_conninfo.clone(),
    };
    actions::fence::write(&mut on, &record, soon()).await.unwrap();
    assert!(matches!(
        actions::fence::watch(link, soon()).await,
        Ok(Done::Fenced { receiver_gone: true, .. })
    ));
    actions::fence::undo(&mut on, &record, soon()).await.unwrap();
    actions::repoint::repoint(&mut on, link, &links, NodeId(0), soon()).await.unwrap();
    actions::promote::resume_replay(&mut on, soon()).await.unwrap();
    actions::position::end_conflicting_reads(link, soon()).await.unwrap();
    actions::promote::promote(&mut on, soon()).await.unwrap();
    let Done::Promoted { sample } = actions::promote::await_promoted(link, soon()).await.unwrap() else {
        panic!("not promoted")
    };
    assert_eq!(sample.history.len(), 1, "the timeline's history is hidden");
    assert!(on.ask("CREATE TABLE t (i int)", soon()).await.is_err(), "the role can do more than it should");
}
