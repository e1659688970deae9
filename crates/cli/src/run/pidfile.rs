//! The file with the process id.

use std::path::{Path, PathBuf};

use rustix::process::{Pid, test_kill_process};

/// The file while this process runs; removed with it, if it is still ours.
#[derive(Debug)]
pub(crate) struct PidFile(PathBuf);

impl PidFile {
    /// Writes the file.
    ///
    /// # Errors
    /// Another process that runs has it; it cannot be written.
    pub(crate) fn write(path: &Path) -> Result<Self, String> {
        if is_another(path) {
            return Err("pidfile exists, another instance running?".to_owned());
        }
        Self::replace(path)
    }

    /// Writes the file, whoever had it.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn replace(path: &Path) -> Result<Self, String> {
        std::fs::write(path, format!("{}\n", std::process::id()))
            .map_err(|error| format!("could not write pidfile '{}': {error}", path.display()))?;
        Ok(Self(path.to_owned()))
    }
}

/// The process that a file names.
fn named(path: &Path) -> Option<i32> {
    std::fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// Whether a file names another process that runs. A file left over from one that is gone names nobody, and in a
/// container it may well be our own number.
fn is_another(path: &Path) -> bool {
    let pid = named(path).and_then(Pid::from_raw);
    pid.is_some_and(|pid| {
        pid != rustix::process::getpid() && !matches!(test_kill_process(pid), Err(rustix::io::Errno::SRCH))
    })
}

impl Drop for PidFile {
    fn drop(&mut self) {
        // Somebody may have removed it, or a process that took over has written its own.
        if named(&self.0) == Some(rustix::process::getpid().as_raw_nonzero().get()) {
            let _ = std::fs::remove_file(&self.0);
        }
    }
}
