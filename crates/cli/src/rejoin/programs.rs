//! PostgreSQL's programs, run as the owner of the data directory: they refuse to work for root.

use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use howdah_testkit::{Binaries, find_binaries};

use super::Error;
use super::conninfo::Conninfo;

/// How long a connection of a program may take to come about, in seconds, as libpq reads it.
const CONNECT_TIMEOUT: &str = "10";

/// The programs and who runs them.
#[derive(Debug)]
pub(crate) struct Programs {
    binaries: Binaries,
    /// User and group to become; `None` when we are that user already.
    owner: Option<(u32, u32)>,
    /// Where they are started: a folder that the owner may read.
    folder: PathBuf,
}

impl Programs {
    /// The installed programs, for the owner of `pgdata` or, before that exists, of the folder it is in.
    ///
    /// # Errors
    /// There are none, or root owns the data directory.
    pub(crate) fn find(pgdata: &Path) -> Result<Self, Error> {
        let binaries = find_binaries().map_err(|error| Error::Refused(error.to_string()))?;
        let there = pgdata.ancestors().find(|folder| folder.is_dir()).unwrap_or(Path::new("/"));
        let about = std::fs::metadata(there).map_err(Error::file("look at", there))?;
        let is_root = rustix::process::geteuid().is_root();
        if is_root && about.uid() == 0 {
            return Err(Error::Refused(format!(
                "{} belongs to root, and PostgreSQL does not run as root: give it to its account first",
                there.display()
            )));
        }
        let owner = is_root.then(|| (about.uid(), about.gid()));
        Ok(Self { binaries, owner, folder: PathBuf::from("/") })
    }

    /// PostgreSQL's major version.
    pub(crate) fn major(&self) -> u32 {
        self.binaries.major()
    }

    /// Gives a file to the owner.
    pub(crate) fn own(&self, path: &Path) -> Result<(), Error> {
        let Some((user, group)) = self.owner else { return Ok(()) };
        std::os::unix::fs::chown(path, Some(user), Some(group)).map_err(Error::file("give away", path))
    }

    /// One of the programs, with an environment that makes its output readable by us.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.binaries.program(program));
        command.current_dir(&self.folder).stdin(Stdio::null());
        command.env("LC_ALL", "C").env("PGCONNECT_TIMEOUT", CONNECT_TIMEOUT);
        if let Some((user, group)) = self.owner {
            command.uid(user).gid(group);
        }
        command
    }

    /// The same with a connection string as the next argument; the password goes by the environment, for arguments
    /// can be seen by everybody.
    pub(crate) fn command_to(&self, program: &str, flag: Option<&str>, to: &Conninfo) -> Command {
        let mut command = self.command(program);
        if let Some(password) = to.get("password") {
            command.env("PGPASSWORD", password);
        }
        command.args(flag).arg(to.without("password").text());
        command
    }
}

/// Runs a command; gives what it wrote.
///
/// # Errors
/// A sentence with what it complained about.
pub(crate) fn output(command: &mut Command) -> Result<String, String> {
    let name = name(command);
    let output = command.output().map_err(|error| format!("cannot run {name}: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let complaint = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(format!("{name} failed: {complaint}"))
}

/// Runs a command whose output the user sees as it comes.
///
/// # Errors
/// A sentence.
pub(crate) fn watch(command: &mut Command) -> Result<(), String> {
    let name = name(command);
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{name} failed ({status})")),
        Err(error) => Err(format!("cannot run {name}: {error}")),
    }
}

fn name(command: &Command) -> String {
    Path::new(command.get_program()).file_name().unwrap_or_default().to_string_lossy().into_owned()
}
