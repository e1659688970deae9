//! The old side: what the console's SHOW FDS and SHOW HANDOVER answer to the process that takes over.

use std::collections::{BTreeMap, HashMap};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use howdah_admin::ActionError;
use howdah_admin::rows::FdRow;
use howdah_config::CONSOLE_DATABASE;
use howdah_protocol::auth::Credential;
use howdah_protocol::read::TransactionStatus;
use howdah_protocol::write;
use howdah_session::Statements;
use tokio::sync::oneshot;

use super::{CarriedConn, Document, Proof};
use crate::client::end::End;
use crate::client::info::ClientInfo;
use crate::client::login::Newcomer;
use crate::client::park::Described;
use crate::client::stream::Peer;
use crate::entry::Entry;
use crate::pooler::{Hold, Login, Pooler};

/// How long a client's task may take to answer (time); it holds still, so it has nothing else to do.
const ANSWER: Duration = Duration::from_secs(2);

/// What asks for the documents; only the process's own user may, over the Unix socket.
pub(crate) const HANDOVER: &str = "SHOW HANDOVER;";

/// Everything at the moment of the question.
#[derive(Default)]
pub(crate) struct Survey {
    listening: Vec<(OwnedFd, RawFd, String, u16)>,
    servers: Vec<(OwnedFd, CarriedConn)>,
    clients: Vec<(Box<Described>, Arc<ClientInfo>)>,
    statements: HashMap<Login, Statements>,
}

impl Pooler {
    /// Asks every client and looks at every idle server. Everything has to hold still already.
    pub(crate) async fn survey(self: &Arc<Self>) -> Survey {
        let mut survey = Survey { listening: self.listening(), ..Survey::default() };
        let idle = self.account(|account, now| {
            let conns = account.servers(now).filter_map(|server| server.conn);
            let describe = |conn: &crate::server::ServerConn| {
                let login = (Arc::clone(&conn.info.entry), Arc::clone(&conn.info.user));
                let mut statements = Statements::default();
                let is_plain = conn.info.node.is_none() && conn.stream.unread().is_empty();
                let described = if is_plain { conn.describe(self, &mut statements) } else { None };
                described.map(|described| (described, login, statements))
            };
            conns.filter_map(|conn| describe(conn)).collect::<Vec<_>>()
        });
        for (server, login, statements) in idle {
            survey.servers.push(server);
            survey.statements.entry(login).or_default().merge(statements);
        }
        for client in self.clients.all() {
            let Some(mut described) = inquire(&client).await else { continue };
            let (login, statements) = std::mem::take(&mut described.statements);
            survey.statements.entry(login).or_default().merge(statements);
            survey.servers.extend(described.server.take());
            survey.clients.push((described, client));
        }
        survey
    }

    fn listening(&self) -> Vec<(OwnedFd, RawFd, String, u16)> {
        let port = self.config.load().settings.listen_port;
        let listeners = self.listeners.lock();
        let one = |listener: &std::sync::Weak<crate::listener::Listening>| {
            let listener = listener.upgrade()?;
            let fd = listener.as_fd();
            let (addr, port) = match listener.address() {
                Some(address) => (address.ip().to_string(), address.port()),
                None => ("unix".to_owned(), port),
            };
            Some((fd.try_clone_to_owned().ok()?, fd.as_raw_fd(), addr, port))
        };
        listeners.iter().filter_map(one).collect()
    }

    fn proof(&self, login: &Login) -> Option<Proof> {
        match self.credentials.lock().get(login)? {
            Credential::Password(password) => Some(Proof::Password(password.as_bytes().into())),
            Credential::ScramKeys(keys) => {
                Some(Proof::Keys(keys.client_key[..].into(), keys.server_key[..].into()))
            }
            _ => None,
        }
    }
}

async fn inquire(client: &Arc<ClientInfo>) -> Option<Box<Described>> {
    if !client.parked.load(Ordering::Acquire) {
        return None;
    }
    let (ask, answer) = oneshot::channel();
    *client.inquiry.lock() = Some(ask);
    client.wake();
    tokio::time::timeout(ANSWER, answer).await.ok()?.ok()?
}

