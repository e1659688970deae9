//! The way of one cancel request: a slot, a connection, the request. What is logged is PgBouncer's.

use std::sync::Arc;
use std::time::Duration;

use howdah_backend::{Address, CancelConnection, ConnectError};

use super::guard::may_be_canceled;
use super::key::CancelKey;
use super::requests::{Carrier, Request};
use super::{Meant, Query};
use crate::client::end::End;
use crate::client::info::Phase;
use crate::connect::{log_failure, tcp_options};
use crate::pooler::Pooler;
use crate::server::ServerInfo;

/// How long a cancel request may take to arrive (time); the server it is meant for is held back meanwhile.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(10);

/// With `server_login_retry` below it, so long is waited before a connection is tried again (time).
const SHORTEST_RETRY: Duration = Duration::from_millis(100);

/// The client is told nothing, but the log.
const NOW_IDLE: End = End::Dropped("not sending cancel request for client that is now idle");
const SENT: &str = "successfully sent cancel request";
const FAILED: &str = "failed to send cancel request";

/// Until it has arrived or is dropped; whoever waits too long for a connection is ordered away.
pub(super) async fn carry(pooler: &Arc<Pooler>, request: &Request, meant: &Meant) -> End {
    loop {
        let slot = pooler.cancels.slots.enter(pooler, &request.target, request.info.id).await;
        let Some(address) = address(pooler, meant) else {
            return End::Dropped("could not find peer to forward request to");
        };
        if let Some((carrier, connection)) = connect(pooler, request, address).await {
            let (end, reason) = match meant {
                Meant::Query(query) => cancel(pooler, request, (query, connection)).await,
                Meant::Peer(_, key) => forward(pooler, request, (*key, connection)).await,
            };
            log_close(pooler, &request.carrier_name(&carrier), reason, &carrier);
            request.set_carrier(None);
            return end;
        }
        drop(slot);
        let retry = pooler.config.load().settings.server_login_retry;
        tokio::time::sleep(retry.max(SHORTEST_RETRY)).await;
    }
}

/// Where it goes; `None`: the peer was removed in the meantime.
fn address(pooler: &Pooler, meant: &Meant) -> Option<Address> {
    match meant {
        Meant::Query(query) => Some(address_of(&query.server)),
        Meant::Peer(id, _) => {
            let config = pooler.config.load();
            config.peers.get(id).map(|peer| Address::new(&peer.host, peer.port))
        }
    }
}

/// The very machine that the server is on: its name may stand for several.
fn address_of(server: &ServerInfo) -> Address {
    server.peer.map_or_else(
        || server.address.clone(),
        |peer| Address::Tcp { host: peer.ip().to_string(), port: peer.port() },
    )
}

/// `None`: nobody was reached, which is logged.
async fn connect(
    pooler: &Pooler,
    request: &Request,
    address: Address,
) -> Option<(Carrier, CancelConnection)> {
    let born = std::time::SystemTime::now();
    let mut carrier = Carrier { id: pooler.next_id(), address, born, ends: None, connected: false };
    let name = request.carrier_name(&carrier);
    request.set_carrier(Some(carrier.clone()));
    let config = pooler.config.load_full();
    let settings = &config.settings;
    let options = tcp_options(settings);
    let opened = CancelConnection::open(&carrier.address, &options, settings.server_connect_timeout);
    let connection = match opened.await {
        Ok(connection) => connection,
        Err(error) => {
            log_failure(&name, &error, born.elapsed().unwrap_or_default());
            request.set_carrier(None);
            return None;
        }
    };
    carrier.ends = connection.peer().zip(connection.local());
    carrier.connected = true;
    request.set_carrier(Some(carrier.clone()));
    if settings.log_connections {
        let from = connection.local().map(|local| format!(" (from {local})")).unwrap_or_default();
        tracing::info!("{name} new connection to server{from}");
    }
    Some((carrier, connection))
}

/// To the server; how the client's connection ends, and the other one.
async fn cancel(
    pooler: &Pooler,
    request: &Request,
    (query, connection): (&Query, CancelConnection),
) -> (End, &'static str) {
    let Some(_held) = query.hold() else { return (NOW_IDLE, FAILED) };
    request.info.enter(Phase::ActiveCancel, pooler.clock.now());
    let server = &query.server;
    let tls = pooler.tls.load_full();
    let secured = match &tls.server {
        // Certificates are for the name.
        Some(tls) => connection.secure((tls, &server.address), CANCEL_TIMEOUT).await,
        None => Ok(connection),
    };
    let connection = match secured {
        Ok(connection) => connection,
        Err(error) => return failed(&server.log_name(), &error),
    };
    if let Err(why) = may_be_canceled(pooler, server).await {
        let client = query.client.log_name();
        tracing::warn!("{} cancel request of {client} dropped: {why}", server.log_name());
        return (End::Dropped(FAILED), FAILED);
    }
    match connection.send((server.pid, &server.key), CANCEL_TIMEOUT).await {
        Ok(()) => (End::Dropped(SENT), SENT),
        Err(error) => failed(&server.log_name(), &ConnectError::Unreachable(error)),
    }
}

/// To the peer.
async fn forward(
    pooler: &Pooler,
    request: &Request,
    (key, connection): (CancelKey, CancelConnection),
) -> (End, &'static str) {
    request.info.enter(Phase::ActiveCancel, pooler.clock.now());
    let (pid, secret) = key.parts();
    match connection.send((pid, &secret), CANCEL_TIMEOUT).await {
        Ok(()) => (End::Dropped(SENT), SENT),
        Err(error) => failed(&request.info.log_name(), &ConnectError::Unreachable(error)),
    }
}

fn failed(name: &str, error: &ConnectError) -> (End, &'static str) {
    tracing::warn!("{name} cancel request failed: {error}");
    (End::Dropped(FAILED), FAILED)
}

fn log_close(pooler: &Pooler, name: &str, reason: &str, carrier: &Carrier) {
    if pooler.config.load().settings.log_disconnections {
        let age = carrier.born.elapsed().unwrap_or_default().as_secs();
        tracing::info!("{name} closing because: {reason} (age={age}s)");
    }
}
