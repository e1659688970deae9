//! A cluster's controller and what its news mean for clients: those who wait choose again, and connections of an
//! epoch that has ended are cut (FAILOVER_PROTOCOL.md sections 5 and 7).

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use howdah_controller::{Clock, ControlTls, Controller, ControllerConfig, NodeConfig, RestAddress};
use howdah_pool::CloseReason;
use howdah_topology::{Epoch, Mode, NodeId, Topology};

use crate::client::info::Order;
use crate::entry::{Cluster, Entry};
use crate::error::StartError;
use crate::pooler::{Pooler, Stage};
use crate::pools::{PoolKey, WaitError};
use crate::tls::Tls;

/// Starts to watch a cluster.
pub(crate) fn watch(cluster: &howdah_config::Cluster, clock: Clock, tls: &ControlTls) -> Cluster {
    let (name, holds) = (cluster.name.clone(), AtomicBool::new(false));
    Cluster { name, handle: Controller::spawn(controller_config(cluster, tls), clock), holds }
}

/// Asks every node of a cluster once, and says of everything that `failover = manage` demands whether it is there
/// (FAILOVER_PROTOCOL.md §1). For `howdah doctor`.
///
/// # Errors
/// [`StartError::Tls`]: the TLS settings cannot be used.
pub async fn examine(
    cluster: &howdah_config::Cluster,
    settings: &howdah_config::Settings,
) -> Result<Vec<howdah_controller::Diagnosis>, StartError> {
    let tls = ControlTls::default();
    tls.set(Tls::build_logged(settings).map_err(|_| StartError::Tls)?.control());
    Ok(howdah_controller::examine(controller_config(cluster, &tls)).await)
}

/// What the controller is told.
fn controller_config(cluster: &howdah_config::Cluster, tls: &ControlTls) -> ControllerConfig {
    let nodes = cluster
        .nodes
        .iter()
        .map(|node| {
            let mut config = NodeConfig::new(&node.name, &node.host, node.port);
            // Priorities of the settings are around 0, those of the machine around 100.
            config.priority =
                u32::try_from(100_i64.saturating_add(node.priority.into()).max(0)).unwrap_or(u32::MAX);
            config.weight = node.weight;
            config.nofailover = node.nofailover;
            config.slot = node.slot.clone();
            config.application_name = node.application_name.clone();
            config.cascade = node.cascade_of.is_some();
            config
        })
        .collect();
    let user = cluster.user.clone().unwrap_or_else(|| "postgres".to_owned());
    let mut config = ControllerConfig::new(&cluster.name, nodes, &user);
    config.password = cluster.password.as_ref().map(|password| password.expose().to_owned());
    config.dbname = cluster.dbname.clone();
    config.mode = mode_of(cluster.failover);
    config.probe_interval = cluster.probe_interval;
    config.probe_timeout = cluster.probe_timeout;
    config.restart_grace = cluster.restart_grace;
    config.member_timeout = cluster.member_timeout;
    config.primary_lease = cluster.primary_lease;
    config.degrade_on_last_node = cluster.on_last_node == howdah_config::OnLastNode::Degrade;
    config.max_lost_bytes = cluster.max_lost_bytes;
    config.bootstrap = cluster.bootstrap;
    config.patroni = patroni(cluster);
    config.tls = tls.clone();
    config.max_failovers_per_hour = cluster.max_failovers_per_hour;
    config
}

fn mode_of(failover: howdah_config::Failover) -> Mode {
    match failover {
        howdah_config::Failover::Manage => Mode::Manage,
        howdah_config::Failover::Follow => Mode::Follow,
        howdah_config::Failover::Off => Mode::Off,
    }
}

/// The SQL of the role that Howdah's own connections need on this version. For `howdah setup-sql`.
#[must_use]
pub fn setup_sql(major: u32, failover: howdah_config::Failover, role: &str) -> String {
    howdah_controller::setup_sql(major, mode_of(failover), role)
}

/// Where Patroni answers.
fn patroni(cluster: &howdah_config::Cluster) -> Vec<RestAddress> {
    cluster.patroni.iter().map(|at| RestAddress { host: at.host.clone(), port: at.port }).collect()
}

