//! What the data directory says: whether it is one, whether its server runs, and where its history ends.

use std::path::Path;

use super::Error;
use super::programs::{self, Programs};

/// A position in the WAL.
pub(crate) type Lsn = u64;

/// What is in the directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Node {
    /// Nothing: it does not exist or is empty.
    Nothing,
    /// A stopped server's data.
    Stopped(Control),
}

/// What `pg_controldata` says, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Control {
    /// Made by initdb, the same on every copy.
    pub(crate) system: u64,
    /// `shut down`, `in production`, `in archive recovery`, …
    pub(crate) state: String,
    /// The timeline of the last checkpoint, or of the recovery if that has gone on to a newer one.
    pub(crate) timeline: u32,
    /// The last checkpoint.
    pub(crate) checkpoint: Lsn,
    /// A standby's files hold changes up to here; 0 on a primary.
    pub(crate) recovered: Lsn,
    /// `pg_rewind` can tell which pages have changed.
    pub(crate) can_rewind: bool,
    /// It was a standby when it stopped.
    pub(crate) was_standby: bool,
    /// It has table spaces outside the directory.
    pub(crate) has_tablespaces: bool,
}

impl Node {
    /// What was found, in one sentence.
    pub(crate) fn sentence(&self) -> String {
        match self {
            Self::Nothing => "The data directory is empty.".to_owned(),
            Self::Stopped(control) => format!(
                "The data directory is a {} of system {}, timeline {}: {}.",
                if control.was_standby { "standby" } else { "primary" },
                control.system,
                control.timeline,
                control.state
            ),
        }
    }
}

