//! The console's commands but for PAUSE, RESUME and SUSPEND, which `actions.rs` has.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use howdah_admin::ActionError;
use howdah_admin::pooler::{PrimaryChange, SetEffect, Shutdown};
use howdah_controller::Command;
use howdah_pool::{CloseReason, ServerId, ServerState};
use howdah_topology::{FailoverOutcome, FailoverRecord};

use super::actions::{find, find_or_make, pools_of, wait_for_servers, wait_until};
use crate::client::info::{Order, Phase};
use crate::entry::{Cluster, Entry};
use crate::pooler::{Pooler, Stage};
use crate::pools::WaitError;
use crate::roll::Listed;

/// Within this time a controller has begun the failover that it was ordered, or does not begin it (time).
const BEGIN_TIMEOUT: Duration = Duration::from_secs(10);

/// DISABLE: no new logins. What is logged in stays.
pub(super) fn disable(pooler: &Arc<Pooler>, database: &str) -> Result<(), ActionError> {
    find_or_make(pooler, database)?.disabled.store(true, Ordering::SeqCst);
    Ok(())
}

/// ENABLE.
pub(super) fn enable(pooler: &Pooler, database: &str) -> Result<(), ActionError> {
    find(pooler, database)?.disabled.store(false, Ordering::SeqCst);
    Ok(())
}

/// RECONNECT: idle servers close now, the others when they are released.
pub(super) fn reconnect(pooler: &Arc<Pooler>, database: Option<&str>) -> Result<(), ActionError> {
    let entry = database.map(|name| find_or_make(pooler, name)).transpose()?;
    pooler.invalidate_servers_of(entry.as_deref());
    Ok(())
}

/// WAIT_CLOSE: ready when no server of before the last RECONNECT or RELOAD is left.
pub(super) async fn wait_close(pooler: &Arc<Pooler>, database: Option<&str>) -> Result<(), ActionError> {
    let entry = database.map(|name| find_or_make(pooler, name)).transpose()?;
    wait_until(pooler, |pooler| {
        let pools = pools_of(pooler, entry.as_deref());
        pooler.account(|account, _| !pools.iter().any(|pool| account.has_stale(*pool)))
    })
    .await;
    Ok(())
}

/// KILL: pauses entries one by one, as PgBouncer does (each needs its own RESUME), and closes their clients and
/// servers at once. Without a name: all entries that have a pool.
pub(super) fn kill(pooler: &Arc<Pooler>, database: Option<&str>) -> Result<(), ActionError> {
    let entries = match database {
        Some(name) => vec![find_or_make(pooler, name)?],
        None => {
            let all: Vec<Arc<Entry>> = pooler.entries.lock().values().cloned().collect();
            let has_pools =
                |entry: &Entry| pooler.account(|account, _| !account.pools_in(entry.group).is_empty());
            all.into_iter().filter(|entry| has_pools(entry)).collect()
        }
    };
    for entry in entries {
        kill_entry(pooler, &entry);
    }
    Ok(())
}

fn kill_entry(pooler: &Arc<Pooler>, entry: &Entry) {
    entry.paused.store(true, Ordering::SeqCst);
    // First the orders, then the queue: a waiter that is let go finds its order.
    pooler.close_clients(Some(&entry.name), super::REMOVED);
    let waiters = pooler.account(|account, now| {
        let pools = account.pools_in(entry.group).to_vec();
        let killed = pools.into_iter().flat_map(|pool| account.kill(now, pool, CloseReason::PoolRemoved));
        killed.collect::<Vec<_>>()
    });
    for waiter in waiters {
        waiter.fail(WaitError::ChooseAgain);
    }
}

/// KILL_CLIENT. One that logs in is nobody's client yet, and a cancel request none.
pub(super) fn kill_client(pooler: &Pooler, id: u64) -> Result<(), ActionError> {
    let client = pooler.clients.by_id(id).filter(|client| !client.phase().0.is_outside());
    client.ok_or(ActionError::ClientNotFound)?.give(Order::Close("admin forced disconnect"));
    Ok(())
}

/// SHUTDOWN. One that waits answers when nobody is let in by TCP any more.
pub(super) async fn shutdown(pooler: &Arc<Pooler>, how: Shutdown) -> Result<(), ActionError> {
    match how {
        Shutdown::WaitForClients => pooler.enter(Stage::WaitForClients),
        Shutdown::WaitForServers => wait_for_servers(pooler),
        Shutdown::Immediate => {
            pooler.enter(Stage::Stopping);
            if !pooler.is_handed_over() {
                pooler.close_clients(None, "pooler is shutting down");
            }
            return Ok(());
        }
    }
    // With nothing to wait for it may stop before that is seen, and then it answers all the same.
    let mut stage = pooler.stage.subscribe();
    tokio::select! {
        () = wait_until(pooler, |pooler| !pooler.listens_on_tcp()) => {}
        _ = stage.wait_for(|stage| *stage == Stage::Stopping) => {}
    }
    Ok(())
}

