//! Mutations of the machine: each row of the decision table removed or made to fire always, and the faults that
//! [`howdah_failover::Fault`] plants. Each has a name, so that a command line and the list of results can speak of it.
//! Read next: [`crate::run`].

use std::fmt;
use std::str::FromStr;

use howdah_failover::{Fault, ROWS};

/// Faults that are no rows, by name.
const PLANTED: [(&str, Fault); 6] = [
    ("one vote fewer", Fault::FewerVotes(1)),
    ("elect the least", Fault::ElectLeast),
    ("assume done", Fault::AssumeDone),
    ("trust the setting", Fault::TrustSetting),
    ("ignore life", Fault::IgnoreLife),
    ("shrink at once", Fault::ShrinkAtOnce),
];

/// A mutation of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mutation(pub Fault);

impl Mutation {
    /// All of them: the planted faults, then the rows in the order of the table.
    pub fn all() -> impl Iterator<Item = Mutation> {
        let planted = PLANTED.iter().map(|(_, fault)| Mutation(*fault));
        let without = ROWS.iter().map(|row| Mutation(Fault::WithoutRow(row.name)));
        let always = ROWS.iter().map(|row| Mutation(Fault::AlwaysRow(row.name)));
        planted.chain(without).chain(always)
    }
}

impl fmt::Display for Mutation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
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
        let row = |name: &str| ROWS.iter().find(|row| row.name == name).map(|row| row.name);
        let fault = match text.split_once(' ') {
            Some(("without", name)) => row(name).map(Fault::WithoutRow),
            Some(("always", name)) => row(name).map(Fault::AlwaysRow),
            _ => PLANTED.iter().find(|(name, _)| *name == text).map(|(_, fault)| *fault),
        };
        fault.map(Mutation).ok_or_else(|| UnknownMutation(text.to_owned()))
    }
}
