//! Which server of the account is which connection: the account does not have a server's connection while a
//! client does, and SHOW SERVERS shows it all the same. Next: `console/connections.rs`.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use howdah_backend::Address;
use howdah_pool::ServerId;
use parking_lot::Mutex;

use crate::server::ServerInfo;

/// What is known of a server of the account.
#[derive(Debug, Clone)]
pub(crate) enum Listed {
    /// It logs in: its number, and where.
    New(u64, Arc<Address>),
    /// It is logged in.
    Known(Arc<ServerInfo>),
}

#[derive(Debug)]
enum Line {
    New(u64, Arc<Address>),
    /// Weak: a server is on the roll for as long as somebody has its connection.
    Known(Weak<ServerInfo>),
}

/// All servers of the account.
#[derive(Debug, Default)]
pub(crate) struct Roll {
    servers: Mutex<HashMap<ServerId, Line>>,
}

impl Roll {
    /// A login begins.
    pub(crate) fn begin(&self, server: ServerId, id: u64, address: &Address) {
        self.servers.lock().insert(server, Line::New(id, Arc::new(address.clone())));
    }

    /// A login has failed.
    pub(crate) fn end(&self, server: ServerId) {
        self.servers.lock().remove(&server);
    }

    /// A login has succeeded. Those that are gone leave the roll here, so that it never grows beyond the servers
    /// that there were at the last login and one.
    pub(crate) fn add(&self, server: ServerId, info: &Arc<ServerInfo>) {
        let mut servers = self.servers.lock();
        servers.retain(|_, line| match line {
            Line::New(..) => true,
            Line::Known(info) => info.strong_count() > 0,
        });
        servers.insert(server, Line::Known(Arc::downgrade(info)));
    }

    /// What is known of a server.
    pub(crate) fn get(&self, server: ServerId) -> Option<Listed> {
        match self.servers.lock().get(&server)? {
            Line::New(id, address) => Some(Listed::New(*id, Arc::clone(address))),
            Line::Known(info) => info.upgrade().map(Listed::Known),
        }
    }
}
