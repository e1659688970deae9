//! `SHOW x`: the snapshot that answers it, as bytes. Next: [`crate::rows`].

use howdah_protocol::write::{Report, WriteError, notice_response};

use super::command::Show;
use crate::pooler::Pooler;
use crate::rows::{AveragesRow, ConnectionRow, ConnectionState, SocketRow, TotalsRow, totals};
use crate::table::{Cell, Column, Row, append, encode, text};

/// What SHOW HELP says: PgBouncer's text, and then what is ours.
const USAGE: &str = "\n\tSHOW HELP|CONFIG|DATABASES|POOLS|CLIENTS|SERVERS|USERS|VERSION\n\
    \tSHOW PEERS|PEER_POOLS\n\
    \tSHOW FDS|SOCKETS|ACTIVE_SOCKETS|LISTS|MEM|STATE\n\
    \tSHOW DNS_HOSTS|DNS_ZONES\n\
    \tSHOW STATS|STATS_TOTALS|STATS_AVERAGES|TOTALS\n\
    \tSET key = arg\n\
    \tRELOAD\n\
    \tPAUSE [<db>]\n\
    \tRESUME [<db>]\n\
    \tDISABLE <db>\n\
    \tENABLE <db>\n\
    \tRECONNECT [<db>]\n\
    \tKILL [<db>]\n\
    \tKILL_CLIENT <client_id>\n\
    \tSUSPEND\n\
    \tSHUTDOWN\n\
    \tSHUTDOWN WAIT_FOR_SERVERS|WAIT_FOR_CLIENTS\n\
    \tWAIT_CLOSE [<db>]\n\
    \tSHOW NODES|FAILOVERS\n\
    \tFAILOVER <cluster> [TO <node>]\n\
    \tSWITCHOVER <cluster> [TO <node>] [FORCE]\n\
    \tMAINTENANCE <cluster> ON|OFF\n\
    \tEXPLAIN ROUTE <sql>";

/// The row of `SHOW VERSION`.
struct VersionRow(String);

impl Row for VersionRow {
    const COLUMNS: &'static [Column] = &[text("version")];

    fn cells(&self) -> Vec<Cell<'_>> {
        vec![(&self.0).into()]
    }
}

/// Appends the answer's rows; CommandComplete is the caller's.
pub(super) fn show(what: Show, pooler: &dyn Pooler, out: &mut Vec<u8>) -> Result<(), WriteError> {
    match what {
        Show::Help => {
            notice_response(out, &Report { detail: Some(USAGE), ..Report::notice("Console usage") });
            Ok(())
        }
        _ => rows(what, pooler, out),
    }
}

fn rows(what: Show, pooler: &dyn Pooler, out: &mut Vec<u8>) -> Result<(), WriteError> {
    match what {
        // Answered by the caller, as they are more or less than rows.
        Show::Help | Show::Fds => Ok(()),
        Show::Version => encode(out, [VersionRow(pooler.version())]),
        Show::Config => encode(out, pooler.settings()),
        Show::Databases => encode(out, pooler.databases()),
        Show::Users => encode(out, pooler.users()),
        Show::Pools => encode(out, pooler.pools()),
        Show::Clients => encode(out, listed(&pooler.clients())),
        Show::Servers => encode(out, listed(&pooler.servers())),
        Show::Sockets => sockets(pooler, false, out),
        Show::ActiveSockets => sockets(pooler, true, out),
        Show::Stats => encode(out, pooler.stats()),
        Show::StatsTotals => encode(out, pooler.stats().iter().map(TotalsRow)),
        Show::StatsAverages => encode(out, pooler.stats().iter().map(AveragesRow)),
        Show::Totals => encode(out, totals(&pooler.stats())),
        Show::Lists => encode(out, pooler.lists().rows()),
        Show::State => encode(out, pooler.state().rows()),
        Show::Mem => encode(out, pooler.memory()),
        Show::DnsHosts => encode(out, pooler.dns_hosts()),
        Show::DnsZones => encode(out, pooler.dns_zones()),
        Show::Peers => encode(out, pooler.peers()),
        Show::PeerPools => encode(out, pooler.peer_pools()),
        Show::Nodes => encode(out, pooler.nodes()),
        Show::Failovers => encode(out, pooler.failovers()),
    }
}

/// The rows whose state CLIENTS and SERVERS list: a client that logs in is in SOCKETS only.
fn listed<S: ConnectionState>(rows: &[ConnectionRow<S>]) -> impl Iterator<Item = &ConnectionRow<S>> {
    rows.iter().filter(|row| row.state.plain().is_some())
}

/// SOCKETS: clients, then servers; ACTIVE_SOCKETS only those with something in their buffers.
fn sockets(pooler: &dyn Pooler, active: bool, out: &mut Vec<u8>) -> Result<(), WriteError> {
    let clients = pooler.clients();
    let servers = pooler.servers();
    encode(out, clients.iter().filter(|row| !active || row.buffers.in_use()).filter_map(SocketRow::new))?;
    append(out, servers.iter().filter(|row| !active || row.buffers.in_use()).filter_map(SocketRow::new))
}
