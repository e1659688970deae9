//! Settings and files of TLS: at the start, by RELOAD, SIGHUP and SET.

use std::process::Command;

use super::{Site, conninfo, console, log, psql};
use crate::support::{Authority, Binary, entry, howdah_program, postgres, until};

#[test]
fn what_cannot_be_set_up_ends_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let ca = Authority::new(dir.path(), "ca");
    let pair = ca.sign("localhost", &["localhost"]);
    let (cert, key) = (pair.cert.display(), pair.key.display());
    let missing = dir.path().join("none");
    let missing = missing.display();
    for (settings, text) in [
        (
            format!("client_tls_cert_file = {missing}\nclient_tls_key_file = {key}"),
            format!("TLS setup failed: failed to load certificate file \"{missing}\": No such file or directory"),
        ),
        (
            format!("client_tls_cert_file = {cert}\nclient_tls_key_file = {missing}"),
            format!("TLS setup failed: failed to load private key file \"{missing}\": No such file or directory"),
        ),
        (
            format!("client_tls_cert_file = {}\nclient_tls_key_file = {key}", ca.file("ca").display()),
            "key values mismatch".to_owned(),
        ),
        (
            String::new(),
            "To allow TLS connections from clients, client_tls_key_file and client_tls_cert_file must be set."
                .to_owned(),
        ),
        (
            format!("client_tls_cert_file = {cert}\nclient_tls_key_file = {key}\nclient_tls_ca_file = {missing}"),
            "TLS setup failed: failed to load CA: No such file or directory".to_owned(),
        ),
        (
            format!("client_tls_cert_file = {cert}\nclient_tls_key_file = {key}\nclient_tls_ciphers = nonsense"),
            "invalid client_tls_ciphers: nonsense".to_owned(),
        ),
        (
            format!("client_tls_cert_file = {cert}\nclient_tls_key_file = {key}\nclient_tls13_ciphers = nonsense"),
            "failed to set the TLSv1.3 cipher suites".to_owned(),
        ),
    ] {
        let (ini, log) = (dir.path().join("test.ini"), dir.path().join("log"));
        let text_of_file = format!(
            "[databases]\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = 1\nunix_socket_dir =\n\
             logfile = {}\nclient_tls_sslmode = require\n{settings}\n",
            log.display()
        );
        std::fs::write(&ini, text_of_file).unwrap();
        let output = Command::new(howdah_program()).arg("-q").arg(&ini).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{settings}");
        let log = std::fs::read_to_string(&log).unwrap();
        let line = log.lines().rev().find(|line| line.contains(&text));
        assert!(line.is_some_and(|line| line.contains(" ERROR ")), "{settings}: {log}");
        assert!(log.lines().last().unwrap().ends_with("FATAL TLS setup failed"), "{log}");
        let check = Command::new(howdah_program()).arg("check").arg(&ini).output().unwrap();
        let said = String::from_utf8_lossy(&check.stdout).into_owned();
        assert_eq!(check.status.code(), Some(1), "{said}");
        assert!(said.contains(&text) && said.ends_with(": 1 mistake\n"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_that_cannot_be_set_up_keeps_the_old_setup() {
    let pg = postgres().await;
    let (site, databases) = (Site::new(), format!("postgres = {}", entry(&pg, "")));
    let binary = Binary::start(&databases, &site.settings("require", "")).await;
    let ask = conninfo(&binary, &format!("sslmode=verify-full sslrootcert={}", site.ca.file("ca").display()));
    assert!(psql(&ask, "SELECT 1").await.is_ok());
    for more in ["client_tls_cert_file = /no/such/file", "client_tls13_ciphers = this_does_not_exist"] {
        binary.rewrite(&databases, &site.settings("require", more));
        let error = console(&binary, "RELOAD").await.unwrap_err();
        assert!(error.contains("RELOAD failed, see logs for additional details"), "{error}");
        assert!(psql(&ask, "SELECT 1").await.is_ok());
    }
    let text = log(binary.dir());
    assert!(
        text.contains("failed to load certificate file \"/no/such/file\": No such file or directory"),
        "{text}"
    );
    assert!(text.contains("failed to set the TLSv1.3 cipher suites"), "{text}");
    let kept = "ERROR TLS configuration could not be reloaded, keeping old configuration";
    assert_eq!(text.matches(kept).count(), 2, "{text}");
    // Off, by the file; and on again.
    binary.rewrite(&databases, &site.settings("disable", ""));
    console(&binary, "RELOAD").await.unwrap();
    assert!(psql(&ask, "SELECT 1").await.is_err());
    binary.rewrite(&databases, &site.settings("allow", ""));
    binary.signal("HUP");
    until("TLS to be on again", || async { psql(&ask, "SELECT 1").await.is_ok() }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_content_of_the_files_is_read_again() {
    let pg = postgres().await;
    let (site, databases) = (Site::new(), format!("postgres = {}", entry(&pg, "")));
    let binary = Binary::start(&databases, &site.settings("verify-ca", "")).await;
    let alice = site.ca.sign("alice", &[]);
    let ask = |pair: &crate::support::Pair| {
        let more = format!("sslmode=require sslcert={} sslkey={}", pair.cert.display(), pair.key.display());
        conninfo(&binary, &more)
    };
    let alice = ask(&alice);
    assert!(psql(&alice, "SELECT 1").await.is_ok());
    let elsewhere = tempfile::tempdir().unwrap();
    let other = Authority::new(elsewhere.path(), "other");
    let bob = ask(&other.sign("bob", &[]));
    assert!(psql(&bob, "SELECT 1").await.is_err());
    std::fs::copy(other.file("other"), site.ca.file("ca")).unwrap();
    assert!(psql(&alice, "SELECT 1").await.is_ok(), "not before RELOAD");
    console(&binary, "RELOAD").await.unwrap();
    assert!(psql(&alice, "SELECT 1").await.is_err());
    assert!(psql(&bob, "SELECT 1").await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn set_changes_tls_step_by_step() {
    let pg = postgres().await;
    let site = Site::new();
    let binary = Binary::start(
        &format!("postgres = {}", entry(&pg, "")),
        "logfile = @DIR@/log\nclient_tls_sslmode = disable",
    )
    .await;
    let ask = conninfo(&binary, "sslmode=require");
    let notice = "NOTICE:  TLS settings could not be applied, still using old configuration";
    let set =
        async |key: &str, value: String| console(&binary, &format!("SET {key} = '{value}'")).await.unwrap();
    assert!(psql(&ask, "SELECT 1").await.is_err());
    assert_eq!(set("client_tls_sslmode", "allow".to_owned()).await, notice);
    assert!(psql(&ask, "SELECT 1").await.is_err());
    assert_eq!(set("client_tls_cert_file", site.server.cert.display().to_string()).await, notice);
    assert_eq!(set("client_tls_key_file", site.server.key.display().to_string()).await, "");
    assert_eq!(psql(&ask, "SELECT 1").await.as_deref(), Ok("1"));
    assert_eq!(set("client_tls_ciphers", "nonsense".to_owned()).await, notice);
    assert_eq!(psql(&ask, "SELECT 1").await.as_deref(), Ok("1"));
    assert_eq!(set("client_tls_ciphers", "default".to_owned()).await, "");
    assert_eq!(set("client_tls_sslmode", "disable".to_owned()).await, "");
    assert!(psql(&ask, "SELECT 1").await.is_err());
    assert!(console(&binary, "SET client_tls_sslmode = nonsense").await.unwrap_err().contains("SET failed"));
}
