//! The real program as a child process, as an operator starts it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;

use howdah_testkit::PortLease;
use tempfile::TempDir;

use super::bouncer;
use super::until;

/// The name of its configuration file.
const FILE: &str = "howdah.ini";

/// A running `howdah FILE`; killed with its owner.
pub(crate) struct Binary {
    child: Child,
    port: Arc<PortLease>,
    dir: TempDir,
}

/// `howdah` beside this test program, where `cargo build` puts it.
pub(crate) fn program() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let path = test.parent().and_then(Path::parent).unwrap().join("howdah");
    assert!(path.is_file(), "{} is missing: run `cargo build -p howdah-cli` first", path.display());
    path
}

impl Binary {
    /// Starts with these lines of `[databases]` and `[pgbouncer]`, and waits until it listens.
    pub(crate) async fn start(databases: &str, settings: &str) -> Self {
        Self::start_with(databases, settings, &[]).await
    }

    /// The same with further files beside the configuration: their names and texts.
    pub(crate) async fn start_with(databases: &str, settings: &str, files: &[(&str, &str)]) -> Self {
        Self::start_env(databases, settings, files, "HOWDAH_TEST_FILE").await
    }

    /// The same with a variable in its environment, which names the file that is called like it.
    pub(crate) async fn start_env(
        databases: &str,
        settings: &str,
        files: &[(&str, &str)],
        variable: &str,
    ) -> Self {
        let port = Arc::new(PortLease::reserve().unwrap());
        let binary = Self::launch(port, (databases, settings), files, variable);
        until("the program to listen", || async {
            tokio::net::TcpStream::connect(("127.0.0.1", binary.port.port())).await.is_ok()
        })
        .await;
        binary
    }

    /// Starts another with these lines, which has the same port (`so_reuseport`) and a directory of its own.
    pub(crate) async fn beside(&self, databases: &str, settings: &str) -> Self {
        let binary = Self::launch(Arc::clone(&self.port), (databases, settings), &[], "HOWDAH_TEST_FILE");
        let socket = binary.dir().join(format!(".s.PGSQL.{}", binary.port()));
        until("the other program to listen", || async {
            tokio::net::UnixStream::connect(&socket).await.is_ok()
        })
        .await;
        binary
    }

    fn launch(
        port: Arc<PortLease>,
        configuration: (&str, &str),
        files: &[(&str, &str)],
        variable: &str,
    ) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(dir.path().join(name), text).unwrap();
        }
        let file = dir.path().join(FILE);
        write(dir.path(), port.port(), configuration);
        let child = Command::new(program())
            .arg("--quiet")
            .arg(&file)
            .env(variable, dir.path().join(variable))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self { child, port, dir }
    }

    /// Starts the program once more with further arguments, in the place of the one that runs, which is given back.
    pub(crate) async fn restart(&mut self, arguments: &[&str]) -> Child {
        let child = Command::new(program())
            .arg("--quiet")
            .args(arguments)
            .arg(self.file())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let old = std::mem::replace(&mut self.child, child);
        until("the program to listen", || async {
            tokio::net::TcpStream::connect(("127.0.0.1", self.port.port())).await.is_ok()
        })
        .await;
        old
    }

    /// A connection string for this user and database.
    pub(crate) fn conninfo(&self, user: &str, dbname: &str) -> String {
        format!("host=127.0.0.1 port={} user={user} dbname={dbname}", self.port.port())
    }

    /// The same by its Unix socket, which is its own where the port is shared.
    pub(crate) fn local_conninfo(&self, user: &str, dbname: &str) -> String {
        format!("host={} port={} user={user} dbname={dbname}", self.dir().display(), self.port())
    }

    /// The lines of its log, `@DIR@/log`, that have this text.
    pub(crate) fn logged(&self, text: &str) -> Vec<String> {
        let log = std::fs::read_to_string(self.dir().join("log")).unwrap();
        log.lines().filter(|line| line.contains(text)).map(str::to_owned).collect()
    }

    /// Its configuration file.
    pub(crate) fn file(&self) -> PathBuf {
        self.dir.path().join(FILE)
    }

    /// Writes the file anew.
    pub(crate) fn rewrite(&self, databases: &str, settings: &str) {
        write(self.dir.path(), self.port.port(), (databases, settings));
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal by name.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
    }

    /// Whether it runs.
    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits for its end.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let child = std::sync::Mutex::new(&mut self.child);
        until("the end of the program", || async { child.lock().unwrap().try_wait().unwrap().is_some() })
            .await;
        self.child.wait().unwrap()
    }

    /// Its port.
    pub(crate) fn port(&self) -> u16 {
        self.port.port()
    }

    /// The directory of its Unix socket.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Resident memory at this moment (bytes).
    pub(crate) fn resident(&self) -> u64 {
        self.status("VmRSS:")
    }

    /// The most that it was (bytes).
    pub(crate) fn peak(&self) -> u64 {
        self.status("VmHWM:")
    }

    fn status(&self, field: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with(field)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
    }
}

/// Writes the configuration; `@DIR@` stands for its directory.
fn write(dir: &Path, port: u16, (databases, settings): (&str, &str)) {
    let text = bouncer::text(dir, port, databases, settings);
    std::fs::write(dir.join(FILE), text.replace("@DIR@", &dir.to_string_lossy())).unwrap();
}

impl Drop for Binary {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
