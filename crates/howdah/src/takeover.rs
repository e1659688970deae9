//! `-R`: a process takes over from the one that runs, with its sockets and everything that is under way on them
//! (PGBOUNCER_BEHAVIOUR.md section 14).
//!
//! The new one logs in to the console over the Unix socket, as PgBouncer does: SUSPEND makes every client's task hold still
//! (`client/park.rs`), SHOW FDS brings the sockets (SCM_RIGHTS) in PgBouncer's columns, SHOW HANDOVER, which is ours and not
//! in the help, what else there is to know of each, one JSON document a row, and SHUTDOWN ends the old one. Should the
//! new one go away before that, its console session has ended, and the old one resumes. `give.rs` is the old side, `take.rs`
//! and `adopt.rs` the new one.

pub(crate) mod adopt;
pub(crate) mod give;
pub(crate) mod take;
#[cfg(test)]
mod take_tests;

use std::os::fd::RawFd;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use howdah_backend::Address;
use howdah_session::{Bytes, CarriedServer, CarriedSession, CarriedStatement};
use serde::{Deserialize, Serialize};

/// A document of SHOW HANDOVER. Sockets are named by their numbers in the old process, as in SHOW FDS.
#[derive(Serialize, Deserialize)]
pub(crate) enum Document {
    /// The process.
    Process {
        /// The last number of a client or server.
        last_id: u64,
    },
    /// An entry.
    Entry {
        name: String,
        is_auto: bool,
        is_disabled: bool,
        counters: Vec<u64>,
        /// What clients are greeted with, by server user.
        welcomes: Vec<(String, Vec<(Bytes, Bytes)>)>,
    },
    /// What logs a pool's servers in.
    Credential { entry: String, user: String, proof: Proof },
    /// The prepared statements of a pool's servers and clients.
    Statements { entry: String, user: String, list: Vec<CarriedStatement> },
    /// A server; before the client that has it.
    Server(Box<CarriedConn>),
    /// A client.
    Client(Box<CarriedClient>),
}

/// What proves a user to a server.
#[derive(Serialize, Deserialize)]
pub(crate) enum Proof {
    Password(Bytes),
    Keys(Bytes, Bytes),
}

/// Where a server is.
#[derive(Serialize, Deserialize)]
pub(crate) enum Place {
    Tcp(String, u16),
    Unix(PathBuf),
}

impl From<&Address> for Place {
    fn from(address: &Address) -> Self {
        match address {
            Address::Tcp { host, port } => Self::Tcp(host.clone(), *port),
            Address::Unix(path) => Self::Unix(path.clone()),
        }
    }
}

impl From<Place> for Address {
    fn from(place: Place) -> Self {
        match place {
            Place::Tcp(host, port) => Self::Tcp { host, port },
            Place::Unix(path) => Self::Unix(path),
        }
    }
}

/// A server connection.
#[derive(Serialize, Deserialize)]
pub(crate) struct CarriedConn {
    pub(crate) fd: RawFd,
    pub(crate) id: u64,
    pub(crate) entry: String,
    pub(crate) user: String,
    pub(crate) place: Place,
    pub(crate) pid: u32,
    pub(crate) key: Bytes,
    /// µs of the wall clock.
    pub(crate) connected: u64,
    pub(crate) prepared: u32,
    pub(crate) side: CarriedServer,
    pub(crate) input: Bytes,
    pub(crate) output: Bytes,
}

/// A client.
#[derive(Serialize, Deserialize)]
pub(crate) struct CarriedClient {
    pub(crate) fd: RawFd,
    pub(crate) id: u64,
    pub(crate) entry: String,
    pub(crate) user: String,
    pub(crate) server_user: String,
    /// µs of the wall clock.
    pub(crate) connected: u64,
    pub(crate) cancel_key: [u8; 8],
    pub(crate) application_name: Bytes,
    pub(crate) prepared: u32,
    pub(crate) session: CarriedSession,
    pub(crate) input: Bytes,
    pub(crate) output: Bytes,
    /// µs that it has been asking, in its transaction.
    pub(crate) asked: u64,
    pub(crate) began: u64,
    pub(crate) link: Option<CarriedLink>,
}

/// A client's hold on a server.
#[derive(Serialize, Deserialize)]
pub(crate) struct CarriedLink {
    /// The server's socket.
    pub(crate) fd: RawFd,
    pub(crate) input_ready: bool,
    pub(crate) client_waits: bool,
    pub(crate) phase: u8,
    pub(crate) in_transaction: bool,
}

/// A moment of the wall clock in µs.
pub(crate) fn wall_micros(at: SystemTime) -> u64 {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

/// The way back.
pub(crate) fn wall(micros: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_micros(micros)
}
