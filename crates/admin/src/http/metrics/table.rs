//! Every metric but the histogram: one block each. Times are seconds, volumes bytes; what is counted since the
//! start is a counter.

use prometheus_client::registry::Unit;

use super::snapshot::Snapshot;
use crate::rows::{DatabaseRow, FailoverRow, NodeRow, NodeState, PauseState, PoolRow, Role, StatsRow};

/// What may happen to a figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// It only grows.
    Counter,
    /// It is what it is.
    Gauge,
}

/// The labels' values and the figure.
pub(super) type Sample = (Vec<String>, f64);

/// A metric.
pub(super) struct Metric {
    /// The name, without prefix, unit and `_total`.
    pub(super) name: &'static str,
    /// What it is, in a sentence without its full stop.
    pub(super) help: &'static str,
    /// The unit, which the name ends in.
    pub(super) unit: Option<Unit>,
    /// Counter or gauge.
    pub(super) kind: Kind,
    /// The labels, in the order of a sample's values.
    pub(super) labels: &'static [&'static str],
    /// The figures.
    pub(super) samples: fn(&Snapshot) -> Vec<Sample>,
}

const DATABASE: &[&str] = &["database"];
const POOL: &[&str] = &["database", "user"];
const POOL_STATE: &[&str] = &["database", "user", "state"];
const USER: &[&str] = &["user"];
const CLUSTER: &[&str] = &["cluster"];
const NODE: &[&str] = &["cluster", "node"];

const fn counter(
    name: &'static str,
    help: &'static str,
    unit: Option<Unit>,
    samples: fn(&Snapshot) -> Vec<Sample>,
) -> Metric {
    Metric { name, help, unit, kind: Kind::Counter, labels: DATABASE, samples }
}

const fn gauge(
    name: &'static str,
    help: &'static str,
    labels: &'static [&'static str],
    samples: fn(&Snapshot) -> Vec<Sample>,
) -> Metric {
    Metric { name, help, unit: None, kind: Kind::Gauge, labels, samples }
}

const fn seconds(
    name: &'static str,
    help: &'static str,
    labels: &'static [&'static str],
    samples: fn(&Snapshot) -> Vec<Sample>,
) -> Metric {
    Metric { name, help, unit: Some(Unit::Seconds), kind: Kind::Gauge, labels, samples }
}

