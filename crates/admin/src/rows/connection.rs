//! `SHOW CLIENTS`, `SERVERS`, `SOCKETS` and `ACTIVE_SOCKETS`. Next: [`super::pool`].

use std::fmt::Debug;

use serde::Serialize;

use crate::table::{Cell, Column, Row, int4, text};
use crate::time::UnixMicros;

/// What kind of replication connection this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Replication {
    /// An ordinary connection.
    #[default]
    None,
    /// `replication=database`.
    Logical,
    /// `replication=yes` and its spellings.
    Physical,
}

impl Replication {
    /// The word in the column `replication`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Logical => "logical",
            Self::Physical => "physical",
        }
    }
}

/// What a connection is doing, and which side of the pooler it is on.
pub trait ConnectionState: Copy + Debug + PartialEq + Serialize + Send + Sync {
    /// `C` or `S`, the column `type`.
    const TYPE: &'static str;

    /// The word in `SHOW CLIENTS` and `SHOW SERVERS`; `None` for a state that they do not list.
    fn plain(self) -> Option<&'static str>;

    /// The prefixed word in `SHOW SOCKETS`; `None` for a state that it does not list.
    fn prefixed(self) -> Option<&'static str>;
}

/// A client's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientState {
    /// Not logged in yet: in SOCKETS only.
    Login,
    /// Logged in, no server needed.
    Idle,
    /// Linked to a server.
    Active,
    /// Wants a server and has none yet.
    Waiting,
    /// A cancel request that has its own connection to the server.
    ActiveCancelReq,
    /// A cancel request that waits for a connection.
    WaitingCancelReq,
}

impl ConnectionState for ClientState {
    const TYPE: &'static str = "C";

    fn plain(self) -> Option<&'static str> {
        match self {
            Self::Login => None,
            Self::Idle => Some("idle"),
            Self::Active => Some("active"),
            Self::Waiting => Some("waiting"),
            Self::ActiveCancelReq => Some("active_cancel_req"),
            Self::WaitingCancelReq => Some("waiting_cancel_req"),
        }
    }

    fn prefixed(self) -> Option<&'static str> {
        match self {
            Self::Login => Some("cl_login"),
            // PgBouncer has idle clients in its active list and prefixes the list's name.
            Self::Idle | Self::Active => Some("cl_active"),
            Self::Waiting => Some("cl_waiting"),
            Self::ActiveCancelReq | Self::WaitingCancelReq => None,
        }
    }
}

/// A server's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ServerState {
    /// Connecting or logging in.
    New,
    /// Linked to a client.
    Active,
    /// Ready for a client.
    Idle,
    /// Idle for longer than `server_check_delay`: to be checked before it is used.
    Used,
    /// Running `server_reset_query` or `server_check_query`.
    Tested,
    /// Carries a cancel request.
    ActiveCancel,
    /// Its query was cancelled; held back until the cancel has arrived.
    BeingCanceled,
}

impl ConnectionState for ServerState {
    const TYPE: &'static str = "S";

    fn plain(self) -> Option<&'static str> {
        Some(match self {
            Self::New => "new",
            Self::Active => "active",
            Self::Idle => "idle",
            Self::Used => "used",
            Self::Tested => "tested",
            Self::ActiveCancel => "active_cancel",
            Self::BeingCanceled => "being_canceled",
        })
    }

    fn prefixed(self) -> Option<&'static str> {
        match self {
            Self::New => Some("sv_login"),
            Self::Active => Some("sv_active"),
            Self::Idle => Some("sv_idle"),
            Self::Used => Some("sv_used"),
            Self::Tested => Some("sv_tested"),
            Self::ActiveCancel | Self::BeingCanceled => None,
        }
    }
}

/// A connection's buffers, in bytes: what SOCKETS adds to CLIENTS and SERVERS. All zero for an idle
/// connection, which holds no buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Buffers {
    /// Bytes received into the buffer.
    pub recv_pos: u32,
    /// Bytes parsed.
    pub pkt_pos: u32,
    /// Bytes of the current message that have not come yet.
    pub pkt_remain: u32,
    /// Bytes sent on.
    pub send_pos: u32,
    /// Bytes of the current message that remain to be sent.
    pub send_remain: u32,
    /// Bytes received and not parsed.
    pub pkt_avail: u32,
    /// Bytes parsed and not sent.
    pub send_avail: u32,
}

impl Buffers {
    /// Whether the connection has anything in its buffers: ACTIVE_SOCKETS lists only those.
    #[must_use]
    pub const fn in_use(&self) -> bool {
        self.pkt_remain > 0 || self.pkt_avail > 0 || self.send_avail > 0 || self.send_remain > 0
    }
}

