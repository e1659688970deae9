//! SHOW NODES and FAILOVERS, and the clusters of the HTTP side: the controllers' snapshots as rows.

use std::sync::Arc;

use howdah_admin::rows::{ClusterRow, FailoverRow, Mode, NodeRow, NodeState, Role, Step, SyncState};
use howdah_topology::{FailoverOutcome, FailoverRecord, Node, NodeId, Topology};

use super::moments::{Moments, count, micros};
use crate::client::info::Phase;
use crate::entry::Cluster;
use crate::pooler::Pooler;

fn mode(mode: howdah_topology::Mode) -> Mode {
    match mode {
        howdah_topology::Mode::Manage => Mode::Manage,
        howdah_topology::Mode::Follow => Mode::Follow,
        howdah_topology::Mode::Off => Mode::Off,
    }
}

fn name(topology: &Topology, node: Option<NodeId>) -> Option<String> {
    topology.node(node?).map(|node| node.name.clone())
}

/// Clients whose entry is of this cluster and who wait.
fn waiting_clients(pooler: &Pooler, cluster: &Cluster) -> u32 {
    let waits = pooler.clients.all().into_iter().filter(|client| client.phase().0 == Phase::Waiting);
    let here = waits.filter(|client| {
        let entry = pooler.entry(&client.who.lock().0);
        entry.is_some_and(|entry| entry.cluster.as_ref().is_some_and(|own| own.name == cluster.name))
    });
    count(here.count())
}

pub(super) fn clusters(pooler: &Pooler) -> Vec<ClusterRow> {
    let now = pooler.clock.now();
    let row = |cluster: &Arc<Cluster>| {
        let topology = cluster.handle.topology();
        let writable = topology.writable_primary(now).map(|node| node.name.clone());
        let changed = |record: &FailoverRecord| {
            matches!(record.outcome, FailoverOutcome::Promoted | FailoverOutcome::Adopted)
        };
        ClusterRow {
            name: cluster.name.clone(),
            mode: mode(topology.mode),
            epoch: topology.epoch.map_or(0, |epoch| epoch.timeline.into()),
            writable: writable.is_some(),
            held_clients: if writable.is_some() { 0 } else { waiting_clients(pooler, cluster) },
            primary: writable,
            maintenance: topology.maintenance,
            failovers: cluster.handle.failovers().iter().filter(|record| changed(record)).count() as u64,
            doing: topology.decision.clone(),
        }
    };
    pooler.clusters.values().map(row).collect()
}

pub(super) fn nodes(pooler: &Arc<Pooler>) -> Vec<NodeRow> {
    let moments = Moments::of(pooler);
    let mut rows = Vec::new();
    for cluster in pooler.clusters.values() {
        let topology = cluster.handle.topology();
        let connections = connections(pooler, cluster, topology.nodes.len());
        rows.extend(
            topology
                .nodes
                .iter()
                .zip(connections)
                .map(|(node, servers)| node_row(&topology, node, servers, &moments)),
        );
    }
    rows
}

/// Servers by node, in all pools of the cluster's entries.
fn connections(pooler: &Arc<Pooler>, cluster: &Cluster, nodes: usize) -> Vec<u32> {
    let entries = pooler.entries_of(cluster);
    let mut connections = vec![0; nodes];
    pooler.account(|account, now| {
        for server in account.servers(now).filter(|server| entries.contains(&server.key.entry)) {
            let place = server.key.node.and_then(|node| connections.get_mut(usize::from(node.0)));
            if let Some(place) = place {
                *place += 1;
            }
        }
    });
    connections
}

fn role(topology: &Topology, node: &Node) -> Role {
    match node.role {
        _ if topology.primary == Some(node.id) => Role::Primary,
        howdah_topology::Role::Replica => Role::Replica,
        // Out of recovery, but not the primary that is published: nothing goes there.
        howdah_topology::Role::Primary | howdah_topology::Role::Unknown => Role::Unknown,
    }
}

