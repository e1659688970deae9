//! `howdah FILE`: the pooler as a process, in PgBouncer's order: the file, the user that it runs as, the log, the pid
//! file, the background, the sockets (PGBOUNCER.md section 6). `signals.rs` is what ends it.

mod daemon;
mod identity;
mod pidfile;
mod signals;
mod systemd;

#[cfg(test)]
mod identity_tests;
#[cfg(test)]
mod pidfile_tests;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use howdah::{Handle, Howdah, Takeover};
use howdah_config::{Config, Diagnostic, Settings};
use tokio::runtime::{Builder, Runtime};

use crate::args::Flags;
use crate::logs::{self, FATAL, Logs};
use daemon::Background;
use pidfile::PidFile;

/// Descriptors that are needed beside clients and servers (count).
const SPARE_DESCRIPTORS: u64 = 64;

/// Runs until a signal or SHUTDOWN ends it.
pub(crate) fn run(flags: &Flags, file: &Path) -> ExitCode {
    let mut loaded = match howdah_config::load(file) {
        Ok(loaded) => loaded,
        Err(mistakes) => {
            let logfile = howdah_config::logfile(file);
            for line in mistakes.iter().flat_map(Diagnostic::log_lines) {
                logs::early((flags.quiet, logfile.as_deref()), "ERROR", &line);
            }
            return refuse(flags, logfile.as_deref(), "cannot load config file");
        }
    };
    if let Some(user) = &flags.user {
        loaded.config.settings.user = Some(user.clone());
    }
    let settings = loaded.config.settings.clone();
    if flags.daemon && settings.pidfile.is_none() {
        return refuse(flags, settings.logfile.as_deref(), "daemon needs pidfile configured");
    }
    if flags.daemon && !flags.daemon_child {
        return daemon::start();
    }
    if let Some(user) = &settings.user
        && let Err(error) = identity::assume(user)
    {
        return refuse(flags, settings.logfile.as_deref(), &error);
    }
    let logs = match Logs::start(&settings, flags.quiet, flags.verbose) {
        Ok(logs) => Arc::new(logs),
        Err(error) => return refuse(flags, None, &format!("cannot open the log: {error}")),
    };
    for note in &loaded.notes {
        tracing::warn!("{note}");
    }
    if rustix::process::geteuid().is_root() {
        tracing::warn!("running as root: the setting user gives that up");
    }
    match serve_process(flags, loaded.config, file, &logs) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(target: FATAL, "{error}");
            ExitCode::from(1)
        }
    }
}

/// Says why there is no start, before there is a log.
fn refuse(flags: &Flags, logfile: Option<&Path>, why: &str) -> ExitCode {
    logs::early((flags.quiet, logfile), "FATAL", why);
    ExitCode::from(1)
}

/// The process from its pid file to its end.
fn serve_process(flags: &Flags, config: Config, file: &Path, logs: &Arc<Logs>) -> Result<(), String> {
    let settings = config.settings.clone();
    let background = flags.daemon_child.then(Background::enter).transpose()?;
    // Before the sockets: who can connect may look for it. A process that is taken over has it until it is gone.
    let path = settings.pidfile.as_deref().filter(|_| !flags.reboot);
    let pidfile = path.map(PidFile::write).transpose()?;
    raise_descriptor_limit();
    let (runtime, ring) = runtime(&settings).map_err(|error| format!("cannot start the runtime: {error}"))?;
    let outcome = runtime.block_on(serve(config, file, logs, (flags.reboot, background)));
    drop(pidfile);
    runtime.shutdown_background();
    // What was said to clients last goes out.
    drop(ring);
    outcome
}

/// The runtime of this many workers; 0 chooses: half of the cores, since PostgreSQL or the clients often share the
/// machine, and workers that wake each other for nothing cost more than they bring (on two cores one worker
/// takes 0.14 waits a query, two take 0.9 waits and 0.4 futex calls). One worker has a ring where the system allows it.
fn runtime(settings: &Settings) -> std::io::Result<(Runtime, Option<howdah_uring::Guard>)> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let workers = match settings.worker_threads {
        0 => (cores / 2).max(1),
        workers => workers as usize,
    };
    if workers > 1 {
        return Ok((Builder::new_multi_thread().worker_threads(workers).enable_all().build()?, None));
    }
    let runtime = Builder::new_current_thread().enable_all().on_thread_park(howdah_uring::turn).build()?;
    if !settings.io_uring {
        return Ok((runtime, None));
    }
    let ring = match howdah_uring::install() {
        Ok(ring) => ring,
        Err(error) => {
            tracing::info!("io_uring cannot be used here ({error}), epoll is");
            return Ok((runtime, None));
        }
    };
    let entered = runtime.enter();
    howdah_uring::attach()?;
    drop(entered);
    Ok((runtime, Some(ring)))
}

/// As many connections as the system lets us have.
fn raise_descriptor_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    if limit.current < limit.maximum || limit.maximum.is_none() {
        let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
        if let Err(error) = setrlimit(Resource::Nofile, raised) {
            tracing::warn!("cannot raise the limit of open files: {error}");
        }
    }
    if getrlimit(Resource::Nofile).current.is_some_and(|most| most < SPARE_DESCRIPTORS) {
        tracing::warn!("the limit of open files is very low");
    }
}

async fn serve(
    config: Config,
    file: &Path,
    logs: &Arc<Logs>,
    (reboot, background): (bool, Option<Background>),
) -> Result<(), String> {
    let pidfile = config.settings.pidfile.clone().filter(|_| reboot);
    let takeover = match reboot {
        true => Takeover::begin(&config.settings).await.map_err(|error| error.to_string())?,
        false => None,
    };
    if takeover.is_some() {
        tracing::info!("taking over from the running process");
    }
    let follow = Arc::clone(logs);
    let builder = Howdah::builder()
        .config(config)
        .config_file(file)
        .on_settings(move |settings| follow.follow(settings))
        .taking_over(takeover)
        .inherited(systemd::listeners());
    // Before the sockets: whoever has seen it listen may signal it.
    let mut signals = signals::Signals::new().map_err(|error| format!("cannot take signals: {error}"))?;
    let handle: Handle = builder.start().await.map_err(|error| error.to_string())?;
    let pidfile = pidfile.as_deref().map(PidFile::replace).transpose()?;
    tracing::info!("process up: PgBouncer 1.25.2, Howdah {}", env!("CARGO_PKG_VERSION"));
    systemd::ready();
    if let Some(background) = background {
        logs.leave_terminal();
        background.ready();
    }
    signals.until_the_end(&handle).await;
    systemd::stopping();
    handle.shutdown().await;
    drop(pidfile);
    Ok(())
}
