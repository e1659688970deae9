//! The new side: what another process has handed over becomes this one's, and holds still until that one is gone.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use howdah_backend::{Address, Stream};
use howdah_protocol::auth::{Credential, ScramKeys};
use howdah_session::{ServerSide, Statements};

use super::take::{Takeover, TakeoverError};
use super::{CarriedClient, CarriedConn, CarriedLink, Document, Proof};
use crate::client::Client;
use crate::client::info::ClientInfo;
use crate::client::stream::ClientStream;
use crate::pooler::{Login, Pooler};
use crate::pools::Leased;
use crate::server::{ServerConn, ServerInfo};

/// Servers by the number of their socket in the old process, and the statements of their pools.
#[derive(Default)]
struct Adopted {
    servers: HashMap<i32, Leased>,
    statements: HashMap<Login, Statements>,
}

/// Takes everything over; it holds still until [`crate::console::suspend::end`].
///
/// # Errors
/// The documents are another version's: the running process goes on.
pub(crate) fn run(pooler: &Arc<Pooler>, takeover: &mut Takeover) -> Result<(), TakeoverError> {
    crate::console::suspend::begin(pooler);
    pooler.adopt(takeover)
}

impl Pooler {
    fn adopt(self: &Arc<Self>, takeover: &mut Takeover) -> Result<(), TakeoverError> {
        let mut adopted = Adopted::default();
        for document in takeover.documents()? {
            match document {
                Document::Process { last_id } => self.count_from(last_id),
                Document::Entry { name, is_auto, is_disabled, counters, welcomes } => {
                    self.adopt_entry(&name, (is_auto, is_disabled), &counters, welcomes);
                }
                Document::Credential { entry, user, proof } => {
                    let login = (entry.as_str().into(), user.as_str().into());
                    self.credentials.lock().entry(login).or_insert_with(|| credential(proof));
                }
                Document::Statements { entry, user, list } => {
                    let login: Login = (entry.as_str().into(), user.as_str().into());
                    let scope = self.scope(&login.0, &login.1);
                    let statements = adopted.statements.entry(login).or_default();
                    statements.adopt(&self.session.registry, scope, list);
                }
                Document::Server(conn) => self.adopt_server(takeover, &mut adopted, *conn),
                Document::Client(client) => self.adopt_client(takeover, &mut adopted, *client),
            }
        }
        // What nobody has is idle.
        for (_, lease) in adopted.servers.drain() {
            lease.give_back();
        }
        Ok(())
    }

    fn adopt_entry(
        self: &Arc<Self>,
        name: &str,
        (is_auto, is_disabled): (bool, bool),
        counters: &[u64],
        welcomes: Vec<(String, Vec<(howdah_session::Bytes, howdah_session::Bytes)>)>,
    ) {
        if name == howdah_config::CONSOLE_DATABASE {
            return self.console_counters.adopt(counters);
        }
        let entry = if is_auto { self.find_entry(name) } else { self.entry(name) };
        let Some(entry) = entry else { return };
        entry.disabled.store(is_disabled, Ordering::SeqCst);
        entry.counters.adopt(counters);
        for (user, welcome) in welcomes {
            let parameters: Vec<howdah_backend::Parameter> =
                welcome.into_iter().map(|(name, value)| (name.0.into(), value.0.into())).collect();
            entry.learn_welcome(&user.as_str().into(), &parameters);
        }
    }

    /// A server whose entry this process does not have, or has otherwise, is closed.
    fn adopt_server(self: &Arc<Self>, takeover: &mut Takeover, adopted: &mut Adopted, carried: CarriedConn) {
        let number = carried.fd;
        let Some(fd) = takeover.sockets.remove(&number) else { return };
        let Some(entry) = self.entry(&carried.entry).filter(|entry| entry.cluster.is_none()) else { return };
        let Ok(stream) = Stream::adopt(fd) else { return };
        let user: Arc<str> = self.users.share(carried.user.as_str().into());
        let pool = self.pool(&entry, &user, None);
        let Some(server) = self.account(|account, now| account.adopt(now, pool)) else { return };
        let statements = adopted.statements.entry((Arc::clone(&entry.name), user)).or_default();
        let side = ServerSide::adopt(&carried.side, &self.session.tracked, statements);
        let info = Arc::new(ServerInfo::adopted(&carried, &stream));
        self.roll.add(server, &info);
        let (input, output) = (carried.input.0, carried.output.0);
        let conn = ServerConn { stream, side, info, input, output };
        adopted.servers.insert(number, Leased::adopted(self, server, conn));
    }

    /// A client whose entry this process does not have is closed.
    fn adopt_client(
        self: &Arc<Self>,
        takeover: &mut Takeover,
        adopted: &mut Adopted,
        mut carried: CarriedClient,
    ) {
        let link = carried.link.take();
        let link: Option<(Leased, CarriedLink)> = match link {
            Some(link) => match adopted.servers.remove(&link.fd) {
                Some(lease) => Some((lease, link)),
                // Its server could not be taken over, and nobody knows how far it has come.
                None => return tracing::warn!("client {} has lost its server at the takeover", carried.id),
            },
            None => None,
        };
        let Some(fd) = takeover.sockets.remove(&carried.fd) else { return };
        let Some(entry) = self.entry(&carried.entry) else { return };
        let Ok(stream) = ClientStream::adopt(fd) else { return };
        let Ok(peer) = stream.peer(self.config.load().settings.listen_port) else { return };
        let Ok(stream) = stream.over_ring() else { return };
        let info = Arc::new(ClientInfo::adopted(&carried, peer));
        self.clients.add(&info);
        self.user_stays(&entry, &self.users.share(carried.user.as_str().into()));
        let login = (Arc::clone(&entry.name), carried.server_user.as_str().into());
        let statements = adopted.statements.entry(login).or_default();
        Client::adopt(self, entry, (stream, info), carried, statements).live(link);
    }
}

fn credential(proof: Proof) -> Credential {
    match proof {
        Proof::Password(password) => Credential::Password(password.0[..].into()),
        Proof::Keys(client, server) => {
            let mut keys = ScramKeys { client_key: [0; 32].into(), server_key: [0; 32].into() };
            for (to, from) in [(&mut keys.client_key, &client.0), (&mut keys.server_key, &server.0)] {
                to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
            }
            Credential::ScramKeys(keys)
        }
    }
}

impl ServerInfo {
    fn adopted(carried: &CarriedConn, stream: &Stream) -> Self {
        let address = match &carried.place {
            super::Place::Tcp(host, port) => Address::Tcp { host: host.clone(), port: *port },
            super::Place::Unix(path) => Address::Unix(path.clone()),
        };
        Self::carried(carried, address, stream)
    }
}
