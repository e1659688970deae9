//! `SHOW DATABASES` and `SHOW USERS`. Next: [`super::pool`].

use serde::Serialize;

use super::pool::{LoadBalanceHosts, PoolMode};
use crate::table::{Cell, Column, Row, int4, text};

/// A row of `SHOW DATABASES`. A row for the console's own database `pgbouncer` is there. A field's name is
/// its column's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DatabaseRow {
    /// The entry's name.
    pub name: String,
    /// Host or list of hosts; `None` (NULL) for a unix socket in the default place.
    pub host: Option<String>,
    /// The server's port.
    pub port: u16,
    /// The server's database.
    pub database: String,
    /// The entry's `user=`, NULL when unset.
    pub force_user: Option<String>,
    /// The size in effect.
    pub pool_size: u32,
    /// The least number of servers.
    pub min_pool_size: u32,
    /// The reserve in effect.
    pub reserve_pool_size: u32,
    /// The lifetime in effect, in seconds.
    pub server_lifetime: u32,
    /// The entry's own mode, NULL when unset.
    pub pool_mode: Option<PoolMode>,
    /// NULL unless the entry has a list of hosts.
    pub load_balance_hosts: Option<LoadBalanceHosts>,
    /// `max_db_connections` in effect, 0 without limit.
    pub max_connections: u32,
    /// Servers now.
    pub current_connections: u32,
    /// `max_db_client_connections` in effect, 0 without limit.
    pub max_client_connections: u32,
    /// Clients now.
    pub current_client_connections: u32,
    /// PAUSE is in effect for this entry.
    pub paused: bool,
    /// DISABLE is in effect for this entry.
    pub disabled: bool,
}

impl Row for DatabaseRow {
    const COLUMNS: &'static [Column] = &[
        text("name"),
        text("host"),
        int4("port"),
        text("database"),
        text("force_user"),
        int4("pool_size"),
        int4("min_pool_size"),
        int4("reserve_pool_size"),
        int4("server_lifetime"),
        text("pool_mode"),
        text("load_balance_hosts"),
        int4("max_connections"),
        int4("current_connections"),
        int4("max_client_connections"),
        int4("current_client_connections"),
        int4("paused"),
        int4("disabled"),
    ];

    fn cells(&self) -> Vec<Cell<'_>> {
        vec![
            (&self.name).into(),
            self.host.as_ref().into(),
            self.port.into(),
            (&self.database).into(),
            self.force_user.as_ref().into(),
            self.pool_size.into(),
            self.min_pool_size.into(),
            self.reserve_pool_size.into(),
            self.server_lifetime.into(),
            self.pool_mode.map(PoolMode::word).into(),
            self.load_balance_hosts.map(LoadBalanceHosts::word).into(),
            self.max_connections.into(),
            self.current_connections.into(),
            self.max_client_connections.into(),
            self.current_client_connections.into(),
            self.paused.into(),
            self.disabled.into(),
        ]
    }
}

/// A row of `SHOW USERS`: a user known from `auth_file`, `[users]` or a successful `auth_query`. A name that
/// failed to log in never becomes one. A field's name is its column's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UserRow {
    /// The login name.
    pub name: String,
    /// The user's own size; shown as text, empty when unset.
    pub pool_size: Option<u32>,
    /// The user's own reserve; shown as text, empty when unset.
    pub reserve_pool_size: Option<u32>,
    /// The user's own mode, NULL when unset.
    pub pool_mode: Option<PoolMode>,
    /// `max_user_connections` in effect, 0 without limit.
    pub max_user_connections: u32,
    /// Servers now.
    pub current_connections: u32,
    /// `max_user_client_connections` in effect (own, else global), 0 without limit.
    pub max_user_client_connections: u32,
    /// Clients now.
    pub current_client_connections: u32,
}

/// A size as `SHOW USERS` prints it: right-aligned in nine places, empty when unset.
fn size(size: Option<u32>) -> String {
    size.map(|n| format!("{n:>9}")).unwrap_or_default()
}

impl Row for UserRow {
    const COLUMNS: &'static [Column] = &[
        text("name"),
        text("pool_size"),
        text("reserve_pool_size"),
        text("pool_mode"),
        int4("max_user_connections"),
        int4("current_connections"),
        int4("max_user_client_connections"),
        int4("current_client_connections"),
    ];

    fn cells(&self) -> Vec<Cell<'_>> {
        vec![
            (&self.name).into(),
            size(self.pool_size).into(),
            size(self.reserve_pool_size).into(),
            self.pool_mode.map(PoolMode::word).into(),
            self.max_user_connections.into(),
            self.current_connections.into(),
            self.max_user_client_connections.into(),
            self.current_client_connections.into(),
        ]
    }
}
