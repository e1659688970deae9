//! The lines of an HBA file, and which of them decides about a login. Next: `parse.rs`.

use std::net::IpAddr;

use crate::address::Network;
use crate::ldap::Ldap;

/// How a client must prove itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Method {
    /// Not at all.
    Trust,
    /// It is refused.
    Reject,
    /// By MD5, or SCRAM where the stored secret is one.
    Md5,
    /// By the password as it is.
    Password,
    /// By the user of its process, on a Unix socket.
    Peer,
    /// By its TLS certificate.
    Cert,
    /// By SCRAM-SHA-256.
    Scram,
    /// By an LDAP server.
    Ldap(Ldap),
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Where it stands, from 1.
    pub line: u32,
    /// What it demands.
    pub method: Method,
    /// `map=`: the ident map of `cert` and `peer`.
    pub map: Option<String>,
    pub(crate) connection: Connection,
    pub(crate) databases: Names,
    pub(crate) users: Names,
    pub(crate) network: Network,
}

/// What a line's first word says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Connection {
    /// `local`
    Local,
    /// `host`
    Host,
    /// `hostssl`
    HostSsl,
    /// `hostnossl`
    HostNoSsl,
}

/// The names that a line is for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Names {
    pub(crate) all: bool,
    /// Databases only: the database is called like the user.
    pub(crate) same_user: bool,
    /// Databases only: replication connections.
    pub(crate) replication: bool,
    pub(crate) names: Vec<String>,
}

/// How a client has come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// Over a Unix socket.
    Local,
    /// Over TCP from this address, without TLS.
    Plain(IpAddr),
    /// Over TCP from this address, with TLS.
    Tls(IpAddr),
}

/// What the client wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked<'a> {
    /// This database.
    Database(&'a str),
    /// A replication connection.
    Replication,
}

/// A login that is to be decided about.
#[derive(Debug, Clone, Copy)]
pub struct Login<'a> {
    /// How it has come in.
    pub transport: Transport,
    /// What it wants.
    pub asked: Asked<'a>,
    /// As whom.
    pub user: &'a str,
}

/// The lines of a file, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    pub(crate) rules: Vec<Rule>,
}

impl Rules {
    /// The line that decides: the first that matches. `None`: the login is rejected.
    #[must_use]
    pub fn decide(&self, login: &Login<'_>) -> Option<&Rule> {
        self.rules.iter().find(|rule| rule.is_for(login))
    }

    /// How many lines there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// Whether there is none, which rejects everybody.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The lines in order.
    pub fn iter(&self) -> impl Iterator<Item = &Rule> {
        self.rules.iter()
    }
}

impl Rule {
    fn is_for(&self, login: &Login<'_>) -> bool {
        let connection = match (self.connection, login.transport) {
            (Connection::Local, Transport::Local) => true,
            (Connection::Host | Connection::HostNoSsl, Transport::Plain(address))
            | (Connection::Host | Connection::HostSsl, Transport::Tls(address)) => {
                self.network.contains(address)
            }
            _ => false,
        };
        let database = match login.asked {
            Asked::Replication => self.databases.replication,
            Asked::Database(name) => {
                self.databases.has(name) || (self.databases.same_user && name == login.user)
            }
        };
        connection && database && self.users.has(login.user)
    }
}

impl Names {
    fn has(&self, name: &str) -> bool {
        self.all || self.names.iter().any(|known| known == name)
    }
}
