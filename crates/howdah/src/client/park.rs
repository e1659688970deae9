//! A client that holds still: SUSPEND, and the takeover by another process. Nothing is read from its sockets or written
//! to them; what was read already waits, and what is held goes on where it was. Asked for it, the task says everything
//! that another process needs to go on in its place.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Context;

use howdah_session::{Bytes, Session, Statements};
use howdah_topology::Time;

use super::Client;
use super::acquire::Link;
use super::info::{ClientInfo, Phase};
use super::stream::ClientStream;
use crate::directory::{routing, session_options};
use crate::entry::Entry;
use crate::pooler::{Login, Pooler};
use crate::pools::Leased;
use crate::server::ServerConn;
use crate::takeover::{CarriedClient, CarriedConn, CarriedLink, wall, wall_micros};

/// A client as another process may have it.
pub(crate) struct Described {
    pub(crate) fd: OwnedFd,
    pub(crate) client: CarriedClient,
    pub(crate) server: Option<(OwnedFd, CarriedConn)>,
    /// The statements that both name, and whose they are.
    pub(crate) statements: (Login, Statements),
}

/// The documents have what clients and servers say.
impl std::fmt::Debug for Described {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Described").field("client", &self.client.id).finish_non_exhaustive()
    }
}

impl Client {
    /// Holds still. The sockets are let go of in the background first: whoever polls is woken when they are.
    pub(super) fn park(&mut self, cx: &Context<'_>, mut link: Option<&mut Link>) {
        let mut is_quiet = self.stream.poll_quiet(cx).is_ready();
        if let Some(link) = &mut link {
            is_quiet &= link.lease.conn().stream.poll_quiet(cx).is_ready();
        }
        if !is_quiet {
            return;
        }
        self.info.parked.store(true, Ordering::Release);
        if let Some(inquiry) = self.info.inquiry.lock().take() {
            // Whoever asked may have gone.
            let _ = inquiry.send(self.describe(link));
        }
    }

    /// `None`: it cannot be handed over. It has not logged in; it is inside the process; a cluster's server works for
    /// it, whose state belongs to this process.
    fn describe(&self, link: Option<&mut Link>) -> Option<Box<Described>> {
        if !self.is_greeted || self.cut_short || (link.is_some() && self.entry.cluster.is_some()) {
            return None;
        }
        let pooler = &self.pooler;
        let tracked = &pooler.session.tracked;
        let (fd, number) = self.stream.duplicate().ok()?;
        let mut statements = Statements::default();
        let session = self.session.carry((tracked, link.is_some()), &mut statements);
        let mut input = self.input.clone();
        input.extend(self.stream.unread());
        let now = pooler.clock.now();
        let ago = |at: Time| now.0.saturating_sub(at.0);
        let (mut server, mut carried_link) = (None, None);
        if let Some(link) = link {
            let (fd, conn) = link.lease.conn().describe(pooler, &mut statements)?;
            carried_link = Some(CarriedLink {
                fd: conn.fd,
                // There may be more of it now than when it was last looked at.
                input_ready: true,
                client_waits: link.client_waits,
                phase: link.phase as u8,
                in_transaction: self.info.transaction_since().is_some(),
            });
            server = Some((fd, conn));
        }
        let client = CarriedClient {
            fd: number,
            id: self.info.id,
            entry: self.entry.name.to_string(),
            user: self.user.to_string(),
            server_user: self.server_user.to_string(),
            connected: wall_micros(self.info.connected),
            cancel_key: self.info.cancel_key,
            application_name: self.info.application_name.lock()[..].into(),
            prepared: self.info.prepared.load(Ordering::Relaxed),
            session,
            input: Bytes(input),
            output: Bytes(self.output.clone()),
            asked: ago(self.asked),
            began: ago(self.began),
            link: carried_link,
        };
        let login = (Arc::clone(&self.entry.name), Arc::clone(&self.server_user));
        Some(Box::new(Described { fd, client, server, statements: (login, statements) }))
    }

