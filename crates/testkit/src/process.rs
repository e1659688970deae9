//! Signals to a server and to the processes that it made, by their ids.

use std::path::Path;

use rustix::process::{Pid, Signal};

/// The ids of a process's direct children, from `/proc/<pid>/stat`, which everybody may read.
pub(crate) fn children_of(parent: i32) -> Vec<i32> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    entries
        .filter_map(Result::ok)
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
        .filter(|pid| parent_of(*pid) == Some(parent))
        .collect()
}

fn parent_of(pid: i32) -> Option<i32> {
    stat_fields(pid)?.split_whitespace().nth(1)?.parse().ok()
}

/// Whether the process exists and is more than a zombie.
pub(crate) fn is_alive(pid: i32) -> bool {
    stat_fields(pid).is_some_and(|fields| !fields.starts_with('Z'))
}

/// Whether the process is there at all, dead and not reaped included.
pub(crate) fn exists(pid: i32) -> bool {
    stat_fields(pid).is_some()
}

/// The postmaster that `postmaster.pid` names, if it lives and works on this directory: the file of a killed one
/// stays, and its number may be another process's by now.
pub(crate) fn postmaster_of(pgdata: &Path) -> Option<i32> {
    let file = std::fs::read_to_string(pgdata.join("postmaster.pid")).ok()?;
    let pid: i32 = file.lines().next()?.trim().parse().ok()?;
    let command = std::fs::read(Path::new("/proc").join(pid.to_string()).join("cmdline")).ok()?;
    let ours = command.split(|byte| *byte == 0).any(|arg| arg == pgdata.as_os_str().as_encoded_bytes());
    (ours && is_alive(pid)).then_some(pid)
}

/// The part of `/proc/<pid>/stat` after the program's name, which may itself hold blanks and brackets.
fn stat_fields(pid: i32) -> Option<String> {
    let stat = std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat")).ok()?;
    stat.rsplit_once(')').map(|(_, rest)| rest.trim_start().to_owned())
}

/// Sends a signal; a process that is gone already is no error.
pub(crate) fn signal(pid: i32, signal: Signal) {
    if let Some(pid) = Pid::from_raw(pid) {
        let _ = rustix::process::kill_process(pid, signal);
    }
}

/// Sends a signal to a postmaster and all its children. The postmaster is stopped first, so that no child is
/// born between the listing and the signal.
pub(crate) fn signal_server(postmaster: i32, what: Signal) -> Vec<i32> {
    signal(postmaster, Signal::STOP);
    let children = children_of(postmaster);
    for pid in &children {
        signal(*pid, what);
    }
    signal(postmaster, what);
    children
}
