//! What SHOW prints.

use std::time::Duration;

use crate::{
    Epoch, FailoverOutcome, FailoverRecord, FailoverRow, FailoverStep, Gate, Lsn, Mode, Node, NodeId,
    NodeRow, Role, Time, Topology,
};

fn topology() -> Topology {
    let mut n = Node::unseen(NodeId(0), "database-master", "10.0.3.200", 5432);
    n.role = Role::Primary;
    n.insert_lsn = Some(Lsn(0x16B_3748));
    n.latency = Some(Duration::from_micros(250));
    let mut t = Topology::unseen("main", Mode::Manage, vec![n], Time::ZERO);
    t.primary = Some(NodeId(0));
    t
}

#[test]
fn a_node_row_has_a_cell_a_column() {
    let mut t = topology();
    t.gate = Gate::Held { since: Time::ZERO, reason: "waiting".into() };
    let cells = NodeRow::new(&t, &t.nodes[0], Time(5), 7).cells();
    let by = |name: &str| cells[NodeRow::COLUMNS.iter().position(|c| *c == name).unwrap()].as_deref();
    assert_eq!(by("node"), Some("database-master"));
    assert_eq!(by("address"), Some("10.0.3.200:5432"));
    assert_eq!(by("lsn"), Some("0/16B3748"));
    assert_eq!(by("latency_us"), Some("250"));
    assert_eq!(by("lag_bytes"), None);
    assert_eq!(by("connections"), Some("7"));
    assert_eq!(by("note"), Some("waiting"));
}

#[test]
fn a_failover_row_adds_its_steps() {
    let record = FailoverRecord {
        started: Time::from_millis(1_000),
        why: "refused".into(),
        who: "automatic".into(),
        planned: false,
        from: Some(NodeId(0)),
        to: None,
        epoch: Some(Epoch { system_id: 1, timeline: 2, began_at: Lsn(1) }),
        lost_bytes: Some(8192),
        lost_slots: vec!["cdc".into(), "search".into()],
        steps: vec![
            FailoverStep { name: "suspect", took_us: 1_200 },
            FailoverStep { name: "vote", took_us: 34_005 },
        ],
        outcome: FailoverOutcome::CalledOff("it answers again".into()),
    };
    let cells = FailoverRow::new(&topology(), &record, Time::from_millis(3_000)).cells();
    let by = |name: &str| cells[FailoverRow::COLUMNS.iter().position(|c| *c == name).unwrap()].as_deref();
    assert_eq!(by("started_ms_ago"), Some("2000"));
    assert_eq!(by("took_ms"), Some("35.205"));
    assert_eq!(by("steps"), Some("suspect 1.200, vote 34.005"));
    assert_eq!(by("outcome"), Some("called off: it answers again"));
    assert_eq!(by("to"), None);
    assert_eq!(by("timeline"), Some("2"));
    assert_eq!((by("lost_bytes"), by("lost_slots")), (Some("8192"), Some("cdc, search")));
}