/// All of them, in the order of the page.
pub(super) const METRICS: &[Metric] = &[
    gauge("build_info", "Always 1, the version is the label", &["version"], |s| {
        vec![(vec![s.version.clone()], 1.0)]
    }),
    gauge("state", "1 for the state that the whole pooler is in", &["state"], |s| {
        let is = |name: &str, yes: bool| (vec![name.to_owned()], flag(yes));
        vec![
            is("active", s.state.pause == PauseState::Active && !s.state.shutting_down),
            is("paused", s.state.pause == PauseState::Paused),
            is("suspended", s.state.pause == PauseState::Suspended),
            is("shutting_down", s.state.shutting_down),
        ]
    }),
    gauge("items", "The figures of SHOW LISTS", &["list"], |s| {
        s.lists.rows().iter().map(|row| (vec![row.list.to_owned()], row.items.into())).collect()
    }),
    // SHOW POOLS.
    gauge("pool_clients", "Clients of a pool by state", POOL_STATE, |s| by_state(&s.pools, clients)),
    gauge("pool_servers", "Servers of a pool by state", POOL_STATE, |s| by_state(&s.pools, servers)),
    seconds("pool_max_wait", "How long the pool's oldest waiting client has waited", POOL, |s| {
        let one = |row: &PoolRow| (vec![row.database.clone(), row.user.clone()], from_us(row.maxwait_us));
        s.pools.iter().map(one).collect()
    }),
    // SHOW STATS.
    counter("server_assignments", "Times that a client was given a server", None, |s| {
        stats(s, |t| t.totals.server_assignment_count as f64)
    }),
    counter("transactions", "Transactions", None, |s| stats(s, |t| t.totals.xact_count as f64)),
    counter("queries", "SQL commands", None, |s| stats(s, |t| t.totals.query_count as f64)),
    counter("received", "Volume received from clients", Some(Unit::Bytes), |s| {
        stats(s, |t| t.totals.received as f64)
    }),
    counter("sent", "Volume sent to clients", Some(Unit::Bytes), |s| stats(s, |t| t.totals.sent as f64)),
    counter("transaction_time", "Time in transactions", Some(Unit::Seconds), |s| {
        stats(s, |t| from_us(t.totals.xact_time))
    }),
    counter("query_time", "Time in queries", Some(Unit::Seconds), |s| {
        stats(s, |t| from_us(t.totals.query_time))
    }),
    counter("wait_time", "Time that clients waited for a server", Some(Unit::Seconds), |s| {
        stats(s, |t| from_us(t.totals.wait_time))
    }),
    counter("client_parses", "Named statements prepared by clients", None, |s| {
        stats(s, |t| t.totals.client_parse_count as f64)
    }),
    counter("server_parses", "Named statements prepared on servers", None, |s| {
        stats(s, |t| t.totals.server_parse_count as f64)
    }),
    counter("binds", "Named statements bound by clients", None, |s| stats(s, |t| t.totals.bind_count as f64)),
    counter("client_logins", "Successful logins of clients", None, |s| {
        stats(s, |t| t.totals.client_login_count as f64)
    }),
    counter(
        "unprotected_commits",
        "Transactions whose commit waited for no standby, where Howdah promotes",
        None,
        |s| stats(s, |t| t.unprotected_commits as f64),
    ),
    // SHOW DATABASES and SHOW USERS.
    gauge("database_servers", "Servers of a database entry", DATABASE, |s| {
        databases(s, |d| d.current_connections.into())
    }),
    gauge("database_servers_max", "max_db_connections in effect, 0 without limit", DATABASE, |s| {
        databases(s, |d| d.max_connections.into())
    }),
    gauge("database_clients", "Clients of a database entry", DATABASE, |s| {
        databases(s, |d| d.current_client_connections.into())
    }),
    gauge("database_clients_max", "max_db_client_connections in effect, 0 without limit", DATABASE, |s| {
        databases(s, |d| d.max_client_connections.into())
    }),
    gauge("database_pool_size", "pool_size in effect", DATABASE, |s| databases(s, |d| d.pool_size.into())),
    gauge("database_paused", "1 while the entry is paused", DATABASE, |s| databases(s, |d| flag(d.paused))),
    gauge("database_disabled", "1 while the entry is disabled", DATABASE, |s| {
        databases(s, |d| flag(d.disabled))
    }),
    gauge("user_servers", "Servers of a user", USER, |s| {
        s.users.iter().map(|u| (vec![u.name.clone()], u.current_connections.into())).collect()
    }),
    gauge("user_clients", "Clients of a user", USER, |s| {
        s.users.iter().map(|u| (vec![u.name.clone()], u.current_client_connections.into())).collect()
    }),
    // Clusters.
    gauge("cluster_epoch", "The published epoch", CLUSTER, |s| {
        s.clusters.iter().map(|c| (vec![c.name.clone()], c.epoch as f64)).collect()
    }),
    gauge("cluster_writable", "1 while writes are admitted", CLUSTER, |s| {
        s.clusters.iter().map(|c| (vec![c.name.clone()], flag(c.writable))).collect()
    }),
    gauge("cluster_held_clients", "Clients held at the gate", CLUSTER, |s| {
        s.clusters.iter().map(|c| (vec![c.name.clone()], c.held_clients.into())).collect()
    }),
    gauge("cluster_maintenance", "1 while maintenance mode suspends failover", CLUSTER, |s| {
        s.clusters.iter().map(|c| (vec![c.name.clone()], flag(c.maintenance))).collect()
    }),
    Metric {
        name: "failovers",
        help: "Changes of the primary since the start",
        unit: None,
        kind: Kind::Counter,
        labels: CLUSTER,
        samples: |s| s.clusters.iter().map(|c| (vec![c.name.clone()], c.failovers as f64)).collect(),
    },
    seconds("last_failover_step", "How long each step of the last change took", &["cluster", "step"], |s| {
        let steps = |f: &FailoverRow| -> Vec<Sample> {
            let one = |step: &crate::rows::Step| {
                (vec![f.cluster.clone(), step.name.clone()], from_us(step.took_us))
            };
            f.steps.iter().map(one).collect()
        };
        last(&s.failovers).flat_map(steps).collect()
    }),
    seconds("last_failover_started_timestamp", "When the last change began, in Unix time", CLUSTER, |s| {
        last(&s.failovers).map(|f| (vec![f.cluster.clone()], f.started.seconds())).collect()
    }),
    Metric {
        name: "last_failover_lost",
        help: "WAL that the last change is known to have lost, at least; nothing acknowledged where commits wait",
        unit: Some(Unit::Bytes),
        kind: Kind::Gauge,
        labels: CLUSTER,
        samples: |s| {
            let lost = |f: &FailoverRow| Some((vec![f.cluster.clone()], f.lost_bytes? as f64));
            last(&s.failovers).filter_map(lost).collect()
        },
    },
    // SHOW NODES.
    gauge("node_up", "1 while the node answers and is routed to", NODE, |s| {
        nodes(s, |n| Some(flag(n.state == NodeState::Up)))
    }),
    gauge("node_primary", "1 for the primary", NODE, |s| nodes(s, |n| Some(flag(n.role == Role::Primary)))),
    gauge("node_timeline", "The node's timeline", NODE, |s| nodes(s, |n| n.timeline.map(f64::from))),
    Metric {
        name: "node_lag",
        help: "WAL that a replica has not replayed",
        unit: Some(Unit::Bytes),
        kind: Kind::Gauge,
        labels: NODE,
        samples: |s| nodes(s, |n| n.lag_bytes.map(|lag| lag as f64)),
    },
    seconds("node_lag_time", "Age of what a replica shows", NODE, |s| nodes(s, |n| n.lag_us.map(from_us))),
    seconds("node_fresh_as_of_timestamp", "Moment up to which all is replayed, in Unix time", NODE, |s| {
        nodes(s, |n| n.fresh_as_of.map(crate::time::UnixMicros::seconds))
    }),
    seconds("node_probe", "How long the last probe took", NODE, |s| nodes(s, |n| n.latency_us.map(from_us))),
    gauge("node_servers", "Servers to the node in all pools", NODE, |s| {
        nodes(s, |n| Some(n.connections.into()))
    }),
];