/// RELOAD: what needs a restart; the log has the mistakes.
pub(super) fn reload(pooler: &Arc<Pooler>) -> Result<Vec<String>, ActionError> {
    pooler.reload_file().map_err(|mistakes| {
        for mistake in mistakes.lines() {
            tracing::error!("{mistake}");
        }
        ActionError::ReloadFailed
    })
}

/// SET.
pub(super) fn set(pooler: &Arc<Pooler>, key: &str, value: &str) -> Result<SetEffect, ActionError> {
    let mut config = (*pooler.config.load_full()).clone();
    config.settings.set(key, value).map_err(|error| {
        tracing::error!("{error}");
        ActionError::SetFailed
    })?;
    if let Some(sentence) = crate::pam::is_missing(&config) {
        tracing::error!("{sentence}");
        return Err(ActionError::SetFailed);
    }
    for finding in howdah_config::reread(&mut config, key) {
        tracing::warn!("{finding}");
    }
    // SET changes no cluster.
    drop(pooler.apply(config));
    // The value stays, so that the next SET may complete what this one began.
    let kept = key.contains("_tls") && !pooler.apply_tls();
    Ok(if kept { SetEffect::TlsKept } else { SetEffect::Applied })
}

fn cluster(pooler: &Pooler, name: &str) -> Result<Arc<Cluster>, ActionError> {
    pooler.clusters.get(name).cloned().ok_or_else(|| ActionError::NoSuchCluster(name.to_owned()))
}

/// Gives an order to the controller; what it says to it.
async fn command(cluster: &Cluster, command: Command) -> Result<String, ActionError> {
    let said = cluster.handle.command(command).await;
    let said = said.map_err(|error| ActionError::Refused(error.to_string()))?;
    tracing::info!("{}: {said}", cluster.name);
    Ok(said)
}

/// FAILOVER and SWITCHOVER: ready when the change is done, called off or refused.
pub(super) async fn change_primary(
    pooler: &Arc<Pooler>,
    change: PrimaryChange<'_>,
) -> Result<(), ActionError> {
    let cluster = cluster(pooler, change.cluster)?;
    let topology = cluster.handle.topology();
    let node = |name: &str| topology.node_named(name).ok_or_else(|| ActionError::NoSuchNode(name.to_owned()));
    let to = change.to.map(node).transpose()?.map(|node| node.id);
    let (verb, order) = if change.planned {
        ("SWITCHOVER", Command::Switchover { to, force: change.force })
    } else {
        ("FAILOVER", Command::Failover { to })
    };
    let last = |records: &[FailoverRecord]| records.last().map(|record| record.started);
    let before = last(&cluster.handle.failovers());
    let said = command(&cluster, order).await?;
    let begun = wait_until(pooler, |_| last(&cluster.handle.failovers()) != before);
    if tokio::time::timeout(BEGIN_TIMEOUT, begun).await.is_err() {
        return Err(ActionError::Refused(said));
    }
    let began = last(&cluster.handle.failovers());
    let outcome = || {
        let records = cluster.handle.failovers();
        let own = records.into_iter().find(|record| Some(record.started) == began);
        own.map_or(FailoverOutcome::Adopted, |record| record.outcome)
    };
    wait_until(pooler, |_| outcome() != FailoverOutcome::Running).await;
    match outcome() {
        FailoverOutcome::CalledOff(why) => Err(ActionError::Refused(format!("{verb} was called off: {why}"))),
        FailoverOutcome::Halted(why) => Err(ActionError::Refused(format!("{verb} has halted: {why}"))),
        FailoverOutcome::Refused(why) => Err(ActionError::Refused(why)),
        FailoverOutcome::Running | FailoverOutcome::Promoted | FailoverOutcome::Adopted => Ok(()),
    }
}

/// MAINTENANCE.
pub(super) async fn maintenance(pooler: &Arc<Pooler>, name: &str, on: bool) -> Result<(), ActionError> {
    command(&*cluster(pooler, name)?, Command::Maintenance(on)).await.map(drop)
}

impl Pooler {
    /// Every server is to be replaced: the idle ones now, the others when they are released.
    pub(crate) fn invalidate_servers(self: &Arc<Self>) {
        self.invalidate_servers_of(None);
    }

    fn invalidate_servers_of(self: &Arc<Self>, entry: Option<&Entry>) {
        let pools = pools_of(self, entry);
        self.account(|account, now| {
            for pool in pools {
                account.invalidate(now, pool, CloseReason::ConfigChanged);
            }
        });
        self.close_stale();
    }

    /// `server_fast_close`: a session's client whose server is to be closed, and that is between transactions, is
    /// closed with it.
    pub(crate) fn close_stale(self: &Arc<Self>) {
        if !self.config.load().settings.server_fast_close {
            return;
        }
        let stale: Vec<ServerId> = self.account(|account, now| {
            let stale = account
                .servers(now)
                .filter(|server| server.close_needed && server.state == ServerState::Active);
            stale.map(|server| server.server).collect()
        });
        for server in stale {
            let Some(Listed::Known(info)) = self.roll.get(server) else { continue };
            let client = self.clients.by_id(info.client.load(Ordering::Relaxed));
            if let Some(client) = client.filter(|client| client.phase().0 == Phase::Linked) {
                client.give(Order::Close("database configuration changed"));
            }
        }
    }
}
