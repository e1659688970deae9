//! PostgreSQL's server programs: found, or installed where that is possible and allowed.

use std::path::Path;
use std::process::{Command, Stdio};

use howdah_testkit::find_binaries;

use super::show::Screen;

/// Debian's package of the present version; it brings the clients' programs along.
const PACKAGE: &str = "postgresql";

/// Debian makes and starts a cluster of its own when the package is installed, unless this says no.
const NO_CLUSTER: (&str, &str) =
    ("/etc/postgresql-common/createcluster.conf", "create_main_cluster = false\n");

/// Finds the programs, or installs them.
///
/// # Errors
/// The sentence with the one command to run.
pub(crate) fn postgres(screen: &Screen) -> Result<(), String> {
    let Err(missing) = find_binaries() else { return Ok(()) };
    let by_hand = format!("PostgreSQL's server programs are needed. Run: sudo apt-get install -y {PACKAGE}");
    // Named on purpose and wrong: installing something else would not help.
    if std::env::var_os("HOWDAH_PG_BIN").is_some() {
        return Err(missing.to_string());
    }
    if !rustix::process::geteuid().is_root() || !has_apt() {
        return Err(by_hand);
    }
    screen.heading("Installing PostgreSQL");
    let had_settings = Path::new(NO_CLUSTER.0).exists();
    if !had_settings {
        let written = std::fs::create_dir_all("/etc/postgresql-common")
            .and_then(|()| std::fs::write(NO_CLUSTER.0, NO_CLUSTER.1));
        written.map_err(|error| format!("cannot write {}: {error}\n{by_hand}", NO_CLUSTER.0))?;
    }
    let done = apt(&["update", "-q"]) && apt(&["install", "-y", "-q", "--no-install-recommends", PACKAGE]);
    if !had_settings && !done {
        // Nobody shall wonder about it later.
        let _ = std::fs::remove_file(NO_CLUSTER.0);
    }
    match find_binaries() {
        Ok(_) if done => Ok(()),
        _ => Err(format!("apt-get could not install it. {by_hand}")),
    }
}

fn has_apt() -> bool {
    Path::new("/usr/bin/apt-get").exists()
}

fn apt(arguments: &[&str]) -> bool {
    let mut command = Command::new("/usr/bin/apt-get");
    command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
