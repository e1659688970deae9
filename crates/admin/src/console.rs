//! PgBouncer's console: the database `pgbouncer`, without its socket.
//!
//! The facade logs a client in, sends [`GREETING`] and then hands each Query to [`Console::answer`] and writes
//! what comes back. PGBOUNCER_BEHAVIOUR.md section 3 is the rule. Read [`parse`] for the grammar, [`command`] for
//! what there is; `show` answers SHOW.

pub mod command;
mod parse;
mod show;

pub use parse::{ConsoleError, parse};

use howdah_protocol::read::TransactionStatus;
use howdah_protocol::write::{self, Report, WriteError};
use tracing::{error, info};

use crate::pooler::{ActionError, OnAdmin, Outcome, Pooler, PrimaryChange, SetEffect, Shutdown};
use crate::rows::PauseState;
use crate::table;
use command::{Action, Command, Show, Variable};
use show::show;

/// The console's own database entry and user, which no command can move.
pub const ADMIN_DATABASE: &str = "pgbouncer";

/// The ParameterStatus messages of the console's greeting, but for `server_version`, which is
/// `<version>/bouncer`: [`greeting`] has them all.
pub const GREETING: [(&str, &str); 6] = [
    ("client_encoding", "UTF8"),
    ("server_encoding", "UTF8"),
    ("DateStyle", "ISO"),
    ("TimeZone", "GMT"),
    ("standard_conforming_strings", "on"),
    ("is_superuser", "on"),
];

/// Appends the greeting's ParameterStatus messages. `version` is the number alone, such as `1.25.2`.
///
/// # Errors
/// A version with a NUL inside; `out` is then as it was.
pub fn greeting(version: &str, out: &mut Vec<u8>) -> Result<(), WriteError> {
    write::parameter_status(out, b"server_version", format!("{version}/bouncer").as_bytes())?;
    GREETING
        .iter()
        .try_for_each(|(name, value)| write::parameter_status(out, name.as_bytes(), value.as_bytes()))
}

/// What a console's user may do. A user in neither list is refused at login with `not allowed`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// In `admin_users`, or user `pgbouncer` over the unix socket with the pooler's uid: everything.
    Admin,
    /// In `stats_users`: SHOW, but not FDS.
    Stats,
}

/// What becomes of the console's connection after an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConsoleOutcome {
    /// It stays.
    Continue,
    /// It stays; it was told this error.
    Refused(String),
    /// It is closed when the answer has been sent.
    Close {
        /// The error in the answer.
        refused: Option<String>,
        /// The last thing that it is told, which is not in the answer.
        reason: &'static str,
    },
}

/// What a session is told that was killed.
const KILLED: &str = "admin forced disconnect";

/// What a session is told whose message is no query.
const BAD_PACKET: &str = "bad packet";

/// One console session.
#[derive(Debug)]
pub struct Console {
    access: Access,
    /// The session's own id in SHOW CLIENTS.
    id: u64,
    /// Whether this session's SUSPEND is in effect: its end is a RESUME.
    suspended: bool,
}

/// An answer that is no error.
enum Reply {
    /// CommandComplete with this tag, then ReadyForQuery.
    Done(String),
    /// Nothing: the process ends, and the connection stays open until then, so that a process that takes over
    /// sees it end only when the sockets are free.
    Silence,
    /// The session killed itself.
    Killed,
}

impl Reply {
    fn done(tag: &str) -> Self {
        Self::Done(tag.to_owned())
    }
}

/// What the client reads instead of an answer.
struct Failure {
    sqlstate: &'static str,
    text: String,
}

impl From<ActionError> for Failure {
    fn from(error: ActionError) -> Self {
        Self { sqlstate: error.sqlstate(), text: error.to_string() }
    }
}

impl From<WriteError> for Failure {
    fn from(error: WriteError) -> Self {
        Self { sqlstate: howdah_protocol::PROTOCOL_VIOLATION, text: error.to_string() }
    }
}

