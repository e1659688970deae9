//! The questions that are asked again and again, planned once a session.
//!
//! A probe's text costs the server 5 ms each time it is parsed and planned, and half a millisecond as a prepared
//! statement. In a failover every action waits behind a probe on its session, on machines that have enough to do.

use std::sync::LazyLock;

use crate::sample::{ATTACHED_SQL, NODE_SQL};

/// Every question under its name.
static NAMED: [(&str, &str); 4] = [
    ("howdah_node", NODE_SQL),
    ("howdah_attached", ATTACHED_SQL),
    ("howdah_position", crate::freshness::POSITION_SQL),
    ("howdah_watch", crate::actions::fence::WATCH_SQL),
];

/// Prepares all of them in a session; one round trip. Nothing is planned before it is first asked.
pub(crate) static PREPARE_SQL: LazyLock<String> = LazyLock::new(|| {
    let prepare = |(name, sql): &(&str, &str)| format!("PREPARE {name} AS {sql}");
    NAMED.iter().map(prepare).collect::<Vec<_>>().join(";\n")
});

/// What can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Question {
    /// The node itself, and what is attached to it: two statements in one flight.
    Sample,
    /// What moves.
    Position,
    /// The receiver of a node that is being fenced.
    Watch,
}

impl Question {
    /// Its SQL, in a session where [`PREPARE_SQL`] was run or not.
    pub(crate) fn sql(self, prepared: bool) -> String {
        let named = match self {
            Self::Sample => &NAMED[..2],
            Self::Position => &NAMED[2..3],
            Self::Watch => &NAMED[3..],
        };
        let one = |(name, sql): &(&str, &str)| {
            if prepared { format!("EXECUTE {name}") } else { (*sql).to_owned() }
        };
        named.iter().map(one).collect::<Vec<_>>().join(";\n")
    }
}