/// The parameter columns of a row, from what a session or server carries.
fn parameters(row: &mut FdRow, get: impl Fn(&str) -> Option<String>) {
    row.client_encoding = get("client_encoding");
    row.std_strings = get("standard_conforming_strings");
    row.datestyle = get("DateStyle");
    row.timezone = get("TimeZone");
}

fn number(fd: RawFd) -> u32 {
    u32::try_from(fd).unwrap_or(0)
}

impl Survey {
    /// The rows of SHOW FDS with their sockets: what listens, servers, clients.
    pub(crate) fn rows(self) -> Vec<(FdRow, OwnedFd)> {
        let mut rows = Vec::new();
        for (fd, raw, addr, port) in self.listening {
            rows.push((FdRow { fd: number(raw), task: "pooler", addr, port, ..FdRow::default() }, fd));
        }
        let links: HashMap<RawFd, RawFd> = self
            .clients
            .iter()
            .filter_map(|(it, _)| Some((it.client.link.as_ref()?.fd, it.client.fd)))
            .collect();
        for (fd, conn) in self.servers {
            rows.push((server_row(&conn, links.get(&conn.fd).copied()), fd));
        }
        for (described, info) in self.clients {
            let row = client_row(&described, &info);
            rows.push((row, described.fd));
        }
        rows
    }

    /// The documents of SHOW HANDOVER.
    pub(crate) fn documents(self, pooler: &Arc<Pooler>) -> Vec<Document> {
        let mut documents = vec![Document::Process { last_id: pooler.last_id() }];
        let entries: BTreeMap<String, Arc<Entry>> = pooler.entries.lock().clone();
        documents.extend(entries.values().map(|entry| entry.document()));
        documents.push(Document::Entry {
            name: CONSOLE_DATABASE.to_owned(),
            is_auto: false,
            is_disabled: false,
            counters: pooler.console_counters.carry(),
            welcomes: Vec::new(),
        });
        let logins: Vec<Login> = pooler.credentials.lock().keys().cloned().collect();
        for login in logins {
            if let Some(proof) = pooler.proof(&login) {
                let (entry, user) = (login.0.to_string(), login.1.to_string());
                documents.push(Document::Credential { entry, user, proof });
            }
        }
        for ((entry, user), statements) in self.statements {
            let (entry, user) = (entry.to_string(), user.to_string());
            documents.push(Document::Statements { entry, user, list: statements.carried() });
        }
        documents.extend(self.servers.into_iter().map(|(_, conn)| Document::Server(Box::new(conn))));
        let clients = self.clients.into_iter();
        documents.extend(clients.map(|(described, _)| Document::Client(Box::new(described.client))));
        documents
    }
}

fn server_row(conn: &CarriedConn, link: Option<RawFd>) -> FdRow {
    let (addr, port) = match &conn.place {
        super::Place::Tcp(host, port) => (host.clone(), *port),
        super::Place::Unix(path) => {
            let port = path.extension().and_then(|port| port.to_str()?.parse().ok());
            ("unix".to_owned(), port.unwrap_or(0))
        }
    };
    let mut key = [0_u8; 8];
    key[..4].copy_from_slice(&conn.pid.to_be_bytes());
    for (to, from) in key[4..].iter_mut().zip(&conn.key.0) {
        *to = *from;
    }
    let mut row = FdRow {
        fd: number(conn.fd),
        task: "server",
        user: Some(conn.user.clone()),
        database: Some(conn.entry.clone()),
        addr,
        port,
        cancel: u64::from_be_bytes(key),
        link: link.map_or(0, number),
        ..FdRow::default()
    };
    parameters(&mut row, |name| conn.side.parameter(name));
    row
}

fn client_row(described: &Described, info: &ClientInfo) -> FdRow {
    let client = &described.client;
    let (addr, port) = match info.peer {
        Peer::Tcp { peer, .. } => (peer.ip().to_string(), peer.port()),
        Peer::Unix { port, .. } => ("unix".to_owned(), port),
        Peer::Pipe => ("pipe".to_owned(), 0),
    };
    let mut row = FdRow {
        fd: number(client.fd),
        task: "client",
        user: Some(client.user.clone()),
        database: Some(client.entry.clone()),
        addr,
        port,
        cancel: u64::from_be_bytes(client.cancel_key),
        link: client.link.as_ref().map_or(0, |link| number(link.fd)),
        ..FdRow::default()
    };
    parameters(&mut row, |name| client.session.parameter(name));
    // What proves a user is in the documents of the handover, and not for every console to see.
    row
}

