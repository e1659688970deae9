//! Ports that stay ours while a server is down and up again.
//!
//! Taken outside the kernel's ephemeral range, so that no outgoing connection of a test can sit on the port of a
//! server that is being restarted. Other test processes are kept off by the name of an abstract Unix socket: it
//! goes with the process, whatever ends it, and leaves no file.

use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};

use rand::Rng as _;

use crate::error::Error;

/// First port given out.
const FIRST: u16 = 20_000;
/// Last port given out; Linux starts its ephemeral range at 32768.
const LAST: u16 = 31_999;
/// How many ports are tried before giving up.
const TRIES: usize = 500;

/// A port of this process until it is dropped.
#[derive(Debug)]
pub struct PortLease {
    port: u16,
    _name: UnixListener,
}

impl PortLease {
    /// Reserves a port on which nothing listens at any loopback address.
    ///
    /// # Errors
    /// [`Error::NoPort`] after 500 taken ones.
    pub fn reserve() -> Result<Self, Error> {
        let mut random = rand::rng();
        for _ in 0..TRIES {
            let port = random.random_range(FIRST..=LAST);
            if let Some(lease) = Self::claim(port) {
                return Ok(lease);
            }
        }
        Err(Error::NoPort(FIRST, LAST))
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    fn claim(port: u16) -> Option<Self> {
        let name = SocketAddr::from_abstract_name(format!("howdah-testkit-port-{port}")).ok()?;
        let name = UnixListener::bind_addr(&name).ok()?;
        // A bind to all addresses fails when any one of them is in use.
        TcpListener::bind((IpAddr::V4(Ipv4Addr::UNSPECIFIED), port)).ok()?;
        Some(Self { port, _name: name })
    }
}
