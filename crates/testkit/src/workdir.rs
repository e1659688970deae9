//! The one directory under which everything of a cluster lives, and the watchdog that removes it.
//!
//! The watchdog is a shell that waits for the end of its standard input. We hold the other end: when the owner is
//! dropped, or this process dies in whatever way (a panic, Ctrl-C, SIGKILL), it ends every process that works under
//! the directory and removes the directory. So the clean end and the violent one are the same code.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;

use crate::account::Account;
use crate::error::Error;

/// `$1` is the directory. A server works in its data directory, so every process to end has its working directory
/// below `$1`; one `ls` looks at all of them, for a program for each took seconds on a busy machine. The System V
/// segment that a killed postmaster leaves is named in line 7 of its pid file.
const WATCHDOG: &str = r#"
trap '' INT TERM HUP QUIT
read -r _
finish() {
    pids=$(ls -ld /proc/[0-9]*/cwd 2>/dev/null | while read -r line; do
        case "$line" in
            *" -> $1/"*) line=${line%%/cwd -> *}; echo "${line##*/proc/}" ;;
        esac
    done)
    [ -n "$pids" ] && kill -9 $pids 2>/dev/null
}
round=0
while [ $round -lt 100 ] && finish "$1"; do round=$((round + 1)); done
for file in "$1"/*/postmaster.pid; do
    [ -f "$file" ] || continue
    segment=$(sed -n '7s/^ *[0-9]* *//p' "$file")
    [ -n "$segment" ] && ipcrm -m $segment 2>/dev/null
done
for round in 1 2 3 4 5; do
    rm -rf "$1" 2>/dev/null
    [ -e "$1" ] || break
done
"#;

/// A directory of the servers' account, removed with everything that runs in it.
#[derive(Debug)]
pub struct WorkDir {
    path: PathBuf,
    account: Account,
    watchdog: Mutex<Child>,
}

impl WorkDir {
    /// Makes the directory under `TMPDIR` and starts its watchdog.
    ///
    /// # Errors
    /// [`Error::Io`] when either fails, [`Error::NoAccount`] for root without another account.
    pub fn new() -> Result<Self, Error> {
        let account = Account::choose()?;
        let parent = std::env::temp_dir();
        let path = tempfile::Builder::new()
            .prefix("howdah-")
            .tempdir_in(&parent)
            .map_err(Error::io("make a directory in", &parent))?
            .keep();
        account.own(&path)?;
        let mut command = Command::new("sh");
        command.arg("-c").arg(WATCHDOG).arg("howdah-watchdog").arg(&path);
        command.current_dir("/").stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        account.apply(&mut command);
        let watchdog = command.spawn().map_err(Error::io("start the watchdog of", &path))?;
        Ok(Self { path, account, watchdog: Mutex::new(watchdog) })
    }

    /// The directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The account that owns it.
    #[must_use]
    pub fn account(&self) -> Account {
        self.account
    }

    /// Writes a file of the servers' account into the directory or below it.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn write(&self, path: &Path, text: &str) -> Result<(), Error> {
        std::fs::write(path, text).map_err(Error::io("write", path))?;
        self.account.own(path)
    }

    /// Makes a directory of the servers' account.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn make_dir(&self, name: &str) -> Result<PathBuf, Error> {
        let path = self.path.join(name);
        std::fs::create_dir(&path).map_err(Error::io("make", &path))?;
        self.account.own(&path)?;
        Ok(path)
    }
}

impl Drop for WorkDir {
    fn drop(&mut self) {
        let watchdog = self.watchdog.get_mut().unwrap_or_else(std::sync::PoisonError::into_inner);
        // The end of its standard input is the order to clean up.
        drop(watchdog.stdin.take());
        let _ = watchdog.wait();
    }
}
