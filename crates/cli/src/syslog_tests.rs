//! Tests of `syslog.rs`.

#![allow(clippy::unwrap_used)]

use std::os::unix::net::UnixDatagram;

use howdah_config::SyslogFacility;
use tracing::Level;

use super::syslog::*;

fn receive(socket: &UnixDatagram) -> String {
    let mut buffer = [0; 16 * 1024];
    let length = socket.recv(&mut buffer).unwrap();
    String::from_utf8(buffer[..length].to_vec()).unwrap()
}

#[test]
fn a_line_is_a_datagram_with_priority_time_ident_and_pid() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let mut syslog = Syslog::new(&path, "foo", SyslogFacility::Local3);
    // Nobody listens: the line is lost, and nothing else.
    syslog.send(Level::INFO, "lost");
    let server = UnixDatagram::bind(&path).unwrap();
    syslog.send(Level::INFO, "got SIGTERM");
    let line = receive(&server);
    assert!(line.starts_with("<158>"), "{line}");
    assert!(line.ends_with(&format!(" foo[{}]: got SIGTERM", std::process::id())), "{line}");
    assert_eq!(line.find(" foo[").unwrap(), "<158>Nov  1 00:00:00".len(), "{line}");
    syslog.send(Level::WARN, &"é".repeat(TEXT_MAX));
    assert!(receive(&server).starts_with("<156>"));
    drop(server);
    std::fs::remove_file(&path).unwrap();
    let server = UnixDatagram::bind(&path).unwrap();
    syslog.send(Level::ERROR, "after a restart");
    assert!(receive(&server).ends_with(": after a restart"));
}
