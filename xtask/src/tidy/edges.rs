//! Which crate may depend on which: the layers of ARCHITECTURE.md as data, checked against every `Cargo.toml`.
//!
//! An arrow only points down and never sideways. To add one, add it to [`EDGES`] in a change that says why; a test
//! holds that the list itself keeps to the levels.

use super::report::{Finding, Rule};
use crate::Failure;
use std::path::Path;
use toml::{Table, Value};

/// The crates without runtime, socket or clock. Time, randomness and bytes are arguments.
pub(crate) const PURE_CRATES: [&str; 7] =
    ["protocol", "classifier", "topology", "pool", "hba", "session", "failover"];

/// Packages that a pure crate must not depend on: runtimes, sockets, the system.
const IMPURE_PACKAGES: [&str; 14] = [
    "tokio",
    "tokio-util",
    "tokio-postgres",
    "postgres",
    "deadpool-postgres",
    "mio",
    "async-std",
    "smol",
    "socket2",
    "rustix",
    "libc",
    "nix",
    "axum",
    "getrandom",
];

/// A package of the workspace: its folder, its level, and what of ours it may depend on.
pub(crate) struct Package {
    /// The folder, relative to the workspace. A crate is named after its folder.
    pub(crate) folder: &'static str,
    /// The level of ARCHITECTURE.md; development packages stand above the product.
    #[cfg_attr(not(test), allow(dead_code, reason = "what the test of this list compares"))]
    pub(crate) level: u8,
    /// What it may depend on.
    pub(crate) uses: &'static [&'static str],
    /// What its tests may depend on beside that.
    pub(crate) tests_use: &'static [&'static str],
}

/// Shorthand for one line of [`EDGES`].
const fn package(
    folder: &'static str,
    level: u8,
    uses: &'static [&'static str],
    tests_use: &'static [&'static str],
) -> Package {
    Package { folder, level, uses, tests_use }
}

/// Everything below the facade.
const BELOW_FACADE: &[&str] = &[
    "protocol",
    "classifier",
    "topology",
    "pool",
    "hba",
    "ldap",
    "session",
    "failover",
    "backend",
    "config",
    "controller",
    "admin",
    "uring",
    "tls",
];

/// The list of edges. Levels 0 to 4 are the product; `testkit` makes real clusters for tests and for `howdah demo`,
/// and 5 is what only developers run.
pub(crate) const EDGES: [Package; 23] = [
    package("crates/protocol", 0, &[], &[]),
    package("crates/classifier", 0, &[], &[]),
    package("crates/topology", 0, &[], &[]),
    package("crates/pool", 0, &[], &[]),
    package("crates/hba", 0, &[], &[]),
    package("crates/testkit", 0, &[], &[]),
    package("crates/uring", 0, &[], &[]),
    package("crates/tls", 0, &[], &[]),
    package("crates/session", 1, &["protocol", "classifier", "topology"], &[]),
    package("crates/failover", 1, &["topology"], &[]),
    package("crates/ldap", 1, &["hba", "tls"], &[]),
    package("crates/backend", 2, &["protocol", "uring", "tls"], &["testkit"]),
    package("crates/config", 2, &["hba"], &[]),
    package("crates/controller", 2, &["failover", "topology", "tls"], &["testkit"]),
    package("crates/admin", 2, &["protocol", "topology"], &[]),
    package("crates/howdah", 3, BELOW_FACADE, &["testkit"]),
    package(
        "crates/cli",
        4,
        &["howdah", "uring", "config", "classifier", "topology", "protocol", "testkit"],
        &[],
    ),
    package("crates/failover-sim", 5, &["failover", "topology"], &[]),
    package("crates/chaos", 5, &["testkit"], &[]),
    package("tests", 5, &[], &["howdah", "config", "protocol", "testkit", "topology", "classifier"]),
    package(
        "benches",
        5,
        &[],
        &["howdah", "protocol", "classifier", "pool", "config", "testkit", "session", "topology"],
    ),
    package("examples", 5, &["howdah"], &["testkit"]),
    package("xtask", 5, &["testkit"], &[]),
];

