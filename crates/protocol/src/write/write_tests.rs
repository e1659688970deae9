//! Tests of the writers by their bytes, and of what they refuse. That others understand these bytes is shown in
//! `tests/it/pgwire_peer.rs`.

use super::*;
use crate::read::{TargetKind, TransactionStatus};

fn written(write: impl FnOnce(&mut Vec<u8>) -> Result<(), WriteError>) -> Vec<u8> {
    // What is there already must stay.
    let mut out = b"before".to_vec();
    write(&mut out).unwrap();
    assert!(out.starts_with(b"before"));
    out.split_off(6)
}

fn refused(write: impl FnOnce(&mut Vec<u8>) -> Result<(), WriteError>) -> WriteError {
    let mut out = b"before".to_vec();
    let error = write(&mut out).unwrap_err();
    assert_eq!(out, b"before", "a refused message leaves nothing behind");
    error
}

#[test]
fn messages_of_a_client() {
    assert_eq!(written(|out| query(out, b"x\xff")), b"Q\0\0\0\x07x\xff\0");
    assert_eq!(written(|out| parse(out, b"s", b"q", NO_TYPES)), b"P\0\0\0\x0as\0q\0\0\0");
    assert_eq!(written(|out| bind(out, b"p", b"s", b"\0\0\0\0\0\0")), b"B\0\0\0\x0ep\0s\0\0\0\0\0\0\0");
    assert_eq!(written(|out| describe(out, TargetKind::Portal, b"")), b"D\0\0\0\x06P\0");
    assert_eq!(written(|out| close(out, TargetKind::Statement, b"s")), b"C\0\0\0\x07Ss\0");
    assert_eq!(written(|out| execute(out, b"p", 7)), b"E\0\0\0\x0ap\0\0\0\0\x07");
    assert_eq!(written(|out| password(out, b"pw")), b"p\0\0\0\x07pw\0");
    assert_eq!(written(|out| sasl_response(out, b"d")), b"p\0\0\0\x05d");
    assert_eq!(written(|out| sasl_initial_response(out, b"M", None)), b"p\0\0\0\x0aM\0\xff\xff\xff\xff");
    assert_eq!(written(|out| copy_fail(out, b"no")), b"f\0\0\0\x07no\0");
    assert_eq!(written(|out| copy_data(out, b"\0\xff")), b"d\0\0\0\x06\0\xff");
    let mut out = Vec::new();
    sync(&mut out);
    flush(&mut out);
    copy_done(&mut out);
    terminate(&mut out);
    assert_eq!(out, b"S\0\0\0\x04H\0\0\0\x04c\0\0\0\x04X\0\0\0\x04");
}

#[test]
fn packets_before_the_first_frame() {
    let parameters = [(&b"user"[..], &b"u"[..]), (b"user", b"v")];
    let bytes = written(|out| startup_message(out, (3, 2), parameters));
    assert_eq!(bytes, b"\0\0\0\x17\0\x03\0\x02user\0u\0user\0v\0\0");
    assert_eq!(
        written(|out| cancel_request(out, 1, b"\x01\x02\x03\x04")),
        b"\0\0\0\x10\x04\xd2\x16\x2e\0\0\0\x01\x01\x02\x03\x04"
    );
    let mut out = Vec::new();
    ssl_request(&mut out);
    gss_request(&mut out);
    assert_eq!(out, b"\0\0\0\x08\x04\xd2\x16\x2f\0\0\0\x08\x04\xd2\x16\x30");
}

#[test]
fn messages_of_a_server() {
    assert_eq!(written(|out| parameter_status(out, b"a", b"")), b"S\0\0\0\x07a\0\0");
    assert_eq!(written(|out| backend_key_data(out, 2, b"keys")), b"K\0\0\0\x0c\0\0\0\x02keys");
    assert_eq!(written(|out| command_complete(out, b"SET")), b"C\0\0\0\x08SET\0");
    assert_eq!(
        written(|out| negotiate_protocol_version(out, 0, &[b"_pq_.x"])),
        b"v\0\0\0\x13\0\x03\0\0\0\0\0\x01_pq_.x\0"
    );
    assert_eq!(
        written(|out| data_row(out, &[Some(b"a"), None])),
        b"D\0\0\0\x0f\0\x02\0\0\0\x01a\xff\xff\xff\xff"
    );
    let mut out = Vec::new();
    ready_for_query(&mut out, TransactionStatus::Failed);
    parse_complete(&mut out);
    bind_complete(&mut out);
    close_complete(&mut out);
    empty_query_response(&mut out);
    no_data(&mut out);
    portal_suspended(&mut out);
    let heads = b"Z\0\0\0\x05E1\0\0\0\x042\0\0\0\x043\0\0\0\x04I\0\0\0\x04n\0\0\0\x04s\0\0\0\x04";
    assert_eq!(out, heads);
}

