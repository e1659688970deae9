//! `SHOW POOLS`, and the latencies that `/metrics` shows. Next: [`super::stats`].

use serde::Serialize;

use crate::table::{Cell, Column, Row, int4, text};

/// How long a client keeps a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PoolMode {
    /// As long as it is connected.
    Session,
    /// For a transaction.
    Transaction,
    /// For a statement.
    Statement,
}

impl PoolMode {
    /// The word in the column `pool_mode`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Transaction => "transaction",
            Self::Statement => "statement",
        }
    }
}

/// How an entry with a list of hosts uses it. Shown only for entries that have a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LoadBalanceHosts {
    /// Stay on one until it fails.
    Disable,
    /// In turn.
    RoundRobin,
}

impl LoadBalanceHosts {
    /// The word in the column `load_balance_hosts`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Disable => "disable",
            Self::RoundRobin => "round-robin",
        }
    }
}

/// A row of `SHOW POOLS`: one a database entry and server user. A row for the console's own pool
/// (`pgbouncer`/`pgbouncer`, statement mode) is always there. A field's name is its column's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PoolRow {
    /// The entry's name.
    pub database: String,
    /// The server user.
    pub user: String,
    /// Clients linked to a server, and idle ones.
    pub cl_active: u32,
    /// Clients that wait for a server.
    pub cl_waiting: u32,
    /// Cancel requests with a connection to the server.
    pub cl_active_cancel_req: u32,
    /// Cancel requests that wait for one.
    pub cl_waiting_cancel_req: u32,
    /// Servers linked to a client.
    pub sv_active: u32,
    /// Servers that carry a cancel request.
    pub sv_active_cancel: u32,
    /// Servers whose query is being cancelled.
    pub sv_being_canceled: u32,
    /// Servers ready for a client.
    pub sv_idle: u32,
    /// Servers to be checked before they are used.
    pub sv_used: u32,
    /// Servers running the reset or the check query.
    pub sv_tested: u32,
    /// Servers logging in.
    pub sv_login: u32,
    /// How long the oldest waiting client has waited, in µs. Shown as `maxwait` (whole seconds) and
    /// `maxwait_us` (the rest).
    pub maxwait_us: u64,
    /// The mode in effect.
    pub pool_mode: PoolMode,
    /// `None` (NULL) unless the entry has a list of hosts.
    pub load_balance_hosts: Option<LoadBalanceHosts>,
}

impl Row for PoolRow {
    const COLUMNS: &'static [Column] = &[
        text("database"),
        text("user"),
        int4("cl_active"),
        int4("cl_waiting"),
        int4("cl_active_cancel_req"),
        int4("cl_waiting_cancel_req"),
        int4("sv_active"),
        int4("sv_active_cancel"),
        int4("sv_being_canceled"),
        int4("sv_idle"),
        int4("sv_used"),
        int4("sv_tested"),
        int4("sv_login"),
        int4("maxwait"),
        int4("maxwait_us"),
        text("pool_mode"),
        text("load_balance_hosts"),
    ];

    fn cells(&self) -> Vec<Cell<'_>> {
        vec![
            (&self.database).into(),
            (&self.user).into(),
            self.cl_active.into(),
            self.cl_waiting.into(),
            self.cl_active_cancel_req.into(),
            self.cl_waiting_cancel_req.into(),
            self.sv_active.into(),
            self.sv_active_cancel.into(),
            self.sv_being_canceled.into(),
            self.sv_idle.into(),
            self.sv_used.into(),
            self.sv_tested.into(),
            self.sv_login.into(),
            (self.maxwait_us / 1_000_000).into(),
            (self.maxwait_us % 1_000_000).into(),
            self.pool_mode.word().into(),
            self.load_balance_hosts.map(LoadBalanceHosts::word).into(),
        ]
    }
}

/// The part of a query's time that a histogram measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Waiting for a server connection.
    Wait,
    /// Deciding where the query goes.
    Route,
    /// From the query's last byte sent to the answer's first byte.
    Server,
    /// Until the client has taken the answer.
    Client,
}

impl Phase {
    /// The label `phase` in `/metrics`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Wait => "wait",
            Self::Route => "route",
            Self::Server => "server",
            Self::Client => "client",
        }
    }
}

/// A histogram of one phase in one database.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LatencyRow {
    /// The entry's name.
    pub database: String,
    /// What is measured.
    pub phase: Phase,
    /// All time measured, in µs.
    pub sum_us: u64,
    /// Upper bound in µs and how many were at most that and above the bound before: not cumulative, in
    /// rising order. What exceeds the last bound is in [`LatencyRow::above`].
    pub buckets: Vec<(u64, u64)>,
    /// How many exceeded the last bound.
    pub above: u64,
}
