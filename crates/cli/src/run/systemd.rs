//! systemd: the states of `Type=notify` and `Type=notify-reload`, and sockets that it has opened already.

use howdah::Inherited;
use listenfd::ListenFd;
use sd_notify::NotifyState;

/// The sockets of socket activation; none outside of it.
pub(crate) fn listeners() -> Inherited {
    let mut given = ListenFd::from_env();
    let mut inherited = Inherited::default();
    for index in 0..given.len() {
        if let Ok(Some(listener)) = given.take_tcp_listener(index) {
            inherited.tcp.push(listener);
        } else if let Ok(Some(listener)) = given.take_unix_listener(index) {
            inherited.unix.push(listener);
        } else {
            tracing::warn!("socket {index} that systemd has passed is no listening stream socket");
        }
    }
    inherited
}

/// Clients can connect.
pub(crate) fn ready() {
    tell(&[NotifyState::Ready]);
}

/// The file is being read again; [`ready`] follows.
pub(crate) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(_) => tell(&[NotifyState::Reloading]),
    }
}

/// The end has begun.
pub(crate) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// Outside of systemd there is nobody to tell.
fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::debug!("systemd cannot be told: {error}");
    }
}
