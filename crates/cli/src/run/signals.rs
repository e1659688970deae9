//! The signals that mean something (PGBOUNCER_BEHAVIOUR.md section 14).

use howdah::Handle;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::systemd;

/// What is listened for.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    quit: Signal,
    hangup: Signal,
    user1: Signal,
    user2: Signal,
}

impl Signals {
    /// Takes the signals from here on.
    ///
    /// # Errors
    /// As sigaction(2).
    pub(crate) fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
            hangup: signal(SignalKind::hangup())?,
            user1: signal(SignalKind::user_defined1())?,
            user2: signal(SignalKind::user_defined2())?,
        })
    }

    /// Does what the signals say until one of them, or the console, ends it.
    pub(crate) async fn until_the_end(&mut self, handle: &Handle) {
        loop {
            tokio::select! {
                () = handle.stopped() => return,
                _ = self.terminate.recv() => {
                    if is_at_once(handle, "SIGTERM") {
                        return;
                    }
                    tracing::info!("got SIGTERM, shutting down, waiting for all clients disconnect");
                    systemd::stopping();
                    handle.stop_after_clients();
                }
                _ = self.interrupt.recv() => {
                    if is_at_once(handle, "SIGINT") {
                        return;
                    }
                    tracing::info!("got SIGINT, shutting down, waiting for all servers connections to be released");
                    systemd::stopping();
                    handle.stop_after_servers();
                }
                _ = self.quit.recv() => {
                    tracing::info!("got SIGQUIT, fast exit");
                    return;
                }
                _ = self.hangup.recv() => reload(handle),
                _ = self.user1.recv() => pause(handle),
                _ = self.user2.recv() => resume(handle),
            }
        }
    }
}

/// Whether a signal that asks to wait ends the process at once: a wait is under way already, or all is suspended.
fn is_at_once(handle: &Handle, name: &str) -> bool {
    let at_once = handle.is_shutting_down() || handle.is_suspended();
    if at_once {
        tracing::info!("got {name}, fast exit");
    }
    at_once
}

fn reload(handle: &Handle) {
    tracing::info!("got SIGHUP, re-reading config");
    systemd::reloading();
    if let Err(mistakes) = handle.reload() {
        for mistake in mistakes.lines() {
            tracing::error!("{mistake}");
        }
    }
    systemd::ready();
}

fn pause(handle: &Handle) {
    if handle.is_paused() || handle.is_suspended() {
        tracing::info!("got SIGUSR1, but already paused/suspended");
        return;
    }
    tracing::info!("got SIGUSR1, pausing all activity");
    let handle = handle.clone();
    tokio::spawn(async move {
        if let Err(error) = handle.pause().await {
            tracing::error!("{error}");
        }
    });
}

fn resume(handle: &Handle) {
    if handle.is_shutting_down() {
        tracing::info!("got SIGUSR2 while shutting down, ignoring");
        return;
    }
    if !handle.is_paused() && !handle.is_suspended() {
        tracing::info!("got SIGUSR2, but not paused/suspended");
        return;
    }
    tracing::info!(
        "got SIGUSR2, continuing from {}",
        if handle.is_suspended() { "SUSPEND" } else { "PAUSE" }
    );
    if let Err(error) = handle.resume() {
        tracing::error!("{error}");
    }
}
