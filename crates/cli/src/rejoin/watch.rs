//! A supervisor's session on its own server: by it a pooler knows that it is there, and in it the order to stop is
//! read (the form is in `howdah_failover::stop`).

use std::path::Path;
use std::time::Duration;

use howdah::{SUPERVISOR, StopOrder};
use tokio::sync::watch;
use tokio_postgres::{Client, Config, NoTls, SimpleQueryMessage};

use super::Error;
use super::conninfo::Conninfo;
use crate::args::warn;

/// How often an order is looked for (time): a switchover waits for it.
const LOOK_INTERVAL: Duration = Duration::from_millis(30);

/// How soon a session that was lost or refused is tried again (time).
const TRY_AGAIN: Duration = Duration::from_millis(250);

/// After so many failures in a row there is more to it than a server that starts.
const TELL_AFTER: u32 = 20;

/// How long the server may take for an answer (time).
const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// What is read each time. The moment of the start is written as the poolers write it.
const LOOK: &str = "SELECT (extract(epoch FROM pg_postmaster_start_time()) * 1000000)::bigint, \
     coalesce(current_setting('howdah.switchover', true), ''), \
     CASE WHEN NOT pg_is_in_recovery() THEN pg_walfile_name(pg_current_wal_lsn()) END, \
     (SELECT system_identifier FROM pg_control_system())";

/// What the server is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// It does not answer, or not yet.
    Unknown,
    /// It is in recovery.
    Standby,
    /// It takes writes, in this system and timeline.
    Primary { system: u64, timeline: u32 },
}

/// One look.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Looked {
    pub(crate) started_at: i64,
    pub(crate) order: String,
    pub(crate) role: Role,
}

/// How the supervisor logs in.
#[derive(Debug, Clone)]
pub(crate) struct Login {
    said: Conninfo,
}

impl Login {
    /// From what `--local` says.
    ///
    /// # Errors
    /// It cannot be read.
    pub(crate) fn new(local: Option<&str>) -> Result<Self, Error> {
        let said = Conninfo::parse(local.unwrap_or_default()).map_err(Error::Refused)?;
        Ok(Self { said })
    }

    /// Where the server is stands in its `postmaster.pid` once it listens.
    fn config(&self, pgdata: &Path) -> Option<Config> {
        let file = std::fs::read_to_string(pgdata.join("postmaster.pid")).ok()?;
        let (host, port) = listens(&file)?;
        let get = |key: &str, default: &str| self.said.get(key).unwrap_or(default).to_owned();
        let mut config = Config::new();
        config.host(get("host", &host)).port(get("port", &port).parse().ok()?);
        config.user(get("user", "postgres")).dbname(get("dbname", "postgres"));
        if let Some(password) = self.said.get("password") {
            config.password(password);
        }
        config.application_name(SUPERVISOR).connect_timeout(ANSWER_LIMIT);
        Some(config)
    }
}

/// Host and port from the lines of `postmaster.pid`: the socket's directory if there is one, else the address.
pub(crate) fn listens(file: &str) -> Option<(String, String)> {
    let mut lines = file.lines().skip(3).map(str::trim);
    let (port, socket, address) = (lines.next()?, lines.next()?, lines.next()?);
    let host = match (socket, address) {
        ("", "") => return None,
        ("", "*" | "0.0.0.0") => "127.0.0.1",
        ("", "::") => "::1",
        ("", address) => address,
        (socket, _) => socket,
    };
    Some((host.to_owned(), port.to_owned()))
}

/// What the orders seen so far mean for the next one.
#[derive(Debug, Default)]
pub(crate) struct Orders {
    /// The last text; `None` before the first look.
    last: Option<String>,
}

impl Orders {
    /// The order, if this look brings one that is to be carried out.
    ///
    /// # Errors
    /// A sentence: an order came and is not carried out.
    pub(crate) fn read(&mut self, looked: &Looked) -> Result<Option<StopOrder>, String> {
        let before = self.last.replace(looked.order.clone());
        // What stands there at the first look was given to somebody before us, who may have carried it out.
        if before.is_none_or(|before| before == looked.order) || looked.order.is_empty() {
            return Ok(None);
        }
        let order: StopOrder =
            looked.order.parse().map_err(|error| format!("{:?} is {error}", looked.order))?;
        if order.started_at != looked.started_at {
            return Err("an order to stop is for an earlier start of this server: it is ignored".to_owned());
        }
        if looked.role == Role::Standby {
            return Err("an order to stop is for a primary, and this is a standby: it is ignored".to_owned());
        }
        Ok(Some(order))
    }
}

/// Keeps a session until an order comes in it; what the server is goes to `role`.
pub(crate) async fn order(login: &Login, pgdata: &Path, role: &watch::Sender<Role>) -> StopOrder {
    let mut failures = 0_u32;
    loop {
        match session(login, pgdata, role).await {
            Lost::Order(order) => return order,
            Lost::Session => failures = 0,
            Lost::NoSession(why) => {
                failures += 1;
                if failures == TELL_AFTER {
                    warn(&format!("howdah rejoin: no session on the own server: {why}\n"));
                }
            }
        }
        role.send_if_modified(|role| std::mem::replace(role, Role::Unknown) != Role::Unknown);
        tokio::time::sleep(TRY_AGAIN).await;
    }
}

/// Why there is no session any more.
enum Lost {
    /// It has brought an order.
    Order(StopOrder),
    /// It has ended.
    Session,
    /// There was none.
    NoSession(String),
}

async fn session(login: &Login, pgdata: &Path, role: &watch::Sender<Role>) -> Lost {
    let Some(config) = login.config(pgdata) else { return Lost::NoSession("it does not listen".to_owned()) };
    let (client, connection) = match config.connect(NoTls).await {
        Ok(connected) => connected,
        Err(error) => return Lost::NoSession(sentence(&error)),
    };
    // Ends with the client.
    tokio::spawn(connection);
    let mut orders = Orders::default();
    let mut looked = match look(&client).await {
        Ok(looked) => looked,
        Err(why) => return Lost::NoSession(why),
    };
    loop {
        role.send_if_modified(|role| std::mem::replace(role, looked.role) != looked.role);
        match orders.read(&looked) {
            Ok(Some(order)) => return Lost::Order(order),
            Ok(None) => {}
            Err(why) => warn(&format!("howdah rejoin: {why}\n")),
        }
        tokio::time::sleep(LOOK_INTERVAL).await;
        looked = match look(&client).await {
            Ok(looked) => looked,
            Err(_) => return Lost::Session,
        };
    }
}

async fn look(client: &Client) -> Result<Looked, String> {
    let answer = tokio::time::timeout(ANSWER_LIMIT, client.simple_query(LOOK)).await;
    let answer = answer.map_err(|_| "it does not answer".to_owned())?.map_err(|error| sentence(&error))?;
    let row = answer.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    });
    let looked = row.and_then(|row| {
        let role = match row.get(2) {
            None => Role::Standby,
            Some(file) => Role::Primary {
                system: row.get(3)?.parse().ok()?,
                timeline: u32::from_str_radix(file.get(..8)?, 16).ok()?,
            },
        };
        Some(Looked { started_at: row.get(0)?.parse().ok()?, order: row.get(1)?.to_owned(), role })
    });
    looked.ok_or_else(|| "it answers nothing usable".to_owned())
}

fn sentence(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(told) => format!("{}: {}", told.code().code(), told.message()),
        None => error.to_string(),
    }
}
