//! CancelRequest: found by its key, sent over a connection of its own to the server that the client has at this moment,
//! or to the peer that the key belongs to (PGBOUNCER_BEHAVIOUR.md sections 11 and 13).
//!
//! A request waits in [`slots`] for its turn to connect. What it was meant for may be over by then: it is dropped when
//! its client has given the server back in the meantime. From the moment that it goes out until it has arrived the
//! server serves nobody else, so it never hits another client.
//!
//! Next: [`carry`] (the way of one request), [`requests`] (all of them, for the console), [`key`], [`guard`].

mod carry;
mod guard;
pub(crate) mod key;
#[cfg(test)]
mod key_tests;
pub(crate) mod requests;
pub(crate) mod slots;

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;

use crate::client::end::End;
use crate::client::info::{ClientInfo, Order};
use crate::pooler::{Pooler, Stage};
use crate::pools::PoolKey;
use crate::server::ServerInfo;
use key::CancelKey;
use requests::Request;
use slots::Target;

/// What a cancel request is for.
enum Meant {
    /// What this client's server does for it.
    Query(Query),
    /// A client of another pooler: the key as it goes there.
    Peer(u32, CancelKey),
}

/// A client and the server that it had when the request came.
struct Query {
    client: Arc<ClientInfo>,
    server: Arc<ServerInfo>,
    /// How often that server had been given back by then.
    releases: u64,
}

/// Holds a server back from reuse.
struct Held<'a>(&'a ServerInfo);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.cancel_ends();
    }
}

impl Query {
    /// Holds the server back, if it still does what the request was for.
    fn hold(&self) -> Option<Held<'_>> {
        // Under the client's lock: it lets go of its server under the same one, so the count is up before the server
        // can be given back.
        let link = self.client.link.lock();
        let is_linked = link.as_ref().is_some_and(|server| Arc::ptr_eq(server, &self.server));
        if !is_linked || self.server.releases() != self.releases {
            return None;
        }
        self.server.cancel_begins();
        Some(Held(&self.server))
    }
}

/// Carries out a client's cancel request; says how its connection ends. Nothing is ever answered.
pub(crate) async fn serve(pooler: &Arc<Pooler>, info: &Arc<ClientInfo>, pid: u32, secret: &[u8]) -> End {
    let meant = match find(pooler, pid, secret) {
        Ok(meant) => meant,
        Err(reason) => return End::Dropped(reason),
    };
    let target = match &meant {
        Meant::Query(query) => Target::Pool(PoolKey::of(&query.server)),
        Meant::Peer(id, _) => Target::Peer(*id),
    };
    let request = pooler.cancels.enter(info, target, pooler.clock.now());
    tokio::select! {
        biased;
        reason = ordered_away(pooler, &request) => End::Dropped(reason),
        end = carry::carry(pooler, &request, &meant) => end,
    }
}

/// What a key is for, or why the request is for nothing, in PgBouncer's words. A key that was given out under another
/// `peer_id`, before a RELOAD or by the process that this one has replaced, is found all the same.
fn find(pooler: &Pooler, pid: u32, secret: &[u8]) -> Result<Meant, &'static str> {
    let Some(key) = CancelKey::requested(pid, secret) else { return Err("failed cancel request") };
    let known = pooler.clients.by_key(&key.0).or_else(|| pooler.clients.by_key(&key.unforwarded().0));
    if let Some(client) = known {
        return of_client(pooler, client).map(Meant::Query);
    }
    let config = pooler.config.load();
    let (own, peer) = (config.settings.peer_id, key.peer_id());
    if own == 0 || peer == own {
        return Err("failed cancel request");
    }
    let Some(key) = key.forwarded() else {
        return Err("failed to forward cancel request because its TTL was exhausted");
    };
    if !config.peers.contains_key(&peer) {
        return Err("could not find peer to forward request to");
    }
    Ok(Meant::Peer(peer, key))
}

fn of_client(pooler: &Pooler, client: Arc<ClientInfo>) -> Result<Query, &'static str> {
    if client.console.load(Ordering::Relaxed) {
        pooler.consoles.cancel(client.id);
        return Err("cancel request for console client");
    }
    let link = client.link.lock();
    let Some(server) = link.clone() else { return Err("cancel request for idle client") };
    let releases = server.releases();
    drop(link);
    Ok(Query { client, server, releases })
}

/// Ready when somebody wants the connection closed. One that is carried already goes on, unless everything ends, or its
/// server would be free before the request has arrived.
async fn ordered_away(pooler: &Pooler, request: &Request) -> &'static str {
    poll_fn(|cx| match request.info.poll_order(cx.waker()) {
        Some(Order::Close(reason)) if request.is_waiting() || pooler.stage() == Stage::Stopping => {
            Poll::Ready(reason)
        }
        // It holds nothing that could be lost, and SUSPEND waits for no request.
        _ => Poll::Pending,
    })
    .await
}

impl Pooler {
    /// The periodic round: those who wait look again, and `cancel_wait_timeout`.
    pub(crate) fn maintain_cancels(&self) {
        self.cancels.slots.look_again();
        let limit = self.config.load().settings.cancel_wait_timeout;
        if limit.is_zero() {
            return;
        }
        let now = self.clock.now();
        for request in self.cancels.all() {
            if request.is_waiting() && now.since(request.since) > limit {
                request.info.give(Order::Close("cancel_wait_timeout"));
            }
        }
    }
}
