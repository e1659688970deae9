//! What is measured: a protocol, a question and a number of clients, in a pooling mode that both poolers have.

use super::Options;
use super::poolers::{Kind, PoolMode, Programs};
use clap::ValueEnum;
use std::fmt;

/// pgbench's `-M`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Protocol {
    /// One Query message.
    Simple,
    /// Parse, Bind and Execute each time, without a name.
    Extended,
    /// Parsed once under a name.
    Prepared,
}

impl Protocol {
    /// The word that pgbench takes.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Protocol::Simple => "simple",
            Protocol::Extended => "extended",
            Protocol::Prepared => "prepared",
        }
    }
}

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Script {
    /// pgbench's select-only transaction: one row by its key.
    Select,
    /// `select 1`: nearly nothing but the way there and back.
    One,
}

impl fmt::Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if *self == Script::Select { "select" } else { "one" })
    }
}

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Case {
    /// The protocol.
    pub(crate) protocol: Protocol,
    /// The question.
    pub(crate) script: Script,
    /// How many clients ask at once.
    pub(crate) clients: u32,
    /// How both poolers pool.
    pub(crate) pool_mode: PoolMode,
}

impl Case {
    /// The most that Howdah's CPU per query may be, as a ratio to PgBouncer's: issue 3, "Done when".
    pub(crate) fn cpu_limit(&self) -> Option<f64> {
        match (self.clients, self.protocol) {
            (16 | 64, Protocol::Simple | Protocol::Extended) => Some(1.1),
            (16 | 64, Protocol::Prepared) => Some(0.9),
            _ => None,
        }
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mode = if self.pool_mode == PoolMode::Session { " (session)" } else { "" };
        write!(f, "{}-{}-c{}{mode}", self.script, self.protocol.name(), self.clients)
    }
}

/// All cases that the options name.
pub(crate) fn all(options: &Options, programs: &Programs) -> Vec<Case> {
    let mut cases = Vec::new();
    for script in &options.scripts {
        for protocol in &options.modes {
            let pool_mode = match protocol {
                Protocol::Prepared if !programs.pgbouncer_pools_prepared() => PoolMode::Session,
                _ => PoolMode::Transaction,
            };
            let case =
                |clients: &u32| Case { protocol: *protocol, script: *script, clients: *clients, pool_mode };
            cases.extend(options.clients.iter().map(case));
        }
    }
    cases
}

/// The two whose cost is compared.
pub(crate) const POOLERS: [Kind; 2] = [Kind::PgBouncer, Kind::Howdah];
