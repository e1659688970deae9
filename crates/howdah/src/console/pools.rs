//! SHOW POOLS and PEER_POOLS. SHOW POOLS has one row an entry and server user, whatever number of nodes the entry's cluster has.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use howdah_admin::rows::{PeerPoolRow, PoolMode, PoolRow};
use howdah_config::{CONSOLE_DATABASE, Config};
use howdah_pool::{ServerId, ServerState};

use super::moments::{Moments, load_balance, pool_mode};
use crate::cancel::requests::Request;
use crate::cancel::slots::Target;
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
    count_requests(pooler, &config, &mut rows);
    count_canceled(pooler, &mut rows);
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

/// Cancel requests and the connections that carry them.
fn count_requests(pooler: &Arc<Pooler>, config: &Config, rows: &mut BTreeMap<Login, PoolRow>) {
    for request in pooler.cancels.all() {
        let Target::Pool(key) = &request.target else { continue };
        let key = login(key);
        let row = rows.entry(key.clone()).or_insert_with(|| row_of(pooler, config, &key));
        let of = Counted::of(&request);
        row.cl_active_cancel_req += of.active;
        row.cl_waiting_cancel_req += of.waiting;
        row.sv_active_cancel += of.carriers;
        row.sv_login += of.connecting;
    }
}

/// What a cancel request counts as: each 0 or 1.
struct Counted {
    active: u32,
    waiting: u32,
    carriers: u32,
    connecting: u32,
}

impl Counted {
    fn of(request: &Request) -> Self {
        let waiting = request.is_waiting();
        let carrier = request.carrier();
        let connected = carrier.as_ref().is_some_and(|carrier| carrier.connected);
        Self {
            active: u32::from(!waiting),
            waiting: u32::from(waiting),
            carriers: u32::from(connected),
            connecting: u32::from(carrier.is_some() && !connected),
        }
    }
}

/// SHOW PEER_POOLS: one row a peer of the settings.
pub(super) fn peer_pools(pooler: &Pooler) -> Vec<PeerPoolRow> {
    let (config, requests) = (pooler.config.load_full(), pooler.cancels.all());
    let row = |&peer_id: &u32| {
        let own = requests.iter().filter(|request| request.target == Target::Peer(peer_id));
        let empty = PeerPoolRow {
            peer_id,
            cl_active_cancel_req: 0,
            cl_waiting_cancel_req: 0,
            sv_active_cancel: 0,
            sv_login: 0,
        };
        own.map(|request| Counted::of(request)).fold(empty, |mut row, of| {
            row.cl_active_cancel_req += of.active;
            row.cl_waiting_cancel_req += of.waiting;
            row.sv_active_cancel += of.carriers;
            row.sv_login += of.connecting;
            row
        })
    };
    config.peers.keys().map(row).collect()
}

/// Servers that nobody uses any more and that wait for the cancel requests that are meant for them.
fn count_canceled(pooler: &Arc<Pooler>, rows: &mut BTreeMap<Login, PoolRow>) {
    let tested: Vec<(ServerId, Login)> = pooler.account(|account, now| {
        let tested = account.servers(now).filter(|server| server.state == ServerState::Tested);
        tested.map(|server| (server.server, login(server.key))).collect()
    });
    for (server, login) in tested {
        let Some(Listed::Known(info)) = pooler.roll.get(server) else { continue };
        let Some(row) = rows.get_mut(&login).filter(|_| info.is_being_canceled()) else { continue };
        row.sv_tested = row.sv_tested.saturating_sub(1);
        row.sv_being_canceled += 1;
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

/// The entry and server user whose servers a client uses; `None` while it logs in, and of a cancel request.
fn pool_of(pooler: &Pooler, client: &ClientInfo) -> Option<Login> {
    if client.phase().0.is_outside() {
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
