//! Servers over TLS: modes, names, certificates of our own, SCRAM, cancel, and what a change does to connections.

use howdah_testkit::{Options, Postgres};

use super::{Site, conninfo, console, log, psql};
use crate::support::{Authority, Binary, entry, until};

/// A server with TLS, for which the site's authority vouches.
async fn server(site: &Site, options: Options) -> Postgres {
    let read = |path: &std::path::Path| std::fs::read_to_string(path).unwrap();
    let (cert, key) = (read(&site.server.cert), read(&site.server.key));
    Postgres::single(options.tls(&cert, &key, &read(&site.ca.file("ca")))).await.unwrap()
}

/// Which TLS the server sees.
const SEEN: &str = "SELECT ssl, version FROM pg_stat_ssl WHERE pid = pg_backend_pid()";

#[tokio::test(flavor = "multi_thread")]
async fn each_mode_connects_where_it_should() {
    let site = Site::new();
    let (tls, plain) = (server(&site, Options::default()).await, crate::support::postgres().await);
    let other = Authority::new(site.dir.path(), "other");
    let (ca, other) = (site.ca.file("ca"), other.file("other"));
    let databases = format!(
        "postgres = {}\nbyname = host=localhost port={} dbname=postgres\nplain = {}",
        entry(&tls, ""),
        tls.port(),
        entry(&plain, "dbname=postgres")
    );
    // With TLS by address, by name, and without.
    for (mode, expected) in [
        ("disable", ["f|", "f|", "f|"]),
        ("allow", ["t|TLSv1.3", "t|TLSv1.3", "f|"]),
        ("prefer", ["t|TLSv1.3", "t|TLSv1.3", "f|"]),
        ("require", ["t|TLSv1.3", "t|TLSv1.3", ""]),
        ("verify-ca", ["t|TLSv1.3", "t|TLSv1.3", ""]),
        ("verify-full", ["t|TLSv1.3", "t|TLSv1.3", ""]),
    ] {
        let settings = format!(
            "logfile = @DIR@/log\nserver_tls_sslmode = {mode}\nserver_tls_ca_file = {}\nquery_wait_timeout = 1",
            ca.display()
        );
        let binary = Binary::start(&databases, &settings).await;
        for (name, expected) in ["postgres", "byname", "plain"].iter().zip(expected) {
            let ask = conninfo(&binary, "").replace("dbname=postgres", &format!("dbname={name}"));
            let answer = psql(&ask, SEEN).await;
            if expected.is_empty() {
                // The client just waits, for as long as it may.
                assert!(
                    answer.as_ref().is_err_and(|error| error.contains("query_wait_timeout")),
                    "{mode}: {answer:?}"
                );
                assert!(log(binary.dir()).contains("server refused SSL connection"));
            } else {
                assert_eq!(answer.as_deref(), Ok(expected), "{mode}, {name}");
            }
        }
        let shown = console(&binary, "SHOW SERVERS").await.unwrap();
        assert_eq!(shown.contains("|TLSv1.3/TLS_AES_256_GCM_SHA384|"), mode != "disable", "{shown}");
    }
    // Another authority: refused where it counts.
    for (mode, right) in [("require", true), ("verify-ca", false), ("verify-full", false)] {
        let settings = format!(
            "logfile = @DIR@/log\nserver_tls_sslmode = {mode}\nserver_tls_ca_file = {}\nquery_wait_timeout = 1",
            other.display()
        );
        let binary = Binary::start(&databases, &settings).await;
        let answer = psql(&conninfo(&binary, ""), "SELECT 1").await;
        assert_eq!(answer.is_ok(), right, "{mode}: {answer:?}");
        assert_eq!(
            log(binary.dir()).contains("TLS handshake error: certificate verify failed"),
            !right,
            "{mode}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_name_that_counts_is_that_of_the_list_member_in_use() {
    let mut site = Site::new();
    site.server = site.ca.sign("by-name", &["localhost"]);
    let pg = server(&site, Options::default()).await;
    let databases = format!("postgres = host=127.0.0.1,localhost port={}", pg.port());
    let settings = format!(
        "logfile = @DIR@/log\nserver_tls_sslmode = verify-full\nserver_tls_ca_file = {}\nserver_login_retry = 0.1",
        site.ca.file("ca").display()
    );
    let binary = Binary::start(&databases, &settings).await;
    assert_eq!(psql(&conninfo(&binary, ""), SEEN).await.as_deref(), Ok("t|TLSv1.3"));
    let text = log(binary.dir());
    assert!(text.contains("name `127.0.0.1' not present in server certificate"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn our_own_certificate_and_scram_with_and_without_channel_binding() {
    let site = Site::new();
    let options = Options::default()
        .user("alice", "secret")
        .user("bob", "secret")
        .hba_line("hostssl all bob 127.0.0.0/8 cert")
        .hba_line("hostssl all alice 127.0.0.0/8 scram-sha-256");
    let pg = server(&site, options).await;
    let bob = site.ca.sign("bob", &[]);
    let databases = format!(
        "postgres = {}\nbob = {}\nalice = {}",
        entry(&pg, ""),
        entry(&pg, "user=bob dbname=postgres"),
        entry(&pg, "user=alice password=secret dbname=postgres"),
    );
    let settings = format!(
        "server_tls_sslmode = require\nserver_tls_cert_file = {}\nserver_tls_key_file = {}\n{}\nauth_type = scram-sha-256",
        bob.cert.display(),
        bob.key.display(),
        site.settings("allow", ""),
    );
    let binary = Binary::start(&databases, &settings).await;
    // To the server by a certificate, and by a password over TLS, bound to the channel: the server offers it.
    for user in ["bob", "alice"] {
        let ask = conninfo(&binary, "sslmode=require password=secret")
            .replace("dbname=postgres", &format!("dbname={user}"))
            .replace("user=postgres", "user=alice");
        assert_eq!(psql(&ask, "SELECT current_user").await.as_deref(), Ok(user));
    }
    // From the client: bound when it wants to, and not when it does not; over TLS only.
    let ask = |more: &str| {
        conninfo(&binary, &format!("password=secret {more}"))
            .replace("user=postgres", "user=alice")
            .replace("dbname=postgres", "dbname=alice")
    };
    for binding in ["require", "prefer", "disable"] {
        let answer = psql(&ask(&format!("sslmode=require channel_binding={binding}")), "SELECT 1").await;
        assert_eq!(answer.as_deref(), Ok("1"), "{binding}");
    }
    assert_eq!(psql(&ask("sslmode=disable channel_binding=prefer"), "SELECT 1").await.as_deref(), Ok("1"));
    let error = psql(&ask("sslmode=disable channel_binding=require"), "SELECT 1").await.unwrap_err();
    assert!(error.contains("channel binding required"), "{error}");
    let wrong = ask("sslmode=require channel_binding=require").replace("secret", "wrong");
    assert!(psql(&wrong, "SELECT 1").await.unwrap_err().contains("SASL authentication failed"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_proof_of_a_bound_login_is_passed_through() {
    let site = Site::new();
    let pg = server(&site, Options::default().user("alice", "secret")).await;
    let secret = pg.value("SELECT rolpassword FROM pg_authid WHERE rolname = 'alice'").await.unwrap();
    let users = site.dir.path().join("users");
    std::fs::write(&users, format!("\"alice\" \"{secret}\"\n")).unwrap();
    let settings = format!(
        "{}\nserver_tls_sslmode = require\nauth_type = scram-sha-256\nauth_file = {}",
        site.settings("require", ""),
        users.display()
    );
    let binary = Binary::start(&format!("postgres = {}", entry(&pg, "")), &settings).await;
    let ask = conninfo(&binary, "sslmode=require channel_binding=require password=secret");
    let ask = ask.replace("user=postgres", "user=alice");
    assert_eq!(psql(&ask, "SELECT current_user").await.as_deref(), Ok("alice"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_setting_replaces_servers_and_an_equal_one_does_not() {
    let site = Site::new();
    let pg = server(&site, Options::default()).await;
    let databases = format!("postgres = {}", entry(&pg, ""));
    let settings = |mode: &str| format!("logfile = @DIR@/log\nserver_tls_sslmode = {mode}");
    let binary = Binary::start(&databases, &settings("disable")).await;
    let ask = conninfo(&binary, "");
    let backend = "SELECT pg_backend_pid() || ' ' || ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    let first = psql(&ask, backend).await.unwrap();
    assert!(first.ends_with(" false"), "{first}");
    console(&binary, "RELOAD").await.unwrap();
    assert_eq!(psql(&ask, backend).await.unwrap(), first, "nothing has changed");
    binary.rewrite(&databases, &settings("require"));
    console(&binary, "RELOAD").await.unwrap();
    let second = psql(&ask, backend).await.unwrap();
    assert!(second.ends_with(" true"), "{second}");
    assert!(log(binary.dir()).contains("closing because: database configuration changed"));
    // A setup that fails leaves servers and settings as they are.
    binary.rewrite(&databases, &format!("{}\nserver_tls_ca_file = /no/such/file", settings("verify-ca")));
    assert!(console(&binary, "RELOAD").await.is_err());
    assert_eq!(psql(&ask, backend).await.unwrap(), second);
    console(&binary, "SET server_tls_ca_file = ''").await.unwrap();
    assert_eq!(console(&binary, "SET server_tls_sslmode = 'disable'").await.as_deref(), Ok(""));
    assert!(psql(&ask, backend).await.unwrap().ends_with(" false"));
}

#[tokio::test(flavor = "multi_thread")]
async fn cancel_requests_arrive_over_tls() {
    let site = Site::new();
    let pg = server(&site, Options::default()).await;
    let settings = format!("{}\nserver_tls_sslmode = require", site.settings("require", ""));
    let binary = Binary::start(&format!("postgres = {}", entry(&pg, "")), &settings).await;
    let ask = conninfo(&binary, "sslmode=require");
    let child = std::process::Command::new("psql")
        .args(["-XqtA", "-d", &ask, "-c", "SELECT pg_sleep(60)"])
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    until("the query to run", || async {
        let sleeps = console(&binary, "SHOW SERVERS").await.unwrap();
        sleeps.contains("|active|")
    })
    .await;
    // psql sends a cancel request when it is interrupted.
    let pid = child.id().to_string();
    assert!(std::process::Command::new("kill").args(["-s", "INT", &pid]).status().unwrap().success());
    let output = tokio::task::spawn_blocking(move || child.wait_with_output()).await.unwrap().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.contains("canceling statement due to user request"), "{text}");
}