fn flag(yes: bool) -> f64 {
    f64::from(u8::from(yes))
}

fn from_us(us: u64) -> f64 {
    us as f64 / 1e6
}

fn stats(snapshot: &Snapshot, figure: impl Fn(&StatsRow) -> f64) -> Vec<Sample> {
    snapshot.stats.iter().map(|row| (vec![row.database.clone()], figure(row))).collect()
}

fn databases(snapshot: &Snapshot, figure: impl Fn(&DatabaseRow) -> f64) -> Vec<Sample> {
    snapshot.databases.iter().map(|row| (vec![row.name.clone()], figure(row))).collect()
}

/// A figure of each node that has it.
fn nodes(snapshot: &Snapshot, figure: impl Fn(&NodeRow) -> Option<f64>) -> Vec<Sample> {
    let one = |row: &NodeRow| figure(row).map(|n| (vec![row.cluster.clone(), row.node.clone()], n));
    snapshot.nodes.iter().filter_map(one).collect()
}

/// The newest change of each cluster. The rows come newest first.
fn last(rows: &[FailoverRow]) -> impl Iterator<Item = &FailoverRow> {
    let newest = |at: usize, row: &FailoverRow| rows[..at].iter().all(|before| before.cluster != row.cluster);
    rows.iter().enumerate().filter(move |(at, row)| newest(*at, row)).map(|(_, row)| row)
}

fn by_state(pools: &[PoolRow], figures: impl Fn(&PoolRow) -> Vec<(&'static str, u32)>) -> Vec<Sample> {
    let one = |pool: &PoolRow| -> Vec<Sample> {
        let labels = |state: &str| vec![pool.database.clone(), pool.user.clone(), state.to_owned()];
        figures(pool).into_iter().map(|(state, n)| (labels(state), n.into())).collect()
    };
    pools.iter().flat_map(one).collect()
}

fn clients(pool: &PoolRow) -> Vec<(&'static str, u32)> {
    vec![
        ("active", pool.cl_active),
        ("waiting", pool.cl_waiting),
        ("active_cancel_req", pool.cl_active_cancel_req),
        ("waiting_cancel_req", pool.cl_waiting_cancel_req),
    ]
}

fn servers(pool: &PoolRow) -> Vec<(&'static str, u32)> {
    vec![
        ("active", pool.sv_active),
        ("idle", pool.sv_idle),
        ("used", pool.sv_used),
        ("tested", pool.sv_tested),
        ("login", pool.sv_login),
        ("active_cancel", pool.sv_active_cancel),
        ("being_canceled", pool.sv_being_canceled),
    ]
}
