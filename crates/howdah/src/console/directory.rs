//! SHOW DATABASES, USERS and PEERS.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use howdah_admin::rows::{DatabaseRow, PeerRow, PoolMode, UserRow};
use howdah_config::{CONSOLE_DATABASE, Config};

use super::moments::{load_balance, pool_mode};
use crate::entry::Entry;
use crate::pooler::Pooler;

/// Servers that the console's own pool might have, if it had any.
const CONSOLE_POOL_SIZE: u32 = 2;

/// Entries by name, the console's own among them.
pub(super) fn databases(pooler: &Arc<Pooler>) -> Vec<DatabaseRow> {
    let config = pooler.config.load_full();
    let entries: Vec<Arc<Entry>> = pooler.entries.lock().values().cloned().collect();
    let mut rows: Vec<DatabaseRow> =
        entries.iter().map(|entry| database_row(pooler, &config, entry)).collect();
    rows.push(console_row(pooler, &config));
    rows.sort_by(|a, b| a.name.cmp(&b.name));
    rows
}

fn seconds(duration: std::time::Duration) -> u32 {
    u32::try_from(duration.as_secs()).unwrap_or(u32::MAX)
}

fn database_row(pooler: &Arc<Pooler>, config: &Config, entry: &Entry) -> DatabaseRow {
    let database = entry.database();
    let settings = &config.settings;
    let nodes = entry.cluster.as_ref().map(|cluster| {
        let topology = cluster.handle.topology();
        let hosts: Vec<String> = topology.nodes.iter().map(|node| node.host.clone()).collect();
        (hosts.join(","), topology.nodes.first().map_or(0, |node| node.port))
    });
    let (host, port) = match nodes {
        Some((hosts, port)) => (Some(hosts), port),
        None => (Some(database.host.join(",")).filter(|hosts| !hosts.is_empty()), database.port),
    };
    DatabaseRow {
        name: entry.name.to_string(),
        host,
        port,
        database: database.dbname.clone().unwrap_or_else(|| entry.name.to_string()),
        force_user: database.user.clone(),
        pool_size: database.pool_size.unwrap_or(settings.default_pool_size),
        min_pool_size: config.min_pool_size(&database),
        reserve_pool_size: database.reserve_pool_size.unwrap_or(settings.reserve_pool_size),
        server_lifetime: seconds(config.server_lifetime(&database)),
        pool_mode: database.pool_mode.map(pool_mode),
        load_balance_hosts: load_balance(&database),
        max_connections: config.max_db_connections(&database),
        current_connections: pooler.account(|account, _| account.group_servers(entry.group)),
        max_client_connections: config.max_db_client_connections(&database),
        current_client_connections: entry.clients.load(Ordering::Relaxed),
        paused: entry.paused.load(Ordering::Relaxed),
        disabled: entry.disabled.load(Ordering::Relaxed),
    }
}

fn console_row(pooler: &Pooler, config: &Config) -> DatabaseRow {
    DatabaseRow {
        name: CONSOLE_DATABASE.to_owned(),
        host: None,
        port: config.settings.listen_port,
        database: CONSOLE_DATABASE.to_owned(),
        force_user: Some(CONSOLE_DATABASE.to_owned()),
        pool_size: CONSOLE_POOL_SIZE,
        min_pool_size: 0,
        reserve_pool_size: 0,
        server_lifetime: seconds(config.settings.server_lifetime),
        pool_mode: Some(PoolMode::Statement),
        load_balance_hosts: None,
        max_connections: config.settings.max_db_connections,
        current_connections: 0,
        max_client_connections: config.settings.max_db_client_connections,
        current_client_connections: pooler.console_clients.load(Ordering::Relaxed),
        paused: false,
        disabled: false,
    }
}

/// The names of the users that are known, sorted.
pub(super) fn user_names(pooler: &Pooler) -> BTreeSet<String> {
    let config = pooler.config.load();
    let listed = config.auth_users.iter().map(|(name, _)| name.to_owned());
    let described = config.users.keys().cloned();
    // Users that the program vouches for (`Handle::connect`) are in no file.
    let present = pooler.user_clients.lock();
    let present = present.iter().filter(|(_, clients)| **clients > 0).map(|(name, _)| name.to_string());
    let found = pooler.found.names();
    let mut names: BTreeSet<String> = listed.chain(described).chain(present).chain(found).collect();
    names.insert(CONSOLE_DATABASE.to_owned());
    names
}

/// Known users by name.
pub(super) fn users(pooler: &Arc<Pooler>) -> Vec<UserRow> {
    let config = pooler.config.load_full();
    user_names(pooler).into_iter().map(|name| user_row(pooler, &config, name)).collect()
}

fn user_row(pooler: &Arc<Pooler>, config: &Config, name: String) -> UserRow {
    let group = pooler.user_groups.lock().get(name.as_str()).copied();
    let servers = group.map_or(0, |group| pooler.account(|account, _| account.group_servers(group)));
    let own = config.users.get(&name);
    UserRow {
        pool_size: own.and_then(|user| user.pool_size),
        reserve_pool_size: own.and_then(|user| user.reserve_pool_size),
        pool_mode: own.and_then(|user| user.pool_mode).map(pool_mode),
        max_user_connections: config.max_user_connections(&name),
        current_connections: servers,
        max_user_client_connections: config.max_user_client_connections(&name),
        current_client_connections: pooler.user_clients.lock().get(name.as_str()).copied().unwrap_or(0),
        name,
    }
}

/// The settings' peers by number.
pub(super) fn peers(pooler: &Pooler) -> Vec<PeerRow> {
    let config = pooler.config.load();
    let size = config.settings.default_pool_size;
    let row = |(&peer_id, peer): (&u32, &howdah_config::Peer)| PeerRow {
        peer_id,
        host: peer.host.clone(),
        port: peer.port,
        pool_size: peer.pool_size.unwrap_or(size),
    };
    config.peers.iter().map(row).collect()
}
