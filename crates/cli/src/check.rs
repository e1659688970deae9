//! `howdah check` and `howdah convert`.

use std::path::Path;
use std::process::ExitCode;

use crate::args::{say, warn};

/// Prints what there is to say about a file; fails when it cannot be used.
pub(crate) fn check(file: &Path) -> ExitCode {
    let report = howdah_config::check(file);
    say(&report.text);
    if report.usable { ExitCode::SUCCESS } else { ExitCode::from(1) }
}

/// Prints a file as TOML.
pub(crate) fn convert(file: &Path) -> ExitCode {
    match howdah_config::load(file) {
        Ok(loaded) => {
            say(&howdah_config::to_toml(&loaded.config));
            ExitCode::SUCCESS
        }
        Err(mistakes) => {
            for mistake in mistakes {
                warn(&format!("{mistake}\n"));
            }
            ExitCode::from(1)
        }
    }
}
