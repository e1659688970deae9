//! `-d`: the process in the background. Nothing of a runtime survives a fork, so the program starts itself anew
//! instead, with a hidden flag, and leaves when that one listens.

use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, Stdio};

use crate::logs;

/// What the child says through its standard output when it listens.
const READY: &[u8] = b"ready";

/// The flag that makes the child.
const FLAG: &str = "--daemon-child";

/// Starts the child and waits until it listens, or has failed, which it says itself.
pub(crate) fn start() -> ExitCode {
    let mut arguments = std::env::args_os();
    let program = arguments.next().unwrap_or_default();
    // The program of this process, also when its file has been replaced.
    let child = Command::new("/proc/self/exe")
        .arg0(program)
        .arg(FLAG)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn();
    let mut child = match child {
        Ok(child) => child,
        Err(error) => {
            logs::early((false, None), "FATAL", &format!("cannot start in the background: {error}"));
            return ExitCode::from(1);
        }
    };
    let mut said = Vec::new();
    if let Some(mut stdout) = child.stdout.take() {
        // What was read before an error counts.
        let _ = stdout.read_to_end(&mut said);
    }
    if said == READY {
        return ExitCode::SUCCESS;
    }
    let code = child.wait().ok().and_then(|status| status.code());
    ExitCode::from(code.and_then(|code| u8::try_from(code).ok()).filter(|code| *code != 0).unwrap_or(1))
}

/// The child's side.
#[derive(Debug)]
pub(crate) struct Background(());

impl Background {
    /// Leaves the terminal's session.
    ///
    /// # Errors
    /// A sentence.
    pub(crate) fn enter() -> Result<Self, String> {
        rustix::process::setsid().map_err(|error| format!("cannot leave the session: {error}"))?;
        Ok(Self(()))
    }

    /// Lets the parent go, and with it the terminal.
    pub(crate) fn ready(self) {
        let mut stdout = std::io::stdout();
        // A parent that is gone already waits for nothing.
        let _ = stdout.write_all(READY).and_then(|()| stdout.flush());
        let Ok(null) = std::fs::OpenOptions::new().read(true).write(true).open("/dev/null") else { return };
        let _ = rustix::stdio::dup2_stdin(&null);
        let _ = rustix::stdio::dup2_stdout(&null);
        let _ = rustix::stdio::dup2_stderr(&null);
    }
}
