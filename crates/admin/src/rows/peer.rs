//! `SHOW PEERS`, `PEER_POOLS`, `DNS_HOSTS` and `DNS_ZONES`. Next: [`super::process`].

use serde::Serialize;

use crate::table::{Cell, Column, Row, int4, int8, text};

/// A row of `SHOW PEERS`: another pooler on the same port. A field's name is its column's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PeerRow {
    /// The key in `[peers]`.
    pub peer_id: u32,
    /// Its host or unix socket directory.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Connections to it at most.
    pub pool_size: u32,
}

impl Row for PeerRow {
    const COLUMNS: &'static [Column] = &[int4("peer_id"), text("host"), int4("port"), int4("pool_size")];

    fn cells(&self) -> Vec<Cell<'_>> {
        vec![self.peer_id.into(), (&self.host).into(), self.port.into(), self.pool_size.into()]
    }
}

/// A row of `SHOW PEER_POOLS`. A field's name is its column's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PeerPoolRow {
    /// The key in `[peers]`.
    pub peer_id: u32,
    /// Cancel requests that were sent on.
    pub cl_active_cancel_req: u32,
    /// Cancel requests that wait for a connection.
    pub cl_waiting_cancel_req: u32,
    /// Connections that carry one.
    pub sv_active_cancel: u32,
    /// Connections being made.
    pub sv_login: u32,
}

impl Row for PeerPoolRow {
    const COLUMNS: &'static [Column] = &[
        int4("peer_id"),
        int4("cl_active_cancel_req"),
        int4("cl_waiting_cancel_req"),
        int4("sv_active_cancel"),
        int4("sv_login"),
    ];

    fn cells(&self) -> Vec<Cell<'_>> {
        [
            self.peer_id,
            self.cl_active_cancel_req,
            self.cl_waiting_cancel_req,
            self.sv_active_cancel,
            self.sv_login,
        ]
        .map(Cell::from)
        .to_vec()
    }
}

/// A row of `SHOW DNS_HOSTS`. A field's name is its column's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DnsHostRow {
    /// The name looked up.
    pub hostname: String,
    /// How long the answer is still good, in seconds.
    pub ttl: u64,
    /// The addresses, shown comma separated.
    pub addrs: Vec<String>,
}

impl Row for DnsHostRow {
    const COLUMNS: &'static [Column] = &[text("hostname"), int8("ttl"), text("addrs")];

    fn cells(&self) -> Vec<Cell<'_>> {
        vec![(&self.hostname).into(), self.ttl.into(), self.addrs.join(",").into()]
    }
}

/// A row of `SHOW DNS_ZONES`. A field's name is its column's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DnsZoneRow {
    /// The zone.
    pub zonename: String,
    /// Its serial number when last seen.
    pub serial: u64,
    /// Names of it that are in use.
    pub count: u32,
}

impl Row for DnsZoneRow {
    const COLUMNS: &'static [Column] = &[text("zonename"), int8("serial"), int4("count")];

    fn cells(&self) -> Vec<Cell<'_>> {
        vec![(&self.zonename).into(), self.serial.into(), self.count.into()]
    }
}
