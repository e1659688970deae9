//! Looking a user up on a server: which query, as whom and where, the wait for one of that pool's servers, and what
//! its answer means (PGBOUNCER_BEHAVIOUR.md section 5).
//!
//! The client waits in the pool of `auth_user` as any client does: it is counted there, is told what a refused login of
//! that pool says, and keeps waiting while the server is only starting or cannot be reached.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::{Either, select};
use howdah_backend::{RunError, Values};
use howdah_config::{CONSOLE_DATABASE, Config, Secret as Stored};
use howdah_pool::PoolId;
use howdah_topology::{NodeId, Time};

use super::acquire::{is_usable, wait_failed};
use super::end::End;
use super::info::Phase;
use super::login::{Asked, Newcomer};
use crate::entry::Entry;
use crate::pools::{Leased, WaitError};

/// While a client waits for the answer it may send so much more (bytes).
const SEND_AHEAD: usize = 128 * 1024;

/// How long a wait for another topology is at most before it is looked at anew.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// What a client is told when nothing is wrong with it but with our own settings.
const CONFIG_ERROR: &str = "bouncer config error";

/// A question about a user.
#[derive(Debug)]
pub(super) struct Question {
    /// Where it runs.
    entry: Arc<Entry>,
    /// As whom.
    auth_user: Arc<str>,
    query: String,
}

impl Newcomer {
    /// The question about this client's user; `None`: there is none to ask.
    pub(super) fn auth_question(
        &self,
        config: &Config,
        asked: &Asked,
        entry: Option<Arc<Entry>>,
    ) -> Result<Option<Question>, End> {
        let is_console = asked.database == CONSOLE_DATABASE;
        if entry.is_none() && !is_console {
            // As PgBouncer: of a database that does not exist nobody is a user.
            return Ok(None);
        }
        let database = entry.as_ref().map(|entry| entry.database());
        let database = database.as_deref();
        let Some(auth_user) = config.auth_user(database) else { return Ok(None) };
        let name = self.info.log_name();
        let place = match (config.auth_dbname(database), entry) {
            (Some(CONSOLE_DATABASE), _) | (None, None) => {
                tracing::error!(
                    "{name} cannot use the reserved \"{CONSOLE_DATABASE}\" database as an auth_dbname"
                );
                return Err(End::refused(CONFIG_ERROR));
            }
            (Some(place), _) => self.pooler.find_entry(place).ok_or_else(|| {
                tracing::error!("{name} authentication database \"{place}\" is not configured");
                End::refused(CONFIG_ERROR)
            })?,
            (None, Some(own)) => own,
        };
        if place.disabled.load(Ordering::Relaxed) && place.name.as_ref() != asked.database.as_str() {
            let message = format!("authentication database \"{}\" is disabled", place.name);
            return Err(End::refused(message));
        }
        let auth_user = self.pooler.users.share(auth_user.into());
        Ok(Some(Question { entry: place, auth_user, query: config.auth_query(database).to_owned() }))
    }

    /// Asks it. The user is from then on the one that the answer names.
    pub(super) async fn ask_auth_query(
        &mut self,
        question: Question,
        asked: &mut Asked,
    ) -> Result<Stored, End> {
        let since = self.pooler.clock.now();
        *self.info.looked_up_by.lock() =
            Some((Arc::clone(&question.entry.name), Arc::clone(&question.auth_user)));
        self.info.enter(Phase::Waiting, since);
        let answer = self.answer(&question, &asked.user, since).await;
        self.info.enter(Phase::Login, self.pooler.clock.now());
        *self.info.looked_up_by.lock() = None;
        let (user, secret) = answer?.ok_or_else(|| End::refused("no such user"))?;
        self.is_really(asked, user);
        Ok(secret)
    }

    async fn answer(
        &mut self,
        question: &Question,
        user: &str,
        since: Time,
    ) -> Result<Option<(String, Stored)>, End> {
        let mut lease = self.server_for(question, since).await?;
        let asked = async {
            let conn = lease.conn();
            howdah_backend::ask_about(&mut conn.stream, question.query.as_bytes(), user.as_bytes()).await
        };
        let outcome = self.while_waiting(asked).await?;
        let (reason, end) = match outcome {
            Ok(row) => match row.map(read_row).transpose() {
                Ok(found) => {
                    self.release(lease, &question.entry);
                    return Ok(found);
                }
                Err(reason) => (reason, End::refused(CONFIG_ERROR)),
            },
            Err(RunError::Io(_)) => {
                let reason = "server conn crashed?".to_owned();
                (reason.clone(), End::refused(reason))
            }
            Err(error) => {
                tracing::warn!("{} auth_query failed: {error}", lease.conn().info.log_name());
                ("error response from auth_query".to_owned(), End::refused(CONFIG_ERROR))
            }
        };
        lease.discard(&reason, false);
        Err(end)
    }