/// A connection of either side. A field's name is its column's unless it says otherwise.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ConnectionRow<S> {
    /// One counter for clients and servers together, from 1, never reused.
    pub id: u64,
    /// The login name; `None` before it is known, shown `(nouser)`.
    pub user: Option<String>,
    /// The entry's name; `None` before it is known, shown `(nodb)`.
    pub database: Option<String>,
    /// The kind of replication connection.
    pub replication: Replication,
    /// What it is doing.
    pub state: S,
    /// The peer's address; `unix` for a unix socket.
    pub addr: String,
    /// The peer's port.
    pub port: u16,
    /// Our end's address.
    pub local_addr: String,
    /// Our end's port.
    pub local_port: u16,
    /// When the connection was made.
    pub connect_time: UnixMicros,
    /// When the last request began.
    pub request_time: UnixMicros,
    /// How long the client has waited for a server, or its query has run, in µs; 0 when neither. Shown as
    /// `wait` (whole seconds) and `wait_us` (the rest).
    pub wait_us: u64,
    /// The server is to be closed when it is released.
    pub close_needed: bool,
    /// The `id` of the connection at the other end of the pooler, 0 when there is none. Shown as `link`, in
    /// the form of `ptr`.
    pub link: u64,
    /// The process at the other end: a server's backend, a unix socket's peer, else 0.
    pub remote_pid: u32,
    /// `protocol/cipher` in OpenSSL's names, empty without TLS.
    pub tls: String,
    /// The `application_name` in effect.
    pub application_name: String,
    /// Prepared statements known on this connection.
    pub prepared_statements: u32,
    /// Why the client keeps its server beyond a transaction, if it does (DESIGN.md section 7). In JSON only:
    /// PgBouncer's columns have no place for it.
    pub pinned: Option<String>,
    /// The client's commits wait for no standby (`synchronous_commit` off or local), though it is a cluster where Howdah
    /// promotes (FAILOVER_PROTOCOL.md section 9). In JSON only.
    pub unprotected: bool,
    /// The node that a server is connected to. In JSON only.
    pub node: Option<String>,
    /// What SOCKETS shows in addition.
    pub buffers: Buffers,
}

/// A row of `SHOW CLIENTS`.
pub type ClientRow = ConnectionRow<ClientState>;
/// A row of `SHOW SERVERS`.
pub type ServerRow = ConnectionRow<ServerState>;

/// The columns that all four share, and then those of SOCKETS alone.
const SOCKET_COLUMNS: &[Column] = &[
    text("type"),
    text("user"),
    text("database"),
    text("replication"),
    text("state"),
    text("addr"),
    int4("port"),
    text("local_addr"),
    int4("local_port"),
    text("connect_time"),
    text("request_time"),
    int4("wait"),
    int4("wait_us"),
    int4("close_needed"),
    text("ptr"),
    text("link"),
    int4("remote_pid"),
    text("tls"),
    text("application_name"),
    int4("prepared_statements"),
    int4("id"),
    int4("recv_pos"),
    int4("pkt_pos"),
    int4("pkt_remain"),
    int4("send_pos"),
    int4("send_remain"),
    int4("pkt_avail"),
    int4("send_avail"),
];

/// How many of [`SOCKET_COLUMNS`] CLIENTS and SERVERS have.
const CONNECTION_COLUMNS: usize = 21;

/// A connection's `ptr`. PgBouncer prints an address of its memory, which identifies the connection while it
/// lives; ours is made of the id, which does so for ever and gives nothing away.
fn pointer(id: u64) -> String {
    if id == 0 { String::new() } else { format!("0x{id:x}") }
}

impl<S: ConnectionState> ConnectionRow<S> {
    fn cells_with(&self, state: &'static str) -> Vec<Cell<'_>> {
        vec![
            S::TYPE.into(),
            self.user.as_deref().unwrap_or("(nouser)").into(),
            self.database.as_deref().unwrap_or("(nodb)").into(),
            self.replication.word().into(),
            state.into(),
            (&self.addr).into(),
            self.port.into(),
            (&self.local_addr).into(),
            self.local_port.into(),
            self.connect_time.into(),
            self.request_time.into(),
            (self.wait_us / 1_000_000).into(),
            (self.wait_us % 1_000_000).into(),
            self.close_needed.into(),
            pointer(self.id).into(),
            pointer(self.link).into(),
            self.remote_pid.into(),
            (&self.tls).into(),
            (&self.application_name).into(),
            self.prepared_statements.into(),
            self.id.into(),
        ]
    }
}

impl<S: ConnectionState> Row for ConnectionRow<S> {
    const COLUMNS: &'static [Column] = SOCKET_COLUMNS.split_at(CONNECTION_COLUMNS).0;

    fn cells(&self) -> Vec<Cell<'_>> {
        self.cells_with(self.state.plain().unwrap_or_default())
    }
}

/// A row of `SHOW SOCKETS` and `SHOW ACTIVE_SOCKETS`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SocketRow<'a, S>(&'a ConnectionRow<S>);

impl<'a, S: ConnectionState> SocketRow<'a, S> {
    /// The connection as SOCKETS shows it, or `None` when SOCKETS does not list its state.
    #[must_use]
    pub fn new(row: &'a ConnectionRow<S>) -> Option<Self> {
        row.state.prefixed().map(|_| Self(row))
    }
}

impl<S: ConnectionState> Row for SocketRow<'_, S> {
    const COLUMNS: &'static [Column] = SOCKET_COLUMNS;

    fn cells(&self) -> Vec<Cell<'_>> {
        let buffers = self.0.buffers;
        let mut cells = self.0.cells_with(self.0.state.prefixed().unwrap_or_default());
        cells.extend(
            [
                buffers.recv_pos,
                buffers.pkt_pos,
                buffers.pkt_remain,
                buffers.send_pos,
                buffers.send_remain,
                buffers.pkt_avail,
                buffers.send_avail,
            ]
            .map(Cell::from),
        );
        cells
    }
}
