//! `howdah FILE`: the daemon in the foreground, with PgBouncer's signals (PGBOUNCER_BEHAVIOUR.md section 14).

use std::path::Path;
use std::process::ExitCode;

use howdah::{Handle, Howdah};
use howdah_config::Settings;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::args::{Flags, warn};

/// Descriptors that are needed beside clients and servers (count).
const SPARE_DESCRIPTORS: u64 = 64;

/// Runs until a signal or SHUTDOWN ends it.
pub(crate) fn run(flags: &Flags, file: &Path) -> ExitCode {
    for (set, flag) in
        [(flags.daemon, "--daemon"), (flags.reboot, "--reboot"), (flags.user.is_some(), "--user")]
    {
        if set {
            warn(&format!("howdah: {flag} is not there yet (docs/status.md)\n"));
            return ExitCode::from(1);
        }
    }
    let loaded = match howdah_config::load(file) {
        Ok(loaded) => loaded,
        Err(mistakes) => {
            for mistake in &mistakes {
                warn(&format!("{mistake}\n"));
            }
            warn("FATAL cannot load config file\n");
            return ExitCode::from(1);
        }
    };
    let settings = loaded.config.settings.clone();
    if let Err(error) = crate::logs::start(&settings, flags.quiet, flags.verbose) {
        warn(&format!("FATAL cannot open the log: {error}\n"));
        return ExitCode::from(1);
    }
    for note in &loaded.notes {
        tracing::warn!("{note}");
    }
    raise_descriptor_limit();
    let (runtime, ring) = match runtime(&settings) {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!("FATAL cannot start the runtime: {error}");
            return ExitCode::from(1);
        }
    };
    let code = runtime.block_on(serve(loaded.config, file, &settings));
    runtime.shutdown_background();
    // What was said to clients last goes out.
    drop(ring);
    code
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

async fn serve(config: howdah_config::Config, file: &Path, settings: &Settings) -> ExitCode {
    // Before the sockets: who can connect may look for it. Another process's is put back if we do not start.
    let before = settings.pidfile.as_ref().and_then(|file| std::fs::read(file).ok());
    if let Some(pidfile) = &settings.pidfile
        && let Err(error) = std::fs::write(pidfile, format!("{}\n", std::process::id()))
    {
        tracing::error!("FATAL cannot write {}: {error}", pidfile.display());
        return ExitCode::from(1);
    }
    let handle = match Howdah::builder().config(config).config_file(file).start().await {
        Ok(handle) => handle,
        Err(error) => {
            tracing::error!("FATAL {error}");
            warn(&format!("FATAL {error}\n"));
            if let Some(pidfile) = &settings.pidfile {
                let _ = match before {
                    Some(text) => std::fs::write(pidfile, text),
                    None => std::fs::remove_file(pidfile),
                };
            }
            return ExitCode::from(1);
        }
    };
    for address in handle.addresses() {
        tracing::info!("listening on {address}");
    }
    tracing::info!("process up: Howdah {}, PgBouncer 1.25.2 contract", env!("CARGO_PKG_VERSION"));
    let code = match Signals::new() {
        Ok(mut signals) => signals.until_the_end(&handle).await,
        Err(error) => {
            tracing::error!("FATAL cannot take signals: {error}");
            ExitCode::from(1)
        }
    };
    handle.shutdown().await;
    if let Some(pidfile) = &settings.pidfile {
        // Somebody may have removed it.
        let _ = std::fs::remove_file(pidfile);
    }
    code
}

/// The signals that mean something.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    quit: Signal,
    hangup: Signal,
    user1: Signal,
    user2: Signal,
    /// One that asks to wait has come already.
    waiting: bool,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
            hangup: signal(SignalKind::hangup())?,
            user1: signal(SignalKind::user_defined1())?,
            user2: signal(SignalKind::user_defined2())?,
            waiting: false,
        })
    }

    async fn until_the_end(&mut self, handle: &Handle) -> ExitCode {
        loop {
            tokio::select! {
                () = handle.stopped() => return ExitCode::SUCCESS,
                _ = self.terminate.recv() => {
                    if std::mem::replace(&mut self.waiting, true) {
                        return ExitCode::SUCCESS;
                    }
                    tracing::info!("got SIGTERM, shutting down, waiting for all clients disconnect");
                    handle.stop_after_clients();
                }
                _ = self.interrupt.recv() => {
                    if std::mem::replace(&mut self.waiting, true) {
                        return ExitCode::SUCCESS;
                    }
                    tracing::info!("got SIGINT, shutting down, waiting for all servers connections to be released");
                    handle.stop_after_servers();
                }
                _ = self.quit.recv() => {
                    tracing::info!("got SIGQUIT, fast exit");
                    return ExitCode::SUCCESS;
                }
                _ = self.hangup.recv() => reload(handle),
                _ = self.user1.recv() => pause(handle),
                _ = self.user2.recv() => resume(handle, self.waiting),
            }
        }
    }
}

fn reload(handle: &Handle) {
    tracing::info!("got SIGHUP, re-reading config");
    if let Err(mistakes) = handle.reload() {
        for mistake in mistakes.lines() {
            tracing::error!("{mistake}");
        }
    }
}

fn pause(handle: &Handle) {
    tracing::info!("got SIGUSR1, pausing all activity");
    let handle = handle.clone();
    tokio::spawn(async move {
        if let Err(error) = handle.pause().await {
            tracing::error!("{error}");
        }
    });
}

fn resume(handle: &Handle, shutting_down: bool) {
    if shutting_down {
        tracing::info!("got SIGUSR2 while shutting down, ignoring");
        return;
    }
    tracing::info!("got SIGUSR2, continuing from PAUSE");
    if let Err(error) = handle.resume() {
        tracing::error!("{error}");
    }
}
