//! The real `howdah` as a process: started from a file, frozen, killed, started again on the same port.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use howdah_testkit::{PortLease, wait_until};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::Failure;
use crate::direct::{self, Row};
use crate::site::Site;

/// How long the start of the program may take (time).
const START_LIMIT: Duration = Duration::from_secs(30);

/// A pooler. Dropping it kills the process.
#[derive(Debug)]
pub(crate) struct Pooler {
    program: PathBuf,
    directory: TempDir,
    port: PortLease,
    child: Mutex<Option<Child>>,
}

/// The text of a configuration for this cluster. `more` are further settings of the cluster.
pub(crate) fn configuration(site: &Site, more: &str, listen: (&str, u16), directory: &str) -> String {
    format!(
        "[clusters]\nmain = nodes={} {} failover=manage balance=round_robin causal_wait=1s \
         max_failovers_per_hour=0 {more}\n\
         [databases]\napp = cluster=main dbname=app\n\
         [pgbouncer]\nlisten_addr = {}\nlisten_port = {}\nunix_socket_dir =\nauth_type = trust\n\
         auth_file = {directory}/userlist.txt\nadmin_users = howdah\npool_mode = transaction\n\
         default_pool_size = 20\nserver_login_retry = 1\n",
        site.nodes(),
        site.login(),
        listen.0,
        listen.1,
    )
}

/// The users of every pooler here.
pub(crate) const USERS: &str = "\"app\" \"app\"\n\"howdah\" \"howdah\"\n";

impl Pooler {
    /// Writes its files and starts it.
    pub(crate) async fn start(program: &Path, site: &Site, more: &str) -> Result<Self, Failure> {
        let (directory, port) = (tempfile::tempdir()?, PortLease::reserve()?);
        let path = directory.path().to_string_lossy().into_owned();
        std::fs::write(directory.path().join("userlist.txt"), USERS)?;
        let text = configuration(site, more, ("127.0.0.1", port.port()), &path);
        std::fs::write(directory.path().join("howdah.ini"), text)?;
        let pooler = Self { program: program.to_owned(), directory, port, child: Mutex::default() };
        pooler.start_again().await?;
        Ok(pooler)
    }

    /// Starts the process, and waits until it listens.
    pub(crate) async fn start_again(&self) -> Result<(), Failure> {
        let file = |name: &str| self.directory.path().join(name);
        let log = std::fs::OpenOptions::new().create(true).append(true).open(file("howdah.log"))?;
        let mut command = Command::new(&self.program);
        command.arg(file("howdah.ini")).kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        *self.child.lock().unwrap_or_else(PoisonError::into_inner) = Some(command.spawn()?);
        wait_until("howdah to listen", START_LIMIT, || async {
            tokio::net::TcpStream::connect(("127.0.0.1", self.port.port())).await.is_ok()
        })
        .await?;
        Ok(())
    }

    /// Kills the process.
    pub(crate) async fn kill(&self) -> Result<(), Failure> {
        let child = self.child.lock().unwrap_or_else(PoisonError::into_inner).take();
        match child {
            Some(mut child) => Ok(child.kill().await?),
            None => Err("howdah does not run".into()),
        }
    }

    /// Stops the process without ending it.
    pub(crate) fn freeze(&self) -> Result<(), Failure> {
        self.signal(Signal::STOP)
    }

    /// Lets the frozen process go on.
    pub(crate) fn thaw(&self) -> Result<(), Failure> {
        self.signal(Signal::CONT)
    }

    fn signal(&self, signal: Signal) -> Result<(), Failure> {
        let child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        let id = child.as_ref().and_then(Child::id).and_then(|id| i32::try_from(id).ok());
        let pid = id.and_then(Pid::from_raw).ok_or("howdah does not run")?;
        Ok(kill_process(pid, signal)?)
    }

    /// The program that it runs.
    pub(crate) fn program(&self) -> &Path {
        &self.program
    }

    /// What an application is given.
    pub(crate) fn conninfo(&self) -> String {
        format!("host=127.0.0.1 port={} user=app dbname=app connect_timeout=5", self.port.port())
    }

    /// The rows of a SHOW.
    ///
    /// # Errors
    /// The console does not answer, or refuses.
    pub(crate) async fn show(&self, what: &str) -> Result<Vec<Row>, Failure> {
        self.order(&format!("SHOW {what}")).await
    }

    /// The answer to a command of the console.
    ///
    /// # Errors
    /// The console does not answer, or refuses.
    pub(crate) async fn order(&self, command: &str) -> Result<Vec<Row>, Failure> {
        let conninfo = format!("host=127.0.0.1 port={} user=howdah dbname=pgbouncer", self.port.port());
        let console = direct::connect(&conninfo).await?;
        direct::rows(&console, command).await
    }

    /// SHOW NODES and SHOW FAILOVERS, a line a row: what a person wants to see of a row that does not hold.
    pub(crate) async fn describe(&self) -> String {
        let mut lines = Vec::new();
        for what in ["NODES", "FAILOVERS"] {
            match self.show(what).await {
                Ok(rows) => lines.extend(rows.iter().map(Row::describe)),
                Err(failure) => lines.push(format!("SHOW {what}: {failure}")),
            }
        }
        lines.join("\n")
    }

    /// The end of its log: what a person wants to see of a row that does not hold.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("howdah.log")).unwrap_or_default()
    }
}
