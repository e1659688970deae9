//! The account that runs the servers: PostgreSQL refuses to run as root.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use crate::error::Error;

/// Accounts tried, in order, when the test process is root.
const CANDIDATES: [&str; 2] = ["postgres", "nobody"];

/// The account that the servers run as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Account {
    switch: Option<(u32, u32)>,
}

impl Account {
    /// The present account, or `postgres` or `nobody` when the present one is root.
    ///
    /// # Errors
    /// [`Error::NoAccount`] for root on a machine with neither.
    pub fn choose() -> Result<Self, Error> {
        if !rustix::process::geteuid().is_root() {
            return Ok(Self { switch: None });
        }
        let passwd = std::fs::read_to_string("/etc/passwd").map_err(Error::io("read", "/etc/passwd"))?;
        CANDIDATES
            .iter()
            .find_map(|name| ids_of(&passwd, name))
            .map(|ids| Self { switch: Some(ids) })
            .ok_or(Error::NoAccount)
    }

    /// User and group id to switch to; `None` when the process already runs as the account.
    #[must_use]
    pub fn ids(&self) -> Option<(u32, u32)> {
        self.switch
    }

    /// Gives a file or an empty directory to the account.
    ///
    /// # Errors
    /// [`Error::Io`] when the owner cannot be changed.
    pub fn own(&self, path: &Path) -> Result<(), Error> {
        let Some((uid, gid)) = self.switch else { return Ok(()) };
        let owner = std::fs::metadata(path).map_err(Error::io("look at", path))?.uid();
        if owner == uid {
            return Ok(());
        }
        std::os::unix::fs::chown(path, Some(uid), Some(gid)).map_err(Error::io("change the owner of", path))
    }

    /// Lets a command run as the account, in a process group of its own so that Ctrl-C reaches only us.
    pub(crate) fn apply(&self, command: &mut std::process::Command) {
        use std::os::unix::process::CommandExt as _;
        command.process_group(0);
        if let Some((uid, gid)) = self.switch {
            command.uid(uid).gid(gid);
        }
    }
}

/// User and group id of `name` in the text of `/etc/passwd`.
fn ids_of(passwd: &str, name: &str) -> Option<(u32, u32)> {
    let line = passwd.lines().find(|line| line.split(':').next() == Some(name))?;
    let mut fields = line.split(':').skip(2);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}
