//! Names of servers and their addresses: looked up by the system, kept for `dns_max_ttl`, a failure for
//! `dns_nxdomain_ttl`, and each address of a name used in turn. What SHOW DNS_HOSTS shows.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use howdah_config::Settings;
use howdah_topology::Time;
use parking_lot::Mutex;

/// What is known of a name.
#[derive(Debug)]
struct Known {
    /// None: there is no such name.
    addresses: Vec<IpAddr>,
    at: Time,
    /// Whose turn it is.
    turn: usize,
}

impl Known {
    fn ttl(&self, settings: &Settings) -> Duration {
        if self.addresses.is_empty() { settings.dns_nxdomain_ttl } else { settings.dns_max_ttl }
    }

    fn left(&self, settings: &Settings, now: Time) -> Duration {
        self.ttl(settings).saturating_sub(now.since(self.at))
    }
}

/// The names that were looked up; as many as the configuration has.
#[derive(Debug, Default)]
pub(crate) struct Dns {
    names: Mutex<BTreeMap<String, Known>>,
}

/// A line of SHOW DNS_HOSTS.
pub(crate) struct Host {
    pub(crate) name: String,
    pub(crate) left: Duration,
    pub(crate) addresses: Vec<IpAddr>,
}

impl Dns {
    /// The address of a host whose turn it is.
    ///
    /// # Errors
    /// There is no such name, or there was none a short while ago.
    pub(crate) async fn address(
        &self,
        host: &str,
        port: u16,
        settings: &Settings,
        now: Time,
    ) -> io::Result<SocketAddr> {
        if let Ok(address) = host.parse::<IpAddr>() {
            return Ok(SocketAddr::new(address, port));
        }
        if let Some(known) = self.known(host, settings, now) {
            return known.map(|address| SocketAddr::new(address, port));
        }
        let found = tokio::net::lookup_host((host, 0)).await;
        let mut addresses: Vec<IpAddr> = Vec::new();
        for address in found.into_iter().flatten().map(|address| address.ip()) {
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        self.learn(host, addresses, now).map(|address| SocketAddr::new(address, port))
    }

    /// `None`: it has to be looked up.
    pub(crate) fn known(&self, host: &str, settings: &Settings, now: Time) -> Option<io::Result<IpAddr>> {
        let mut names = self.names.lock();
        let known = names.get_mut(host).filter(|known| !known.left(settings, now).is_zero())?;
        Some(next(known))
    }

    pub(crate) fn learn(&self, host: &str, addresses: Vec<IpAddr>, now: Time) -> io::Result<IpAddr> {
        let mut names = self.names.lock();
        let turn = names.get(host).map_or(0, |before| before.turn);
        let known = names.entry(host.to_owned()).insert_entry(Known { addresses, at: now, turn });
        next(known.into_mut())
    }

    /// All names.
    pub(crate) fn hosts(&self, settings: &Settings, now: Time) -> Vec<Host> {
        let names = self.names.lock();
        let host = |(name, known): (&String, &Known)| Host {
            name: name.clone(),
            left: known.left(settings, now),
            addresses: known.addresses.clone(),
        };
        names.iter().map(host).collect()
    }

    /// Only these names are of use any more.
    pub(crate) fn retain(&self, used: impl Fn(&str) -> bool) {
        self.names.lock().retain(|name, _| used(name));
    }
}

fn next(known: &mut Known) -> io::Result<IpAddr> {
    let count = known.addresses.len();
    if count == 0 {
        return Err(io::ErrorKind::NotFound.into());
    }
    let address = known.addresses[known.turn % count];
    known.turn = (known.turn + 1) % count;
    Ok(address)
}