fn node_state(node: &Node) -> NodeState {
    use howdah_topology::NodeState as State;
    match node.state {
        State::Unknown => NodeState::Unknown,
        State::Up if node.role == howdah_topology::Role::Replica && !node.prefix => NodeState::Lagging,
        State::Up => NodeState::Up,
        State::Suspect => NodeState::Suspect,
        State::Down | State::Starting => NodeState::Down,
        State::Fenced => NodeState::Fenced,
        State::Diverged => NodeState::Lagging,
        State::Returning => NodeState::Rejoining,
    }
}

fn sync_state(sync: howdah_topology::SyncState) -> Option<SyncState> {
    match sync {
        howdah_topology::SyncState::None => None,
        howdah_topology::SyncState::Async => Some(SyncState::Async),
        howdah_topology::SyncState::Potential => Some(SyncState::Potential),
        howdah_topology::SyncState::Sync => Some(SyncState::Sync),
        howdah_topology::SyncState::Quorum => Some(SyncState::Quorum),
    }
}

fn node_row(topology: &Topology, node: &Node, connections: u32, moments: &Moments) -> NodeRow {
    let is_primary = topology.primary == Some(node.id);
    let held = if is_primary { topology.held_reason(moments.now) } else { None };
    let reason = held.unwrap_or(&node.note);
    NodeRow {
        cluster: topology.cluster.clone(),
        node: node.name.clone(),
        host: node.host.clone(),
        port: node.port,
        role: role(topology, node),
        state: node_state(node),
        sync: sync_state(node.sync).filter(|_| !is_primary),
        timeline: node.timeline,
        lsn: node.lsn().map(|lsn| lsn.to_string()),
        lag_bytes: node.lag_bytes.filter(|_| !is_primary),
        lag_us: node.lag_time.filter(|_| !is_primary).map(micros),
        fresh_as_of: node.fresh_as_of.map(|at| moments.wall(at)),
        latency_us: node.latency.map(micros),
        connections,
        reason: Some(reason.to_owned()).filter(|reason| !reason.is_empty()),
    }
}

/// Changes of the primary, newest first.
pub(super) fn failovers(pooler: &Pooler) -> Vec<FailoverRow> {
    let moments = Moments::of(pooler);
    let mut rows = Vec::new();
    for cluster in pooler.clusters.values() {
        let topology = cluster.handle.topology();
        rows.extend(
            cluster.handle.failovers().iter().map(|record| failover_row(&topology, record, &moments)),
        );
    }
    rows.sort_by_key(|row| std::cmp::Reverse(row.started));
    rows
}

fn failover_row(topology: &Topology, record: &FailoverRecord, moments: &Moments) -> FailoverRow {
    let (outcome, why) = match &record.outcome {
        FailoverOutcome::Running => ("running", None),
        FailoverOutcome::Promoted | FailoverOutcome::Adopted => ("done", None),
        FailoverOutcome::CalledOff(why) => ("called off", Some(why)),
        FailoverOutcome::Halted(why) => ("halted", Some(why)),
        FailoverOutcome::Refused(why) => ("refused", Some(why)),
    };
    let followed = record.outcome == FailoverOutcome::Adopted;
    let step =
        |step: &howdah_topology::FailoverStep| Step { name: step.name.to_owned(), took_us: step.took_us };
    FailoverRow {
        cluster: topology.cluster.clone(),
        started: moments.wall(record.started),
        epoch: record.epoch.map_or(0, |epoch| epoch.timeline.into()),
        kind: match (followed, record.planned) {
            (true, _) => "followed",
            (false, true) => "switchover",
            (false, false) => "failover",
        }
        .to_owned(),
        reason: why.map_or_else(|| record.why.clone(), |why| format!("{}; {outcome}: {why}", record.why)),
        decided_by: record.who.clone(),
        old_primary: name(topology, record.from),
        new_primary: name(topology, record.to),
        outcome: outcome.to_owned(),
        lost_bytes: record.lost_bytes,
        lost_slots: Some(record.lost_slots.join(", ")).filter(|slots| !slots.is_empty()),
        steps: record.steps.iter().map(step).collect(),
    }
}
