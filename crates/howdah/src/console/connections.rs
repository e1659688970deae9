//! SHOW CLIENTS, SERVERS and SOCKETS. Read first: `client/info.rs` and `server.rs`, which the figures are of.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use howdah_admin::UnixMicros;
use howdah_admin::rows::{Buffers, ClientRow, ClientState, Replication, ServerRow, ServerState};
use howdah_backend::Address;
use howdah_pool::ServerId;
use howdah_protocol::startup;

use super::moments::{Moments, from_pool};
use crate::cancel::requests::Request;
use crate::cancel::slots::Target;
use crate::client::info::{ClientInfo, Phase};
use crate::client::stream::Peer;
use crate::pooler::Pooler;
use crate::pools::PoolKey;
use crate::roll::Listed;
use crate::server::{ServerConn, ServerInfo};

/// Both ends of a connection as the columns `addr`, `port`, `local_addr` and `local_port`.
type Ends = (String, u16, String, u16);

fn ends(peer: SocketAddr, local: SocketAddr) -> Ends {
    (peer.ip().to_string(), peer.port(), local.ip().to_string(), local.port())
}

/// A Unix socket has no address; PgBouncer shows the port in the socket's name on both sides.
fn unix_ends(port: u16) -> Ends {
    ("unix".to_owned(), port, "unix".to_owned(), port)
}

/// The columns of a server before it is connected, and of one behind a Unix socket, which has the port in its name.
fn aimed_at(address: &Address) -> Ends {
    match address {
        Address::Tcp { host, port } => (host.clone(), *port, String::new(), 0),
        Address::Unix(path) => {
            let port = path.extension().and_then(|port| port.to_str()?.parse().ok());
            unix_ends(port.unwrap_or(0))
        }
    }
}

/// Clients in the order of their numbers.
pub(super) fn clients(pooler: &Arc<Pooler>) -> Vec<ClientRow> {
    let moments = Moments::of(pooler);
    let mut rows: Vec<ClientRow> =
        pooler.clients.all().iter().map(|client| client_row(client, &moments)).collect();
    for request in pooler.cancels.all() {
        let Ok(at) = rows.binary_search_by_key(&request.info.id, |row| row.id) else { continue };
        let carrier = request.carrier().filter(|_| !request.is_waiting());
        rows[at].link = carrier.map_or(0, |carrier| carrier.id);
    }
    rows
}

/// The column `replication`.
fn shown(replication: startup::Replication) -> Replication {
    match replication {
        startup::Replication::None => Replication::None,
        startup::Replication::Physical => Replication::Physical,
        startup::Replication::Logical => Replication::Logical,
    }
}

fn client_state(phase: Phase) -> ClientState {
    match phase {
        Phase::Login => ClientState::Login,
        Phase::Idle => ClientState::Idle,
        Phase::Waiting => ClientState::Waiting,
        Phase::WaitingCancel => ClientState::WaitingCancelReq,
        Phase::ActiveCancel => ClientState::ActiveCancelReq,
        Phase::Query | Phase::IdleInTransaction | Phase::Linked | Phase::Replication => ClientState::Active,
    }
}

fn client_row(client: &ClientInfo, moments: &Moments) -> ClientRow {
    let (database, user) = client.who.lock().clone();
    let (phase, since) = client.phase();
    let ((addr, port, local_addr, local_port), remote_pid) = match client.peer {
        Peer::Tcp { peer, local } => (ends(peer, local), 0),
        Peer::Unix { pid, port, .. } => (unix_ends(port), u32::try_from(pid).unwrap_or(0)),
        Peer::Pipe => (("pipe".to_owned(), 0, "pipe".to_owned(), 0), std::process::id()),
    };
    let asks = matches!(phase, Phase::Waiting | Phase::Query);
    ClientRow {
        id: client.id,
        // Who it is, `auth_query` has yet to say.
        user: Some(user.to_string()).filter(|user| !user.is_empty() && client.looked_up_by.lock().is_none()),
        database: Some(database.to_string()).filter(|database| !database.is_empty()),
        replication: shown(client.replication.get().copied().unwrap_or_default()),
        state: client_state(phase),
        addr,
        port,
        local_addr,
        local_port,
        connect_time: client.connected.into(),
        request_time: client.requested().map_or_else(|| client.connected.into(), |at| moments.wall(at)),
        wait_us: if asks { moments.micros_since(since) } else { 0 },
        close_needed: false,
        link: client.link.lock().as_ref().map_or(0, |server| server.id),
        remote_pid,
        tls: client.tls.get().map(ToString::to_string).unwrap_or_default(),
        application_name: application_name(client),
        prepared_statements: client.prepared.load(Ordering::Relaxed),
        pinned: None,
        unprotected: client.unprotected.load(Ordering::Relaxed),
        node: None,
        buffers: Buffers::default(),
    }
}

/// A server as the account has it.
struct Seen {
    server: ServerId,
    key: PoolKey,
    state: howdah_pool::ServerState,
    born: howdah_pool::Time,
    since: howdah_pool::Time,
    close_needed: bool,
    /// Of an idle server; one in use has its client's.
    application_name: String,
}

