//! Clients over TLS: modes, certificates, suites, direct TLS.

use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::pki_types::pem::PemObject;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::{Site, conninfo, console, log, psql};
use crate::support::{Authority, Binary, Raw, entry, error_of, postgres, until, within};

#[tokio::test(flavor = "multi_thread")]
async fn each_mode_lets_in_whom_it_should() {
    let pg = postgres().await;
    let (site, databases) = (Site::new(), format!("postgres = {}", entry(&pg, "")));
    let ca = site.ca.file("ca");
    let other = Authority::new(site.dir.path(), "other");
    let (good, bad) = (site.ca.sign("alice", &[]), other.sign("mallory", &[]));
    let with = |pair: &crate::support::Pair| {
        format!("sslmode=require sslcert={} sslkey={}", pair.cert.display(), pair.key.display())
    };
    // Plain, TLS, TLS with a right certificate, TLS with another authority's.
    for (mode, expected) in [
        ("disable", [true, false, false, false]),
        ("allow", [true, true, true, true]),
        ("prefer", [true, true, true, true]),
        ("require", [false, true, true, true]),
        ("verify-ca", [false, false, true, false]),
        ("verify-full", [false, false, true, false]),
    ] {
        let binary = Binary::start(&databases, &site.settings(mode, "")).await;
        let full = format!("sslmode=verify-full sslrootcert={}", ca.display());
        let asks = ["sslmode=disable".to_owned(), full, with(&good), with(&bad)];
        for (ask, expected) in asks.iter().zip(expected) {
            let answer = psql(&conninfo(&binary, ask), "SELECT 1").await;
            assert_eq!(answer.is_ok(), expected, "{mode}, {ask}: {answer:?}");
        }
        // Who can do both gets what there is.
        let answer = psql(&conninfo(&binary, "sslmode=prefer"), "SELECT 1").await;
        assert_eq!(answer.is_ok(), expected[0] || expected[1], "{mode}: {answer:?}");
        let text = log(binary.dir());
        assert_eq!(text.contains("pooler error: SSL required"), !expected[0], "{mode}: {text}");
        assert!(!text.contains("unexpected eof while reading"), "{text}");
        // The Unix socket never speaks TLS, and needs none.
        assert_eq!(console(&binary, "SHOW VERSION").await.as_deref(), Ok("PgBouncer 1.25.2"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plain_client_is_told_that_tls_is_required() {
    let pg = postgres().await;
    let site = Site::new();
    let settings = site.settings("require", "");
    let binary = Binary::start(&format!("postgres = {}", entry(&pg, "")), &settings).await;
    let mut raw = Raw::connect(([127, 0, 0, 1], binary.port()).into()).await;
    raw.startup(&[("user", "postgres"), ("database", "postgres")]).await;
    let error = raw.frame().await.unwrap();
    assert_eq!(error_of(&error), ("08P01".to_owned(), "SSL required".to_owned()));
    assert!(raw.frame().await.is_none());
    // Bytes right behind the request could be anybody's.
    let mut raw = Raw::connect(([127, 0, 0, 1], binary.port()).into()).await;
    raw.send(b"\0\0\0\x08\x04\xd2\x16\x2fX").await;
    let error = raw.frame().await.unwrap();
    assert_eq!(error_of(&error).1, "received unencrypted data after SSL request");
}

#[tokio::test(flavor = "multi_thread")]
async fn expired_certificates_are_refused() {
    let pg = postgres().await;
    let site = Site::new();
    let expired = site.ca.sign_with("late", &[], |params| {
        params.not_before = rcgen::date_time_ymd(2001, 1, 1);
        params.not_after = rcgen::date_time_ymd(2002, 1, 1);
    });
    let settings = site.settings("verify-ca", "");
    let binary = Binary::start(&format!("postgres = {}", entry(&pg, "")), &settings).await;
    let ask = format!("sslmode=require sslcert={} sslkey={}", expired.cert.display(), expired.key.display());
    let error = psql(&conninfo(&binary, &ask), "SELECT 1").await.unwrap_err();
    assert!(error.contains("certificate expired"), "the alert says why: {error}");
    assert!(log(binary.dir()).contains("TLS handshake error: certificate verify failed: Expired"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_suite_is_chosen_and_shown_in_openssls_words() {
    let pg = postgres().await;
    let site = Site::new();
    let databases = format!("postgres = {}", entry(&pg, ""));
    for (settings, ask, shown) in [
        ("", "", "TLSv1.3/TLS_AES_256_GCM_SHA384"),
        ("client_tls13_ciphers = TLS_CHACHA20_POLY1305_SHA256", "", "TLSv1.3/TLS_CHACHA20_POLY1305_SHA256"),
        ("client_tls_protocols = tlsv1.2", "", "TLSv1.2/ECDHE-ECDSA-AES256-GCM-SHA384/ECDH=X25519"),
        (
            "client_tls_ciphers = fast\nclient_tls_ecdhcurve = prime256v1",
            "ssl_max_protocol_version=TLSv1.2",
            "TLSv1.2/ECDHE-ECDSA-AES128-GCM-SHA256/ECDH=prime256v1",
        ),
        (
            "client_tls_ciphers = HIGH:!AESGCM:!aNULL\nclient_tls_protocols = all",
            "ssl_max_protocol_version=TLSv1.2",
            "TLSv1.2/ECDHE-ECDSA-CHACHA20-POLY1305/ECDH=X25519",
        ),
    ] {
        let binary = Binary::start(&databases, &site.settings("require", settings)).await;
        let ask = conninfo(&binary, &format!("sslmode=require {ask}"));
        let ask = ask.replace("dbname=postgres", "dbname=postgres application_name=seen");
        let client = tokio::spawn(async move { psql(&ask, "SELECT pg_sleep(30)").await });
        until("the client to be listed", || async {
            console(&binary, "SHOW CLIENTS")
                .await
                .unwrap()
                .lines()
                .any(|line| line.contains("|seen|") && line.contains(&format!("|{shown}|")))
        })
        .await;
        assert!(log(binary.dir()).contains(&format!("user=postgres tls={shown} replication=no")));
        client.abort();
    }
}

/// A TLS client that begins with TLS at once, and offers these ALPN protocols.
async fn direct(
    binary: &Binary,
    site: &Site,
    alpn: &[&[u8]],
) -> std::io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(rustls::pki_types::CertificateDer::from_pem_file(site.ca.file("ca")).unwrap()).unwrap();
    let mut config = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    let stream = TcpStream::connect(("127.0.0.1", binary.port())).await?;
    let name = ServerName::try_from("localhost").unwrap();
    within("the handshake", TlsConnector::from(Arc::new(config)).connect(name, stream)).await
}

/// The same with its ALPN, which has sent its startup packet; and the first message that it was answered.
async fn welcomed(binary: &Binary, site: &Site) -> (tokio_rustls::client::TlsStream<TcpStream>, [u8; 9]) {
    let mut startup = Vec::new();
    howdah_protocol::write::startup_message(&mut startup, (3, 0), [(&b"user"[..], &b"postgres"[..])])
        .unwrap();
    let mut stream = direct(binary, site, &[b"postgresql"]).await.unwrap();
    stream.write_all(&startup).await.unwrap();
    let mut answer = [0_u8; 9];
    within("the welcome", stream.read_exact(&mut answer)).await.unwrap();
    (stream, answer)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_drops_its_connection_without_a_word_is_a_plain_end() {
    let pg = postgres().await;
    let site = Site::new();
    let settings = site.settings("require", "");
    let binary = Binary::start(&format!("postgres = {}", entry(&pg, "")), &settings).await;
    let (stream, _) = welcomed(&binary, &site).await;
    // rustls says close_notify only when it is shut down.
    drop(stream);
    until("its end", || async { log(binary.dir()).contains("client unexpected eof (age=") }).await;
    let text = log(binary.dir());
    assert!(!text.contains("unexpected eof while reading") && !text.contains("pooler error"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn direct_tls_needs_its_alpn() {
    let pg = postgres().await;
    let site = Site::new();
    let settings = site.settings("require", "");
    let binary = Binary::start(&format!("postgres = {}", entry(&pg, "")), &settings).await;
    let (_stream, answer) = welcomed(&binary, &site).await;
    assert_eq!(answer, *b"R\0\0\0\x08\0\0\0\0");
    // Without it the client hears an error, within TLS.
    let mut stream = direct(&binary, &site, &[]).await.unwrap();
    let mut text = Vec::new();
    let _ = within("the refusal", stream.read_to_end(&mut text)).await;
    assert!(String::from_utf8_lossy(&text).contains("without ALPN"), "{text:?}");
    // And another protocol is an error of TLS.
    assert!(direct(&binary, &site, &[b"http/1.1"]).await.is_err());
    // Where TLS is off, its first bytes are no startup packet.
    let binary = Binary::start(&format!("postgres = {}", entry(&pg, "")), "").await;
    assert!(direct(&binary, &site, &[b"postgresql"]).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handshake_that_stands_still_blocks_nobody_and_ends_in_time() {
    let pg = postgres().await;
    let site = Site::new();
    let settings = site.settings("require", "client_login_timeout = 1.5");
    let binary = Binary::start(&format!("postgres = {}", entry(&pg, "")), &settings).await;
    let mut silent = Vec::new();
    for _ in 0..20 {
        let mut raw = Raw::connect(([127, 0, 0, 1], binary.port()).into()).await;
        raw.send(b"\0\0\0\x08\x04\xd2\x16\x2f").await;
        assert_eq!(raw.stream.read_u8().await.unwrap(), b'S');
        raw.send(b"\x16\x03\x01").await;
        silent.push(raw);
    }
    assert_eq!(psql(&conninfo(&binary, "sslmode=require"), "SELECT 1").await.as_deref(), Ok("1"));
    for mut raw in silent {
        let mut rest = Vec::new();
        let _ = within("the end", raw.stream.read_to_end(&mut rest)).await;
    }
    assert_eq!(log(binary.dir()).matches("pooler error: client_login_timeout").count(), 20);
    // Bytes that are no TLS end a handshake at once.
    let mut raw = Raw::connect(([127, 0, 0, 1], binary.port()).into()).await;
    raw.send(b"\0\0\0\x08\x04\xd2\x16\x2f").await;
    assert_eq!(raw.stream.read_u8().await.unwrap(), b'S');
    raw.send(&[0x55; 64]).await;
    let mut rest = Vec::new();
    let _ = within("the end", raw.stream.read_to_end(&mut rest)).await;
    assert!(log(binary.dir()).contains("TLS handshake error: "));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_driver_over_rustls_logs_in() {
    let pg = postgres().await;
    let site = Site::new();
    let settings = site.settings("require", "auth_type = scram-sha-256");
    let binary = Binary::start(&format!("postgres = {}", entry(&pg, "user=postgres")), &settings).await;
    let mut roots = rustls::RootCertStore::empty();
    roots.add(rustls::pki_types::CertificateDer::from_pem_file(site.ca.file("ca")).unwrap()).unwrap();
    let config = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let ask = format!(
        "host=localhost hostaddr=127.0.0.1 port={} user=alice password=secret dbname=postgres sslmode=require",
        binary.port()
    );
    let tls = tokio_postgres_rustls::MakeRustlsConnect::new(config);
    let (client, connection) = within("a login", tokio_postgres::connect(&ask, tls)).await.unwrap();
    tokio::spawn(connection);
    let row = client.query_one("SELECT $1::int4 + 1", &[&41_i32]).await.unwrap();
    assert_eq!(row.get::<_, i32>(0), 42);
    // Leaving without a word of TLS is leaving.
    drop(client);
    until("the client to be gone", || async {
        log(binary.dir()).contains("closing because: client close request")
    })
    .await;
}
