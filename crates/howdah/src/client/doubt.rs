//! A commit in doubt: the server was lost before it answered a COMMIT whose transaction number is known. The client waits
//! for the next primary, as those at the gate do, and is told what that says of the transaction (FAILOVER_PROTOCOL.md
//! section 6, FAILOVER.md section 3.5).
//!
//! The question and a record of its own that waits for a standby are one transaction: what it says is replicated when it
//! has been answered, so a commit that the primary alone has is not told as one.
//!
//! Transaction numbers are not logged ahead: a primary that has crashed and recovered may give the same one out again. So in
//! the same reign only a connection that is older than the doubt is believed, for a crash ends them all.

use std::sync::Arc;
use std::time::Duration;

use howdah_session::Fate;
use howdah_topology::{Epoch, NodeId, Time};

use super::Client;
use super::end::End;
use super::info::Phase;

/// How long a wait for another topology is at most before it is looked at anew.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// The reign in which a client has its server: where it was handed out, and the epoch then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reign {
    pub(super) node: NodeId,
    pub(super) epoch: Epoch,
}

/// What can be said now.
enum Said {
    Fate(Fate),
    /// Look again a little later.
    Nothing,
}

impl Client {
    /// The reign that a server of this node belongs to.
    pub(super) fn reign(&self, node: Option<NodeId>) -> Option<Reign> {
        let topology = self.entry.topology()?;
        let node = node.filter(|node| topology.primary == Some(*node))?;
        Some(Reign { node, epoch: topology.epoch? })
    }

    /// Finds out what became of the transaction and tells the client.
    pub(super) async fn resolve(&mut self, xid: u64, reign: Option<Reign>) -> Result<(), End> {
        let begun = self.pooler.clock.now();
        self.info.enter(Phase::Waiting, begun);
        let fate = match reign {
            Some(reign) => self.fate(xid, reign).await?,
            None => Fate::Unknown,
        };
        let (now, name) = (self.pooler.clock.now(), self.info.log_name());
        tracing::info!("{name} commit of transaction {xid} in doubt: {fate:?} after {:?}", now.since(begun));
        self.session.resolve(fate, now, &mut self.output);
        self.info.enter(Phase::Idle, now);
        Ok(())
    }

    async fn fate(&mut self, xid: u64, reign: Reign) -> Result<Fate, End> {
        let Some(cluster) = self.entry.cluster.clone() else { return Ok(Fate::Unknown) };
        let config = self.pooler.config.load_full();
        let hold = config.clusters.get(&cluster.name).map_or(Duration::ZERO, |c| c.failover_hold);
        let begun = self.pooler.clock.now();
        loop {
            let left = hold.saturating_sub(self.pooler.clock.now().since(begun));
            if left.is_zero() {
                return Ok(Fate::Unknown);
            }
            let mut changed = cluster.handle.changed();
            if let Said::Fate(fate) = self.look_for(xid, reign, (begun, left)).await? {
                return Ok(fate);
            }
            // An error means that the controller is gone with the whole pooler.
            let wait = async { drop(tokio::time::timeout(LOOK_AGAIN, changed.changed()).await) };
            self.meanwhile(wait).await?;
        }
    }

    /// What the present primary says, if it is one that can tell.
    async fn look_for(
        &mut self,
        xid: u64,
        reign: Reign,
        (begun, left): (Time, Duration),
    ) -> Result<Said, End> {
        let Some(cluster) = self.entry.cluster.clone() else { return Ok(Said::Fate(Fate::Unknown)) };
        let topology = cluster.handle.topology();
        let Some(primary) = topology.writable_primary(self.pooler.clock.now()).map(|node| node.id) else {
            return Ok(Said::Nothing);
        };
        let same = topology.epoch == Some(reign.epoch) && primary == reign.node;
        if !same {
            let horizon = cluster.handle.horizon();
            let horizon = horizon.filter(|it| it.before == reign.epoch && Some(it.epoch) == topology.epoch);
            match horizon {
                None => return Ok(Said::Fate(Fate::Unknown)),
                Some(horizon) if xid >= horizon.next_xid => return Ok(Said::Fate(Fate::Aborted)),
                Some(_) => {}
            }
        }
        let pool = self.pool_of(Some(primary));
        let (pooler, since) = (Arc::clone(&self.pooler), self.asked);
        let ask = async {
            let mut lease = pooler.checkout(pool, since).await.ok()?;
            if !lease.conn().is_fresh() {
                lease.discard("server conn crashed?", false);
                return None;
            }
            if same && lease.conn().side.since() >= begun {
                lease.give_back();
                return Some(None);
            }
            lease.begin_test();
            let row = howdah_backend::ask(&mut lease.conn().stream, status_sql(xid).as_bytes()).await;
            lease.end_test();
            match row {
                Ok(row) => {
                    lease.give_back();
                    Some(row.last().cloned().flatten())
                }
                Err(error) => {
                    tracing::warn!("status of transaction {xid}: {error}");
                    lease.discard("the status of a transaction could not be asked", false);
                    None
                }
            }
        };
        let status = self.meanwhile(tokio::time::timeout(left, ask)).await?;
        Ok(match status.ok().flatten() {
            None => Said::Nothing,
            Some(status) => match status.as_deref() {
                Some(b"committed") => Said::Fate(Fate::Committed),
                Some(b"aborted") => Said::Fate(Fate::Aborted),
                // Its backend lives and still waits for a standby, for example.
                Some(b"in progress") if same => Said::Nothing,
                _ => Said::Fate(Fate::Unknown),
            },
        })
    }
}

/// The question, in one transaction with a record that waits for a standby.
fn status_sql(xid: u64) -> String {
    format!(
        "SELECT pg_catalog.set_config('client_min_messages', 'warning', true), \
         pg_catalog.set_config('synchronous_commit', 'on', true), \
         pg_catalog.pg_logical_emit_message(true, 'howdah', 'status of a transaction'), \
         pg_catalog.pg_xact_status('{xid}'::pg_catalog.xid8)"
    )
}
