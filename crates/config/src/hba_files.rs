//! `auth_hba_file` and `auth_ident_file`: read with the configuration, and anew at each RELOAD. A line that cannot be read
//! is told and left out, and a file that cannot be read leaves nobody in: both as PgBouncer does.

use std::path::Path;
use std::sync::Arc;

use howdah_hba::{IdentMaps, Warning};

use crate::config::Config;
use crate::written::{Findings, Place};

/// Reads both files into the configuration.
pub(crate) fn read<'a>(config: &mut Config, place: impl Fn(&str) -> &'a Place, findings: &mut Findings) {
    if let Some(path) = config.settings.auth_hba_file.clone()
        && let Some(text) = text_of(&path, ("hba config", place("auth_hba_file")), findings)
    {
        let mut bring = |name: &str| {
            let beside = path.parent().unwrap_or(Path::new("")).join(name);
            std::fs::read_to_string(beside).map_err(|error| error.to_string())
        };
        let (rules, warnings) = howdah_hba::parse(&text, &mut bring);
        config.hba = rules;
        tell(&path, "hba", warnings, findings);
    }
    if let Some(path) = config.settings.auth_ident_file.clone()
        && let Some(text) = text_of(&path, ("ident map", place("auth_ident_file")), findings)
    {
        let (maps, warnings) = IdentMaps::parse(&text);
        config.ident = maps;
        tell(&path, "ident", warnings, findings);
    }
}

fn text_of(path: &Path, (what, place): (&str, &Place), findings: &mut Findings) -> Option<String> {
    match crate::ini::read_bytes(path) {
        Ok(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) => {
            findings.warning(place, format!("could not open {what} file {}: {error}", path.display()));
            None
        }
    }
}

fn tell(path: &Path, what: &str, warnings: Vec<Warning>, findings: &mut Findings) {
    let file: Arc<Path> = Arc::from(path);
    for Warning { line, sentence, is_skipped } in warnings {
        let place = Place { file: Arc::clone(&file), line, column: 1 };
        let end = if is_skipped { "; the line is left out" } else { "" };
        findings.warning(&place, format!("{what} line {line}: {sentence}{end}"));
    }
}
