//! A linked client at the gate (FAILOVER_PROTOCOL.md sections 3 and 10). In session pooling a client passes the gate
//! only once, with its first request; while the gate is closed its server gets nothing new from it either, or a
//! switchover would cut the statement. Nothing is read from the client then. When work goes on on the same primary, so
//! does the session, with all its state; when another is published, or the server ends, the session moves as at a
//! failover.

use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};
use std::time::Duration;

use howdah_session::PoolMode;
use howdah_topology::Gate;

use super::Client;
use super::acquire::Link;
use super::info::{ClientInfo, Order};
use crate::entry::Cluster;
use crate::pooler::Pooler;

impl Client {
    /// Whether what the client says next has to wait. It is between two transactions, or it is not held.
    pub(super) fn is_held(&self, link: &mut Link) -> bool {
        let Some(cluster) = &self.entry.cluster else { return false };
        let side = &link.lease.conn().side;
        let held = self.session.pool_mode() == PoolMode::Session
            && !side.is_replica()
            && side.is_clean()
            && !self.session.is_mid_frame()
            && is_closed(cluster)
            && self.stays_held(cluster, link);
        if !held && std::mem::take(&mut link.held) {
            self.info.wait_at_gate(None);
        }
        held
    }

    /// Takes note before it looks again, so that whoever opens the gate in between wakes the client.
    fn stays_held(&self, cluster: &Cluster, link: &mut Link) -> bool {
        if !std::mem::replace(&mut link.held, true) {
            self.info.wait_at_gate(Some(self.pooler.clock.now()));
        }
        cluster.holds.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        is_closed(cluster)
    }
}

fn is_closed(cluster: &Cluster) -> bool {
    matches!(cluster.handle.topology().gate, Gate::Held { .. })
}

impl Pooler {
    /// Work goes on: those who are held look again.
    pub(crate) fn release_held(&self, cluster: &Cluster) {
        fence(Ordering::SeqCst);
        if is_closed(cluster) || !cluster.holds.swap(false, Ordering::Relaxed) {
            return;
        }
        self.held(cluster).for_each(|client| client.wake());
    }

    /// Whoever is held for `failover_hold` gives the server up, and is told as one without a server is.
    pub(crate) fn give_up_held(&self) {
        let (config, now) = (self.config.load(), self.clock.now());
        for cluster in self.clusters.values().filter(|cluster| cluster.holds.load(Ordering::Relaxed)) {
            let hold = config.clusters.get(&cluster.name).map_or(Duration::ZERO, |c| c.failover_hold);
            let late = |client: &Arc<ClientInfo>| client.held().is_some_and(|since| now.since(since) >= hold);
            self.held(cluster).filter(late).for_each(|client| client.give(Order::ServerLost));
        }
    }

    /// The clients of a cluster that are held.
    fn held(&self, cluster: &Cluster) -> impl Iterator<Item = Arc<ClientInfo>> + use<> {
        let entries = self.entries_of(cluster);
        let of_cluster = move |client: &Arc<ClientInfo>| {
            let link = client.link.lock();
            client.held().is_some() && link.as_ref().is_some_and(|server| entries.contains(&server.entry))
        };
        self.clients.all().into_iter().filter(of_cluster)
    }
}