/// Looks at a data directory.
///
/// # Errors
/// It is something else, or its server runs.
pub(crate) fn look(pgdata: &Path, programs: &Programs) -> Result<Node, Error> {
    let entries = match std::fs::read_dir(pgdata) {
        Ok(entries) => entries.count(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => 0,
        Err(error) => return Err(Error::Refused(format!("cannot read {}: {error}", pgdata.display()))),
    };
    if entries == 0 {
        return Ok(Node::Nothing);
    }
    if !pgdata.join("PG_VERSION").is_file() || !pgdata.join("global/pg_control").is_file() {
        return Err(Error::Refused(format!(
            "{} is not empty and no data directory of PostgreSQL: PG_VERSION or global/pg_control is missing",
            pgdata.display()
        )));
    }
    version_fits(pgdata, programs.major())?;
    if let Some(pid) = running(pgdata).or_else(|| orphan(pgdata)) {
        return Err(Error::Refused(format!(
            "a server (process {pid}) runs on {}: stop it first",
            pgdata.display()
        )));
    }
    let text = programs::output(programs.command("pg_controldata").arg("-D").arg(pgdata));
    let mut control = parse(&text.map_err(Error::Refused)?).map_err(Error::Refused)?;
    control.was_standby = pgdata.join("standby.signal").exists();
    if !control.was_standby {
        // The control file of a primary tells of a promotion only with the next checkpoint.
        control.timeline = control.timeline.max(newest_history(pgdata));
    }
    control.has_tablespaces =
        std::fs::read_dir(pgdata.join("pg_tblspc")).is_ok_and(|mut entries| entries.next().is_some());
    Ok(Node::Stopped(control))
}

/// The newest timeline whose history file is in the directory; a promoted server writes it before all else.
fn newest_history(pgdata: &Path) -> u32 {
    let Ok(entries) = std::fs::read_dir(pgdata.join("pg_wal")) else { return 0 };
    let names = entries.filter_map(Result::ok).map(|entry| entry.file_name());
    let timeline =
        |name: std::ffi::OsString| u32::from_str_radix(name.to_str()?.strip_suffix(".history")?, 16).ok();
    names.filter_map(timeline).max().unwrap_or(0)
}

fn version_fits(pgdata: &Path, ours: u32) -> Result<(), Error> {
    let file = pgdata.join("PG_VERSION");
    let theirs = std::fs::read_to_string(&file).map_err(Error::file("read", &file))?;
    if ours == 0 || theirs.trim() == ours.to_string() {
        return Ok(());
    }
    Err(Error::Refused(format!(
        "{} is of PostgreSQL {}, and the programs found are of {ours}: name others by HOWDAH_PG_BIN",
        pgdata.display(),
        theirs.trim()
    )))
}

/// The process that `postmaster.pid` names, if it is a PostgreSQL on this directory: the file of a killed one stays,
/// and its number may be another process's by now (in a container it is 1, and so may we be).
pub(crate) fn running(pgdata: &Path) -> Option<u32> {
    let text = std::fs::read_to_string(pgdata.join("postmaster.pid")).ok()?;
    let pid: u32 = text.lines().next()?.trim().parse().ok()?;
    let process = Path::new("/proc").join(pid.to_string());
    let program = std::fs::read_to_string(process.join("comm")).ok().filter(|_| is_alive(pid))?;
    if !program.starts_with("postgres") && !program.starts_with("postmaster") {
        return None;
    }
    // A server works in its data directory. What may not be looked at counts as ours: better refused than broken.
    let elsewhere = match (std::fs::read_link(process.join("cwd")), pgdata.canonicalize()) {
        (Ok(theirs), Ok(ours)) => theirs != ours,
        _ => false,
    };
    (!elsewhere).then_some(pid)
}

/// A process of a server whose first one was killed: it may still write until it notices.
fn orphan(pgdata: &Path) -> Option<u32> {
    let ours = pgdata.canonicalize().ok()?;
    let pids = std::fs::read_dir("/proc").ok()?.filter_map(Result::ok);
    let mut pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.find(|pid: &u32| {
        let process = Path::new("/proc").join(pid.to_string());
        let named =
            std::fs::read_to_string(process.join("comm")).is_ok_and(|name| name.starts_with("postgres"));
        named && std::fs::read_link(process.join("cwd")).is_ok_and(|theirs| theirs == ours)
    })
}

/// Whether the process is there and has not ended: an ended one stays in the list until its parent has taken note.
pub(crate) fn is_alive(pid: u32) -> bool {
    let stat = std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat"));
    // The state stands behind the name, which may have brackets in it.
    stat.is_ok_and(|stat| stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X'])))
}

/// Reads the output of `pg_controldata`.
///
/// # Errors
/// The line that is missing.
pub(crate) fn parse(text: &str) -> Result<Control, String> {
    let get = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.map(str::trim).ok_or_else(|| format!("pg_controldata does not say its {name}"))
    };
    let number = |name: &str| {
        let value = get(name)?;
        value.parse::<u64>().map_err(|_| format!("pg_controldata says {value:?} for its {name}"))
    };
    let lsn = |name: &str| {
        let value = get(name)?;
        parse_lsn(value).ok_or_else(|| format!("pg_controldata says {value:?} for its {name}"))
    };
    let timeline =
        number("Latest checkpoint's TimeLineID")?.max(number("Min recovery ending loc's timeline")?);
    Ok(Control {
        system: number("Database system identifier")?,
        state: get("Database cluster state")?.to_owned(),
        timeline: u32::try_from(timeline).map_err(|_| "a timeline out of range".to_owned())?,
        checkpoint: lsn("Latest checkpoint location")?,
        recovered: lsn("Minimum recovery ending location")?,
        can_rewind: get("wal_log_hints setting")? == "on" || number("Data page checksum version")? != 0,
        was_standby: false,
        has_tablespaces: false,
    })
}

/// `16/B374D848` as a number.
pub(crate) fn parse_lsn(text: &str) -> Option<Lsn> {
    let (high, low) = text.trim().split_once('/')?;
    let high = u64::from(u32::from_str_radix(high, 16).ok()?);
    Some(high << 32 | u64::from(u32::from_str_radix(low, 16).ok()?))
}

/// A position as PostgreSQL writes it.
pub(crate) fn lsn_text(lsn: Lsn) -> String {
    format!("{:X}/{:X}", lsn >> 32, lsn & 0xFFFF_FFFF)
}