/// What of a snapshot decides who may serve.
#[derive(PartialEq, Eq)]
struct View {
    epoch: Option<Epoch>,
    writable: Option<NodeId>,
    readable: Vec<NodeId>,
}

impl View {
    fn of(topology: &Topology, now: howdah_topology::Time) -> Self {
        Self {
            epoch: topology.epoch,
            writable: topology.writable_primary(now).map(|node| node.id),
            readable: topology.routable_replicas(now, Default::default()).map(|node| node.id).collect(),
        }
    }

    fn serves(&self, node: NodeId) -> bool {
        self.writable == Some(node) || self.readable.contains(&node)
    }
}

/// Acts on the cluster's news until the pooler stops.
pub(crate) async fn follow(pooler: Arc<Pooler>, cluster: Arc<Cluster>) {
    let mut changed = cluster.handle.changed();
    let mut stage = pooler.stage.subscribe();
    let mut before = View::of(&cluster.handle.topology(), pooler.clock.now());
    // The last node that took writes, kept while nobody does.
    let mut last = before.writable;
    loop {
        tokio::select! {
            news = changed.changed() => if news.is_err() { return },
            stopped = stage.wait_for(|stage| *stage == Stage::Stopping) => {
                drop(stopped);
                return;
            }
        }
        let view = View::of(&cluster.handle.topology(), pooler.clock.now());
        if view != before {
            pooler.cluster_changed(&cluster, (&before, last), &view);
            last = view.writable.or(last);
            before = view;
        }
        pooler.release_held(&cluster);
    }
}

impl Pooler {
    /// RELOAD: what running controllers take over; a sentence for everything that needs a restart.
    pub(crate) fn apply_clusters(&self, config: &howdah_config::Config) -> Vec<String> {
        let mut kept = Vec::new();
        for (name, cluster) in &self.clusters {
            match config.clusters.get(name) {
                Some(written) => {
                    kept.extend(cluster.handle.reload(&controller_config(written, &self.control_tls)))
                }
                None => kept.push(format!("cluster {name}: gone from the file, and watched until a restart")),
            }
        }
        let new = config.clusters.keys().filter(|name| !self.clusters.contains_key(*name));
        kept.extend(new.map(|name| format!("cluster {name}: new, and watched from a restart on")));
        kept
    }

    /// The names of a cluster's entries.
    pub(crate) fn entries_of(&self, cluster: &Cluster) -> Vec<Arc<str>> {
        let entries = self.entries.lock();
        let own = |entry: &&Arc<Entry>| entry.cluster.as_ref().is_some_and(|own| own.name == cluster.name);
        entries.values().filter(own).map(|entry| Arc::clone(&entry.name)).collect()
    }

    fn cluster_changed(
        self: &Arc<Self>,
        cluster: &Cluster,
        (before, last): (&View, Option<NodeId>),
        view: &View,
    ) {
        let entries = self.entries_of(cluster);
        if view.epoch != before.epoch
            && let (Some(_), Some(old)) = (before.epoch, last)
            && view.writable != Some(old)
        {
            self.cut(&entries, old);
        }
        let wrong =
            |key: &PoolKey| entries.contains(&key.entry) && key.node.is_some_and(|node| !view.serves(node));
        self.turn_away(wrong, &WaitError::ChooseAgain);
    }

    /// Nothing of the node's epoch is used any more: idle servers close, and clients that have one lose it.
    fn cut(self: &Arc<Self>, entries: &[Arc<str>], node: NodeId) {
        self.account(|account, now| {
            let pools: Vec<_> = account
                .pools()
                .filter(|(_, key)| key.node == Some(node) && entries.contains(&key.entry))
                .map(|(pool, _)| pool)
                .collect();
            for pool in pools {
                account.invalidate(now, pool, CloseReason::Fenced);
            }
        });
        for client in self.clients.all() {
            let linked = client
                .link
                .lock()
                .as_ref()
                .is_some_and(|server| server.node == Some(node) && entries.contains(&server.entry));
            if linked {
                client.give(Order::ServerLost);
            }
        }
    }
}
