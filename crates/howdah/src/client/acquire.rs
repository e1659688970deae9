//! A server for the client's next request: which node, which pool, and the waits on the way there.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::Duration;

use futures_util::future::{Either, select};
use howdah_failover::Report;
use howdah_pool::PoolId;
use howdah_protocol::write;
use howdah_session::{Chosen, Moment, NoNode, Plan, choose};
use howdah_topology::{NodeId, Time};

use super::Client;
use super::doubt::Reign;
use super::end::End;
use super::info::{Order, Phase};
use super::stream::flush;
use crate::pooler::Stage;
use crate::pools::{Leased, WaitError};
use crate::takeover::CarriedLink;

/// While a client waits for a server it may send so much more (bytes).
const SEND_AHEAD: usize = 64 * 1024;

/// What a client in a queue is told after `query_wait_notify` (PgBouncer's text).
const QUEUED: &str = "No server connection available in postgres backend, client being queued";

/// How long a wait for another topology is at most before it is looked at anew; a lease may end without one.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// A client's hold on a server.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) lease: Leased,
    /// The client's input can be gone on with although nothing new has come.
    pub(super) input_ready: bool,
    /// What the server has said can be gone on with although nothing new has come.
    pub(super) answer_ready: bool,
    /// The client's input waits for the server.
    pub(super) client_waits: bool,
    pub(super) phase: Phase,
    /// It waits at the gate, with its server.
    pub(super) held: bool,
    /// Whose reign it is, where commits in doubt are to be resolved.
    pub(super) reign: Option<Reign>,
}

impl Link {
    fn new(lease: Leased) -> Self {
        Self {
            lease,
            input_ready: true,
            answer_ready: false,
            client_waits: false,
            phase: Phase::Linked,
            held: false,
            reign: None,
        }
    }

    /// As it was in another process.
    pub(super) fn adopted(lease: Leased, carried: &CarriedLink, phase: Phase) -> Self {
        let mut link = Self::new(lease);
        link.answer_ready = !link.lease.conn().input.is_empty();
        (link.input_ready, link.client_waits, link.phase) =
            (carried.input_ready, carried.client_waits, phase);
        link
    }
}

/// Where a request is to go.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pool: PoolId,
    node: Option<NodeId>,
    is_replica: bool,
    /// Only by a connection that was there at this moment ([`Chosen`]).
    since: Option<Time>,
    /// It is the replica that the session stays on.
    stays: bool,
}

/// A server, which may have been idle for so long that it is to be checked first.
type Found = (Place, Leased);

/// How far a request has come that has to wait.
#[derive(Debug)]
pub(super) enum Begun {
    /// There is no place for it yet.
    Nowhere,
    /// It has its place, and its turn there was counted.
    Placed(Place),
    /// There is a server that is to be checked.
    Found(Found),
}

/// `server_check_query`, when the server was idle for so long that it is due.
pub(super) async fn is_usable(lease: &mut Leased, query: Option<String>) -> bool {
    if !lease.conn().is_fresh() {
        return false;
    }
    let Some(query) = query.filter(|_| lease.check_due) else { return true };
    lease.begin_test();
    let checked = howdah_backend::run(&mut lease.conn().stream, query.as_bytes()).await;
    lease.end_test();
    checked.is_ok()
}

/// What a client is told whose wait for a server has failed.
pub(super) fn wait_failed(error: &WaitError) -> End {
    match error {
        WaitError::Login(failure) => {
            End::Relayed { code: failure.code.clone(), message: failure.message.clone() }
        }
        WaitError::LoginFailing(failure) => End::refused(format!(
            "server login has been failing, cached error: {} (server_login_retry)",
            failure.message
        )),
        WaitError::Timeout => End::refused("query_wait_timeout"),
        WaitError::ShuttingDown => End::refused("server shutting down"),
        WaitError::Removed | WaitError::ChooseAgain => End::refused("database removed"),
    }
}