impl From<ConsoleError> for Failure {
    fn from(error: ConsoleError) -> Self {
        Self { sqlstate: howdah_protocol::PROTOCOL_VIOLATION, text: error.to_string() }
    }
}

impl Console {
    /// A session of a user with this privilege; `id` is its own in SHOW CLIENTS.
    #[must_use]
    pub const fn new(access: Access, id: u64) -> Self {
        Self { access, id, suspended: false }
    }

    /// Answers one Query: appends whole messages, ReadyForQuery included. `query` is the message's text, with
    /// or without the NUL at its end. Commands that wait (PAUSE, WAIT_CLOSE …) make this wait.
    pub async fn answer(&mut self, pooler: &dyn Pooler, query: &[u8], out: &mut Vec<u8>) -> ConsoleOutcome {
        let start = out.len();
        let reply = match parse(query) {
            Ok(command) => self.run(pooler, command, out).await,
            Err(error) => Err(error.into()),
        };
        match reply.and_then(|reply| Ok(complete(reply, out)?)) {
            Ok(outcome) => outcome,
            Err(failure) => {
                out.truncate(start);
                error!("{}", failure.text);
                write::error_response(out, &Report::new("ERROR", failure.sqlstate, &failure.text));
                write::ready_for_query(out, TransactionStatus::Idle);
                ConsoleOutcome::Refused(failure.text)
            }
        }
    }

    /// Answers a message that is no Query and no Terminate: the error, and the connection's end.
    pub fn refuse(&self, tag: u8, out: &mut Vec<u8>) -> ConsoleOutcome {
        let text = match tag {
            b'P' | b'B' | b'E' => "extended query protocol not supported by admin console".to_owned(),
            _ => format!("unsupported packet type for admin console: {tag}"),
        };
        error!("{text}");
        write::error_response(out, &Report::error(&text));
        write::ready_for_query(out, TransactionStatus::Idle);
        ConsoleOutcome::Close { refused: Some(text), reason: BAD_PACKET }
    }

    /// The session is waiting (PAUSE, SUSPEND) and its client sent a cancel request: as PgBouncer, RESUME, unless
    /// the pooler ends.
    pub async fn cancelled(&mut self, pooler: &dyn Pooler) {
        let state = pooler.state();
        if state.shutting_down || state.pause == PauseState::Active {
            return;
        }
        self.suspended = false;
        if let Err(error) = pooler.resume(None).await {
            error!("RESUME after a cancel request: {error}");
        }
    }

    /// The session has ended. If it had suspended the pooler, that ends with it.
    pub async fn closed(self, pooler: &dyn Pooler) {
        if !self.suspended || pooler.state().pause != PauseState::Suspended {
            return;
        }
        info!("admin disappeared when suspended, doing RESUME");
        if let Err(error) = pooler.resume(None).await {
            error!("RESUME after the console's end: {error}");
        }
    }

    async fn run(
        &mut self,
        pooler: &dyn Pooler,
        command: Command,
        out: &mut Vec<u8>,
    ) -> Result<Reply, Failure> {
        match command {
            Command::Show(Show::Fds) if self.access != Access::Admin => Err(ActionError::AccessNeeded.into()),
            Command::Show(Show::Fds) => {
                table::encode(out, pooler.fds().await?)?;
                Ok(Reply::done("SHOW"))
            }
            Command::Show(what) => {
                show(what, pooler, out)?;
                Ok(Reply::done("SHOW"))
            }
            Command::ShowVariable(variable) => {
                show_variable(variable, out)?;
                Ok(Reply::done("SHOW"))
            }
            // Drivers set what needs no setting; they are told so, whatever their privilege.
            Command::Set { key, .. } if Variable::from_word(&key).is_some() => {
                write::notice_response(out, &Report::notice("SET ignored"));
                Ok(Reply::done("SET"))
            }
            Command::ExplainRoute(sql) => {
                table::encode(out, [pooler.explain_route(&sql)?])?;
                Ok(Reply::done("EXPLAIN"))
            }
            _ if self.access != Access::Admin => Err(ActionError::AccessNeeded.into()),
            Command::Set { key, value } => {
                if pooler.set(&key, &value).await? == SetEffect::TlsKept {
                    let text = "TLS settings could not be applied, still using old configuration";
                    write::notice_response(out, &Report::notice(text));
                }
                Ok(Reply::Done(format!("SET {key}={value}")))
            }
            Command::Act(action) => Ok(self.act(pooler, action, out).await?),
        }
    }

