//! Tests of the packets before the first frame.

use super::*;

/// A packet of a code or version and a body.
fn packet(code: u32, body: &[u8]) -> Vec<u8> {
    [&(body.len() as u32 + 8).to_be_bytes()[..], &code.to_be_bytes(), body].concat()
}

const V3: u32 = 0x3_0000;

fn error(bytes: &[u8]) -> StartupError {
    read(bytes, DEFAULT_MAX).unwrap_err()
}

fn startup_of(body: &[u8]) -> Startup {
    match read(&packet(V3, body), DEFAULT_MAX) {
        Ok(Some((StartupPacket::Startup(startup), _))) => startup,
        other => panic!("{other:?}"),
    }
}

#[test]
fn requests_for_encryption_leave_what_follows() {
    let mut bytes = packet(codes::SSL, b"");
    bytes.extend_from_slice(b"more");
    assert_eq!(read(&bytes, DEFAULT_MAX), Ok(Some((StartupPacket::Ssl, 8))));
    assert_eq!(read(&packet(codes::GSS, b""), DEFAULT_MAX), Ok(Some((StartupPacket::Gss, 8))));
    assert_eq!(error(&packet(codes::SSL, b"x")), StartupError::BadRequest { len: 9 });
}

#[test]
fn cancel_takes_keys_of_every_protocol() {
    for key in [4, 32, 256] {
        let body = [&[0, 0, 1, 0][..], &vec![9; key]].concat();
        let expected = StartupPacket::Cancel { pid: 256, key: vec![9; key] };
        assert_eq!(read(&packet(codes::CANCEL, &body), DEFAULT_MAX), Ok(Some((expected, 12 + key))));
    }
    for (len, key) in [(0, 0), (4, 0), (7, 3), (261, 257)] {
        assert_eq!(error(&packet(codes::CANCEL, &vec![9; len])), StartupError::BadCancelKey { len: key });
    }
}

#[test]
fn every_beginning_of_a_packet_is_waited_for() {
    let bytes = packet(V3, b"user\0u\0\0");
    for len in 0..bytes.len() {
        assert_eq!(read(&bytes[..len], DEFAULT_MAX), Ok(None), "{len}");
    }
    let Ok(Some((_, consumed))) = read(&[&bytes[..], b"Q"].concat(), DEFAULT_MAX) else { panic!() };
    assert_eq!(consumed, bytes.len());
}

#[test]
fn parameters_keep_order_duplicates_and_bytes() {
    let startup = startup_of(b"user\0u\xe9\0search_path\0a\0search_path\0b\0options\0\0\0");
    let expected =
        [(&b"user"[..], &b"u\xe9"[..]), (b"search_path", b"a"), (b"search_path", b"b"), (b"options", b"")];
    let expected = expected.map(|(name, value)| (name.to_vec(), value.to_vec()));
    assert_eq!(startup.parameters, expected);
    assert_eq!((startup.major, startup.minor), (3, 0));
    assert_eq!(startup.get(b"search_path"), Some(&b"b"[..]));
    assert_eq!(startup.get(b"options"), Some(&b""[..]));
    assert_eq!(startup.get(b"absent"), None);
}

#[test]
fn the_database_is_the_users_unless_named() {
    assert_eq!(startup_of(b"user\0u\0\0").database(), b"u");
    assert_eq!(startup_of(b"user\0u\0database\0\0\0").database(), b"u");
    assert_eq!(startup_of(b"database\0d\0user\0u\0\0").database(), b"d");
}

#[test]
fn other_protocols_are_refused_in_words() {
    assert_eq!(error(&packet(0x2_0000, &[0; 288])).to_string(), "old V2 protocol not supported");
    assert_eq!(
        error(&packet(0x4_0001, b"user\0u\0\0")).to_string(),
        "unsupported frontend protocol 4.1: server supports 3.0 to 3.0"
    );
    assert_eq!(
        error(&packet(codes::GSS + 1, b"")),
        StartupError::UnsupportedProtocol { major: 1234, minor: 5681 }
    );
}