    /// A server of the pool of the user who asks.
    async fn server_for(&mut self, question: &Question, since: Time) -> Result<Leased, End> {
        loop {
            let node = self.auth_node(&question.entry, since).await?;
            let pool = self.pooler.pool(&question.entry, &question.auth_user, node);
            match self.checkout(pool, since).await? {
                Ok(mut lease) => {
                    let query = self.pooler.config.load().settings.server_check_query.clone();
                    if self.while_waiting(is_usable(&mut lease, query)).await? {
                        return Ok(lease);
                    }
                    lease.discard("server conn crashed?", false);
                }
                Err(WaitError::ChooseAgain) => {}
                Err(WaitError::Removed) if self.pooler.entry(&question.entry.name).is_some() => {}
                Err(error) => return Err(wait_failed(&error)),
            }
        }
    }

    async fn checkout(&mut self, pool: PoolId, since: Time) -> Result<Result<Leased, WaitError>, End> {
        let pooler = Arc::clone(&self.pooler);
        self.while_waiting(async move { pooler.checkout(pool, since).await }).await
    }

    /// The node of a cluster that is asked: the primary, else one that can be read; `None` for a plain entry.
    async fn auth_node(&mut self, entry: &Entry, since: Time) -> Result<Option<NodeId>, End> {
        let Some(cluster) = entry.cluster.clone() else { return Ok(None) };
        let config = self.pooler.config.load_full();
        let hold = config.clusters.get(&cluster.name).map_or(Duration::ZERO, |c| c.failover_hold);
        loop {
            let now = self.pooler.clock.now();
            let topology = cluster.handle.topology();
            let replica = || topology.nodes.iter().find(|node| node.is_routable_replica());
            if let Some(node) = topology.writable_primary(now).or_else(replica) {
                return Ok(Some(node.id));
            }
            if now.since(since) >= hold {
                return Err(End::refused("no server of the cluster can be reached"));
            }
            let mut changed = cluster.handle.changed();
            // An error means that the controller is gone with the whole pooler.
            let wait = async { drop(tokio::time::timeout(LOOK_AGAIN, changed.changed()).await) };
            self.while_waiting(wait).await?;
        }
    }

    /// The server goes back, after a reset where its pool's mode asks for one.
    fn release(&self, lease: Leased, entry: &Entry) {
        let config = self.pooler.config.load();
        let mut lease = lease;
        let user = Arc::clone(&lease.conn().info.user);
        let settings = &config.settings;
        let is_session = config.pool_mode(&entry.database(), &user) == howdah_config::PoolMode::Session;
        let reset = (is_session || settings.server_reset_query_always)
            .then(|| settings.server_reset_query.clone())
            .filter(|query| !query.is_empty());
        match reset {
            None => lease.give_back(),
            Some(query) => {
                lease.begin_test();
                tokio::spawn(crate::maintain::recover(lease, Some(query)));
            }
        }
    }

    /// Waits for `what`, and at the same time for the client to leave and for orders.
    pub(super) async fn while_waiting<T>(&mut self, what: impl Future<Output = T>) -> Result<T, End> {
        let gone = poll_fn(|cx| self.poll_gone(cx, SEND_AHEAD));
        match select(Box::pin(what), gone).await {
            Either::Left((done, _)) => Ok(done),
            Either::Right((end, _)) => Err(end),
        }
    }
}

/// Name and secret of an answer; else what is wrong with it, as the log says it. A role without a password, or whose
/// validity is over, has none: it exists, and cannot log in with one.
pub(super) fn read_row(row: Values) -> Result<(String, Stored), String> {
    let columns = row.len();
    let mut values = row.into_iter();
    let (Some(name), Some(secret), None) = (values.next(), values.next(), values.next()) else {
        return Err(format!("expected 2 columns from auth_query, not {columns}"));
    };
    let name = name.ok_or("auth_query response contained null user name")?;
    let text = |bytes: Box<[u8]>| {
        String::from_utf8(bytes.into()).map_err(|_| "auth_query response is not UTF-8".to_owned())
    };
    let secret = secret.map(text).transpose()?.unwrap_or_default();
    if secret.len() > howdah_config::MAX_SECRET {
        return Err("auth_query response contained a secret that is too long".to_owned());
    }
    Ok((text(name)?, Stored::new(secret)))
}
