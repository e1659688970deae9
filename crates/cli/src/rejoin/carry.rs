//! Carries out what was decided, with the programs' progress on the terminal.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::conninfo::Conninfo;
use super::decide::Way;
use super::programs::{self, Programs};
use super::settings::Kept;
use super::state::Node;
use super::{Error, Options};
use crate::args::say;

/// How long a started standby may take until it accepts reads, in seconds.
const START_LIMIT: &str = "120";

/// The SQLSTATE of a slot that is there already.
const DUPLICATE_OBJECT: &str = "42710";

/// Everything that the work needs.
pub(crate) struct Carry<'a> {
    pub(crate) options: &'a Options,
    pub(crate) primary: &'a Conninfo,
    /// The login for pg_rewind.
    pub(crate) login: &'a Conninfo,
    pub(crate) programs: &'a Programs,
    pub(crate) node: &'a Node,
}

impl Carry<'_> {
    /// Makes the directory a standby's, ready to be started.
    ///
    /// # Errors
    /// A program failed, or a file cannot be written.
    pub(crate) fn out(&self, way: Way) -> Result<(), Error> {
        self.make_slot()?;
        let pgdata = &self.options.pgdata;
        // Of a killed server: `state.rs` has made sure that none runs.
        let _ = std::fs::remove_file(pgdata.join("postmaster.pid"));
        let kept = Kept::take(pgdata);
        match way {
            Way::Start => {}
            Way::Rewind => {
                self.checkpoint(self.login)?;
                if let Err(why) = self.rewind(self.login) {
                    self.copy_instead(&why)?;
                }
            }
            Way::Copy => self.copy()?,
        }
        let conninfo = self.primary.without("dbname").with("application_name", &self.options.name());
        kept.put(pgdata, self.programs, &conninfo.text(), self.options.slot.as_deref())
    }

    /// Makes the slot that the node streams through, unless the primary has it: from now on what the node needs is kept.
    fn make_slot(&self) -> Result<(), Error> {
        let Some(slot) = &self.options.slot else { return Ok(()) };
        let at = self.primary.without("dbname").with("replication", "true");
        let mut command = self.programs.command_to("psql", None, &at);
        command.args(["--no-psqlrc", "-qAt", "-v", "VERBOSITY=sqlstate"]);
        let name = slot.replace('"', "\"\"");
        command.arg(format!("--command=CREATE_REPLICATION_SLOT \"{name}\" PHYSICAL RESERVE_WAL"));
        match programs::output(&mut command) {
            Err(why) if !why.contains(DUPLICATE_OBJECT) => Err(Error::Failed(format!(
                "the replication slot {slot} cannot be made on {}: {why}",
                self.primary.place()
            ))),
            _ => Ok(()),
        }
    }

    /// pg_rewind takes the primary's timeline from its control file, which a promotion changes only with the next
    /// checkpoint: before that it says that nothing is to be done.
    fn checkpoint(&self, login: &Conninfo) -> Result<(), Error> {
        let mut command = self.programs.command_to("psql", None, login);
        command.args(["--no-psqlrc", "-q", "--command", "CHECKPOINT"]);
        match programs::output(&mut command) {
            Ok(_) => Ok(()),
            Err(why) => Err(Error::Failed(format!(
                "the primary must make a checkpoint before pg_rewind, and --rewind-as may not ask for it: {why}"
            ))),
        }
    }

    fn rewind(&self, login: &Conninfo) -> Result<(), String> {
        let mut command = self.programs.command("pg_rewind");
        if let Some(password) = login.get("password") {
            command.env("PGPASSWORD", password);
        }
        command.arg(format!("--source-server={}", login.without("password").text()));
        command.arg("--target-pgdata").arg(&self.options.pgdata).arg("--progress");
        if let Some(file) = self.options.config_file.as_ref().filter(|_| self.programs.major() >= 15) {
            command.arg("--config-file").arg(file);
        }
        programs::watch(&mut command)
    }

    /// After a rewind that failed the directory is no one's data any more.
    fn copy_instead(&self, why: &str) -> Result<(), Error> {
        if let Node::Stopped(control) = self.node
            && control.has_tablespaces
        {
            return Err(Error::Failed(format!(
                "{why}; it must be copied anew, by hand, for it has table spaces"
            )));
        }
        say(&format!("{why}: it is copied anew.\n"));
        self.copy()
    }

    /// Copies the primary beside the directory and then into its place; where it cannot be replaced (a mount), the
    /// directory is emptied first.
    fn copy(&self) -> Result<(), Error> {
        let pgdata = &self.options.pgdata;
        if is_mount(pgdata) {
            empty(pgdata)?;
            return self.base_backup(pgdata);
        }
        let mut beside = pgdata.clone().into_os_string();
        beside.push(".rejoin");
        let beside = PathBuf::from(beside);
        if beside.exists() {
            // Of a copy that was interrupted.
            std::fs::remove_dir_all(&beside).map_err(Error::file("remove", &beside))?;
        }
        self.base_backup(&beside)?;
        if pgdata.exists() {
            std::fs::remove_dir_all(pgdata).map_err(Error::file("remove", pgdata))?;
        }
        std::fs::rename(&beside, pgdata).map_err(Error::file("move", &beside))
    }

    fn base_backup(&self, into: &Path) -> Result<(), Error> {
        let from = self.primary.without("dbname").with("application_name", &self.options.name());
        let mut command = self.programs.command_to("pg_basebackup", Some("-d"), &from);
        command.arg("-D").arg(into).args(["-Fp", "-Xs", "-v", "-P", "-c", "fast"]);
        programs::watch(&mut command).map_err(Error::Failed)
    }

    /// Starts the server and waits until it takes reads.
    ///
    /// # Errors
    /// It does not come up; the sentence names its log.
    pub(crate) fn start(&self) -> Result<(), Error> {
        let pgdata = &self.options.pgdata;
        let log = self.options.log.clone().unwrap_or_else(|| {
            let mut beside = pgdata.clone().into_os_string();
            beside.push(".log");
            PathBuf::from(beside)
        });
        let made = std::fs::OpenOptions::new().create(true).append(true).open(&log);
        made.map_err(Error::file("open", &log))?;
        self.programs.own(&log)?;
        let mut command = self.programs.command("pg_ctl");
        command.arg("start").arg("-D").arg(pgdata).arg("-l").arg(&log);
        command.args(["--wait", "--silent", "-t", START_LIMIT]);
        if let Some(file) = &self.options.config_file {
            command.arg("-o").arg(format!("-c config_file='{}'", file.display()));
        }
        let looked = |why| Error::Failed(format!("{why}; its log is {}", log.display()));
        programs::watch(&mut command).map_err(looked)?;
        say(&format!("{} runs as a standby of {}.\n", self.options.name(), self.primary.place()));
        Ok(())
    }
}

/// Whether a directory is the root of another file system than the folder that it is in.
fn is_mount(path: &Path) -> bool {
    let device = |path: &Path| std::fs::metadata(path).map(|about| about.dev()).ok();
    match (device(path), path.canonicalize().ok().as_deref().and_then(Path::parent).and_then(device)) {
        (Some(own), Some(outside)) => own != outside,
        _ => false,
    }
}

/// Removes everything in a directory.
fn empty(path: &Path) -> Result<(), Error> {
    for entry in std::fs::read_dir(path).map_err(Error::file("read", path))? {
        let entry = entry.map_err(Error::file("read", path))?.path();
        let removed = if entry.is_dir() && !entry.is_symlink() {
            std::fs::remove_dir_all(&entry)
        } else {
            std::fs::remove_file(&entry)
        };
        removed.map_err(Error::file("remove", &entry))?;
    }
    Ok(())
}
