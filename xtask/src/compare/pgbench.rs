//! Load: pgbench against one target for a few seconds, and what it says afterwards.

use super::cases::{Case, Script};
use super::poolers::Pooler;
use super::{DATABASE, ROLE};
use crate::{Failure, process};
use howdah_testkit::{Postgres, WorkDir};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

/// Threads of pgbench: enough to load two cores.
const MAX_THREADS: u32 = 2;

/// What one run gave.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Sample {
    /// Queries a second.
    pub(crate) tps: f64,
    /// The mean latency, in µs.
    pub(crate) latency_us: f64,
    /// The pooler's CPU time a query, in µs; nothing without a pooler.
    pub(crate) cpu_us: Option<f64>,
}

/// A prepared database, and how long each run takes.
pub(crate) struct Bench<'a> {
    server: &'a Postgres,
    seconds: u32,
    folder: WorkDir,
}

impl<'a> Bench<'a> {
    /// Fills pgbench's tables.
    pub(crate) fn prepare(server: &'a Postgres, scale: u32, seconds: u32) -> Result<Self, Failure> {
        let folder = WorkDir::new()?;
        folder.write(&folder.path().join("one.sql"), "select 1;\n")?;
        let bench = Bench { server, seconds, folder };
        let mut fill = bench.pgbench(server.port());
        fill.args(["-i", "-q", "-s"]).arg(scale.to_string()).arg(DATABASE);
        process::output_of(&mut fill)?;
        Ok(bench)
    }

    /// One case through a pooler, or directly without one.
    pub(crate) fn run(&self, case: &Case, pooler: Option<&Pooler>) -> Result<Sample, Failure> {
        let cpu = || -> Result<Option<Duration>, Failure> {
            Ok(pooler.map(Pooler::usage).transpose()?.map(|u| u.cpu))
        };
        let mut command = self.pgbench(pooler.map_or(self.server.port(), Pooler::port));
        command.args(["-n", "-M", case.protocol.name(), "-T"]).arg(self.seconds.to_string());
        command
            .arg("-c")
            .arg(case.clients.to_string())
            .arg("-j")
            .arg(case.clients.min(MAX_THREADS).to_string());
        match case.script {
            Script::Select => command.arg("-S"),
            Script::One => command.arg("-f").arg(self.script()),
        };
        let before = cpu()?;
        let answer = process::output_of(command.arg(DATABASE))?;
        let used = cpu()?.zip(before).map(|(after, before)| after.saturating_sub(before));
        let report = parse(&answer).ok_or_else(|| format!("cannot read what pgbench says: {answer}"))?;
        if report.failed > 0 {
            return Err(format!("{case}: {} transactions failed", report.failed).into());
        }
        let cpu_us = used.map(|used| used.as_secs_f64() * 1e6 / report.transactions.max(1) as f64);
        Ok(Sample { tps: report.tps, latency_us: report.latency_us, cpu_us })
    }

    fn script(&self) -> PathBuf {
        self.folder.path().join("one.sql")
    }

    fn pgbench(&self, port: u16) -> Command {
        let mut command = Command::new(self.server.binaries().program("pgbench"));
        command.args(["-h", &self.server.host(), "-U", ROLE, "-p"]).arg(port.to_string());
        command.env("LC_ALL", "C");
        command
    }
}

/// The figures of pgbench's report.
#[derive(Debug, PartialEq)]
pub(crate) struct Report {
    /// Transactions that ended.
    pub(crate) transactions: u64,
    /// Transactions that failed.
    pub(crate) failed: u64,
    /// The mean latency, in µs.
    pub(crate) latency_us: f64,
    /// Transactions a second, logins not counted.
    pub(crate) tps: f64,
}

/// Reads pgbench's report.
pub(crate) fn parse(text: &str) -> Option<Report> {
    let after = |label: &str| {
        let rest = text.lines().find_map(|line| line.strip_prefix(label))?;
        rest.split([' ', '/']).find(|word| !word.is_empty() && *word != "=")
    };
    Some(Report {
        transactions: after("number of transactions actually processed:")?.parse().ok()?,
        // Before version 15 pgbench does not count failures: it stops at one.
        failed: after("number of failed transactions:").map_or(Some(0), |count| count.parse().ok())?,
        latency_us: after("latency average")?.parse::<f64>().ok()? * 1000.0,
        tps: after("tps")?.parse().ok()?,
    })
}
