//! The server's process under a supervisor: started by it, or found running when it came.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::Child;

use super::programs::Programs;
use super::state;
use super::{Error, Options};

/// How often a server that is not our child is looked at (time).
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// A running server.
#[derive(Debug)]
pub(crate) struct Server {
    pid: u32,
    /// `None`: it was there before us, and its end shows in the list of processes only.
    child: Option<Child>,
}

impl Server {
    /// The server that runs on the directory already.
    pub(crate) fn found(pid: u32) -> Self {
        Self { pid, child: None }
    }

    /// Starts it. What it says goes to its log, or where our own output goes.
    ///
    /// # Errors
    /// The program cannot be run, or its log cannot be opened.
    pub(crate) fn start(options: &Options, programs: &Programs) -> Result<Self, Error> {
        let mut command = programs.command("postgres");
        command.arg("-D").arg(&options.pgdata);
        if let Some(file) = &options.config_file {
            command.arg("-c").arg(format!("config_file={}", file.display()));
        }
        if let Some(log) = &options.log {
            let (output, errors) = logs(log, programs)?;
            command.stdout(output).stderr(errors);
        }
        // Ctrl-C on a terminal is for us: the server is told by us.
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let child = tokio::process::Command::from(command).spawn();
        let child = child.map_err(|error| Error::Failed(format!("cannot run postgres: {error}")))?;
        let pid = child.id().ok_or_else(|| Error::Failed("postgres has ended at once".to_owned()))?;
        Ok(Self { pid, child: Some(child) })
    }

    /// Waits for its end; says how it was.
    pub(crate) async fn ended(&mut self) -> String {
        if let Some(child) = &mut self.child {
            return match child.wait().await {
                Ok(status) => status.to_string(),
                Err(error) => error.to_string(),
            };
        }
        while state::is_alive(self.pid) {
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
        "not a child of ours".to_owned()
    }

    /// A fast shutdown: sessions end, a checkpoint is made, and standbys that stream get all of it
    /// (FAILOVER_PROTOCOL.md section 10).
    pub(crate) fn stop(&self) {
        self.signal(Signal::INT);
    }

    /// An immediate shutdown: recovery follows at the next start.
    pub(crate) fn stop_immediately(&self) {
        self.signal(Signal::QUIT);
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw);
        // A server that is gone needs no signal.
        let _ = pid.map(|pid| kill_process(pid, signal));
    }
}

/// The log for output and errors.
fn logs(log: &Path, programs: &Programs) -> Result<(Stdio, Stdio), Error> {
    let file = std::fs::OpenOptions::new().create(true).append(true).open(log);
    let file = file.map_err(Error::file("open", log))?;
    programs.own(log)?;
    let second = file.try_clone().map_err(Error::file("open", log))?;
    Ok((file.into(), second.into()))
}
