//! The poolers under test: the same `pgbouncer.ini` for both, each in a process of its own on a port of its own.

use super::{DATABASE, ROLE, idle, usage};
use crate::{Failure, process};
use howdah_testkit::{PortLease, Postgres, WorkDir};
use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Server connections a pool, as PERFORMANCE.md measured; in session pooling every client needs its own.
const POOL_SIZE: u32 = 20;
const SESSION_POOL_SIZE: u32 = 100;
/// Room for the idle clients and a few more.
const MAX_CLIENTS: u32 = 20_000;
/// How long a pooler may take until it answers a login.
const START_LIMIT: Duration = Duration::from_secs(20);
/// How often it is asked meanwhile.
const START_PAUSE: Duration = Duration::from_millis(20);
/// The first PgBouncer that keeps prepared statements apart in transaction pooling, as (major, minor).
const FIRST_WITH_PREPARED: (u32, u32) = (1, 21);

/// Who carries the load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// No pooler: what the server alone does.
    Direct,
    /// The pooler that we replace.
    PgBouncer,
    /// Ours.
    Howdah,
}

impl Kind {
    /// The name in tables and of the folder.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Direct => "direct",
            Kind::PgBouncer => "pgbouncer",
            Kind::Howdah => "howdah",
        }
    }
}

/// `pool_mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum PoolMode {
    /// A server for a transaction.
    Transaction,
    /// A server for a session.
    Session,
}

/// The binaries.
#[derive(Debug)]
pub(crate) struct Programs {
    /// Howdah's.
    pub(crate) howdah: PathBuf,
    /// PgBouncer's.
    pub(crate) pgbouncer: PathBuf,
    /// `PgBouncer 1.18.0`.
    pub(crate) pgbouncer_version: String,
}

impl Programs {
    /// Asks PgBouncer for its version.
    pub(crate) fn with_version(mut self) -> Result<Self, Failure> {
        let answer = process::output_of(Command::new(&self.pgbouncer).arg("-V"))?;
        self.pgbouncer_version = answer.lines().next().unwrap_or("").to_owned();
        Ok(self)
    }

    /// Does this PgBouncer have prepared statements in transaction pooling?
    pub(crate) fn pgbouncer_pools_prepared(&self) -> bool {
        version_of(&self.pgbouncer_version).is_some_and(|version| version >= FIRST_WITH_PREPARED)
    }
}

/// `PgBouncer 1.18.0` as (1, 18).
pub(crate) fn version_of(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.split_whitespace().nth(1)?.split('.').map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

/// A pooler that runs; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Pooler {
    child: Child,
    port: PortLease,
    // The folder stays until the process has ended: fields are dropped in their order, after `drop`.
    folder: WorkDir,
}

impl Pooler {
    /// Starts a pooler and waits until it lets a client in.
    pub(crate) fn start(
        kind: Kind,
        mode: PoolMode,
        programs: &Programs,
        server: &Postgres,
    ) -> Result<Self, Failure> {
        let pooler = Self::launch(kind, mode, programs, server)?;
        pooler.wait_for_login(kind)?;
        Ok(pooler)
    }

    /// Starts a pooler that nobody has asked anything yet, apart from whether it listens.
    pub(crate) fn launch(
        kind: Kind,
        mode: PoolMode,
        programs: &Programs,
        server: &Postgres,
    ) -> Result<Self, Failure> {
        let folder = WorkDir::new()?;
        // The watchdog of a WorkDir ends what works below it.
        let inside = folder.make_dir(kind.name())?;
        let port = PortLease::reserve()?;
        let users = folder.path().join("userlist.txt");
        folder.write(&users, &format!("\"{ROLE}\" \"\"\n"))?;
        let settings = folder.path().join("pgbouncer.ini");
        folder.write(&settings, &ini(mode, port.port(), server, &users.to_string_lossy()))?;
        let log = File::create(folder.path().join("log"))?;
        let program = if kind == Kind::Howdah { &programs.howdah } else { &programs.pgbouncer };
        let mut command = Command::new(program);
        command.arg(&settings).current_dir(inside).process_group(0);
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        if let Some((user, group)) = folder.account().ids() {
            command.uid(user).gid(group);
        }
        let child = command.spawn().map_err(|e| format!("cannot start {}: {e}", program.display()))?;
        let pooler = Pooler { child, port, folder };
        pooler.wait_for_port(kind)?;
        Ok(pooler)
    }

    /// Where it listens.
    pub(crate) fn port(&self) -> u16 {
        self.port.port()
    }

    /// What it has cost and holds until now.
    pub(crate) fn usage(&self) -> Result<usage::Usage, Failure> {
        usage::of_tree(self.child.id())
    }

    fn wait_for_port(&self, kind: Kind) -> Result<(), Failure> {
        self.wait(kind, || idle::listens(self.port()))
    }

    fn wait_for_login(&self, kind: Kind) -> Result<(), Failure> {
        self.wait(kind, || idle::login(self.port()).map(drop))
    }

    /// Tries until it works; at the limit the pooler's log says why not.
    fn wait(&self, kind: Kind, attempt: impl Fn() -> Result<(), Failure>) -> Result<(), Failure> {
        let started = Instant::now();
        while let Err(last) = attempt() {
            if started.elapsed() > START_LIMIT {
                let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
                return Err(format!("{} does not serve: {last}; its log: {log}", kind.name()).into());
            }
            std::thread::sleep(START_PAUSE);
        }
        Ok(())
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        // A child that has ended already is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The settings, the same for both.
fn ini(mode: PoolMode, port: u16, server: &Postgres, users: &str) -> String {
    let (mode, pool_size) = match mode {
        PoolMode::Transaction => ("transaction", POOL_SIZE),
        PoolMode::Session => ("session", SESSION_POOL_SIZE),
    };
    format!(
        "[databases]\n{DATABASE} = host={host} port={server_port} dbname={DATABASE}\n\
         [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n\
         auth_type = trust\nauth_file = {users}\npool_mode = {mode}\ndefault_pool_size = {pool_size}\n\
         max_client_conn = {MAX_CLIENTS}\nlog_connections = 0\nlog_disconnections = 0\n\
         ignore_startup_parameters = extra_float_digits\n",
        host = server.host(),
        server_port = server.port(),
    )
}
