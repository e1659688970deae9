//! `howdah check` and `howdah convert`.

use std::path::Path;
use std::process::ExitCode;

use crate::args::{say, warn};

/// Prints what there is to say about a file; fails when it cannot be used.
pub(crate) fn check(file: &Path) -> ExitCode {
    let report = howdah_config::check(file);
    // What is wrong with a file of TLS shows only when it is read as it will be at the start.
    let tls = howdah_config::load(file).map_or(Ok(Vec::new()), |l| howdah::check_tls(&l.config.settings));
    let at = file.display();
    match tls {
        Ok(notes) => {
            for note in notes {
                say(&format!("{at}: note: {note}\n"));
            }
            say(&report.text);
        }
        Err(mistake) => {
            // All but the verdict, which was about the words alone.
            let findings = report.text.lines().count().saturating_sub(1);
            for finding in report.text.lines().take(findings) {
                say(&format!("{finding}\n"));
            }
            say(&format!("{at}: error: {mistake}\n{at}: 1 mistake\n"));
            return ExitCode::from(1);
        }
    }
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
