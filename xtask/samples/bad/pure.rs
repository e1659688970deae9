//! A clock and a socket in a pure crate.

use std::{net::TcpStream, time::Duration};

fn later(by: Duration) -> bool {
    std::time::Instant::now().elapsed() > by
}
