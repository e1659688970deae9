//! The files of the repository: those that are generated are up to date, and those that are examples load.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use howdah_config::{Config, Failover, Format, Target, example_toml, parse, settings_markdown};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Holds a file against its generated text; `HOWDAH_BLESS=1` writes it.
fn generated(path: &str, text: &str) {
    let path = root().join(path);
    if std::env::var_os("HOWDAH_BLESS").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let file = std::fs::read_to_string(&path).unwrap();
    assert!(file == text, "{} is not up to date: HOWDAH_BLESS=1 writes it", path.display());
}

/// Loads an example. They name `config/userlist.txt` from the repository's root, where no test stands.
fn example(name: &str, text: &str) -> Config {
    let users = root().join("config/userlist.txt");
    let text = text.replace("config/userlist.txt", users.to_str().unwrap());
    let loaded = parse(name, text.as_bytes(), Format::of(Path::new(name))).unwrap();
    assert_eq!(loaded.notes, vec![]);
    assert_eq!(loaded.config.auth_users.get("app").unwrap().expose(), "app");
    loaded.config
}

fn file(name: &str) -> Config {
    example(name, &std::fs::read_to_string(root().join("config").join(name)).unwrap())
}

#[test]
fn settings_md_is_what_the_tables_say() {
    generated("docs/settings.md", &settings_markdown());
}

#[test]
fn howdah_toml_is_what_the_tables_say() {
    generated("config/howdah.toml", &example_toml());
}

#[test]
fn pgbouncer_ini_loads() {
    let config = file("pgbouncer.ini");
    let cluster = &config.clusters["main"];
    assert_eq!(cluster.failover, Failover::Manage);
    assert_eq!(
        cluster.nodes.iter().map(|n| n.address()).collect::<Vec<_>>().join(" "),
        "10.0.3.200:5432 10.0.3.201:5432 10.0.3.202:5432"
    );
    assert_eq!(config.databases["app_ro"].target, Target::Replica);
    assert_eq!(config.settings.http_listen.as_deref(), Some("127.0.0.1:9187"));
}

#[test]
fn minimal_toml_loads() {
    let config = file("minimal.toml");
    assert!(config.settings.state_tracking);
    assert_eq!(config.clusters["main"].failover, Failover::Follow);
}

#[test]
fn the_defaults_in_the_comments_of_howdah_toml_are_the_defaults() {
    let text = example_toml();
    let commented = |line: &&str| line.strip_prefix('#').filter(|line| !line.starts_with(' ')).is_some();
    let defaults = text.lines().filter(commented).count();
    assert!(defaults > 100, "{defaults} defaults stand in comments");
    let spoken = text.lines().map(|line| match line.strip_prefix('#') {
        // An unset key has no value to write.
        Some(rest) if !rest.starts_with(' ') && !rest.ends_with('=') => rest,
        _ => line,
    });
    let spoken: String = spoken.map(|line| format!("{line}\n")).collect();
    assert_eq!(example("howdah.toml", &spoken), example("howdah.toml", &text));
}
