//! Which way leads a node back into its cluster. Pure: what was found goes in, the way and its reason come out.

use super::source::Source;
use super::state::{Control, Node, lsn_text};

/// The way back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// Its data are a part of the primary's history: start it as a standby.
    Start,
    /// Go back to the common history, then start it.
    Rewind,
    /// Copy the primary.
    Copy,
}

/// The way and why it was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plan {
    /// The way.
    pub(crate) way: Way,
    /// One sentence.
    pub(crate) why: String,
}

impl Plan {
    fn new(way: Way, why: impl Into<String>) -> Self {
        Self { way, why: why.into() }
    }
}

/// Decides.
///
/// # Errors
/// A sentence: there is no way that this program may take.
pub(crate) fn decide(node: &Node, source: &Source) -> Result<Plan, String> {
    let Node::Stopped(control) = node else {
        return Ok(Plan::new(Way::Copy, "There is nothing to start from: it is copied."));
    };
    if control.system != source.system {
        return Err(format!(
            "the data directory is of system {}, the primary of system {}: they have nothing in common",
            control.system, source.system
        ));
    }
    if control.timeline > source.timeline {
        return Err(format!(
            "the data directory is on timeline {} and the named primary on the older timeline {}: \
             it is not the present primary",
            control.timeline, source.timeline
        ));
    }
    let plan = if control.timeline == source.timeline {
        same_timeline(control, source)?
    } else {
        older_timeline(control, source)
    };
    if plan.way == Way::Copy && control.has_tablespaces {
        return Err(format!(
            "{} But the data directory has table spaces, which cannot be copied over: copy it by hand",
            plan.why
        ));
    }
    Ok(plan)
}

fn same_timeline(control: &Control, source: &Source) -> Result<Plan, String> {
    let clean = control.state == "shut down";
    if !control.was_standby && !clean {
        return Err(format!(
            "the data directory was the primary of timeline {} and the named server is on the same one: \
             nobody was promoted in its place, so start it as it is",
            control.timeline
        ));
    }
    let end = if control.was_standby { control.recovered } else { control.checkpoint };
    if end <= source.position {
        return Ok(Plan::new(Way::Start, "Its data are a part of the primary's history: it is started."));
    }
    Err(format!(
        "the data directory reaches to {}, beyond the named server's {}, on the same timeline: \
         it is not the present primary",
        lsn_text(end),
        lsn_text(source.position)
    ))
}

fn older_timeline(control: &Control, source: &Source) -> Plan {
    let Some(fork) = source.end_of(control.timeline) else {
        return Plan::new(
            Way::Copy,
            format!("Timeline {} is not in the primary's history: it is copied anew.", control.timeline),
        );
    };
    let at = lsn_text(fork);
    // A standby's files hold nothing beyond the end of its recovery; a primary's, after a clean stop, nothing beyond
    // its last checkpoint. After a crash nobody can say where its WAL ends without reading it.
    let ends_before = match control.state.as_str() {
        _ if control.was_standby => control.recovered <= fork,
        "shut down" => control.checkpoint < fork,
        _ => false,
    };
    if ends_before {
        let why = format!("Its data end before the histories part at {at}: it is started.");
        return Plan::new(Way::Start, why);
    }
    if control.can_rewind {
        let why = format!("Its history and the primary's part at {at}: it goes back to there (pg_rewind).");
        return Plan::new(Way::Rewind, why);
    }
    let why = "It has neither wal_log_hints nor checksums, so pg_rewind cannot work: it is copied anew.";
    Plan::new(Way::Copy, why)
}