impl Entry {
    fn document(&self) -> Document {
        let welcomes = self.welcomes().into_iter().map(|(user, welcome)| {
            let pairs = welcome.iter().map(|(name, value)| (name[..].into(), value[..].into()));
            (user.to_string(), pairs.collect())
        });
        Document::Entry {
            name: self.name.to_string(),
            is_auto: self.is_auto,
            is_disabled: self.disabled.load(Ordering::Relaxed),
            counters: self.counters.carry(),
            welcomes: welcomes.collect(),
        }
    }
}

/// The rows of SHOW FDS. What holds still for it goes on afterwards, unless it was suspended before.
pub(crate) async fn rows(pooler: &Arc<Pooler>) -> Result<Vec<FdRow>, ActionError> {
    let rows = held(pooler, Survey::rows).await?;
    Ok(rows.into_iter().map(|(row, _)| row).collect())
}

/// Lets everything go on, also when whoever wanted to look has left in the middle.
struct Release<'a>(Option<&'a Arc<Pooler>>);

impl Drop for Release<'_> {
    fn drop(&mut self) {
        if let Some(pooler) = self.0 {
            crate::console::suspend::end(pooler);
        }
    }
}

/// Looks at everything while it holds still.
async fn held<T>(pooler: &Arc<Pooler>, look: impl FnOnce(Survey) -> T) -> Result<T, ActionError> {
    if pooler.is_suspended() {
        return Ok(look(pooler.survey().await));
    }
    let mut release = Release(Some(pooler));
    if let Err(error) = crate::console::suspend::suspend(pooler).await {
        // What holds is somebody else's.
        release.0 = None;
        return Err(error);
    }
    Ok(look(pooler.survey().await))
}

/// Answers SHOW FDS with the sockets themselves: one goes with each row. From here on another process may go on with
/// them, if everything was suspended for it.
///
/// # Errors
/// How the client ended.
pub(crate) async fn send_sockets(client: &mut Newcomer) -> Result<(), End> {
    let pooler = Arc::clone(&client.pooler);
    pooler.hold.send_if_modified(|hold| {
        let is_handed = *hold == Hold::Suspended;
        if is_handed {
            *hold = Hold::HandingOver;
        }
        is_handed
    });
    let refused = |error: &dyn std::fmt::Display| End::refused(error.to_string());
    let rows = held(&pooler, Survey::rows).await.map_err(|error| refused(&error))?;
    let mut out = Vec::new();
    howdah_admin::table::encode(&mut out, [] as [FdRow; 0]).map_err(|error| refused(&error))?;
    client.send(&out).await?;
    for (row, fd) in rows {
        let mut out = Vec::new();
        howdah_admin::table::append(&mut out, [row]).map_err(|error| refused(&error))?;
        let sent = client.stream.send_fd(&out, fd.as_fd()).await.map_err(|_| End::UnexpectedEof)?;
        client.send(&out[sent..]).await?;
    }
    client.send(&ended("SHOW")?).await
}

/// Answers SHOW HANDOVER.
///
/// # Errors
/// How the client ended.
pub(crate) async fn send_documents(client: &mut Newcomer) -> Result<(), End> {
    let pooler = Arc::clone(&client.pooler);
    let refused = |error: &dyn std::fmt::Display| End::refused(error.to_string());
    let documents =
        held(&pooler, |survey| survey.documents(&pooler)).await.map_err(|error| refused(&error))?;
    let mut out = Vec::new();
    write::row_description(&mut out, &[write::Column::text("document")]).map_err(|error| refused(&error))?;
    for document in documents {
        let text = serde_json::to_vec(&document).map_err(|error| refused(&error))?;
        write::data_row(&mut out, &[Some(&text)]).map_err(|error| refused(&error))?;
        client.send(&std::mem::take(&mut out)).await?;
    }
    client.send(&ended("SHOW")?).await
}

fn ended(tag: &str) -> Result<Vec<u8>, End> {
    let mut out = Vec::new();
    write::command_complete(&mut out, tag.as_bytes()).map_err(|error| End::refused(error.to_string()))?;
    write::ready_for_query(&mut out, TransactionStatus::Idle);
    Ok(out)
}