impl Client {
    /// A server without any wait, the usual case; else how far it has come.
    pub(super) fn acquire_now(&mut self, plan: Plan) -> Result<Link, Begun> {
        self.refresh();
        if self.pooler.stage() >= Stage::WaitForServers {
            return Err(Begun::Nowhere);
        }
        let place = self.place(plan, false).map_err(|_| Begun::Nowhere)?;
        loop {
            let mut lease = self.pooler.try_checkout(place.pool).ok_or(Begun::Placed(place))?;
            if !lease.conn().is_fresh() {
                self.stale(lease, place.node);
                continue;
            }
            if !self.is_proven(place, &mut lease) {
                lease.give_back();
                return Err(Begun::Nowhere);
            }
            if lease.check_due && self.pooler.config.load().settings.server_check_query.is_some() {
                return Err(Begun::Found((place, lease)));
            }
            lease.conn().side.set_replica(place.is_replica);
            return Ok(Link::new(lease));
        }
    }

    /// Whether what is known of the replica holds for this connection; if not, the place is to be chosen anew.
    fn is_proven(&mut self, place: Place, lease: &mut Leased) -> bool {
        let connected = lease.conn().side.since();
        let proven = place.since.is_none_or(|since| connected <= since);
        if !proven && place.stays {
            self.session.unsettle();
        } else if !proven {
            self.session.is_too_young(connected);
            self.entry.sample();
        }
        proven
    }

    /// A connection that the server has closed, or said something on, while it was idle.
    fn stale(&self, lease: Leased, node: Option<NodeId>) {
        lease.discard("server conn crashed?", false);
        self.entry.report(node, Report::Eof);
    }

    /// The link begins: the client's parameters, and the books.
    pub(super) fn begin(&mut self, link: &mut Link) {
        let now = self.pooler.clock.now();
        let counters = &self.entry.counters;
        counters.assignments.add(1);
        counters.wait_time.add(now.0.saturating_sub(self.asked.0));
        if self.session.resolves_doubts() {
            link.reign = self.reign(link.lease.conn().info.node);
        }
        let conn = link.lease.conn();
        conn.info.client.store(self.info.id, Ordering::Relaxed);
        *self.info.link.lock() = Some(Arc::clone(&conn.info));
        self.session.link(&self.pooler.session, &mut conn.side, &mut conn.output);
        if let [b'Q', _, _, _, _, sql @ .., 0] = &conn.output[..] {
            tracing::debug!("{} varcache_apply: {}", conn.info.log_name(), String::from_utf8_lossy(sql));
        }
        self.began = now;
    }

    /// Where the batch goes at this moment.
    fn place(&mut self, plan: Plan, waited: bool) -> Result<Place, NoNode> {
        let Some(cluster) = &self.entry.cluster else {
            let pool = self.pool_of(None);
            return Ok(Place { pool, node: None, is_replica: false, since: None, stays: false });
        };
        let Some(routing) = self.session.routing() else {
            return Err(NoNode::NoReplica);
        };
        let topology = cluster.handle.topology();
        let ticket = self.pooler.tickets.load(Ordering::Relaxed);
        let at = Moment { now: self.pooler.clock.now(), ticket, waited };
        let read = matches!(plan, Plan::Read { .. });
        let pools = &self.pools;
        let load = |node: NodeId| {
            let pool = pools.iter().find(|(known, _)| *known == Some(node)).map(|(_, pool)| *pool);
            pool.map_or(0, |pool| self.pooler.account(|account, _| account.load(pool)))
        };
        let chosen = choose(&topology, routing, read, at, load)?;
        let (node, since) = match chosen {
            Chosen::Replica(node, since) => (node, since),
            Chosen::Stays(node, since) => (node, Some(since)),
            Chosen::Primary(node) => (node, None),
        };
        let is_replica = !matches!(chosen, Chosen::Primary(_));
        if is_replica {
            self.session.settle(node);
            // Only reads take turns: a session that writes and reads by turns would else always get the same.
            self.pooler.tickets.fetch_add(1, Ordering::Relaxed);
        }
        let stays = matches!(chosen, Chosen::Stays(..));
        Ok(Place { pool: self.pool_of(Some(node)), node: Some(node), is_replica, since, stays })
    }

