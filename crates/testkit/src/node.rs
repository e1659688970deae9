//! One PostgreSQL server of a test: start, stop, break and ask it.
//!
//! A [`Node`] is a handle; clones speak of the same server, which is killed when the last one is dropped.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::Signal;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

use crate::binaries::Binaries;
use crate::command::tail;
use crate::error::Error;
use crate::ports::PortLease;
use crate::process;
use crate::settings;
use crate::wait::{DEFAULT_DEADLINE, wait_until};
use crate::workdir::WorkDir;

/// The end of a log that goes into an error, in bytes.
const LOG_SHOWN: usize = 4000;
/// The longest that a connection attempt of the kit itself may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// How long killed processes are waited for.
const REAP_LIMIT: Duration = Duration::from_secs(5);

/// One server. See the module's text.
#[derive(Clone)]
pub struct Node {
    inner: Arc<Inner>,
}

struct Inner {
    name: String,
    address: IpAddr,
    port: PortLease,
    pgdata: PathBuf,
    binaries: Binaries,
    child: Mutex<Option<Child>>,
    /// What is left of a killed server; the next one must not start before it is gone.
    dying: Mutex<Vec<i32>>,
    workdir: Arc<WorkDir>,
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Node({} at {})", self.name(), self.address())
    }
}

impl Node {
    pub(crate) fn new(
        name: String,
        address: IpAddr,
        binaries: Binaries,
        workdir: Arc<WorkDir>,
    ) -> Result<Self, Error> {
        let pgdata = workdir.path().join(&name);
        let port = PortLease::reserve()?;
        let (child, dying) = (Mutex::new(None), Mutex::default());
        Ok(Self { inner: Arc::new(Inner { name, address, port, pgdata, binaries, child, dying, workdir }) })
    }

