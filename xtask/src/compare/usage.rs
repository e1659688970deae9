//! What a process and its children cost: CPU time and memory, as `/proc` has them.

use crate::Failure;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::time::Duration;

/// What a process tree has used.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Usage {
    /// CPU time since the start, user and system.
    pub(crate) cpu: Duration,
    /// Resident memory now, in KiB.
    pub(crate) resident_kib: u64,
}

/// The usage of a process and of all below it.
pub(crate) fn of_tree(root: u32) -> Result<Usage, Failure> {
    let mut usage = of_process(root).ok_or_else(|| format!("process {root} has ended"))?.usage;
    let all: Vec<Entry> = all_processes().into_iter().filter_map(of_process).collect();
    let mut members = vec![root];
    let mut looked_at = 0;
    while let Some(parent) = members.get(looked_at).copied() {
        looked_at += 1;
        for child in all.iter().filter(|entry| entry.parent == parent) {
            usage.cpu += child.usage.cpu;
            usage.resident_kib += child.usage.resident_kib;
            members.push(child.id);
        }
    }
    Ok(usage)
}

/// One process in `/proc`.
struct Entry {
    id: u32,
    parent: u32,
    usage: Usage,
}

fn all_processes() -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// Reads a process; nothing when it ended meanwhile.
fn of_process(id: u32) -> Option<Entry> {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let (parent, ticks, pages) = parse_stat(&stat)?;
    let per_second = rustix::param::clock_ticks_per_second();
    let cpu = Duration::from_secs_f64(ticks as f64 / per_second as f64);
    let resident_kib = pages * rustix::param::page_size() as u64 / 1024;
    Some(Entry { id, parent, usage: Usage { cpu, resident_kib } })
}

/// The parent, utime + stime in ticks, and the resident pages of a line of `/proc/PID/stat`: fields 4, 14, 15 and 24.
/// The name in field 2 may have blanks and brackets, so counting begins behind its last bracket.
pub(crate) fn parse_stat(line: &str) -> Option<(u32, u64, u64)> {
    let fields: Vec<&str> = line.rsplit_once(')')?.1.split_whitespace().collect();
    let field = |number: usize| fields.get(number - 3).copied();
    let user: u64 = field(14)?.parse().ok()?;
    let system: u64 = field(15)?.parse().ok()?;
    Some((field(4)?.parse().ok()?, user + system, field(24)?.parse().ok()?))
}

/// Ten thousand clients are as many open files, here and in the poolers that we start.
pub(crate) fn raise_file_limit() -> Result<(), Failure> {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })?;
    Ok(())
}
