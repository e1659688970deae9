//! The Unix socket that is listened on: a file in `unix_socket_dir`, or an abstract name (`@…`).

use std::fmt;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{SocketAddr, UnixListener as StdListener, UnixStream};
use std::path::PathBuf;

use howdah_config::Settings;
use socket2::{Domain, SockAddr, Socket, Type};
use tokio::net::UnixListener;

use crate::error::StartError;

/// A listening Unix socket.
#[derive(Debug)]
pub(crate) struct UnixSocket {
    pub(crate) listener: UnixListener,
    /// Its file, which goes with it.
    file: Option<PathBuf>,
    name: String,
}

impl fmt::Display for UnixSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unix:{}", self.name)
    }
}

impl UnixSocket {
    /// Opens the socket of the settings. One that cannot be had is left out with a warning, as with PgBouncer.
    ///
    /// # Errors
    /// Another process listens there; it cannot be given the group or the mode of the settings.
    pub(crate) fn open(settings: &Settings) -> Result<Option<Self>, StartError> {
        let name = format!("{}/.s.PGSQL.{}", settings.unix_socket_dir, settings.listen_port);
        let opened = match name.strip_prefix('@') {
            Some(abstract_name) => open_abstract(abstract_name, settings),
            None => open_file(&name, settings),
        };
        let listener = match opened {
            Ok(listener) => listener,
            Err(Unopened::InUse) => return Err(StartError::UnixSocketInUse),
            Err(Unopened::Io(error)) => {
                tracing::warn!("cannot listen on unix:{name}: {error}");
                return Ok(None);
            }
        };
        let failed = |error| StartError::Listen { address: format!("unix:{name}"), error };
        let listener = UnixListener::from_std(listener).map_err(failed)?;
        let file = (!name.starts_with('@')).then(|| PathBuf::from(&name));
        let socket = Self { listener, file, name };
        if socket.file.is_some() {
            socket.admit(settings).inspect_err(|_| socket.remove_file())?;
        }
        Ok(Some(socket))
    }

    /// A socket that somebody else has opened; `is_ours`: its file goes with it nevertheless.
    pub(crate) fn inherited(listener: UnixListener, is_ours: bool) -> Self {
        let address = listener.local_addr().ok();
        let path = address.as_ref().and_then(|address| address.as_pathname());
        let name = path.map_or_else(|| "@".to_owned(), |path| path.display().to_string());
        let file = path.filter(|_| is_ours).map(std::path::Path::to_owned);
        Self { listener, file, name }
    }

    /// Its group and its mode.
    fn admit(&self, settings: &Settings) -> Result<(), StartError> {
        let Some(file) = &self.file else { return Ok(()) };
        if let Some(group) = &settings.unix_socket_group {
            let gid = gid_of(group).ok_or_else(|| StartError::NoGroup(group.clone()))?;
            std::os::unix::fs::chown(file, None, Some(gid))
                .map_err(|error| StartError::Listen { address: format!("{self} as group {group}"), error })?;
        }
        let mode = std::fs::Permissions::from_mode(settings.unix_socket_mode);
        std::fs::set_permissions(file, mode)
            .map_err(|error| StartError::Listen { address: self.to_string(), error })
    }

    /// Its file goes.
    pub(crate) fn remove_file(&self) {
        if let Some(file) = &self.file {
            // Somebody may have removed it: nothing to do about that.
            let _ = std::fs::remove_file(file);
        }
    }
}

/// The number of a group by its name, or that number itself.
fn gid_of(group: &str) -> Option<u32> {
    let named = uzers::get_group_by_name(group).map(|group| group.gid());
    named.or_else(|| group.parse().ok())
}

enum Unopened {
    /// Another process listens there.
    InUse,
    Io(io::Error),
}

impl From<io::Error> for Unopened {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

fn open_file(name: &str, settings: &Settings) -> Result<StdListener, Unopened> {
    let path = std::path::Path::new(name);
    if path.exists() {
        if UnixStream::connect(path).is_ok() {
            return Err(Unopened::InUse);
        }
        // Left over from a process that is gone; if it cannot be removed, bind says why.
        let _ = std::fs::remove_file(path);
    }
    listen(&SockAddr::unix(path)?, settings).map_err(Unopened::Io)
}

fn open_abstract(name: &str, settings: &Settings) -> Result<StdListener, Unopened> {
    let address = SocketAddr::from_abstract_name(name)?;
    if UnixStream::connect_addr(&address).is_ok() {
        return Err(Unopened::InUse);
    }
    // socket2 takes a leading NUL for an abstract name.
    listen(&SockAddr::unix(format!("\0{name}"))?, settings).map_err(Unopened::Io)
}

fn listen(address: &SockAddr, settings: &Settings) -> io::Result<StdListener> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.bind(address)?;
    socket.listen(i32::try_from(settings.listen_backlog).unwrap_or(i32::MAX))?;
    Ok(socket.into())
}
