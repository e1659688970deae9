//! Whether a node lets another in for replication, by its `pg_hba.conf` (PostgreSQL's manual, "The pg_hba.conf File").
//!
//! Only what is certain is a refusal: that no line at all lets the role in. By which address a node comes is not known
//! here (it may have several, or a translated one), so what depends on the address is a warning. Read next: `checks.rs`.

use std::net::IpAddr;

/// A line of `pg_hba_file_rules` for the database `replication`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    /// `host`, `hostssl`, `local` …
    pub(crate) kind: String,
    pub(crate) users: Vec<String>,
    /// An address, a host name, `all`, `samehost`, `samenet`; empty for `local`.
    pub(crate) address: String,
    pub(crate) netmask: Option<IpAddr>,
    pub(crate) method: String,
}

/// What the lines say of one role from one host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admission {
    /// Let in.
    Yes,
    /// No line lets this role in from anywhere.
    No,
    /// Lines let the role in, and none is for that address.
    NotFromThere,
}

impl Line {
    /// A group (`+name`) and a pattern (`/name`) may contain the role.
    fn names(&self, user: Option<&str>) -> bool {
        let Some(user) = user else { return true };
        self.users.iter().any(|u| u == "all" || u == user || u.starts_with('+') || u.starts_with('/'))
    }

    fn is_local(&self) -> bool {
        self.kind == "local"
    }

    /// Whether the line is for this host; what cannot be told counts as yes.
    fn covers(&self, host: &str) -> bool {
        let (Ok(from), Ok(address)) = (host.parse::<IpAddr>(), self.address.parse::<IpAddr>()) else {
            return true;
        };
        match (from, address, self.netmask) {
            (IpAddr::V4(from), IpAddr::V4(at), Some(IpAddr::V4(mask))) => {
                from.to_bits() & mask.to_bits() == at.to_bits() & mask.to_bits()
            }
            (IpAddr::V6(from), IpAddr::V6(at), Some(IpAddr::V6(mask))) => {
                from.to_bits() & mask.to_bits() == at.to_bits() & mask.to_bits()
            }
            _ => false,
        }
    }
}

/// Whether `user`, or any role where none is known, is let in from `host`. The first line that fits decides, as in
/// PostgreSQL.
pub(crate) fn admission(lines: &[Line], user: Option<&str>, host: &str) -> Admission {
    let local = host.starts_with('/');
    let fitting = || lines.iter().filter(|l| l.is_local() == local && l.names(user));
    if !fitting().any(|l| l.method != "reject") {
        return Admission::No;
    }
    let first = fitting().find(|l| local || l.covers(host));
    if first.is_some_and(|l| l.method != "reject") { Admission::Yes } else { Admission::NotFromThere }
}