    /// Its name, which is also its `application_name` as a standby.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        SocketAddr::new(self.inner.address, self.port())
    }

    /// The IP address alone, as text.
    #[must_use]
    pub fn host(&self) -> String {
        self.inner.address.to_string()
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.inner.port.port()
    }

    /// Its data directory.
    #[must_use]
    pub fn pgdata(&self) -> &Path {
        &self.inner.pgdata
    }

    /// The programs that it runs.
    #[must_use]
    pub fn binaries(&self) -> &Binaries {
        &self.inner.binaries
    }

    pub(crate) fn workdir(&self) -> &WorkDir {
        &self.inner.workdir
    }

    /// The server's log file.
    #[must_use]
    pub fn log_path(&self) -> PathBuf {
        self.inner.workdir.path().join(format!("{}.log", self.name()))
    }

    /// The end of the server's log.
    #[must_use]
    pub fn log_tail(&self) -> String {
        let bytes = std::fs::read(self.log_path()).unwrap_or_default();
        tail(&String::from_utf8_lossy(&bytes), LOG_SHOWN)
    }

    /// A libpq connection string for the superuser.
    #[must_use]
    pub fn conninfo(&self, dbname: &str) -> String {
        format!("host={} port={} user=postgres dbname={dbname}", self.host(), self.port())
    }

    /// The postmaster's process id, while it runs; also of one that another program started on this directory, as
    /// `howdah rejoin` does.
    #[must_use]
    pub fn pid(&self) -> Option<i32> {
        let mut child = self.child();
        let running = child.as_mut().is_some_and(|c| matches!(c.try_wait(), Ok(None)));
        if !running {
            *child = None;
        }
        match child.as_ref() {
            Some(child) => i32::try_from(child.id()).ok(),
            None => process::postmaster_of(self.pgdata()),
        }
    }

    /// Whether the postmaster's process exists; a frozen one counts as running.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.pid().is_some()
    }

    /// Starts the server without waiting for it to accept connections.
    ///
    /// # Errors
    /// [`Error::Io`] when the process cannot be made.
    pub fn launch(&self) -> Result<(), Error> {
        await_death(&std::mem::take(&mut *self.dying()));
        if self.is_running() {
            return Ok(());
        }
        let log_path = self.log_path();
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&log_path)
            .map_err(Error::io("open", &log_path))?;
        let errors = log.try_clone().map_err(Error::io("open", &log_path))?;
        let program = self.inner.binaries.program("postgres");
        let mut command = Command::new(&program);
        command.arg("-D").arg(self.pgdata()).current_dir(self.pgdata()).env("LC_ALL", "C");
        command.stdin(Stdio::null()).stdout(log).stderr(errors);
        self.inner.workdir.account().apply(&mut command);
        let child = command.spawn().map_err(Error::io("run", program))?;
        *self.child() = Some(child);
        Ok(())
    }

    /// Starts the server and waits until it answers a query.
    ///
    /// # Errors
    /// [`Error::Start`] with the end of its log when it ends instead, [`Error::Deadline`] after 30 s.
    pub async fn start(&self) -> Result<(), Error> {
        self.launch()?;
        let what = format!("{} to accept connections", self.name());
        wait_until(&what, DEFAULT_DEADLINE, || async { !self.is_running() || self.connect().await.is_ok() })
            .await?;
        if self.is_running() {
            return Ok(());
        }
        Err(Error::Start { name: self.name().to_owned(), log: self.log_tail() })
    }

    /// `pg_ctl stop -m fast`: sessions are ended, then a shutdown checkpoint.
    ///
    /// # Errors
    /// [`Error::NotRunning`], or [`Error::Deadline`] when it does not end in 30 s.
    pub async fn stop(&self) -> Result<(), Error> {
        self.stop_with(Signal::INT).await
    }

    /// `pg_ctl stop -m immediate`: as after a crash, recovery follows at the next start.
    ///
    /// # Errors
    /// As [`Node::stop`].
    pub async fn stop_immediate(&self) -> Result<(), Error> {
        self.stop_with(Signal::QUIT).await
    }

    async fn stop_with(&self, signal: Signal) -> Result<(), Error> {
        let pid = self.running_pid()?;
        self.thaw();
        let mut dying = process::children_of(pid);
        process::signal(pid, signal);
        let what = format!("{} to stop", self.name());
        wait_until(&what, DEFAULT_DEADLINE, || async { !self.is_running() }).await?;
        dying.push(pid);
        self.leave(dying);
        self.wait_gone().await
    }

    /// Kills the whole server at once, as `kill -9` or a dead machine does: postmaster and every child by its id.
    ///
    /// # Errors
    /// [`Error::NotRunning`].
    pub fn kill9(&self) -> Result<(), Error> {
        let pid = self.running_pid()?;
        let mut dying = process::signal_server(pid, Signal::KILL);
        // A postmaster that another program started is reaped by somebody else, a moment later.
        dying.push(pid);
        self.leave(dying);
        self.reap();
        Ok(())
    }

    /// Waits until nothing is left of a killed server: a process that nobody has reaped yet holds its lock file.
    ///
    /// # Errors
    /// [`Error::Deadline`] after 30 s.
    pub async fn wait_gone(&self) -> Result<(), Error> {
        let what = format!("nothing to be left of {}", self.name());
        wait_until(&what, DEFAULT_DEADLINE, || async {
            self.dying().iter().all(|pid| !process::exists(*pid))
        })
        .await
    }

    /// Kills the postmaster alone; its children end by themselves when they notice.
    ///
    /// # Errors
    /// [`Error::NotRunning`].
    pub fn kill9_postmaster(&self) -> Result<(), Error> {
        let pid = self.running_pid()?;
        self.leave(process::children_of(pid));
        process::signal(pid, Signal::KILL);
        self.reap();
        Ok(())
    }

    /// Stops every process of the server (SIGSTOP): sockets stay open and nothing answers.
    ///
    /// # Errors
    /// [`Error::NotRunning`].
    pub fn freeze(&self) -> Result<(), Error> {
        process::signal_server(self.running_pid()?, Signal::STOP);
        Ok(())
    }

    /// Stops the postmaster alone: sessions go on, nobody new gets in.
    ///
    /// # Errors
    /// [`Error::NotRunning`].
    pub fn freeze_postmaster(&self) -> Result<(), Error> {
        process::signal(self.running_pid()?, Signal::STOP);
        Ok(())
    }

    /// Stops one process of the server, for example its startup process; [`Node::thaw`] lets it go on.
    ///
    /// # Errors
    /// [`Error::NotRunning`], also when the process is no child of the postmaster.
    pub fn freeze_process(&self, pid: i32) -> Result<(), Error> {
        if !process::children_of(self.running_pid()?).contains(&pid) {
            return Err(Error::NotRunning { node: format!("process {pid} of {}", self.name()) });
        }
        process::signal(pid, Signal::STOP);
        Ok(())
    }

    /// Lets every process of the server go on after a freeze. Harmless otherwise.
    pub fn thaw(&self) {
        if let Some(pid) = self.pid() {
            process::signal_server(pid, Signal::CONT);
        }
    }

    /// A new session as the superuser `postgres`.
    ///
    /// # Errors
    /// [`Error::Sql`], or [`Error::Deadline`] after 5 s.
    pub async fn connect_to(&self, dbname: &str) -> Result<Client, Error> {
        self.connect_with(&self.conninfo(dbname)).await
    }

    /// A new session as the superuser `postgres` in database `postgres`.
    ///
    /// # Errors
    /// As [`Node::connect_to`].
    pub async fn connect(&self) -> Result<Client, Error> {
        self.connect_to("postgres").await
    }

    /// A new session by a libpq connection string.
    ///
    /// # Errors
    /// As [`Node::connect_to`].
    pub async fn connect_with(&self, conninfo: &str) -> Result<Client, Error> {
        let attempt = tokio::time::timeout(CONNECT_LIMIT, tokio_postgres::connect(conninfo, NoTls));
        let (client, connection) = attempt
            .await
            .map_err(|_| Error::Deadline {
                what: format!("a session of {}", self.name()),
                waited: CONNECT_LIMIT,
            })?
            .map_err(|source| self.sql_error(source))?;
        // Ends with the client.
        tokio::spawn(connection);
        Ok(client)
    }

    /// Runs SQL in a fresh session of database `postgres`; gives the rows as text, an empty text for NULL.
    ///
    /// # Errors
    /// [`Error::Sql`] or [`Error::Deadline`].
    pub async fn psql(&self, sql: &str) -> Result<Vec<Vec<String>>, Error> {
        let client = self.connect().await?;
        let answer = client.simple_query(sql).await.map_err(|source| self.sql_error(source))?;
        Ok(answer
            .iter()
            .filter_map(|message| match message {
                SimpleQueryMessage::Row(row) => Some(row),
                _ => None,
            })
            .map(|row| (0..row.len()).map(|i| row.get(i).unwrap_or_default().to_owned()).collect())
            .collect())
    }

    /// The first column of the first row; empty when there is none.
    ///
    /// # Errors
    /// As [`Node::psql`].
    pub async fn value(&self, sql: &str) -> Result<String, Error> {
        let rows = self.psql(sql).await?;
        Ok(rows.into_iter().next().and_then(|row| row.into_iter().next()).unwrap_or_default())
    }

    /// Whether it is in recovery, that is a standby.
    ///
    /// # Errors
    /// As [`Node::psql`].
    pub async fn is_standby(&self) -> Result<bool, Error> {
        Ok(self.value("SELECT pg_is_in_recovery()").await? == "t")
    }

    /// Appends to `postgresql.conf`; takes effect at the next start or reload.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn append_conf(&self, settings: &[(String, String)]) -> Result<(), Error> {
        self.append("postgresql.conf", &settings::lines(settings))
    }

    /// Replaces `pg_hba.conf` by these lines followed by the kit's own.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn write_hba(&self, lines: &[String]) -> Result<(), Error> {
        self.inner.workdir.write(&self.pgdata().join("pg_hba.conf"), &settings::hba(lines))
    }

    /// Reads the configuration files anew (SIGHUP).
    ///
    /// # Errors
    /// [`Error::NotRunning`].
    pub fn reload(&self) -> Result<(), Error> {
        process::signal(self.running_pid()?, Signal::HUP);
        Ok(())
    }

    pub(crate) fn append(&self, file: &str, text: &str) -> Result<(), Error> {
        use std::io::Write as _;
        let path = self.pgdata().join(file);
        let mut handle = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .map_err(Error::io("open", &path))?;
        handle.write_all(text.as_bytes()).map_err(Error::io("write", &path))?;
        self.inner.workdir.account().own(&path)
    }

    /// Nobody but the server's account may read this file of its data directory: PostgreSQL looks at the mode of a key.
    pub(crate) fn keep_to_itself(&self, file: &str) -> Result<(), Error> {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.pgdata().join(file);
        let mode = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(&path, mode).map_err(Error::io("change the mode of", &path))
    }

    pub(crate) fn sql_error(&self, source: tokio_postgres::Error) -> Error {
        Error::Sql { node: self.name().to_owned(), source }
    }

    fn running_pid(&self) -> Result<i32, Error> {
        self.pid().ok_or_else(|| Error::NotRunning { node: self.name().to_owned() })
    }

    fn child(&self) -> MutexGuard<'_, Option<Child>> {
        self.inner.child.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is left of a killed server.
    fn dying(&self) -> MutexGuard<'_, Vec<i32>> {
        self.inner.dying.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn leave(&self, dying: Vec<i32>) {
        *self.dying() = dying;
    }

    /// Collects the exit status of a killed postmaster.
    fn reap(&self) {
        if let Some(mut child) = self.child().take() {
            let _ = child.wait();
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let child = self.child.get_mut().unwrap_or_else(PoisonError::into_inner);
        let Some(mut child) = child.take() else { return };
        if matches!(child.try_wait(), Ok(Some(_))) {
            return;
        }
        let Ok(pid) = i32::try_from(child.id()) else { return };
        let children = process::signal_server(pid, Signal::KILL);
        let _ = child.wait();
        // Its files must not be removed under it.
        await_death(&children);
    }
}

/// Waits for killed processes, which are gone in a moment.
fn await_death(pids: &[i32]) {
    let started = std::time::Instant::now();
    while started.elapsed() < REAP_LIMIT && pids.iter().any(|pid| process::exists(*pid)) {
        std::thread::yield_now();
    }
}
