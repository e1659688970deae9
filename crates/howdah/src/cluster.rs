//! A cluster's controller and what its news mean for clients: those who wait choose again, and connections of an
//! epoch that has ended are cut (FAILOVER_PROTOCOL.md sections 5 and 7).

use std::sync::Arc;

use howdah_controller::{Clock, Controller, ControllerConfig, NodeConfig};
use howdah_pool::CloseReason;
use howdah_topology::{Epoch, Mode, NodeId, Topology};

use crate::client::info::Order;
use crate::entry::Cluster;
use crate::pooler::{Pooler, Stage};

/// Starts to watch a cluster.
pub(crate) fn watch(cluster: &howdah_config::Cluster, clock: Clock) -> Cluster {
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
    config.mode = match cluster.failover {
        howdah_config::Failover::Manage => Mode::Manage,
        howdah_config::Failover::Follow => Mode::Follow,
        howdah_config::Failover::Off => Mode::Off,
    };
    config.probe_interval = cluster.probe_interval;
    config.probe_timeout = cluster.probe_timeout;
    config.restart_grace = cluster.restart_grace;
    config.member_timeout = cluster.member_timeout;
    config.primary_lease = cluster.primary_lease;
    config.degrade_on_last_node = cluster.on_last_node == howdah_config::OnLastNode::Degrade;
    config.max_lost_bytes = cluster.max_lost_bytes;
    config.bootstrap = cluster.bootstrap;
    config.max_failovers_per_hour = cluster.max_failovers_per_hour;
    Cluster {
        name: cluster.name.clone(),
        handle: Controller::spawn(config, clock),
        last_primary: Default::default(),
    }
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
            pooler.cluster_changed(&cluster, &before, &view);
            before = view;
        }
    }
}

impl Pooler {
    fn cluster_changed(self: &Arc<Self>, cluster: &Cluster, before: &View, view: &View) {
        let entries: Vec<Arc<str>> = self
            .entries
            .lock()
            .values()
            .filter(|entry| entry.cluster.as_ref().is_some_and(|own| own.name == cluster.name))
            .map(|entry| Arc::clone(&entry.name))
            .collect();
        if view.epoch != before.epoch
            && let (Some(_), Some(old)) = (before.epoch, before.writable.or(self.last_primary(cluster)))
            && view.writable != Some(old)
        {
            self.cut(&entries, old);
        }
        self.set_last_primary(cluster, view.writable);
        self.choose_again(|key| {
            entries.contains(&key.entry) && key.node.is_some_and(|node| !view.serves(node))
        });
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

    fn last_primary(&self, cluster: &Cluster) -> Option<NodeId> {
        *cluster.last_primary.lock()
    }

    /// The last node that took writes, kept while nobody does.
    fn set_last_primary(&self, cluster: &Cluster, writable: Option<NodeId>) {
        if writable.is_some() {
            *cluster.last_primary.lock() = writable;
        }
    }
}
