//! The cancel requests that are under way, and the connections that carry them: what SHOW CLIENTS, SERVERS, POOLS and
//! PEER_POOLS have of them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::Arc;
use std::time::SystemTime;

use howdah_backend::Address;
use howdah_topology::Time;
use parking_lot::Mutex;

use super::slots::{Slots, Target};
use crate::client::info::{ClientInfo, Phase};

/// All cancel requests that found what they are meant for.
#[derive(Debug, Default)]
pub(crate) struct Cancels {
    by_id: Mutex<BTreeMap<u64, Arc<Request>>>,
    pub(crate) slots: Slots,
}

/// One of them.
#[derive(Debug)]
pub(crate) struct Request {
    /// The client that sent it.
    pub(crate) info: Arc<ClientInfo>,
    pub(crate) target: Target,
    /// When it came.
    pub(crate) since: Time,
    carrier: Mutex<Option<Carrier>>,
}

/// The connection to a server or peer that carries a request, as SHOW SERVERS has it.
#[derive(Debug, Clone)]
pub(crate) struct Carrier {
    /// Its number; shared counter with clients and servers.
    pub(crate) id: u64,
    pub(crate) address: Address,
    pub(crate) born: SystemTime,
    /// Both ends of a TCP connection that is there: the other's and ours.
    pub(crate) ends: Option<(SocketAddr, SocketAddr)>,
    pub(crate) connected: bool,
}

impl Request {
    /// Whether it has no connection yet.
    pub(crate) fn is_waiting(&self) -> bool {
        self.info.phase().0 == Phase::WaitingCancel
    }

    pub(crate) fn carrier(&self) -> Option<Carrier> {
        self.carrier.lock().clone()
    }

    /// A connection is made for it, or there is none any more.
    pub(super) fn set_carrier(&self, carrier: Option<Carrier>) {
        *self.carrier.lock() = carrier;
    }

    /// How a log line about its connection begins, as one about a server.
    pub(super) fn carrier_name(&self, carrier: &Carrier) -> String {
        let (id, address) = (carrier.id, &carrier.address);
        match &self.target {
            Target::Pool(key) => format!("S-0x{id:x}: {}/{}@{address}", key.entry, key.user),
            Target::Peer(_) => format!("S-0x{id:x}: (nodb)/(nouser)@{address}"),
        }
    }
}

/// A request in the books, and out of them when dropped.
pub(super) struct Entered<'a> {
    cancels: &'a Cancels,
    request: Arc<Request>,
}

impl Deref for Entered<'_> {
    type Target = Request;

    fn deref(&self) -> &Request {
        &self.request
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        self.cancels.by_id.lock().remove(&self.request.info.id);
    }
}

impl Cancels {
    pub(super) fn enter(&self, info: &Arc<ClientInfo>, target: Target, now: Time) -> Entered<'_> {
        if let Target::Pool(key) = &target {
            // In the log and in SHOW CLIENTS it is of the entry, and nobody's.
            info.who.lock().0 = Arc::clone(&key.entry);
        }
        let carrier = Mutex::new(None);
        let request = Arc::new(Request { info: Arc::clone(info), target, since: now, carrier });
        self.by_id.lock().insert(info.id, Arc::clone(&request));
        info.enter(Phase::WaitingCancel, now);
        Entered { cancels: self, request }
    }

    /// All of them, in the order of their clients' numbers.
    pub(crate) fn all(&self) -> Vec<Arc<Request>> {
        self.by_id.lock().values().cloned().collect()
    }
}