    async fn act(
        &mut self,
        pooler: &dyn Pooler,
        action: Action,
        out: &mut Vec<u8>,
    ) -> Result<Reply, ActionError> {
        match action {
            Action::Pause(db) => pause(pooler, db.as_deref()).await,
            Action::Resume(db) => self.resume(pooler, db.as_deref()).await,
            Action::Suspend => self.suspend(pooler).await,
            Action::Kill(db) => kill(pooler, db.as_deref()).await,
            Action::KillClient(id) => self.kill_client(pooler, &id).await,
            Action::Reconnect(db) => {
                on(db.as_deref(), "RECONNECT", OnAdmin::Reconnect, |db| pooler.reconnect(db)).await
            }
            Action::WaitClose(db) => {
                on(db.as_deref(), "WAIT_CLOSE", OnAdmin::Wait, |db| pooler.wait_close(db)).await
            }
            Action::Disable(db) => {
                let db = db.ok_or(ActionError::DatabaseRequired)?;
                on(Some(&db), "DISABLE", OnAdmin::Disable, |_| pooler.disable(&db)).await
            }
            Action::Enable(db) => {
                let db = db.ok_or(ActionError::DatabaseRequired)?;
                on(Some(&db), "ENABLE", OnAdmin::Enable, |_| pooler.enable(&db)).await
            }
            Action::Reload => {
                issued("RELOAD", None);
                for kept in pooler.reload().await? {
                    write::notice_response(out, &Report::notice(&kept));
                }
                Ok(Reply::done("RELOAD"))
            }
            Action::Shutdown(how) => shutdown(pooler, how).await,
            Action::ChangePrimary { cluster, to, planned, force } => {
                let change = PrimaryChange { cluster: &cluster, to: to.as_deref(), planned, force };
                change_primary(pooler, change).await
            }
            Action::Maintenance { cluster, on } => maintenance(pooler, &cluster, on).await,
        }
    }

    async fn kill_client(&self, pooler: &dyn Pooler, id: &str) -> Result<Reply, ActionError> {
        let digits = id.trim_start();
        let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
        if end == 0 {
            return Err(ActionError::InvalidClient);
        }
        // A number too large for an id is no client's.
        let id = digits[..end].parse().map_err(|_| ActionError::ClientNotFound)?;
        if id == self.id {
            return Ok(Reply::Killed);
        }
        pooler.kill_client(id).await?;
        Ok(Reply::done("KILL_CLIENT"))
    }

    async fn suspend(&mut self, pooler: &dyn Pooler) -> Result<Reply, ActionError> {
        not_held(pooler)?;
        if pooler.state().paused_databases > 0 {
            return Err(ActionError::PausedDatabases);
        }
        issued("SUSPEND", None);
        // Before it is done: a client that leaves while it waits must not leave the pooler suspended.
        self.suspended = true;
        let done = pooler.suspend().await;
        self.suspended = done.is_ok();
        done?;
        Ok(Reply::done("SUSPEND"))
    }

    async fn resume(&mut self, pooler: &dyn Pooler, database: Option<&str>) -> Result<Reply, ActionError> {
        issued("RESUME", database);
        pooler.resume(database).await?;
        self.suspended &= database.is_some();
        Ok(Reply::done("RESUME"))
    }
}

