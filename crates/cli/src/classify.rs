//! `howdah classify` and `howdah explain`.

use std::io::{BufRead, BufWriter, Write};
use std::process::ExitCode;

use howdah_classifier::{Context, classify_jsonl_line};

use crate::args::{say, warn};

/// Classifies one text, or lines of JSON from standard input.
pub(crate) fn classify(jsonl: bool, sql: Option<&str>) -> ExitCode {
    match (jsonl, sql) {
        (true, None) => lines(),
        (false, Some(sql)) => explain(sql),
        _ => {
            warn("classify takes either --jsonl or one SQL text\n");
            ExitCode::from(1)
        }
    }
}

fn lines() -> ExitCode {
    let mut out = BufWriter::new(std::io::stdout().lock());
    for line in std::io::stdin().lock().lines() {
        let answered = line.and_then(|line| {
            if line.trim().is_empty() {
                return Ok(());
            }
            writeln!(out, "{}", classify_jsonl_line(&line, Context::default()))
        });
        if let Err(error) = answered {
            warn(&format!("{error}\n"));
            return ExitCode::from(1);
        }
    }
    if out.flush().is_err() { ExitCode::from(1) } else { ExitCode::SUCCESS }
}

/// One sentence.
pub(crate) fn explain(sql: &str) -> ExitCode {
    say(&format!("{}\n", howdah_classifier::explain(sql.as_bytes(), Context::default())));
    ExitCode::SUCCESS
}