    pub(super) fn pool_of(&mut self, node: Option<NodeId>) -> PoolId {
        if let Some((_, pool)) = self.pools.iter().find(|(known, _)| *known == node) {
            return *pool;
        }
        let pool = self.pooler.pool(&self.entry, &self.server_user, node);
        self.pools.push((node, pool));
        pool
    }

    /// A server, with all the waits that it takes. `None`: the batch was refused and the session goes on.
    pub(super) async fn acquire(&mut self, plan: Plan, mut begun: Begun) -> Result<Option<Link>, End> {
        self.info.enter(Phase::Waiting, self.asked);
        loop {
            let found = match std::mem::replace(&mut begun, Begun::Nowhere) {
                Begun::Nowhere => self.wait_for_server(plan, None).await?,
                Begun::Placed(place) => self.wait_for_server(plan, Some(place)).await?,
                Begun::Found(found) => Some(found),
            };
            let Some((place, mut lease)) = found else { return Ok(None) };
            if !self.is_proven(place, &mut lease) {
                lease.give_back();
                continue;
            }
            let query = self.pooler.config.load().settings.server_check_query.clone();
            if !self.meanwhile(is_usable(&mut lease, query)).await? {
                self.stale(lease, place.node);
                continue;
            }
            lease.conn().side.set_replica(place.is_replica);
            return Ok(Some(Link::new(lease)));
        }
    }

    /// The waits for a place and for one of its servers. `None`: the batch was refused and the session goes on.
    async fn wait_for_server(&mut self, plan: Plan, mut first: Option<Place>) -> Result<Option<Found>, End> {
        loop {
            // A place that was chosen already is kept: choosing twice would take two turns, and of two replicas
            // the same one would always be the second.
            let place = match first.take() {
                Some(place) => Some(place),
                None => self.wait_for_place(plan).await?,
            };
            let Some(place) = place else { return Ok(None) };
            let pooler = Arc::clone(&self.pooler);
            let since = self.asked;
            match self.queued(pooler.checkout(place.pool, since)).await? {
                Ok(lease) => return Ok(Some((place, lease))),
                Err(WaitError::ChooseAgain) => {}
                Err(WaitError::Removed) if self.pooler.entry(&self.entry.name).is_some() => {
                    self.pools.retain(|(_, pool)| *pool != place.pool);
                }
                // Where nothing but replicas may serve there is nowhere else to try at once.
                Err(WaitError::Login(_) | WaitError::LoginFailing(_))
                    if place.is_replica
                        && !self.session.routing().is_some_and(howdah_session::Routing::replicas_only) =>
                {
                    // A replica that refuses the login is as good as none (DESIGN.md section 5).
                    self.session.refused_by_replica();
                    return Ok(None);
                }
                Err(error) => return Err(wait_failed(&error)),
            }
        }
    }

    /// Waits while nobody may serve the batch: at the gate, or for a replica that is fresh enough.
    async fn wait_for_place(&mut self, plan: Plan) -> Result<Option<Place>, End> {
        let mut waited = false;
        loop {
            if self.pooler.stage() >= Stage::WaitForServers {
                return Err(End::refused("server shutting down"));
            }
            let no_node = match self.place(plan, waited) {
                Ok(place) => return Ok(Some(place)),
                Err(no_node) => no_node,
            };
            let Some(cluster) = self.entry.cluster.clone() else {
                return Err(End::refused("no such database"));
            };
            let config = self.pooler.config.load_full();
            let hold = config.clusters.get(&cluster.name).map_or(Duration::ZERO, |c| c.failover_hold);
            let limit = match &no_node {
                NoNode::NotFresh if !waited => {
                    self.session.routing().map_or(hold, |r| r.policy().causal_wait)
                }
                no_node if !no_node.may_pass() => Duration::ZERO,
                _ => hold,
            };
            if self.pooler.clock.now().since(self.asked) >= limit {
                if matches!(no_node, NoNode::NotFresh) && !waited {
                    waited = true;
                    continue;
                }
                self.refuse(&no_node);
                return Ok(None);
            }
            if matches!(no_node, NoNode::NotFresh) {
                // What is waited for shows in a sample, and nobody here may have written since.
                cluster.handle.note_write();
            }
            let mut changed = cluster.handle.changed();
            // An error means that the controller is gone with the whole pooler.
            let wait = async { drop(tokio::time::timeout(LOOK_AGAIN, changed.changed()).await) };
            self.meanwhile(wait).await?;
        }
    }

