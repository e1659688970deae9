//! SUSPEND: everything holds still, with all that is under way, until RESUME or until the console session goes away that
//! has ordered it (PGBOUNCER_BEHAVIOUR.md section 4). Clients park in their tasks (`client/park.rs`), servers stay with
//! whom they are, and nothing is read, written, handed out or timed out.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use howdah_admin::ActionError;
use howdah_pool::ServerState;
use howdah_protocol::startup::Replication;

use super::actions::{pools_of, wait_until};
use crate::client::info::{ClientInfo, Order, Phase};
use crate::pooler::{Hold, Pooler, Stage};

/// SUSPEND; ready when everything holds still. A connection that cannot be brought to that within `suspend_timeout`, since
/// its peer takes nothing, is closed.
pub(crate) async fn suspend(pooler: &Arc<Pooler>) -> Result<(), ActionError> {
    if pooler.stage() > Stage::Running {
        return Err(ActionError::ShuttingDown);
    }
    if pooler.paused.load(Ordering::SeqCst) || !begin(pooler) {
        return Err(ActionError::AlreadyPaused);
    }
    let limit = pooler.config.load().settings.suspend_timeout;
    let quiet = wait_until(pooler, is_quiet);
    if tokio::time::timeout(limit, quiet).await.is_err() {
        for client in pooler.clients.all().iter().filter(|client| is_loud(client)) {
            client.give(Order::Close("suspend_timeout"));
        }
        wait_until(pooler, |pooler| !pooler.clients.all().iter().any(|client| is_loud(client))).await;
    }
    Ok(())
}

/// Makes everything hold still from now on; says whether nothing did before.
pub(crate) fn begin(pooler: &Arc<Pooler>) -> bool {
    let began = pooler.hold.send_if_modified(|hold| {
        let was_free = *hold == Hold::None;
        if was_free {
            *hold = Hold::Suspended;
        }
        was_free
    });
    if !began {
        return false;
    }
    let pools = pools_of(pooler, None);
    pooler.account(|account, _| {
        for pool in pools {
            account.hold(pool);
        }
    });
    for client in pooler.clients.all().iter().filter(|client| !is_console(client)) {
        client.hold(true);
    }
    true
}

/// Everything goes on. Says whether SUSPEND was in force.
pub(crate) fn end(pooler: &Arc<Pooler>) -> bool {
    if pooler.hold.send_replace(Hold::None) == Hold::None {
        return false;
    }
    let pools = pools_of(pooler, None);
    pooler.account(|account, now| {
        for server in account.servers(now) {
            if let Some(conn) = server.conn {
                conn.stream.listen_on();
            }
        }
        for pool in pools {
            account.release(now, pool);
        }
    });
    for client in pooler.clients.all() {
        client.hold(false);
    }
    true
}

fn is_console(client: &ClientInfo) -> bool {
    client.console.load(Ordering::Relaxed)
}

/// Whether a client that is logged in does not hold still yet.
fn is_loud(client: &ClientInfo) -> bool {
    !is_console(client) && !logs_in(client) && !client.parked.load(Ordering::Acquire)
}

/// Whether it is still logging in, or a cancel request: while `auth_query` looks it up, or until a replication client has its server.
fn logs_in(client: &ClientInfo) -> bool {
    let (phase, _) = client.phase();
    let replicates = client.replication.get().is_some_and(|kind| *kind != Replication::None);
    phase.is_outside() || client.looked_up_by.lock().is_some() || (replicates && phase == Phase::Waiting)
}

/// Whether clients and idle servers hold still, and no server is being reset.
fn is_quiet(pooler: &Arc<Pooler>) -> bool {
    let waker = futures_util::task::noop_waker();
    let cx = std::task::Context::from_waker(&waker);
    let clients = !pooler.clients.all().iter().any(|client| is_loud(client));
    pooler.account(|account, now| {
        let mut servers = clients;
        for server in account.servers(now) {
            let is_quiet = server.conn.is_none_or(|conn| conn.stream.poll_quiet(&cx).is_ready());
            servers &= is_quiet && server.state != ServerState::Tested;
        }
        servers
    })
}
