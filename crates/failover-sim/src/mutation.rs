//! Mutations of the machine: each row of the decision table removed or made to fire always, and the faults that
//! [`howdah_failover::Fault`] plants. Each has a name, so that a command line and the list of results can speak of it.
//! Read next: `run.rs`.

use std::fmt;
use std::str::FromStr;

use howdah_failover::{Fault, ROWS};

/// Faults that are no rows, by name.
const PLANTED: [(&str, Fault); 7] = [
    ("one vote fewer", Fault::FewerVotes(1)),
    ("elect the least", Fault::ElectLeast),
    ("assume done", Fault::AssumeDone),
    ("trust the setting", Fault::TrustSetting),
    ("ignore life", Fault::IgnoreLife),
    ("leave unmarked", Fault::LeaveUnmarked),
    ("shrink at once", Fault::ShrinkAtOnce),
];

/// The name of the fault of the data path.
const TRUST_INTERRUPTED: &str = "trust the interrupted";

/// What is wrong on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutation {
    /// In the machine.
    Machine(Fault),
    /// In the data path: a wait for the standbys that was interrupted is taken for an acknowledgement.
    TrustInterrupted,
}

impl Default for Mutation {
    fn default() -> Mutation {
        Mutation::Machine(Fault::None)
    }
}

impl Mutation {
    /// The fault of the machine.
    #[must_use]
    pub fn fault(self) -> Fault {
        match self {
            Mutation::Machine(fault) => fault,
            Mutation::TrustInterrupted => Fault::None,
        }
    }

    /// Those that are listed: the planted faults, then each row removed, in the order of the table.
    pub fn all() -> impl Iterator<Item = Mutation> {
        let planted = PLANTED.iter().map(|(_, fault)| Mutation::Machine(*fault));
        let planted = planted.chain([Mutation::TrustInterrupted]);
        let without = ROWS.iter().map(|row| Mutation::Machine(Fault::WithoutRow(row.name)));
        planted.chain(without)
    }
}

impl fmt::Display for Mutation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Mutation::Machine(fault) = *self else { return f.write_str(TRUST_INTERRUPTED) };
        match fault {
            Fault::None => f.write_str("none"),
            Fault::WithoutRow(row) => write!(f, "without {row}"),
            Fault::AlwaysRow(row) => write!(f, "always {row}"),
            other => {
                let name = PLANTED.iter().find(|(_, fault)| *fault == other).map(|(name, _)| *name);
                f.write_str(name.unwrap_or("unnamed"))
            }
        }
    }
}

/// The text names no mutation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownMutation(pub String);

impl fmt::Display for UnknownMutation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.0;
        write!(
            f,
            "no mutation is called {name:?}: it is \"without ROW\", \"always ROW\" or the name of a planted fault"
        )
    }
}

impl std::error::Error for UnknownMutation {}

impl FromStr for Mutation {
    type Err = UnknownMutation;

    fn from_str(text: &str) -> Result<Mutation, UnknownMutation> {
        if text == TRUST_INTERRUPTED {
            return Ok(Mutation::TrustInterrupted);
        }
        let row = |name: &str| ROWS.iter().find(|row| row.name == name).map(|row| row.name);
        let fault = match text.split_once(' ') {
            Some(("without", name)) => row(name).map(Fault::WithoutRow),
            Some(("always", name)) => row(name).map(Fault::AlwaysRow),
            _ => PLANTED.iter().find(|(name, _)| *name == text).map(|(_, fault)| *fault),
        };
        fault.map(Mutation::Machine).ok_or_else(|| UnknownMutation(text.to_owned()))
    }
}