    /// The client that another process had, which holds still until it is let go on.
    pub(crate) fn adopt(
        pooler: &Arc<Pooler>,
        entry: Arc<Entry>,
        (stream, info): (ClientStream, Arc<ClientInfo>),
        carried: CarriedClient,
        statements: &Statements,
    ) -> Self {
        let config = pooler.config.load_full();
        let database = entry.database();
        let user: Arc<str> = pooler.users.share(carried.user.as_str().into());
        let server_user: Arc<str> = pooler.users.share(carried.server_user.as_str().into());
        let tracked = &pooler.session.tracked;
        let options = pooler.options.share(session_options(&config, &database, &user).into());
        let routing = routing(&config, &database, &user).map(|(mode, policy)| {
            let last_write = pooler.last_write(&entry.name, &database, &policy);
            let context = howdah_session::context(false);
            Box::new(howdah_session::Routing::new(mode, policy, context).with_database(last_write))
        });
        let mut session = Session::new(options, Arc::default(), routing)
            .with_scope(pooler.scope(&entry.name, &server_user));
        session.adopt(&carried.session, tracked, statements);
        let now = pooler.clock.now();
        let at = |ago: u64| Time(now.0.saturating_sub(ago).max(1));
        Self {
            stream,
            session,
            info,
            user,
            server_user,
            pools: smallvec::SmallVec::new(),
            generation: pooler.generation.load(Ordering::Acquire),
            input: carried.input.0,
            output: carried.output.0,
            asked: at(carried.asked),
            began: at(carried.began),
            cut_short: false,
            is_greeted: true,
            entry,
            pooler: Arc::clone(pooler),
        }
    }

    /// Lets an adopted client live: from the server that it has on, if it has one.
    pub(crate) fn live(self, link: Option<(Leased, CarriedLink)>) {
        let client = Box::new(self);
        let Some((mut lease, carried)) = link else {
            client.info.enter(Phase::Idle, client.pooler.clock.now());
            tokio::spawn(client.serve());
            return;
        };
        let phase = Phase::from_u8(carried.phase);
        client.info.enter(phase, client.asked);
        client.info.transaction(carried.in_transaction.then_some(client.began));
        let conn = lease.conn();
        conn.info.client.store(client.info.id, Ordering::Relaxed);
        *client.info.link.lock() = Some(Arc::clone(&conn.info));
        let link = Link::adopted(lease, &carried, phase);
        tokio::spawn(client.go_on(link));
    }
}

impl ServerConn {
    /// The connection as another process may have it; `None` when it cannot be handed over.
    pub(crate) fn describe(
        &self,
        pooler: &Pooler,
        statements: &mut Statements,
    ) -> Option<(OwnedFd, CarriedConn)> {
        let side = self.side.carry(&pooler.session.tracked, statements)?;
        let (fd, number) = self.stream.duplicate().ok()?;
        let mut input = self.input.clone();
        input.extend(self.stream.unread());
        let info = &self.info;
        let conn = CarriedConn {
            fd: number,
            id: info.id,
            entry: info.entry.to_string(),
            user: info.user.to_string(),
            place: (&info.address).into(),
            pid: info.pid,
            key: info.key[..].into(),
            connected: wall_micros(info.connected),
            prepared: info.prepared.load(Ordering::Relaxed),
            side,
            input: Bytes(input),
            output: Bytes(self.output.clone()),
        };
        Some((fd, conn))
    }
}

impl ClientInfo {
    /// What others know of a client that another process had. It holds still.
    pub(crate) fn adopted(carried: &CarriedClient, peer: super::stream::Peer) -> Self {
        let mut info = Self::new(carried.id, peer, carried.cancel_key);
        info.connected = wall(carried.connected);
        info.hold(true);
        *info.who.lock() = (carried.entry.as_str().into(), carried.user.as_str().into());
        *info.application_name.lock() = carried.application_name.0[..].into();
        info.prepared.store(carried.prepared, Ordering::Relaxed);
        info
    }

    /// Makes its task hold still, or lets it go on.
    pub(crate) fn hold(&self, on: bool) {
        self.held_still.store(on, Ordering::Release);
        self.parked.store(false, Ordering::Release);
        self.wake();
    }
}
