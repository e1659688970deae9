//! What a client costs that does nothing: memory of many logged-in clients, and how their storm of logins went.
//!
//! The connector speaks just enough of the protocol to log in where the password is not asked for.

use super::poolers::{Kind, PoolMode, Pooler, Programs};
use super::{DATABASE, ROLE};
use crate::Failure;
use howdah_testkit::Postgres;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::{Duration, Instant};

/// How many log in at the same time.
const STORM_THREADS: usize = 64;
/// How long a login may take before it counts as failed.
const LOGIN_LIMIT: Duration = Duration::from_secs(60);
/// The largest message of a login, in bytes.
const MAX_MESSAGE_BYTES: usize = 10_000;
/// Protocol 3.0, as the startup packet has it.
const PROTOCOL: i32 = 3 << 16;

/// Prints the cost of an idle client with each pooler.
pub(crate) fn compare(programs: &Programs, server: &Postgres, clients: usize) -> Result<(), Failure> {
    println!("\n| pooler    | logins | errors | logins/s | KiB before | KiB with them | bytes/client |");
    println!("|-----------|--------|--------|----------|------------|---------------|--------------|");
    for kind in [Kind::PgBouncer, Kind::Howdah] {
        let pooler = Pooler::launch(kind, PoolMode::Transaction, programs, server)?;
        let before = pooler.usage()?.resident_kib;
        let started = Instant::now();
        let (sessions, errors) = storm(pooler.port(), clients);
        let took = started.elapsed().as_secs_f64();
        let with = pooler.usage()?.resident_kib;
        let each = with.saturating_sub(before) * 1024 / (sessions.len().max(1) as u64);
        let (logins, failed) = (sessions.len(), errors.len());
        let name = kind.name();
        let rate = logins as f64 / took;
        println!(
            "| {name:<9} | {logins:>6} | {failed:>6} | {rate:>8.0} | {before:>10} | {with:>13} | {each:>12} |"
        );
        if let Some(error) = errors.first() {
            println!("  the first error: {error}");
        }
    }
    Ok(())
}

/// Logs in as often as asked, from many threads at once; the sessions stay open until they are dropped.
fn storm(port: u16, clients: usize) -> (Vec<TcpStream>, Vec<String>) {
    let share = |thread: usize| clients / STORM_THREADS + usize::from(thread < clients % STORM_THREADS);
    let mut sessions = Vec::with_capacity(clients);
    let mut errors = Vec::new();
    std::thread::scope(|scope| {
        let start = |thread| scope.spawn(move || log_in_often(port, share(thread)));
        let threads: Vec<_> = (0..STORM_THREADS).map(start).collect();
        for thread in threads {
            match thread.join() {
                Ok((opened, failed)) => {
                    sessions.extend(opened);
                    errors.extend(failed);
                }
                Err(_) => errors.push("a thread of the storm panicked".to_owned()),
            }
        }
    });
    (sessions, errors)
}

/// One thread's share of a storm: the sessions, and what was said to those that got none.
fn log_in_often(port: u16, times: usize) -> (Vec<TcpStream>, Vec<String>) {
    let mut sessions = Vec::with_capacity(times);
    let mut errors = Vec::new();
    for _ in 0..times {
        match login(port) {
            Ok(session) => sessions.push(session),
            Err(error) => errors.push(error.to_string()),
        }
    }
    (sessions, errors)
}

/// Does somebody listen on this port?
pub(crate) fn listens(port: u16) -> Result<(), Failure> {
    TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    Ok(())
}

/// A logged-in session.
pub(crate) fn login(port: u16) -> Result<TcpStream, Failure> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(LOGIN_LIMIT))?;
    stream.write_all(&startup_packet(ROLE, DATABASE))?;
    loop {
        let (tag, body) = read_message(&mut stream)?;
        match tag {
            b'Z' => return Ok(stream),
            b'E' => return Err(error_text(&body).into()),
            b'R' if body != [0, 0, 0, 0] => return Err("the pooler asks for a password".into()),
            _ => {}
        }
    }
}

/// The first packet of a session.
pub(crate) fn startup_packet(role: &str, database: &str) -> Vec<u8> {
    let mut body = PROTOCOL.to_be_bytes().to_vec();
    for word in ["user", role, "database", database, ""] {
        body.extend_from_slice(word.as_bytes());
        body.push(0);
    }
    let mut packet = (body.len() as u32 + 4).to_be_bytes().to_vec();
    packet.append(&mut body);
    packet
}

/// One message of the server: its tag and its body.
fn read_message(stream: &mut impl Read) -> Result<(u8, Vec<u8>), Failure> {
    let mut header = [0; 5];
    stream.read_exact(&mut header)?;
    let [tag, length @ ..] = header;
    let length = u32::from_be_bytes(length) as usize;
    if !(4..=MAX_MESSAGE_BYTES).contains(&length) {
        return Err(format!("a message of {length} bytes during the login").into());
    }
    let mut body = vec![0; length - 4];
    stream.read_exact(&mut body)?;
    Ok((tag, body))
}

/// The message field of an ErrorResponse.
pub(crate) fn error_text(body: &[u8]) -> String {
    let fields = body.split(|byte| *byte == 0);
    let message = fields.filter_map(|field| field.strip_prefix(b"M")).next();
    message
        .map_or_else(|| "an error without a message".to_owned(), |m| String::from_utf8_lossy(m).into_owned())
}
