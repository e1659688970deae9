//! Lines to syslog, as syslog(3) sends them: one datagram a line to the system's socket,
//! `<priority>Mmm dd hh:mm:ss ident[pid]: text` (RFC 3164).

use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;

use howdah_config::SyslogFacility;
use tracing::Level;

/// Where the system's syslog listens.
pub(crate) const SOCKET: &str = "/dev/log";

/// The longest text of a line (bytes); a datagram that is too long would be lost as a whole.
pub(crate) const TEXT_MAX: usize = 8192;

/// A way to syslog.
#[derive(Debug)]
pub(crate) struct Syslog {
    path: PathBuf,
    ident: String,
    facility: u8,
    socket: Option<UnixDatagram>,
}

/// The number of a facility (syslog.h).
const fn number(facility: SyslogFacility) -> u8 {
    match facility {
        SyslogFacility::User => 1,
        SyslogFacility::Daemon => 3,
        SyslogFacility::Auth => 4,
        SyslogFacility::Authpriv => 10,
        SyslogFacility::Local0 => 16,
        SyslogFacility::Local1 => 17,
        SyslogFacility::Local2 => 18,
        SyslogFacility::Local3 => 19,
        SyslogFacility::Local4 => 20,
        SyslogFacility::Local5 => 21,
        SyslogFacility::Local6 => 22,
        SyslogFacility::Local7 => 23,
    }
}

/// The number of a level (syslog.h).
const fn severity(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        Level::DEBUG | Level::TRACE => 7,
    }
}

impl Syslog {
    /// A way to the socket at this path, which need not be there yet.
    pub(crate) fn new(path: impl Into<PathBuf>, ident: &str, facility: SyslogFacility) -> Self {
        Self { path: path.into(), ident: ident.to_owned(), facility: number(facility), socket: None }
    }

    /// Sends a line. A syslog that is not there, or takes nothing, is not waited for; one that was restarted is
    /// found again by the next try.
    pub(crate) fn send(&mut self, level: Level, text: &str) {
        let mut end = text.len().min(TEXT_MAX);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let now = jiff::Zoned::now().strftime("%b %e %H:%M:%S").to_string();
        let line = format!(
            "<{}>{now} {}[{}]: {}",
            self.facility * 8 + severity(level),
            self.ident,
            std::process::id(),
            &text[..end]
        );
        for _ in 0..2 {
            let Some(socket) = self.connected() else { return };
            match socket.send(line.as_bytes()) {
                Err(error) if error.kind() != std::io::ErrorKind::WouldBlock => self.socket = None,
                _ => return,
            }
        }
    }

    fn connected(&mut self) -> Option<&UnixDatagram> {
        if self.socket.is_none() {
            let socket = UnixDatagram::unbound().ok()?;
            socket.set_nonblocking(true).ok()?;
            socket.connect(&self.path).ok()?;
            self.socket = Some(socket);
        }
        self.socket.as_ref()
    }
}
