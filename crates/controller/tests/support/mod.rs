//! What the tests before real servers share.

// Each test's program uses a part of it.
#![allow(dead_code)]

use std::sync::Arc;
use std::time::Duration;

use howdah_controller::{Clock, Controller, ControllerConfig, ControllerHandle, NodeConfig};
use howdah_testkit::{Cluster, Node, wait_until};
use howdah_topology::{Gate, Mode, Topology};

/// For what takes several probes, votes and a promotion on a loaded machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn config(cluster: &Cluster, mode: Mode) -> ControllerConfig {
    let nodes = cluster.nodes().iter().map(|n| NodeConfig::new(n.name(), &n.host(), n.port())).collect();
    let mut config = ControllerConfig::new("main", nodes, "postgres");
    config.mode = mode;
    config
}

pub(crate) fn start_with(config: ControllerConfig) -> ControllerHandle {
    // Fails only where a subscriber is installed already.
    let _ =
        tracing_subscriber::fmt().with_env_filter("howdah_controller=debug").with_test_writer().try_init();
    Controller::spawn(config, Clock::new())
}

pub(crate) fn start(cluster: &Cluster, mode: Mode) -> ControllerHandle {
    start_with(config(cluster, mode))
}

/// Waits for a snapshot that satisfies the condition, woken by each new one.
pub(crate) async fn until(
    handle: &ControllerHandle,
    what: &str,
    condition: impl Fn(&Topology) -> bool,
) -> Arc<Topology> {
    let mut changed = handle.changed();
    let seen = tokio::time::timeout(PATIENCE, async {
        loop {
            changed.borrow_and_update();
            let topology = handle.topology();
            if condition(&topology) {
                return topology;
            }
            changed.changed().await.unwrap();
        }
    })
    .await;
    seen.unwrap_or_else(|_| panic!("no snapshot in which {what}; the last is {:#?}", handle.topology()))
}

pub(crate) fn is_open(topology: &Topology) -> bool {
    topology.gate == Gate::Open && topology.primary.is_some()
}

/// A controller that has seen the primary and both standbys.
pub(crate) async fn manage(cluster: &Cluster) -> ControllerHandle {
    let handle = start(cluster, Mode::Manage);
    until(&handle, "the cluster is ready for a failover", |t| {
        is_open(t) && t.nodes.iter().filter(|n| n.attached && n.is_routable_replica()).count() == 2
    })
    .await;
    handle
}

pub(crate) async fn setting(node: &Node, name: &str) -> String {
    node.value(&format!("SELECT current_setting('{name}', true)")).await.unwrap()
}

/// The names of the synchronous standbys are in force, with their record on every node.
pub(crate) async fn wait_for_members(cluster: &Cluster) {
    wait_until("the names in force on every node", PATIENCE, || async {
        let names = setting(cluster.node(0), "synchronous_standby_names").await;
        let mut known = !names.contains('*') && !names.is_empty();
        for node in cluster.nodes() {
            known &= setting(node, "howdah.members").await.contains("node1");
            known &= !setting(node, "synchronous_standby_names").await.contains('*');
        }
        known
    })
    .await
    .unwrap();
}
