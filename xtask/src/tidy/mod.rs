//! `cargo xtask tidy`: the numbers and rules of CONTRIBUTING.md, held by the build.
//!
//! [`source`] reads the files, then every rule looks at them by itself: [`size`] and [`functions`] count, [`tokens`]
//! looks for what must not be called, [`modules`] for files that nobody declares, [`words`] and [`map`]
//! read the text, [`edges`] the dependencies. [`report`] names the rules and prints; [`exceptions`] takes out what has a written reason.

mod edges;
mod exceptions;
mod functions;
mod map;
mod modules;
mod report;
mod size;
mod source;
mod tokens;
mod words;

#[cfg(test)]
mod map_tests;
#[cfg(test)]
mod tests;

use crate::Failure;
use clap::Args;
use report::{Finding, Summary};
use source::{Kind, SourceFile, TextFile};
use std::path::Path;
use std::process::ExitCode;

/// What `cargo xtask tidy` takes.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Look only at files whose path starts with this, for example `crates/pool`. Edges are always checked.
    #[arg(long, value_name = "PATH")]
    only: Option<String>,
}

/// Checks the whole workspace; fails when a rule is broken without a written exception.
pub(crate) fn run(root: &Path, options: &Options) -> Result<ExitCode, Failure> {
    let wanted = |path: &str| options.only.as_deref().is_none_or(|prefix| path.starts_with(prefix));
    let texts: Vec<TextFile> = source::read_texts(root)?.into_iter().filter(|f| wanted(&f.path)).collect();
    let mut findings = Vec::new();
    let mut sources = Vec::new();
    for text in &texts {
        words::check(text, &mut findings);
        if !text.path.ends_with(".rs") {
            continue;
        }
        match SourceFile::parse(text) {
            Ok(file) => sources.push(file),
            Err(finding) => findings.push(finding),
        }
    }
    // Tests that were not read would seem to be gone.
    if options.only.is_none() {
        map::check(&texts, &mut findings);
    }
    let summary = check_sources(&sources, &mut findings);
    edges::check(root, &mut findings)?;
    let unexcused = exceptions::apply(root, findings, options.only.is_none())?;
    report::print(&unexcused, &summary);
    Ok(if unexcused.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Every rule that needs the syntax tree.
fn check_sources(sources: &[SourceFile<'_>], findings: &mut Vec<Finding>) -> Summary {
    let mut summary = Summary::default();
    for file in sources {
        modules::check(file, findings);
        tokens::check(file, findings);
        functions::check(file, &mut summary, findings);
        if file.kind == Kind::Code {
            size::check(file, &mut summary, findings);
        } else {
            summary.test_lines += file.text.lines().count();
        }
    }
    modules::check_declared(sources, findings);
    size::check_median(&summary, findings);
    summary
}