#[test]
fn authentication_messages() {
    let mut out = Vec::new();
    authentication_ok(&mut out);
    authentication_cleartext_password(&mut out);
    authentication_md5(&mut out, [1, 2, 3, 4]);
    assert_eq!(out, b"R\0\0\0\x08\0\0\0\0R\0\0\0\x08\0\0\0\x03R\0\0\0\x0c\0\0\0\x05\x01\x02\x03\x04");
    assert_eq!(written(|out| authentication_sasl(out, &["A", "B"])), b"R\0\0\0\x0d\0\0\0\x0aA\0B\0\0");
    assert_eq!(written(|out| authentication_sasl_continue(out, b"x")), b"R\0\0\0\x09\0\0\0\x0bx");
    assert_eq!(written(|out| authentication_sasl_final(out, b"x")), b"R\0\0\0\x09\0\0\0\x0cx");
}

#[test]
fn pgbouncers_own_error_has_no_field_v() {
    let mut out = Vec::new();
    error_response(&mut out, &Report::fatal("no such user"));
    assert_eq!(out, b"E\0\0\0\x21SFATAL\0C08P01\0Mno such user\0\0");
}

#[test]
fn a_full_report() {
    let mut out = Vec::new();
    let report = Report {
        nonlocalized: true,
        detail: Some("d"),
        hint: Some("h"),
        ..Report::new("NOTICE", "00000", "m")
    };
    notice_response(&mut out, &report);
    assert_eq!(out, b"N\0\0\0\x25SNOTICE\0VNOTICE\0C00000\0Mm\0Dd\0Hh\0\0");
}

#[test]
fn a_report_cannot_be_broken_by_its_text() {
    let mut out = Vec::new();
    let long = "\u{e9}".repeat(40_000);
    error_response(&mut out, &Report { detail: Some(&long), ..Report::error("a\0b") });
    let fields = crate::read::error_or_notice(&out[5..]).unwrap();
    assert_eq!(fields.message, Some(&b"a?b"[..]));
    let detail = std::str::from_utf8(fields.detail.unwrap()).unwrap();
    assert_eq!(detail.len(), 64 * 1024 + 3);
    assert!(detail.ends_with("\u{e9}..."));
}

#[test]
fn counts_that_do_not_fit_are_refused() {
    let values = vec![None; 65_536];
    let error = refused(|out| data_row(out, &values));
    assert_eq!(error, WriteError::TooMany { field: "values", count: 65_536, max: 65_535 });
    assert_eq!(error.to_string(), "values of a message: 65536 is more than the 65535 that it can hold");
    assert!(data_row(&mut Vec::new(), &values[1..]).is_ok());
    let columns = vec![Column::text("c"); 65_536];
    assert!(matches!(refused(|out| row_description(out, &columns)), WriteError::TooMany { .. }));
    let key = [0; 257];
    let too_long = WriteError::TooMany { field: "cancel key", count: 257, max: 256 };
    assert_eq!(refused(|out| backend_key_data(out, 1, &key)), too_long);
    assert_eq!(refused(|out| cancel_request(out, 1, &key)), too_long);
}

#[test]
fn a_nul_inside_a_text_is_refused() {
    let nul = |field| WriteError::Nul { field };
    assert_eq!(refused(|out| query(out, b"a\0b")), nul("text"));
    assert_eq!(refused(|out| parse(out, b"a\0", b"", NO_TYPES)), nul("statement name"));
    assert_eq!(refused(|out| close(out, TargetKind::Portal, b"\0")), nul("name"));
    assert_eq!(refused(|out| parameter_status(out, b"a", b"\0")), nul("value"));
    assert_eq!(refused(|out| password(out, b"\0")), nul("password"));
    assert_eq!(refused(|out| authentication_sasl(out, &["A", ""])), nul("mechanism"));
    assert_eq!(refused(|out| startup_message(out, (3, 0), [(&b""[..], &b"x"[..])])), nul("parameter name"));
    assert_eq!(nul("text").to_string(), "text of a message has a NUL byte inside");
}
