//! `SHOW STATS`, `STATS_TOTALS`, `STATS_AVERAGES` and `TOTALS`. Next: [`crate::averages`], which makes the
//! averages out of the totals.

use serde::Serialize;

use crate::table::{Cell, Column, Row, numeric, text};

/// Counters of one database since the start (PGBOUNCER_BEHAVIOUR.md section 3 says what counts). Exact and
/// immediate: they must be right in the very next SHOW. Times in µs, volumes in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Totals {
    /// Times that a client was given a server.
    pub server_assignment_count: u64,
    /// Transactions.
    pub xact_count: u64,
    /// SQL commands.
    pub query_count: u64,
    /// Bytes received from clients.
    pub received: u64,
    /// Bytes sent to clients.
    pub sent: u64,
    /// Time in transactions, in µs.
    pub xact_time: u64,
    /// Time in queries, in µs.
    pub query_time: u64,
    /// Time that clients waited for a server, in µs.
    pub wait_time: u64,
    /// Named statements prepared by clients.
    pub client_parse_count: u64,
    /// Named statements prepared on servers.
    pub server_parse_count: u64,
    /// Named statements bound by clients.
    pub bind_count: u64,
    /// Successful logins of clients.
    pub client_login_count: u64,
}

/// The averages over the last period: events and bytes a second, times (µs) an event. A field is the average
/// of the total of the same name.
pub type Averages = Totals;

impl Totals {
    /// The figures in the order of the columns.
    #[must_use]
    pub const fn in_order(&self) -> [u64; 12] {
        [
            self.server_assignment_count,
            self.xact_count,
            self.query_count,
            self.received,
            self.sent,
            self.xact_time,
            self.query_time,
            self.wait_time,
            self.client_parse_count,
            self.server_parse_count,
            self.bind_count,
            self.client_login_count,
        ]
    }

    const fn from_order(figures: [u64; 12]) -> Self {
        let [a, b, c, d, e, f, g, h, i, j, k, l] = figures;
        Self {
            server_assignment_count: a,
            xact_count: b,
            query_count: c,
            received: d,
            sent: e,
            xact_time: f,
            query_time: g,
            wait_time: h,
            client_parse_count: i,
            server_parse_count: j,
            bind_count: k,
            client_login_count: l,
        }
    }

    /// Applies `combine` to each figure and its counterpart.
    #[must_use]
    pub fn zip(&self, other: &Self, combine: impl Fn(u64, u64) -> u64) -> Self {
        let (mine, theirs) = (self.in_order(), other.in_order());
        Self::from_order(std::array::from_fn(|i| combine(mine[i], theirs[i])))
    }

    /// The sum, figure by figure.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        self.zip(other, u64::saturating_add)
    }
}

/// A row of `SHOW STATS`: one a database entry that has or had a pool, the console's own included.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StatsRow {
    /// The entry's name.
    pub database: String,
    /// Since the start.
    pub totals: Totals,
    /// Over the last `stats_period`.
    pub averages: Averages,
    /// Transactions whose commit waited for no standby, though it is a cluster where Howdah promotes. In JSON and metrics
    /// only: PgBouncer's columns have no place for it.
    pub unprotected_commits: u64,
}

fn named<'a>(database: &'a str, figures: impl IntoIterator<Item = u64>) -> Vec<Cell<'a>> {
    std::iter::once(Cell::from(database)).chain(figures.into_iter().map(Cell::from)).collect()
}

impl Row for StatsRow {
    const COLUMNS: &'static [Column] = &[
        text("database"),
        numeric("total_server_assignment_count"),
        numeric("total_xact_count"),
        numeric("total_query_count"),
        numeric("total_received"),
        numeric("total_sent"),
        numeric("total_xact_time"),
        numeric("total_query_time"),
        numeric("total_wait_time"),
        numeric("total_client_parse_count"),
        numeric("total_server_parse_count"),
        numeric("total_bind_count"),
        numeric("total_client_login_count"),
        numeric("avg_server_assignment_count"),
        numeric("avg_xact_count"),
        numeric("avg_query_count"),
        numeric("avg_recv"),
        numeric("avg_sent"),
        numeric("avg_xact_time"),
        numeric("avg_query_time"),
        numeric("avg_wait_time"),
        numeric("avg_client_parse_count"),
        numeric("avg_server_parse_count"),
        numeric("avg_bind_count"),
        numeric("avg_client_login_count"),
    ];

    fn cells(&self) -> Vec<Cell<'_>> {
        named(&self.database, self.totals.in_order().into_iter().chain(self.averages.in_order()))
    }
}

