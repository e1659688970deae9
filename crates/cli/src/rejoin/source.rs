//! What the primary says of itself, over a replication connection: all that a standby's role may open.

use super::Error;
use super::conninfo::Conninfo;
use super::programs::{self, Programs};
use super::state::{Lsn, lsn_text, parse_lsn};

/// The server to follow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Source {
    /// Its system.
    pub(crate) system: u64,
    /// Its timeline.
    pub(crate) timeline: u32,
    /// Where it is.
    pub(crate) position: Lsn,
    /// It is a standby itself.
    pub(crate) is_standby: bool,
    /// Its former timelines, and where each ended.
    pub(crate) forks: Vec<(u32, Lsn)>,
}

impl Source {
    /// What was heard, in one sentence.
    pub(crate) fn sentence(&self, at: &Conninfo) -> String {
        let kind = if self.is_standby { "a standby" } else { "the primary" };
        let position = lsn_text(self.position);
        format!(
            "{} is {kind} of system {}, timeline {}, at {position}.",
            at.place(),
            self.system,
            self.timeline
        )
    }

    /// Where the given timeline ended in this server's history; `None` when it has no such timeline behind it.
    pub(crate) fn end_of(&self, timeline: u32) -> Option<Lsn> {
        self.forks.iter().find(|(known, _)| *known == timeline).map(|(_, end)| *end)
    }
}

/// Asks the server. `login` is for what a replication connection cannot ask of versions before 14.
///
/// # Errors
/// It does not answer, or not as a PostgreSQL.
pub(crate) fn ask(primary: &Conninfo, login: &Conninfo, programs: &Programs) -> Result<Source, Error> {
    let at = primary.without("dbname").with("replication", "true");
    let refused = |why: String| Error::Refused(format!("cannot ask {}: {why}", primary.place()));
    let query = |to: &Conninfo, commands: &[&str]| {
        let mut command = programs.command_to("psql", None, to);
        // A field separator that is in no answer.
        command.args(["--no-psqlrc", "-qAt", "-F", "\t"]);
        command.args(commands.iter().map(|sql| format!("--command={sql}")));
        programs::output(&mut command)
    };
    let (identity, is_standby) = if programs.major() >= 14 {
        let answer = query(&at, &["IDENTIFY_SYSTEM", "SHOW in_hot_standby"]).map_err(refused)?;
        let is_standby = answer.lines().nth(1) == Some("on");
        (answer, is_standby)
    } else {
        let answer = query(&at, &["IDENTIFY_SYSTEM"]).map_err(refused)?;
        let in_recovery = query(login, &["SELECT pg_is_in_recovery()"]);
        (answer, in_recovery.is_ok_and(|answer| answer.trim() == "t"))
    };
    let identity = identity.lines().next().unwrap_or_default();
    let mut fields = identity.split('\t');
    let mut next = || fields.next().unwrap_or_default();
    let odd = || refused(format!("it answers {identity:?} to IDENTIFY_SYSTEM"));
    let system = next().parse().map_err(|_| odd())?;
    let timeline = next().parse().map_err(|_| odd())?;
    let position = parse_lsn(next()).ok_or_else(odd)?;
    let forks = match timeline {
        1 => Vec::new(),
        _ => history(&query(&at, &[&format!("TIMELINE_HISTORY {timeline}")]).map_err(refused)?),
    };
    Ok(Source { system, timeline, position, is_standby, forks })
}

/// The lines `timeline, end, reason` of a history file; the answer begins with the file's name.
pub(crate) fn history(answer: &str) -> Vec<(u32, Lsn)> {
    let body = answer.split_once('\t').map_or("", |(_, body)| body);
    let line = |line: &str| {
        let mut fields = line.split_whitespace();
        Some((fields.next()?.parse().ok()?, parse_lsn(fields.next()?)?))
    };
    body.lines().filter_map(line).collect()
}
