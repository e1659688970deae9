//! The text of a test server's `postgresql.conf` and `pg_hba.conf`.

use std::fmt::Write as _;
use std::net::IpAddr;

/// What every test server gets: quick, small, and leaving nothing outside its own directory.
const BASE: &[(&str, &str)] = &[
    ("fsync", "off"),
    ("full_page_writes", "off"),
    ("shared_buffers", "32MB"),
    ("max_connections", "200"),
    ("dynamic_shared_memory_type", "mmap"),
    ("log_destination", "stderr"),
    ("logging_collector", "off"),
    ("log_line_prefix", "%m [%p] "),
    ("log_checkpoints", "off"),
    ("timezone", "UTC"),
    ("log_timezone", "UTC"),
];

/// Where a server listens.
pub(crate) fn listen(address: IpAddr, port: u16) -> Vec<(String, String)> {
    vec![("listen_addresses".into(), address.to_string()), ("port".into(), port.to_string())]
}

/// The settings of every server, the listening address, then the test's own, which win.
pub(crate) fn conf(listen: &[(String, String)], own: &[(String, String)]) -> String {
    let mut text = String::from("\n# howdah-testkit\n");
    for (name, value) in BASE {
        let _ = writeln!(text, "{name} = {}", quoted(value));
    }
    text.push_str(&lines(listen));
    text.push_str(&lines(own));
    text
}

/// Lines of `postgresql.conf`.
pub(crate) fn lines(settings: &[(String, String)]) -> String {
    let mut text = String::new();
    for (name, value) in settings {
        let _ = writeln!(text, "{name} = {}", quoted(value));
    }
    text
}

/// A value in the quotes of `postgresql.conf`.
pub(crate) fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\'', "''"))
}

/// `pg_hba.conf`: the test's own lines first, trust for the superuser over loopback, a password for all others.
pub(crate) fn hba(own: &[String]) -> String {
    let mut text = String::from("# howdah-testkit\n");
    for line in own {
        let _ = writeln!(text, "{line}");
    }
    text.push_str("host all postgres 127.0.0.0/8 trust\n");
    text.push_str("local all postgres trust\n");
    text.push_str("host all all 127.0.0.0/8 scram-sha-256\n");
    text.push_str("local all all scram-sha-256\n");
    text
}