#[test]
fn lengths_are_refused_before_the_packet_is_waited_for() {
    assert_eq!(error(b"\0\0\0\x07"), StartupError::TooShort { len: 7 });
    assert_eq!(error(b"\0\0\0\0"), StartupError::TooShort { len: 0 });
    assert_eq!(read(b"\0\0\0\x29", 40), Err(StartupError::TooLong { len: 41, max: 40 }));
    assert_eq!(read(b"\0\0\0\x28", 40), Ok(None));
    // A web browser, and TLS without SSLRequest.
    assert!(matches!(error(b"GET / HTTP/1.1\r\n"), StartupError::TooLong { .. }));
    assert!(matches!(error(b"\x16\x03\x01\x02\0\x01"), StartupError::TooLong { .. }));
}

#[test]
fn a_list_without_end_or_with_a_rest_is_refused() {
    let layout = |body: &[u8]| error(&packet(V3, body)).to_string();
    assert_eq!(layout(b""), "invalid startup packet layout: expected terminator as last byte");
    assert_eq!(layout(b"user\0u\0"), "invalid startup packet layout: expected terminator as last byte");
    assert_eq!(layout(b"user\0u"), "invalid startup packet layout: a parameter has no value");
    assert_eq!(layout(b"user\0u\0\0x"), "invalid startup packet layout: bytes behind the terminator");
}

#[test]
fn nobody_is_refused() {
    for body in [&b"\0"[..], b"database\0d\0\0", b"user\0\0\0"] {
        let error = error(&packet(V3, body));
        assert_eq!((error.to_string().as_str(), error.sqlstate()), ("no username supplied", "08P01"));
    }
}

#[test]
fn replication_is_a_boolean_or_database() {
    let replication =
        |value: &str| startup_of(format!("user\0u\0replication\0{value}\0\0").as_bytes()).replication();
    for value in ["true", "t", "TRUE", "yes", "y", "on", "1"] {
        assert_eq!(replication(value), Ok(Replication::Physical), "{value}");
    }
    for value in ["false", "f", "No", "off", "of", "0"] {
        assert_eq!(replication(value), Ok(Replication::None), "{value}");
    }
    assert_eq!(replication("database"), Ok(Replication::Logical));
    assert_eq!(startup_of(b"user\0u\0\0").replication(), Ok(Replication::None));
    for value in ["", "o", "truex", "2", "physical"] {
        assert_eq!(replication(value), Err(StartupError::Replication(value.to_owned())));
    }
}

#[test]
fn newer_versions_and_options_are_negotiated_once() {
    let negotiated = |version: u32, body: &[u8]| match read(&packet(version, body), DEFAULT_MAX) {
        Ok(Some((StartupPacket::Startup(startup), _))) => negotiation(&startup)
            .map(|n| (n.newest_minor, n.unknown_options.iter().map(|o| o.to_vec()).collect::<Vec<_>>())),
        other => panic!("{other:?}"),
    };
    assert_eq!(negotiated(V3, b"user\0u\0\0"), None);
    assert_eq!(negotiated(V3 | 2, b"user\0u\0\0"), Some((0, vec![])));
    assert_eq!(negotiated(V3 | 9999, b"user\0u\0\0"), Some((0, vec![])));
    let options = Some((0, vec![b"_pq_.b".to_vec(), b"_pq_.a".to_vec()]));
    assert_eq!(negotiated(V3, b"_pq_.b\x001\0user\0u\0_pq_.a\0\0\0"), options);
}

#[test]
fn a_cancel_key_does_not_show() {
    let cancel = StartupPacket::Cancel { pid: 7, key: vec![1, 2, 3, 4] };
    assert_eq!(format!("{cancel:?}"), "Cancel { pid: 7, .. }");
}

#[test]
fn a_header_that_makes_no_sense_is_shown() {
    for (bytes, hex) in [
        (&b"\0\0\0\x08\0\x04\0\0rest"[..], "0000000800040000"),
        (b"\0\0\0\x04", "00000004"),
        (b"\0\0\0\x09\x04\xd2\x16\x2fx", "0000000904d2162f"),
    ] {
        let error = read(bytes, DEFAULT_MAX).unwrap_err();
        assert_eq!(error.sentence(bytes), format!("bad packet header: '{hex}'"));
    }
    let old = StartupError::OldProtocol;
    assert_eq!(old.sentence(b""), "old V2 protocol not supported");
}