    /// The batch gets an error, and the session goes on.
    fn refuse(&mut self, no_node: &NoNode) {
        let (code, message) = no_node.words();
        let input = std::mem::take(&mut self.input);
        let done = self.session.refuse_batch(&input, (code, &message), &mut self.output);
        self.input = input[done..].to_vec();
    }

    /// Waits in a queue, which the client is told of when it has waited for `query_wait_notify`, once a wait.
    async fn queued<T>(&mut self, what: impl Future<Output = T>) -> Result<T, End> {
        let notify = self.pooler.config.load().settings.query_wait_notify;
        let left = notify.saturating_sub(self.pooler.clock.now().since(self.asked));
        if notify.is_zero() || left.is_zero() || !self.is_greeted {
            return self.meanwhile(what).await;
        }
        let mut what = std::pin::pin!(what);
        if let Ok(done) = self.meanwhile(tokio::time::timeout(left, &mut what)).await? {
            return Ok(done);
        }
        write::notice_response(&mut self.output, &write::Report::notice(QUEUED));
        self.meanwhile(what).await
    }

    /// Waits for `what`, and at the same time for the client to leave and for orders.
    pub(super) async fn meanwhile<T>(&mut self, what: impl Future<Output = T>) -> Result<T, End> {
        let watch = poll_fn(|cx| {
            loop {
                match self.info.poll_order(cx.waker()) {
                    Some(Order::Close(reason)) => return Poll::Ready(End::refused(reason)),
                    Some(Order::Park) => {
                        self.park(cx, None);
                        return Poll::Pending;
                    }
                    Some(Order::ServerLost) | None => {}
                }
                if !self.output.is_empty() {
                    let stream = &mut self.stream;
                    match flush(&mut self.output, |bytes| stream.poll_write(cx, bytes)) {
                        Poll::Ready(Ok(())) => {}
                        Poll::Ready(Err(_)) => return Poll::Ready(End::UnexpectedEof),
                        // The socket wakes us when it takes more; what the client says waits as long.
                        Poll::Pending => return Poll::Pending,
                    }
                }
                if self.input.len() > SEND_AHEAD {
                    return Poll::Pending;
                }
                match self.poll_fill(cx) {
                    Poll::Ready(Ok(())) => {}
                    Poll::Ready(Err(end)) => return Poll::Ready(end),
                    Poll::Pending => return Poll::Pending,
                }
            }
        });
        match select(Box::pin(what), watch).await {
            Either::Left((done, _)) => Ok(done),
            Either::Right((end, _)) => Err(end),
        }
    }

    /// The first server of a pool, for what it says at login; it goes back at once.
    pub(super) async fn meet_server(&mut self) -> Result<(), End> {
        self.asked = self.pooler.clock.now();
        let plan = match &self.entry.cluster {
            Some(cluster) if cluster.handle.topology().writable_primary(self.asked).is_none() => {
                Plan::Read { batch: 0 }
            }
            Some(_) => Plan::Primary,
            None => Plan::Anywhere,
        };
        match self.acquire(plan, Begun::Nowhere).await? {
            Some(link) => {
                link.lease.give_back_unused();
                Ok(())
            }
            None => Err(End::refused("no server of the cluster can be reached")),
        }
    }
}
