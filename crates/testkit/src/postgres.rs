//! One server without replication, for tests of the data path.

use std::net::{IpAddr, Ipv4Addr};
use std::ops::Deref;
use std::sync::Arc;

use crate::binaries::find_binaries;
use crate::command;
use crate::error::Error;
use crate::node::Node;
use crate::settings;
use crate::workdir::WorkDir;

/// What a single server should be like. `Options::default()` is a server on 127.0.0.1 with fsync off.
#[derive(Debug, Clone)]
pub struct Options {
    address: IpAddr,
    settings: Vec<(String, String)>,
    hba: Vec<String>,
    sql: Vec<String>,
    files: Vec<(&'static str, String)>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            settings: Vec::new(),
            hba: Vec::new(),
            sql: Vec::new(),
            files: Vec::new(),
        }
    }
}

impl Options {
    /// Listens at another loopback address.
    #[must_use]
    pub fn address(mut self, address: IpAddr) -> Self {
        self.address = address;
        self
    }

    /// A line of `postgresql.conf`; wins over the kit's own.
    #[must_use]
    pub fn setting(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A line of `pg_hba.conf`, before the kit's own (trust for `postgres`, scram-sha-256 for all others).
    #[must_use]
    pub fn hba_line(mut self, line: &str) -> Self {
        self.hba.push(line.to_owned());
        self
    }

    /// Speaks TLS, with this certificate and key; clients' certificates are of this authority. All are PEM.
    #[must_use]
    pub fn tls(mut self, certificate: &str, key: &str, authority: &str) -> Self {
        for (name, text) in [("server.crt", certificate), ("server.key", key), ("root.crt", authority)] {
            self.files.push((name, text.to_owned()));
        }
        self.setting("ssl", "on").setting("ssl_ca_file", "root.crt")
    }

    /// A role that logs in with a password (stored as scram-sha-256).
    #[must_use]
    pub fn user(self, name: &str, password: &str) -> Self {
        let role = format!("\"{}\"", name.replace('"', "\"\""));
        let password = password.replace('\'', "''");
        self.sql(&format!(
            "SET password_encryption = 'scram-sha-256'; CREATE ROLE {role} LOGIN PASSWORD '{password}'"
        ))
    }

    /// A role whose password is stored as md5, for which an `md5` line of `pg_hba.conf` is added.
    #[must_use]
    pub fn md5_user(self, name: &str, password: &str) -> Self {
        let role = format!("\"{}\"", name.replace('"', "\"\""));
        let secret = password.replace('\'', "''");
        self.hba_line(&format!("host all {role} 127.0.0.0/8 md5"))
            .sql(&format!("SET password_encryption = 'md5'; CREATE ROLE {role} LOGIN PASSWORD '{secret}'"))
    }

    /// A database to create.
    #[must_use]
    pub fn database(self, name: &str) -> Self {
        self.sql(&format!("CREATE DATABASE \"{}\"", name.replace('"', "\"\"")))
    }

    /// SQL to run in database `postgres` after the start.
    #[must_use]
    pub fn sql(mut self, sql: &str) -> Self {
        self.sql.push(sql.to_owned());
        self
    }
}

/// A running server; derefs to its [`Node`]. Dropping it removes the server and its files.
#[derive(Debug)]
pub struct Postgres {
    node: Node,
}

impl Postgres {
    /// Makes and starts one server.
    ///
    /// # Errors
    /// Whatever `initdb` or the server says, see [`Error`].
    pub async fn single(options: Options) -> Result<Self, Error> {
        let workdir = Arc::new(WorkDir::new()?);
        let node = Node::new("node".to_owned(), options.address, find_binaries()?, workdir)?;
        init(&node, &options.settings, &options.hba).await?;
        for (name, text) in &options.files {
            node.append(name, text)?;
            node.keep_to_itself(name)?;
        }
        node.start().await?;
        for sql in &options.sql {
            node.psql(sql).await?;
        }
        Ok(Self { node })
    }

    /// The server.
    #[must_use]
    pub fn node(&self) -> &Node {
        &self.node
    }
}

impl Deref for Postgres {
    type Target = Node;

    fn deref(&self) -> &Node {
        &self.node
    }
}

/// `initdb` and the configuration of a server that is not a standby.
pub(crate) async fn init(node: &Node, own: &[(String, String)], hba: &[String]) -> Result<(), Error> {
    let workdir = node.workdir();
    let pgdata = node.pgdata().to_string_lossy().into_owned();
    let args = ["-D", &pgdata, "-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C"];
    command::run(workdir.account(), workdir.path(), &node.binaries().program("initdb"), args).await?;
    let listen = settings::listen(node.address().ip(), node.port());
    let mut own = own.to_vec();
    if !own.iter().any(|(name, _)| name == "unix_socket_directories") {
        own.push(("unix_socket_directories".to_owned(), String::new()));
    }
    node.append("postgresql.conf", &settings::conf(&listen, &own))?;
    node.write_hba(hba)
}