/// Ends an answer.
fn complete(reply: Reply, out: &mut Vec<u8>) -> Result<ConsoleOutcome, WriteError> {
    match reply {
        Reply::Done(tag) => {
            write::command_complete(out, tag.as_bytes())?;
            write::ready_for_query(out, TransactionStatus::Idle);
            Ok(ConsoleOutcome::Continue)
        }
        Reply::Silence => Ok(ConsoleOutcome::Continue),
        Reply::Killed => Ok(ConsoleOutcome::Close { refused: None, reason: KILLED }),
    }
}

fn show_variable(variable: Variable, out: &mut Vec<u8>) -> Result<(), WriteError> {
    write::row_description(out, &[write::Column::text(variable.word())])?;
    write::data_row(out, &[Some(variable.value().as_bytes())])
}

/// The log line of a command, which must be in the file before its effect is visible.
fn issued(verb: &str, database: Option<&str>) {
    match database {
        None => info!("{verb} command issued"),
        Some(database) => info!("{verb} '{database}' command issued"),
    }
}

/// Refuses the console's own database.
fn not_admin(database: Option<&str>, action: OnAdmin) -> Result<(), ActionError> {
    match database {
        Some(ADMIN_DATABASE) => Err(ActionError::AdminDatabase { action, name: ADMIN_DATABASE.to_owned() }),
        _ => Ok(()),
    }
}

/// Refuses what cannot be done while the whole pooler is held.
fn not_held(pooler: &dyn Pooler) -> Result<(), ActionError> {
    match pooler.state().pause {
        PauseState::Active => Ok(()),
        PauseState::Paused | PauseState::Suspended => Err(ActionError::AlreadyPaused),
    }
}

async fn pause(pooler: &dyn Pooler, database: Option<&str>) -> Result<Reply, ActionError> {
    not_held(pooler)?;
    on(database, "PAUSE", OnAdmin::Pause, |db| pooler.pause(db)).await
}

async fn kill(pooler: &dyn Pooler, database: Option<&str>) -> Result<Reply, ActionError> {
    not_held(pooler)?;
    on(database, "KILL", OnAdmin::Kill, |db| pooler.kill(db)).await
}

/// An action on a database or on all.
async fn on<'a>(
    database: Option<&'a str>,
    verb: &str,
    action: OnAdmin,
    run: impl FnOnce(Option<&'a str>) -> Outcome<'a>,
) -> Result<Reply, ActionError> {
    issued(verb, database);
    not_admin(database, action)?;
    run(database).await?;
    Ok(Reply::done(verb))
}

async fn shutdown(pooler: &dyn Pooler, how: Shutdown) -> Result<Reply, ActionError> {
    let (words, reply) = match how {
        Shutdown::Immediate => ("SHUTDOWN", Reply::Silence),
        Shutdown::WaitForServers => ("SHUTDOWN WAIT_FOR_SERVERS", Reply::done("SHUTDOWN")),
        Shutdown::WaitForClients => ("SHUTDOWN WAIT_FOR_CLIENTS", Reply::done("SHUTDOWN")),
    };
    issued(words, None);
    pooler.shutdown(how).await?;
    Ok(reply)
}

async fn change_primary(pooler: &dyn Pooler, change: PrimaryChange<'_>) -> Result<Reply, ActionError> {
    let verb = if change.planned { "SWITCHOVER" } else { "FAILOVER" };
    issued(verb, Some(change.cluster));
    pooler.change_primary(change).await?;
    Ok(Reply::done(verb))
}

async fn maintenance(pooler: &dyn Pooler, cluster: &str, on: bool) -> Result<Reply, ActionError> {
    issued(if on { "MAINTENANCE ON" } else { "MAINTENANCE OFF" }, Some(cluster));
    pooler.maintenance(cluster, on).await?;
    Ok(Reply::done("MAINTENANCE"))
}
