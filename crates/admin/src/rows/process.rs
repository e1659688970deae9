//! The process: `SHOW LISTS`, `STATE`, `CONFIG`, `MEM`, `FDS`, and `EXPLAIN ROUTE`. Next: [`super::cluster`].

use serde::Serialize;

use crate::table::{Cell, Column, Row, bytea, int4, int8, text};

/// The figures of `SHOW LISTS`. A field's name is its row's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct ListCounts {
    /// Database entries, the console's own included.
    pub databases: u32,
    /// Known users.
    pub users: u32,
    /// Entries of `[peers]`.
    pub peers: u32,
    /// Pools, the console's own included.
    pub pools: u32,
    /// Pools to peers.
    pub peer_pools: u32,
    /// Client structures kept for reuse.
    pub free_clients: u32,
    /// Clients.
    pub used_clients: u32,
    /// Clients that log in.
    pub login_clients: u32,
    /// Server structures kept for reuse.
    pub free_servers: u32,
    /// Servers.
    pub used_servers: u32,
    /// Names in the DNS cache.
    pub dns_names: u32,
    /// Zones in the DNS cache.
    pub dns_zones: u32,
    /// DNS look-ups in flight.
    pub dns_queries: u32,
    /// DNS look-ups that wait.
    pub dns_pending: u32,
}

impl ListCounts {
    /// The rows in PgBouncer's order.
    #[must_use]
    pub const fn rows(&self) -> [ListRow; 14] {
        const fn row(list: &'static str, items: u32) -> ListRow {
            ListRow { list, items }
        }
        [
            row("databases", self.databases),
            row("users", self.users),
            row("peers", self.peers),
            row("pools", self.pools),
            row("peer_pools", self.peer_pools),
            row("free_clients", self.free_clients),
            row("used_clients", self.used_clients),
            row("login_clients", self.login_clients),
            row("free_servers", self.free_servers),
            row("used_servers", self.used_servers),
            row("dns_names", self.dns_names),
            row("dns_zones", self.dns_zones),
            row("dns_queries", self.dns_queries),
            row("dns_pending", self.dns_pending),
        ]
    }
}

/// A row of `SHOW LISTS`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListRow {
    /// What is counted.
    pub list: &'static str,
    /// How many.
    pub items: u32,
}

impl Row for ListRow {
    const COLUMNS: &'static [Column] = &[text("list"), int4("items")];

    fn cells(&self) -> Vec<Cell<'_>> {
        vec![self.list.into(), self.items.into()]
    }
}

/// Whether the whole pooler is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PauseState {
    /// Neither.
    #[default]
    Active,
    /// PAUSE without a database.
    Paused,
    /// SUSPEND.
    Suspended,
}

/// What the pooler as a whole is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct PoolerState {
    /// Whether it is held.
    pub pause: PauseState,
    /// Whether SHUTDOWN or a signal has begun the end.
    pub shutting_down: bool,
    /// How many entries are paused on their own.
    pub paused_databases: u32,
}

impl PoolerState {
    /// The rows of `SHOW STATE`.
    #[must_use]
    pub const fn rows(&self) -> [StateRow; 3] {
        [
            StateRow { key: "active", value: matches!(self.pause, PauseState::Active) },
            StateRow { key: "paused", value: matches!(self.pause, PauseState::Paused) },
            StateRow { key: "suspended", value: matches!(self.pause, PauseState::Suspended) },
        ]
    }
}

/// A row of `SHOW STATE`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StateRow {
    /// The state.
    pub key: &'static str,
    /// Whether the pooler is in it: `yes` or `no`.
    pub value: bool,
}

const fn yes_no(flag: bool) -> &'static str {
    if flag { "yes" } else { "no" }
}

impl Row for StateRow {
    const COLUMNS: &'static [Column] = &[text("key"), text("value")];

    fn cells(&self) -> Vec<Cell<'_>> {
        vec![self.key.into(), yes_no(self.value).into()]
    }
}

/// A row of `SHOW CONFIG`: a setting of `[pgbouncer]`. Secrets are not settings and do not appear.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConfigRow {
    /// The name.
    pub key: String,
    /// The value in effect; `None` (NULL) for a string that was never set.
    pub value: Option<String>,
    /// The default; `None` (NULL) for one that has none.
    pub default: Option<String>,
    /// Whether RELOAD and SET can change it.
    pub changeable: bool,
}

