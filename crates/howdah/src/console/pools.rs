//! SHOW POOLS: one row an entry and server user, whatever number of nodes the entry's cluster has.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use howdah_admin::rows::{PoolMode, PoolRow};
use howdah_config::{CONSOLE_DATABASE, Config};
use howdah_pool::{ServerId, ServerState};

use super::moments::{Moments, load_balance, pool_mode};
use crate::client::info::{ClientInfo, Phase};
use crate::pooler::{Login, Pooler};
use crate::pools::PoolKey;
use crate::roll::Listed;

/// Rows in the order of entry and user, as PgBouncer keeps them.
pub(super) fn pools(pooler: &Arc<Pooler>) -> Vec<PoolRow> {
    let moments = Moments::of(pooler);
    let config = pooler.config.load_full();
    let mut rows: BTreeMap<Login, PoolRow> = BTreeMap::new();
    rows.insert(
        (CONSOLE_DATABASE.into(), CONSOLE_DATABASE.into()),
        empty((CONSOLE_DATABASE, CONSOLE_DATABASE)),
    );
    for (key, counts) in counts(pooler) {
        let row = rows.entry(key.clone()).or_insert_with(|| row_of(pooler, &config, &key));
        row.sv_active += counts.active;
        row.sv_idle += counts.idle;
        row.sv_used += counts.used;
        row.sv_tested += counts.tested;
        row.sv_login += counts.login;
    }
    count_cancels(pooler, &mut rows);
    for client in pooler.clients.all() {
        let Some(key) = pool_of(pooler, &client) else { continue };
        let row = rows.entry(key.clone()).or_insert_with(|| row_of(pooler, &config, &key));
        let (phase, since) = client.phase();
        if phase == Phase::Waiting {
            row.cl_waiting += 1;
            row.maxwait_us = row.maxwait_us.max(moments.micros_since(since));
        } else {
            row.cl_active += 1;
        }
    }
    rows.into_values().collect()
}

/// Cancel requests have a connection each; a server that nobody uses any more waits for them to arrive.
fn count_cancels(pooler: &Arc<Pooler>, rows: &mut BTreeMap<Login, PoolRow>) {
    let in_use: Vec<(ServerId, Login, ServerState)> = pooler.account(|account, now| {
        let in_use = account.servers(now).filter(|server| server.conn.is_none());
        in_use.map(|server| (server.server, login(server.key), server.state)).collect()
    });
    for (server, login, state) in in_use {
        let Some(Listed::Known(info)) = pooler.roll.get(server) else { continue };
        let cancels = info.cancels();
        let Some(row) = rows.get_mut(&login).filter(|_| cancels > 0) else { continue };
        row.cl_active_cancel_req += cancels;
        row.sv_active_cancel += cancels;
        if state == ServerState::Tested {
            row.sv_tested = row.sv_tested.saturating_sub(1);
            row.sv_being_canceled += 1;
        }
    }
}

fn login(key: &PoolKey) -> Login {
    (Arc::clone(&key.entry), Arc::clone(&key.user))
}

fn counts(pooler: &Arc<Pooler>) -> Vec<(Login, howdah_pool::PoolCounts)> {
    pooler.account(|account, now| {
        let counted = account.pools().map(|(pool, key)| (login(key), account.counts(now, pool)));
        counted.collect()
    })
}

/// The entry and server user whose servers a client uses; `None` while it logs in.
fn pool_of(pooler: &Pooler, client: &ClientInfo) -> Option<Login> {
    if client.phase().0 == Phase::Login {
        return None;
    }
    if let Some(asked) = client.looked_up_by.lock().clone() {
        return Some(asked);
    }
    if client.console.load(Ordering::Relaxed) {
        return Some((CONSOLE_DATABASE.into(), CONSOLE_DATABASE.into()));
    }
    Some(pooler.login_of(client))
}

impl Pooler {
    /// The entry that a client has asked for, and the user that its servers have.
    pub(crate) fn login_of(&self, client: &ClientInfo) -> Login {
        let (database, user) = client.who.lock().clone();
        let forced = self.entry(&database).and_then(|entry| entry.database().user.clone());
        (database, forced.map_or(user, Into::into))
    }
}

fn row_of(pooler: &Pooler, config: &Config, (entry, user): &Login) -> PoolRow {
    let mut row = empty((entry, user));
    if let Some(entry) = pooler.entry(entry) {
        let database = entry.database();
        row.pool_mode = pool_mode(config.pool_mode(&database, user));
        row.load_balance_hosts = load_balance(&database);
    }
    row
}

/// The console's row, and the others before they are counted.
fn empty((database, user): (&str, &str)) -> PoolRow {
    PoolRow {
        database: database.to_owned(),
        user: user.to_owned(),
        cl_active: 0,
        cl_waiting: 0,
        cl_active_cancel_req: 0,
        cl_waiting_cancel_req: 0,
        sv_active: 0,
        sv_active_cancel: 0,
        sv_being_canceled: 0,
        sv_idle: 0,
        sv_used: 0,
        sv_tested: 0,
        sv_login: 0,
        maxwait_us: 0,
        pool_mode: PoolMode::Statement,
        load_balance_hosts: None,
    }
}