/// Checks every package of the workspace.
pub(crate) fn check(root: &Path, findings: &mut Vec<Finding>) -> Result<(), Failure> {
    for folder in package_folders(root)? {
        let path = format!("{folder}/Cargo.toml");
        let text =
            std::fs::read_to_string(root.join(&path)).map_err(|e| format!("cannot read {path}: {e}"))?;
        check_manifest(&folder, &text, findings)?;
    }
    Ok(())
}

/// The folders that have a `Cargo.toml`.
fn package_folders(root: &Path) -> Result<Vec<String>, Failure> {
    let mut folders: Vec<String> = ["tests", "benches", "examples", "xtask"].map(str::to_owned).to_vec();
    for entry in std::fs::read_dir(root.join("crates"))? {
        folders.push(format!("crates/{}", entry?.file_name().to_string_lossy()));
    }
    folders.retain(|folder| root.join(folder).join("Cargo.toml").is_file());
    folders.sort();
    Ok(folders)
}

/// Checks one `Cargo.toml`.
pub(crate) fn check_manifest(folder: &str, text: &str, findings: &mut Vec<Finding>) -> Result<(), Failure> {
    let manifest: Table = text.parse().map_err(|error| format!("{folder}/Cargo.toml: {error}"))?;
    let path = format!("{folder}/Cargo.toml");
    let mut add = |line: usize, rule: Rule, what: String| {
        findings.push(Finding { path: path.clone(), line, rule, what });
    };
    if manifest.get("lints").and_then(|lints| lints.get("workspace")) != Some(&Value::Boolean(true)) {
        add(1, Rule::Lints, "wants `[lints] workspace = true`".to_owned());
    }
    let Some(package) = EDGES.iter().find(|package| package.folder == folder) else {
        add(1, Rule::Edge, "is not in the list of edges (xtask/src/tidy/edges.rs)".to_owned());
        return Ok(());
    };
    for (name, for_tests) in dependencies(&manifest) {
        let line = line_of(text, &name);
        if let Some(ours) = our_crate(&name) {
            let allowed = package.uses.contains(&ours) || (for_tests && package.tests_use.contains(&ours));
            if !allowed {
                add(line, Rule::Edge, format!("must not depend on {ours}"));
            }
        } else if !for_tests && is_pure(folder) && IMPURE_PACKAGES.contains(&name.as_str()) {
            add(line, Rule::Pure, format!("is pure and must not depend on {name}"));
        }
    }
    Ok(())
}

fn is_pure(folder: &str) -> bool {
    folder.strip_prefix("crates/").is_some_and(|name| PURE_CRATES.contains(&name))
}

/// Our name of a package, `pool` for `howdah-pool`, if it is ours.
fn our_crate(name: &str) -> Option<&str> {
    if name == "howdah" { Some(name) } else { name.strip_prefix("howdah-") }
}

/// The names of all dependencies, and whether only tests have them.
fn dependencies(manifest: &Table) -> Vec<(String, bool)> {
    let mut tables = vec![manifest];
    let targets = manifest.get("target").and_then(Value::as_table);
    tables.extend(targets.into_iter().flat_map(Table::values).filter_map(Value::as_table));
    let mut found = Vec::new();
    for table in tables {
        for (section, for_tests) in
            [("dependencies", false), ("build-dependencies", false), ("dev-dependencies", true)]
        {
            let names = table.get(section).and_then(Value::as_table).into_iter().flat_map(Table::keys);
            found.extend(names.map(|name| (name.clone(), for_tests)));
        }
    }
    found
}

/// The first line of a manifest that begins with the dependency's name.
fn line_of(text: &str, name: &str) -> usize {
    let begins = |line: &str| {
        line.trim_start().strip_prefix(name).is_some_and(|rest| rest.starts_with(['.', ' ', '=']))
    };
    text.lines().position(begins).map_or(1, |index| index + 1)
}