/// Servers in the order of their numbers.
pub(super) fn servers(pooler: &Arc<Pooler>) -> Vec<ServerRow> {
    let position = pooler.session.tracked.position(b"application_name");
    let name = |conn: &ServerConn| {
        let name = position.and_then(|position| conn.side.vars().get(position));
        String::from_utf8_lossy(name.unwrap_or_default()).into_owned()
    };
    let seen: Vec<Seen> = pooler.account(|account, now| {
        let seen = account.servers(now).map(|server| Seen {
            server: server.server,
            key: server.key.clone(),
            state: server.state,
            born: server.born,
            since: server.since,
            close_needed: server.close_needed,
            application_name: server.conn.map(|conn| name(conn)).unwrap_or_default(),
        });
        seen.collect()
    });
    let moments = Moments::of(pooler);
    let mut rows: Vec<ServerRow> =
        seen.into_iter().filter_map(|seen| server_row(pooler, seen, &moments)).collect();
    rows.extend(pooler.cancels.all().iter().filter_map(|request| carrier_row(pooler, request)));
    rows.sort_by_key(|row| row.id);
    rows
}

/// The connection that carries a cancel request.
fn carrier_row(pooler: &Pooler, request: &Request) -> Option<ServerRow> {
    let carrier = request.carrier()?;
    let key = match &request.target {
        Target::Pool(key) => Some(key),
        Target::Peer(_) => None,
    };
    let ends = carrier.ends.map_or_else(|| aimed_at(&carrier.address), |(peer, local)| ends(peer, local));
    let born = carrier.born.into();
    let mut row = empty_row(key, born);
    row.id = carrier.id;
    row.state = if carrier.connected { ServerState::ActiveCancel } else { ServerState::New };
    (row.addr, row.port, row.local_addr, row.local_port) = ends;
    row.link = if request.is_waiting() { 0 } else { request.info.id };
    row.node = key.and_then(|key| node_name(pooler, key));
    Some(row)
}

/// A server of this pool, of which nothing else is known yet.
fn empty_row(key: Option<&PoolKey>, born: UnixMicros) -> ServerRow {
    ServerRow {
        id: 0,
        user: key.map(|key| key.user.to_string()),
        database: key.map(|key| key.entry.to_string()),
        replication: Replication::None,
        state: ServerState::New,
        addr: String::new(),
        port: 0,
        local_addr: String::new(),
        local_port: 0,
        connect_time: born,
        request_time: born,
        wait_us: 0,
        close_needed: false,
        link: 0,
        remote_pid: 0,
        tls: String::new(),
        application_name: String::new(),
        prepared_statements: 0,
        pinned: None,
        unprotected: false,
        node: None,
        buffers: Buffers::default(),
    }
}

fn server_state(state: howdah_pool::ServerState, being_canceled: bool) -> ServerState {
    match state {
        howdah_pool::ServerState::New => ServerState::New,
        howdah_pool::ServerState::Active => ServerState::Active,
        howdah_pool::ServerState::Idle => ServerState::Idle,
        howdah_pool::ServerState::Used => ServerState::Used,
        howdah_pool::ServerState::Tested if being_canceled => ServerState::BeingCanceled,
        howdah_pool::ServerState::Tested => ServerState::Tested,
    }
}

/// `None`: it has gone since the account was asked.
fn server_row(pooler: &Pooler, seen: Seen, moments: &Moments) -> Option<ServerRow> {
    let listed = pooler.roll.get(seen.server)?;
    let mut row = empty_row(Some(&seen.key), moments.wall(from_pool(seen.born)));
    row.state = server_state(seen.state, false);
    row.request_time = moments.wall(from_pool(seen.since));
    row.close_needed = seen.close_needed;
    row.application_name = seen.application_name;
    row.node = node_name(pooler, &seen.key);
    match listed {
        Listed::New(id, address) => {
            row.id = id;
            (row.addr, row.port, row.local_addr, row.local_port) = aimed_at(&address);
        }
        Listed::Known(info) => fill_known(pooler, &info, seen.state, &mut row),
    }
    Some(row)
}

/// What only a connection that is there can tell.
fn fill_known(pooler: &Pooler, info: &ServerInfo, state: howdah_pool::ServerState, row: &mut ServerRow) {
    row.id = info.id;
    (row.addr, row.port, row.local_addr, row.local_port) = match (info.peer, info.local) {
        (Some(peer), Some(local)) => ends(peer, local),
        _ => aimed_at(&info.address),
    };
    row.state = server_state(state, info.is_being_canceled());
    row.connect_time = info.connected.into();
    row.replication = shown(info.replication);
    row.remote_pid = info.pid;
    row.tls = info.tls.as_ref().map(ToString::to_string).unwrap_or_default();
    row.prepared_statements = info.prepared.load(Ordering::Relaxed);
    if state == howdah_pool::ServerState::Active
        && let Some(client) = pooler.clients.by_id(info.client.load(Ordering::Relaxed))
    {
        row.link = client.id;
        row.application_name = application_name(&client);
    }
}

fn application_name(client: &ClientInfo) -> String {
    String::from_utf8_lossy(&client.application_name.lock()).into_owned()
}

fn node_name(pooler: &Pooler, key: &PoolKey) -> Option<String> {
    let entry = pooler.entry(&key.entry)?;
    let topology = entry.cluster.as_ref()?.handle.topology();
    topology.node(key.node?).map(|node| node.name.clone())
}
