//! What happens by time: about three times a second, as PgBouncer does it (PGBOUNCER_BEHAVIOUR.md sections 6, 7).

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use howdah_config::Config;
use howdah_failover::Report;
use howdah_pool::ServerId;
use howdah_topology::Time;

use crate::client::end::{IDLE_TRANSACTION_TIMEOUT, QUERY_TIMEOUT, TRANSACTION_TIMEOUT};
use crate::client::info::{ClientInfo, Order, Phase};
use crate::pooler::{Pooler, Stage};
use crate::pools::Leased;

/// Between two rounds (time).
const ROUND: Duration = Duration::from_millis(333);

/// Longest reset or wait for cancel requests before the server is given up (time).
const RECOVER_TIMEOUT: Duration = Duration::from_secs(30);

/// Runs until the pooler stops.
pub(crate) async fn run(pooler: Arc<Pooler>) {
    let mut stage = pooler.stage.subscribe();
    let mut ticks = tokio::time::interval(ROUND);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => pooler.round(),
            stopped = stage.wait_for(|stage| *stage == Stage::Stopping) => {
                drop(stopped);
                return;
            }
        }
    }
}

impl Pooler {
    fn round(self: &Arc<Self>) {
        // Everything holds still, and no time runs out.
        if self.is_suspended() {
            return;
        }
        self.account(|account, now| account.maintain(now));
        self.maintain_cancels();
        self.drop_disturbed();
        self.close_stale();
        self.give_up_held();
        self.forget_unused();
        let config = self.config.load_full();
        if has_timeouts(&config) {
            let now = self.clock.now();
            for client in self.clients.all() {
                if let Some(reason) = overdue(&config, &client, now) {
                    client.give(Order::Close(reason));
                }
            }
        }
        self.sample_averages();
        self.check_shutdown();
    }

    /// Idle servers that have gone, or said something while nobody listened.
    fn drop_disturbed(self: &Arc<Self>) {
        let gone = self.account(|account, now| {
            let disturbed: Vec<ServerId> = account
                .servers(now)
                .filter(|server| server.conn.is_some_and(|conn| conn.stream.is_disturbed()))
                .map(|server| server.server)
                .collect();
            disturbed.into_iter().filter_map(|server| account.withdraw(now, server)).collect::<Vec<_>>()
        });
        for conn in gone {
            let (node, entry) = (conn.info.node, self.entry(&conn.info.entry));
            self.close_server(*conn, "server conn crashed?", false);
            if let Some(entry) = entry {
                entry.report(node, Report::Eof);
            }
        }
    }

    /// Whether a shutdown that waits has waited enough.
    fn check_shutdown(self: &Arc<Self>) {
        match self.stage() {
            Stage::WaitForClients if !self.clients.all().iter().any(|client| !is_console(client)) => {
                tracing::info!("client connections dropped, exiting");
                self.enter(Stage::Stopping);
            }
            Stage::WaitForServers if crate::console::is_drained(self, None) => {
                tracing::info!("server connections dropped, exiting");
                self.enter(Stage::Stopping);
            }
            _ => {}
        }
    }
}

fn is_console(client: &ClientInfo) -> bool {
    client.console.load(Ordering::Relaxed)
}

fn has_timeouts(config: &Config) -> bool {
    let s = &config.settings;
    let global = [s.query_timeout, s.idle_transaction_timeout, s.client_idle_timeout, s.transaction_timeout];
    global.iter().any(|limit| !limit.is_zero()) || !config.users.is_empty()
}

/// The timeout that has run out for a client (PGBOUNCER_BEHAVIOUR.md section 7).
fn overdue(config: &Config, client: &ClientInfo, now: Time) -> Option<&'static str> {
    if is_console(client) {
        return None;
    }
    let (entry, user) = client.who.lock().clone();
    // Of what a server does for a client the server's user is asked, which the entry may force, as with PgBouncer.
    let server_user =
        client.link.lock().as_ref().map_or_else(|| Arc::clone(&user), |link| Arc::clone(&link.user));
    let (phase, since) = client.phase();
    let over = |limit: Duration, since: Time| !limit.is_zero() && now.since(since) > limit;
    let by_phase = match phase {
        Phase::Query => (config.query_timeout(&server_user), QUERY_TIMEOUT),
        Phase::Waiting => (config.query_timeout(&user), "query_timeout"),
        Phase::IdleInTransaction => (config.idle_transaction_timeout(&server_user), IDLE_TRANSACTION_TIMEOUT),
        Phase::Idle | Phase::Linked => (config.client_idle_timeout(&user), "client_idle_timeout"),
        Phase::Login | Phase::Replication | Phase::WaitingCancel | Phase::ActiveCancel => return None,
    };
    if over(by_phase.0, since) {
        return Some(by_phase.1);
    }
    if phase == Phase::Waiting {
        let limit = config.database(&entry).map(|entry| config.query_wait_timeout(entry, &user));
        return over(limit.unwrap_or_default(), since).then_some("query_wait_timeout");
    }
    let began = client.transaction_since()?;
    over(config.transaction_timeout(&server_user), began).then_some(TRANSACTION_TIMEOUT)
}

/// A server that is not ready for the next one yet: cancel requests have to arrive, a session has to be reset.
pub(crate) async fn recover(mut lease: Leased, reset: Option<String>) {
    let recovered = tokio::time::timeout(RECOVER_TIMEOUT, async {
        let info = Arc::clone(&lease.conn().info);
        info.canceled().await;
        let Some(query) = reset else { return lease.conn().is_fresh() };
        let conn = lease.conn();
        let ok = howdah_backend::run(&mut conn.stream, query.as_bytes()).await.is_ok();
        if ok {
            conn.side.forget_session();
        }
        ok
    })
    .await;
    match recovered {
        Ok(true) => lease.give_back(),
        Ok(false) => lease.discard("reset query failed", false),
        Err(_) => lease.discard("reset query timeout", false),
    }
}
