//! CancelRequest: found by its key, sent to the server that the client has at this moment, and held until it has
//! arrived so that it never hits somebody else (PGBOUNCER_BEHAVIOUR.md section 11).

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::connect::tcp_options;
use crate::pooler::Pooler;
use crate::server::ServerInfo;

/// How long a cancel request may take to arrive (time); the server it is meant for is held back meanwhile.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(10);

/// Holds a server back from reuse.
struct Held(Arc<ServerInfo>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.cancel_ends();
    }
}

/// Cancels what the owner of this key is doing. An unknown key and an idle client are nothing to do.
pub(crate) async fn cancel(pooler: &Pooler, pid: u32, key: &[u8]) {
    let Ok(secret) = <[u8; 4]>::try_from(key) else { return };
    let mut whole = [0_u8; 8];
    whole[..4].copy_from_slice(&pid.to_be_bytes());
    whole[4..].copy_from_slice(&secret);
    let Some(client) = pooler.clients.by_key(&whole) else { return };
    if client.console.load(Ordering::Relaxed) {
        return pooler.consoles.cancel(client.id);
    }
    let held = {
        // Under the client's lock: it lets go of its server under the same one, so the count is up before the
        // server can be given back.
        let link = client.link.lock();
        let Some(server) = &*link else { return };
        server.cancel_begins();
        Held(Arc::clone(server))
    };
    let options = tcp_options(&pooler.config.load().settings);
    let server = &held.0;
    let sent =
        howdah_backend::cancel(&server.address, (server.pid, &server.key), &options, CANCEL_TIMEOUT).await;
    if let Err(error) = sent {
        tracing::warn!("{} cancel request failed: {error}", server.log_name());
    }
}
