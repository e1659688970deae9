//! The example program as a process of its own, and what its lines say.

use std::collections::BTreeSet;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::sync::watch;

use super::Broken;
use super::show::Screen;

/// What was read of the program's lines.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Addresses that rows were written at, the last one last.
    pub(crate) written_at: Vec<String>,
    /// Addresses that rows were read from, since it was last cleared.
    pub(crate) read_from: BTreeSet<String>,
    /// Its sessions, as it calls them.
    pub(crate) sessions: BTreeSet<String>,
    /// Rows that were acknowledged to it.
    pub(crate) acknowledged: u64,
    /// Acknowledged rows that it found.
    pub(crate) there: u64,
    /// It has ended.
    pub(crate) ended: bool,
}

impl Seen {
    /// Takes in one line.
    pub(crate) fn take(&mut self, line: &str) {
        if let Some(address) = line.strip_prefix("IP DB Master: ") {
            if self.written_at.last().is_none_or(|last| last != address) {
                self.written_at.push(address.to_owned());
            }
        } else if let Some(address) = line.strip_prefix("IP DB Slave : ") {
            self.read_from.insert(address.to_owned());
        } else if let Some((session, rows)) = line.strip_prefix("Session ").and_then(|l| l.split_once(": ")) {
            self.sessions.insert(session.to_owned());
            let mut numbers = rows.split_whitespace().filter_map(|word| word.parse().ok());
            self.acknowledged = numbers.next().unwrap_or(self.acknowledged);
            self.there = numbers.next().unwrap_or(self.there);
        }
    }
}

/// The running program. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Program {
    _child: Child,
    seen: watch::Sender<Seen>,
    /// Its lines are not shown any more.
    hushed: Arc<AtomicBool>,
}

impl Program {
    /// Starts `example` from beside this program.
    ///
    /// # Errors
    /// It is not there.
    pub(crate) fn start(conninfo: &str, screen: &Screen) -> Result<Self, Broken> {
        let own = std::env::current_exe().map_err(|error| Broken::new(error.to_string()))?;
        let path = own.with_file_name("example");
        let mut command = Command::new(&path);
        // A group of its own: Ctrl-C is for the demo, which ends it.
        command.arg(conninfo).stdin(Stdio::null()).stdout(Stdio::piped()).process_group(0).kill_on_drop(true);
        let mut child = command.spawn().map_err(|error| {
            Broken::new(format!("{}: {error} (cargo build -p howdah-examples makes it)", path.display()))
        })?;
        let lines = child.stdout.take().map(|output| BufReader::new(output).lines());
        let lines = lines.ok_or_else(|| Broken::new("the example program has no output"))?;
        let seen = watch::Sender::new(Seen::default());
        let hushed = Arc::new(AtomicBool::new(false));
        let show = Show { screen: *screen, hushed: Arc::clone(&hushed) };
        tokio::spawn(read(lines, seen.clone(), show));
        Ok(Self { _child: child, seen, hushed })
    }

    /// Shows no more of its lines, which are still read.
    pub(crate) fn hush(&self) {
        self.hushed.store(true, Ordering::Relaxed);
    }

    /// What was seen until now.
    pub(crate) fn seen(&self) -> Seen {
        self.seen.borrow().clone()
    }

    /// Forgets where rows were read from.
    pub(crate) fn forget_reads(&self) {
        self.seen.send_modify(|seen| seen.read_from.clear());
    }

    /// Waits until what it has printed is as wanted.
    ///
    /// # Errors
    /// It is not within the limit, or the program has ended.
    pub(crate) async fn until(
        &self,
        what: &str,
        limit: Duration,
        wanted: impl Fn(&Seen) -> bool,
    ) -> Result<(), Broken> {
        let mut news = self.seen.subscribe();
        let waited = tokio::time::timeout(limit, news.wait_for(|seen| seen.ended || wanted(seen))).await;
        match waited {
            Ok(Ok(seen)) if wanted(&seen) => Ok(()),
            Ok(_) => Err(Broken::new(format!("the example program ended before {what}"))),
            Err(_) => {
                Err(Broken::new(format!("the example program: not {what} within {} s", limit.as_secs())))
            }
        }
    }
}

/// Where the lines are shown, and whether.
struct Show {
    screen: Screen,
    hushed: Arc<AtomicBool>,
}

/// Shows and remembers the lines until the program ends.
async fn read(mut lines: Lines<BufReader<ChildStdout>>, seen: watch::Sender<Seen>, show: Show) {
    while let Ok(Some(line)) = lines.next_line().await {
        if !show.hushed.load(Ordering::Relaxed) {
            show.screen.quote(&line);
        }
        seen.send_modify(|seen| seen.take(&line));
    }
    seen.send_modify(|seen| seen.ended = true);
}
