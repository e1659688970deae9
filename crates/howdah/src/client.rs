//! One client, from its first byte to its last: a task that owns the client's socket and, while it has one, the
//! server's (DESIGN.md section 4). `login.rs` comes first, then `task.rs` goes round: idle, acquire, linked.

mod acquire;
mod auth_query;
#[cfg(test)]
mod auth_query_tests;
pub(crate) mod authenticate;
mod buffers;
mod doubt;
pub(crate) mod end;
mod greet;
mod held;
pub(crate) mod info;
mod intake;
mod linked;
pub(crate) mod login;
pub(crate) mod park;
mod replication;
pub(crate) mod secure;
pub(crate) mod stream;
mod task;

use std::sync::Arc;

use howdah_pool::PoolId;
use howdah_session::Session;
use howdah_topology::{NodeId, Time};
use smallvec::SmallVec;

use crate::client::info::ClientInfo;
use crate::client::stream::ClientStream;
use crate::entry::Entry;
use crate::pooler::Pooler;

pub(crate) use buffers::READ_SIZE as BUFFER_SIZE;
pub(crate) use login::accept;

/// A client that is logged in.
#[derive(Debug)]
pub(crate) struct Client {
    pooler: Arc<Pooler>,
    stream: ClientStream,
    session: Session,
    info: Arc<ClientInfo>,
    entry: Arc<Entry>,
    user: Arc<str>,
    server_user: Arc<str>,
    /// Pools that this client has used, by node.
    pools: SmallVec<[(Option<NodeId>, PoolId); 1]>,
    /// The configuration that the session's options are of.
    generation: u64,
    /// What the client sent and nobody has dealt with yet; empty while it is idle.
    input: Vec<u8>,
    /// What the client's socket did not take yet; empty while it is idle.
    output: Vec<u8>,
    /// Since when it asks for what is being answered.
    asked: Time,
    /// Since when its transaction runs.
    began: Time,
    /// It has a part of a message only, and the rest is lost: nothing may be put behind it.
    cut_short: bool,
    /// Its login is over: what is said to it now does not disturb that.
    is_greeted: bool,
}
