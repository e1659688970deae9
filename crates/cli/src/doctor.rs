//! `howdah doctor` and `howdah setup-sql`: what Howdah needs of the nodes, looked at and granted (FAILOVER_PROTOCOL.md
//! section 1). Each check is a line with a plain verdict; the exit code says whether anything is lacking.

use std::path::Path;
use std::process::ExitCode;

use howdah::{Diagnosis, Verdict};
use howdah_config::Failover;

use crate::args::{say, warn};
use crate::table::text_of;

/// The exit code when something is lacking; 1 is for a file that cannot be used.
const LACKING: u8 = 2;

/// What `howdah setup-sql` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct SetupOptions {
    /// PostgreSQL's major version.
    #[arg(long, default_value_t = 17, value_parser = clap::value_parser!(u32).range(10..100))]
    version: u32,
    /// Who promotes: `manage`, `follow` or `off`.
    #[arg(long, default_value = "manage", value_parser = ["manage", "follow", "off"])]
    failover: String,
    /// The role's name.
    #[arg(long, default_value = "howdah")]
    role: String,
}

/// Prints the role and its grants.
pub(crate) fn setup_sql(options: &SetupOptions) -> ExitCode {
    let failover = match options.failover.as_str() {
        "follow" => Failover::Follow,
        "off" => Failover::Off,
        _ => Failover::Manage,
    };
    say(&howdah::setup_sql(options.version, failover, &options.role));
    ExitCode::SUCCESS
}

/// Examines every cluster of a file.
pub(crate) fn doctor(file: &Path) -> ExitCode {
    let loaded = match howdah_config::load(file) {
        Ok(loaded) => loaded,
        Err(mistakes) => {
            for mistake in mistakes {
                warn(&format!("{mistake}\n"));
            }
            return ExitCode::from(1);
        }
    };
    if loaded.config.clusters.is_empty() {
        say("there is no cluster in this file: nothing to look at\n");
        return ExitCode::SUCCESS;
    }
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            warn(&format!("howdah: cannot start the runtime: {error}\n"));
            return ExitCode::from(1);
        }
    };
    let mut lacking = 0;
    for cluster in loaded.config.clusters.values() {
        say(&format!("cluster {} (failover = {})\n", cluster.name, cluster.failover));
        let found = match runtime.block_on(howdah::examine(cluster, &loaded.config.settings)) {
            Ok(found) => found,
            Err(error) => {
                warn(&format!("howdah: {error}\n"));
                return ExitCode::from(1);
            }
        };
        say(&report(&found));
        lacking += found.iter().flat_map(|d| &d.findings).filter(|f| f.verdict == Verdict::Lack).count();
    }
    match lacking {
        0 => say("nothing is lacking\n"),
        n => say(&format!("lacking: {n}; until it is there, failover = manage promotes nobody\n")),
    }
    if lacking == 0 { ExitCode::SUCCESS } else { ExitCode::from(LACKING) }
}

/// Each check as a line.
fn report(found: &[Diagnosis]) -> String {
    let lines = found.iter().flat_map(|diagnosis| {
        diagnosis.findings.iter().map(|finding| {
            let verdict = match finding.verdict {
                Verdict::Good => "ok",
                Verdict::Warning => "warning",
                Verdict::Lack => "LACKING",
            };
            [verdict, &diagnosis.subject, &finding.check, &finding.sentence].map(str::to_owned).to_vec()
        })
    });
    text_of(&lines.collect())
}
