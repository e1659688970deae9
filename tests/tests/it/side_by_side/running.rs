//! A pooler of either kind as a child process, with the same file.

use std::net::SocketAddr;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use howdah_testkit::{Account, PortLease, Postgres};
use tempfile::TempDir;

use crate::support::{howdah_program, until};

/// Which program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Debian,
    Howdah,
}

impl Kind {
    /// Where it is.
    pub(super) fn program(self) -> PathBuf {
        match self {
            Self::Debian => {
                let path = PathBuf::from("/usr/sbin/pgbouncer");
                assert!(path.is_file(), "Debian's package `pgbouncer` (1.18) has to be installed");
                path
            }
            Self::Howdah => howdah_program(),
        }
    }

    /// The command, as an account that Debian's does not refuse (it does not run as root).
    pub(super) fn command(self) -> Command {
        let mut command = Command::new(self.program());
        if self == Self::Debian
            && let Some((uid, gid)) = Account::choose().unwrap().ids()
        {
            command.uid(uid).gid(gid);
        }
        command.stdin(Stdio::null());
        command
    }
}

/// Users: `boss` is an admin of the console, `viewer` may look, the others are plain.
const USERS: &str = "\"postgres\" \"\"\n\"boss\" \"\"\n\"viewer\" \"\"\n\"alice\" \"secret\"\n";

/// A running pooler; killed with its owner.
pub(super) struct Running {
    child: Child,
    port: PortLease,
    dir: TempDir,
    servers: u16,
}

impl Running {
    /// Starts with databases `postgres`, `other` (forced user), `nowhere` (nobody listens there) and these settings.
    pub(super) async fn start(kind: Kind, pg: &Postgres, settings: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let port = PortLease::reserve().unwrap();
        Account::choose().unwrap().own(dir.path()).unwrap();
        std::fs::write(dir.path().join("users"), USERS).unwrap();
        let (at, node) = (dir.path().display(), format!("host={} port={}", pg.host(), pg.port()));
        let text = format!(
            "[databases]\npostgres = {node}\nother = {node} dbname=postgres user=postgres pool_size=3\n\
             nowhere = host=127.0.0.1 port=1\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {}\n\
             unix_socket_dir = {at}\nauth_file = {at}/users\nlogfile = {at}/log\npidfile = {at}/pid\n\
             auth_type = trust\npool_mode = transaction\nadmin_users = boss\nstats_users = viewer\n{settings}\n",
            port.port()
        );
        std::fs::write(dir.path().join("pooler.ini"), text).unwrap();
        let file = dir.path().join("pooler.ini");
        let mut command = kind.command();
        command.arg("--quiet").arg(&file).stdout(Stdio::null()).stderr(Stdio::null());
        let running = Self { child: command.spawn().unwrap(), port, dir, servers: pg.port() };
        until("the pooler to be up", || async {
            tokio::net::TcpStream::connect(running.address()).await.is_ok()
                && running.log().contains("process up: ")
        })
        .await;
        running
    }

    /// Where clients connect.
    pub(super) fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port.port()))
    }

    /// Its directory.
    pub(super) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Its log.
    pub(super) fn log(&self) -> String {
        std::fs::read_to_string(self.dir().join("log")).unwrap_or_default()
    }

    /// Text without what differs from run to run: directory, ports, pointers, times, process ids.
    pub(super) fn mask(&self, text: &str) -> String {
        let text = text.replace(&self.dir().display().to_string(), "DIR");
        let words = masked_numbers(&text);
        words
            .replace(&format!(" {} ", self.port.port()), " PORT ")
            .replace(&format!(":{}", self.port.port()), ":PORT")
            .replace(&format!("={}", self.port.port()), "=PORT")
            .replace(&format!("\"{}\"", self.port.port()), "\"PORT\"")
            .replace(&format!("\"{}\"", self.servers), "\"SERVER\"")
            .replace(&format!(":{}", self.servers), ":SERVER")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Pointers as `PTR`.
fn masked_numbers(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("0x") {
        out.push_str(before);
        out.push_str("PTR");
        rest = after.trim_start_matches(|c: char| c.is_ascii_hexdigit());
    }
    out.push_str(rest);
    out
}
