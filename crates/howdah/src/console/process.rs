//! The process as a whole: SHOW STATE, LISTS, CONFIG and MEM, and EXPLAIN ROUTE.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use howdah_admin::rows::{ConfigRow, DnsHostRow, ListCounts, MemRow, PauseState, PoolerState, RouteRow};

use super::directory::user_names;
use super::moments::count;
use crate::client::info::{ClientInfo, Phase};
use crate::entry::Entry;
use crate::pooler::{Pooler, Stage};
use crate::pools::PoolKey;
use crate::server::{ServerConn, ServerInfo};

pub(super) fn state(pooler: &Pooler) -> PoolerState {
    let stage = pooler.stage();
    let pause = if pooler.is_suspended() {
        PauseState::Suspended
    } else if pooler.paused.load(Ordering::SeqCst) || stage >= Stage::WaitForServers {
        PauseState::Paused
    } else {
        PauseState::Active
    };
    let paused = pooler.entries.lock().values().filter(|entry| entry.paused.load(Ordering::SeqCst)).count();
    PoolerState { pause, shutting_down: stage > Stage::Running, paused_databases: count(paused) }
}

/// Names of servers, as far as they were looked up; PgBouncer shows the addresses with port 0.
pub(super) fn dns_hosts(pooler: &Pooler) -> Vec<DnsHostRow> {
    let hosts = pooler.dns.hosts(&pooler.config.load().settings, pooler.clock.now());
    let row = |host: crate::dns::Host| DnsHostRow {
        hostname: host.name,
        ttl: host.left.as_secs(),
        addrs: host
            .addresses
            .iter()
            .map(|address| std::net::SocketAddr::new(*address, 0).to_string())
            .collect(),
    };
    hosts.into_iter().map(row).collect()
}

/// Nothing is kept for reuse, and no look-up waits for another: those figures are 0.
pub(super) fn lists(pooler: &Arc<Pooler>) -> ListCounts {
    let clients = pooler.clients.all();
    let logging_in = clients.iter().filter(|client| client.phase().0 == Phase::Login).count();
    let config = pooler.config.load();
    let carriers = pooler.cancels.all().iter().filter(|request| request.carrier().is_some()).count();
    // Not inside the literal, where the lock would be held to its end.
    let entries = pooler.entries.lock().len();
    ListCounts {
        databases: count(entries + 1),
        users: count(user_names(pooler).len()),
        peers: count(config.peers.len()),
        pools: count(super::pools::pools(pooler).len()),
        peer_pools: count(super::pools::peer_pools(pooler).len()),
        used_clients: count(clients.len()),
        login_clients: count(logging_in),
        used_servers: count(pooler.account(|account, now| account.servers(now).count()) + carriers),
        dns_names: count(dns_hosts(pooler).len()),
        ..ListCounts::default()
    }
}

pub(super) fn settings(pooler: &Pooler) -> Vec<ConfigRow> {
    let rows = pooler.config.load().show_config();
    let row = |row: howdah_config::ConfigRow| ConfigRow {
        key: row.key.to_owned(),
        value: row.value,
        default: row.default,
        changeable: row.changeable,
    };
    rows.into_iter().map(row).collect()
}

/// What there is of each kind, by PgBouncer 1.25's names and in its order, and what one takes without what it points
/// to (bytes). Howdah keeps nothing for reuse, and shares buffers among the clients of a thread.
pub(super) fn memory(pooler: &Arc<Pooler>) -> Vec<MemRow> {
    let lists = lists(pooler);
    let row = |name: &str, size: usize, used: usize| MemRow {
        name: name.to_owned(),
        size: count(size),
        used: count(used),
        free: 0,
    };
    let (clients, servers) = (lists.used_clients as usize, lists.used_servers as usize);
    // Of a client that waits for an answer at least one request is not answered.
    let asking = pooler.clients.all().iter().filter(|client| client.phase().0 == Phase::Query).count();
    let prepared: usize =
        super::connections::servers(pooler).iter().map(|row| row.prepared_statements as usize).sum();
    let threads = tokio::runtime::Handle::try_current().map_or(1, |runtime| runtime.metrics().num_workers());
    let pool = size_of::<PoolKey>() + size_of::<howdah_pool::PoolSettings>();
    vec![
        row("user_cache", size_of::<howdah_config::User>(), lists.users as usize),
        row("db_cache", size_of::<Entry>(), lists.databases as usize),
        row("peer_cache", size_of::<howdah_config::Peer>(), lists.peers as usize),
        row("peer_pool_cache", size_of::<howdah_config::Peer>(), lists.peer_pools as usize),
        row("pool_cache", pool, lists.pools as usize),
        row("outstanding_request_cache", howdah_session::REQUEST_SIZE, asking),
        row("server_cache", size_of::<ServerConn>() + size_of::<ServerInfo>(), servers),
        row("client_cache", size_of::<crate::client::Client>() + size_of::<ClientInfo>(), clients),
        row("iobuf_cache", crate::client::BUFFER_SIZE, threads),
        row("var_list_cache", size_of::<howdah_session::Vars>(), clients + servers),
        row("server_prepared_statement_cache", size_of::<howdah_session::Statement>(), prepared),
    ]
}

/// Where a statement would go and why.
pub(super) fn explain_route(sql: &str) -> RouteRow {
    let sentence = howdah_classifier::explain(sql.as_bytes(), howdah_classifier::Context::default());
    // The sentence is `goes to a replica: why` or `goes to the primary: why`.
    let (place, reason) = sentence.split_once(": ").unwrap_or(("", &sentence));
    let route = if place.ends_with("replica") { "replica" } else { "primary" };
    RouteRow { route: route.to_owned(), reason: reason.to_owned() }
}
