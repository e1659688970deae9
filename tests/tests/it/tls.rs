//! TLS (PGBOUNCER_BEHAVIOUR.md section 12): `clients.rs` towards clients, `servers.rs` towards servers. The clients
//! are libpq's `psql` and rustls, the server is PostgreSQL over OpenSSL.

mod certificates;
mod clients;
mod control;
mod files;
mod servers;
mod streams;

use std::path::Path;

use tokio::process::Command;

use crate::support::{Authority, Binary, Pair, within};

/// What a pooler with TLS is made of.
struct Site {
    dir: tempfile::TempDir,
    ca: Authority<'static>,
    server: Pair,
}

impl Site {
    /// An authority and a certificate for `localhost` and 127.0.0.1.
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let ca = Authority::new(dir.path(), "ca");
        let server = ca.sign("localhost", &["localhost", "127.0.0.1"]);
        Self { dir, ca, server }
    }

    /// Lines of `[pgbouncer]` with TLS for clients and a log.
    fn settings(&self, sslmode: &str, more: &str) -> String {
        format!(
            "logfile = @DIR@/log\nclient_tls_sslmode = {sslmode}\nclient_tls_key_file = {}\n\
             client_tls_cert_file = {}\nclient_tls_ca_file = {}\n{more}",
            self.server.key.display(),
            self.server.cert.display(),
            self.ca.file("ca").display()
        )
    }
}

/// Runs one statement by `psql`; standard output, or what it says of the failure.
async fn psql(conninfo: &str, sql: &str) -> Result<String, String> {
    let run = Command::new("psql")
        .args(["-XqtA", "-v", "ON_ERROR_STOP=1", "-d", conninfo, "-c", sql])
        .env("PGCONNECT_TIMEOUT", "10")
        .env_remove("HOME")
        .output();
    let output = within("psql", run).await.unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() {
        Ok(text(&output.stdout) + &text(&output.stderr))
    } else {
        Err(text(&output.stderr))
    }
}

/// A connection string of `postgres` for this program.
fn conninfo(binary: &Binary, more: &str) -> String {
    format!("host=localhost hostaddr=127.0.0.1 port={} user=postgres dbname=postgres {more}", binary.port())
}

/// One command on the console, over the Unix socket.
async fn console(binary: &Binary, command: &str) -> Result<String, String> {
    let at =
        format!("host={} port={} user=pgbouncer dbname=pgbouncer", binary.dir().display(), binary.port());
    psql(&at, command).await
}

fn log(dir: &Path) -> String {
    std::fs::read_to_string(dir.join("log")).unwrap()
}