impl Row for ConfigRow {
    const COLUMNS: &'static [Column] = &[text("key"), text("value"), text("default"), text("changeable")];

    fn cells(&self) -> Vec<Cell<'_>> {
        vec![
            (&self.key).into(),
            self.value.as_ref().into(),
            self.default.as_ref().into(),
            yes_no(self.changeable).into(),
        ]
    }
}

/// A row of `SHOW MEM`: one kind of structure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MemRow {
    /// What it is.
    pub name: String,
    /// Bytes of one.
    pub size: u32,
    /// How many are in use.
    pub used: u32,
    /// How many are kept for reuse.
    pub free: u32,
}

impl Row for MemRow {
    const COLUMNS: &'static [Column] =
        &[text("name"), int4("size"), int4("used"), int4("free"), int4("memtotal")];

    fn cells(&self) -> Vec<Cell<'_>> {
        let total = (u64::from(self.used) + u64::from(self.free)) * u64::from(self.size);
        vec![(&self.name).into(), self.size.into(), self.used.into(), self.free.into(), total.into()]
    }
}

/// A row of `SHOW FDS`: a socket as the next process takes it over (PGBOUNCER_BEHAVIOUR.md section 14). The
/// descriptor itself travels beside the row and is the facade's business. Not serialisable on purpose: it
/// holds cancel keys and secrets. A field's name is its column's.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct FdRow {
    /// The descriptor's number in this process.
    pub fd: u32,
    /// `pooler`, `client` or `server`.
    pub task: &'static str,
    /// The login name.
    pub user: Option<String>,
    /// The entry's name.
    pub database: Option<String>,
    /// The peer's address.
    pub addr: String,
    /// The peer's port.
    pub port: u16,
    /// The cancel key.
    pub cancel: u64,
    /// The descriptor of the connection at the other end, 0 when there is none.
    pub link: u32,
    /// The tracked variable of that name; so are the next three.
    pub client_encoding: Option<String>,
    /// `standard_conforming_strings`.
    pub std_strings: Option<String>,
    /// `DateStyle`.
    pub datestyle: Option<String>,
    /// `TimeZone`.
    pub timezone: Option<String>,
    /// The secret of a user that is in no file.
    pub password: Option<String>,
    /// What SCRAM pass-through recovered.
    pub scram_client_key: Option<Vec<u8>>,
    /// Its other half.
    pub scram_server_key: Option<Vec<u8>>,
}

impl Row for FdRow {
    const COLUMNS: &'static [Column] = &[
        int4("fd"),
        text("task"),
        text("user"),
        text("database"),
        text("addr"),
        int4("port"),
        int8("cancel"),
        int4("link"),
        text("client_encoding"),
        text("std_strings"),
        text("datestyle"),
        text("timezone"),
        text("password"),
        bytea("scram_client_key"),
        bytea("scram_server_key"),
    ];

    fn cells(&self) -> Vec<Cell<'_>> {
        vec![
            self.fd.into(),
            self.task.into(),
            self.user.as_ref().into(),
            self.database.as_ref().into(),
            (&self.addr).into(),
            self.port.into(),
            self.cancel.into(),
            self.link.into(),
            self.client_encoding.as_ref().into(),
            self.std_strings.as_ref().into(),
            self.datestyle.as_ref().into(),
            self.timezone.as_ref().into(),
            self.password.as_ref().into(),
            self.scram_client_key.as_deref().map_or(Cell::Null, Cell::Bytes),
            self.scram_server_key.as_deref().map_or(Cell::Null, Cell::Bytes),
        ]
    }
}

/// The answer of `EXPLAIN ROUTE <sql>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RouteRow {
    /// `primary` or `replica`.
    pub route: String,
    /// Why, in one sentence.
    pub reason: String,
}

impl Row for RouteRow {
    const COLUMNS: &'static [Column] = &[text("route"), text("reason")];

    fn cells(&self) -> Vec<Cell<'_>> {
        vec![(&self.route).into(), (&self.reason).into()]
    }
}