/// A row of `SHOW STATS_TOTALS`: the totals without their prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TotalsRow<'a>(pub &'a StatsRow);

impl Row for TotalsRow<'_> {
    const COLUMNS: &'static [Column] = &[
        text("database"),
        numeric("server_assignment_count"),
        numeric("xact_count"),
        numeric("query_count"),
        numeric("bytes_received"),
        numeric("bytes_sent"),
        numeric("xact_time"),
        numeric("query_time"),
        numeric("wait_time"),
        numeric("client_parse_count"),
        numeric("server_parse_count"),
        numeric("bind_count"),
        numeric("client_login_count"),
    ];

    fn cells(&self) -> Vec<Cell<'_>> {
        named(&self.0.database, self.0.totals.in_order())
    }
}

/// A row of `SHOW STATS_AVERAGES`: the first eight without their prefix, the last four with it, as PgBouncer
/// has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AveragesRow<'a>(pub &'a StatsRow);

impl Row for AveragesRow<'_> {
    const COLUMNS: &'static [Column] = &[
        text("database"),
        numeric("server_assignment_count"),
        numeric("xact_count"),
        numeric("query_count"),
        numeric("bytes_received"),
        numeric("bytes_sent"),
        numeric("xact_time"),
        numeric("query_time"),
        numeric("wait_time"),
        numeric("avg_client_parse_count"),
        numeric("avg_server_parse_count"),
        numeric("avg_bind_count"),
        numeric("avg_client_login_count"),
    ];

    fn cells(&self) -> Vec<Cell<'_>> {
        named(&self.0.database, self.0.averages.in_order())
    }
}

/// A row of `SHOW TOTALS`: a figure over all databases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TotalRow {
    /// The figure.
    pub name: &'static str,
    /// Its value.
    pub value: u64,
}

impl Row for TotalRow {
    const COLUMNS: &'static [Column] = &[text("name"), numeric("value")];

    fn cells(&self) -> Vec<Cell<'_>> {
        vec![self.name.into(), self.value.into()]
    }
}

/// The names in `SHOW TOTALS`, which has its own for the volumes and the prepared statements.
const TOTAL_NAMES: [&str; 24] = [
    "total_server_assignment_count",
    "total_xact_count",
    "total_query_count",
    "total_client_bytes",
    "total_server_bytes",
    "total_xact_time",
    "total_query_time",
    "total_wait_time",
    "total_ps_client_parse_count",
    "total_ps_server_parse_count",
    "total_ps_bind_count",
    "total_client_login_count",
    "avg_server_assignment_count",
    "avg_xact_count",
    "avg_query_count",
    "avg_client_bytes",
    "avg_server_bytes",
    "avg_xact_time",
    "avg_query_time",
    "avg_wait_time",
    "avg_ps_client_parse_count",
    "avg_ps_server_parse_count",
    "avg_ps_bind_count",
    "avg_client_login_count",
];

/// The rows of `SHOW TOTALS` out of the databases' rows. Rates add up; a time an event is weighed by how many
/// of its events each database had a second.
#[must_use]
pub fn totals(rows: &[StatsRow]) -> Vec<TotalRow> {
    let all = rows.iter().fold(Totals::default(), |sum, row| sum.plus(&row.totals));
    let mut averages = rows.iter().fold(Averages::default(), |sum, row| sum.plus(&row.averages));
    averages.xact_time = weighed(rows, |a| (a.xact_time, a.xact_count));
    averages.query_time = weighed(rows, |a| (a.query_time, a.query_count));
    averages.wait_time = weighed(rows, |a| (a.wait_time, a.server_assignment_count));
    let figures = all.in_order().into_iter().chain(averages.in_order());
    TOTAL_NAMES.iter().zip(figures).map(|(&name, value)| TotalRow { name, value }).collect()
}

/// The mean of a time over the databases, in which each counts as often as it had events; a database whose
/// rate was rounded to 0 counts once if it has a time at all.
fn weighed(rows: &[StatsRow], of: impl Fn(&Averages) -> (u64, u64)) -> u64 {
    let (mut sum, mut weight) = (0u128, 0u128);
    for row in rows {
        let (time, events) = of(&row.averages);
        let events = u128::from(if time > 0 { events.max(1) } else { events });
        sum += u128::from(time) * events;
        weight += events;
    }
    sum.checked_div(weight).map_or(0, |mean| u64::try_from(mean).unwrap_or(u64::MAX))
}
