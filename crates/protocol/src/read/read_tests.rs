//! Tests of the readers: one good body each, and every way in which a body can be wrong.

use super::*;

const fn truncated(message: &'static str, field: &'static str) -> ReadError {
    ReadError::Truncated { message, field }
}

const fn unterminated(message: &'static str, field: &'static str) -> ReadError {
    ReadError::Unterminated { message, field }
}

const fn trailing(message: &'static str, left: usize) -> ReadError {
    ReadError::Trailing { message, left }
}

const fn invalid(message: &'static str, field: &'static str) -> ReadError {
    ReadError::Invalid { message, field }
}

#[test]
fn query_is_bytes_not_utf8() {
    assert_eq!(query(b"SELECT '\xe9\xff'\0"), Ok(&b"SELECT '\xe9\xff'"[..]));
    assert_eq!(query(b"\0"), Ok(&b""[..]));
    assert_eq!(query(b"ab"), Err(unterminated("Query", "text")));
    assert_eq!(query(b""), Err(unterminated("Query", "text")));
    assert_eq!(query(b"SEL\0ABCD"), Err(trailing("Query", 4)));
}

#[test]
fn parse_counts_its_types() {
    let read = parse(b"s1\0SELECT $1\0\0\x02\0\0\0\x17\0\0\0\0").unwrap();
    assert_eq!((read.name, read.query), (&b"s1"[..], &b"SELECT $1"[..]));
    assert_eq!(read.types_raw, b"\0\x02\0\0\0\x17\0\0\0\0");
    assert_eq!(read.parameter_types().collect::<Vec<_>>(), [23, 0]);
    assert_eq!(parse(b"\0\0\0\0").unwrap().parameter_types().count(), 0);
    assert_eq!(parse(b"s"), Err(unterminated("Parse", "statement name")));
    assert_eq!(parse(b"s\0q"), Err(unterminated("Parse", "text")));
    assert_eq!(parse(b"s\0q\0\0"), Err(truncated("Parse", "count of parameter types")));
    assert_eq!(parse(b"s\0q\0\xff\xff\0\0\0\0"), Err(truncated("Parse", "parameter types")));
    assert_eq!(parse(b"s\0q\0\0\0\0"), Err(trailing("Parse", 1)));
}

#[test]
fn bind_leaves_its_values_alone() {
    let body = b"p\0st\0\0\0\0\x01\0\0\0\x011\0\0";
    let read = bind(body).unwrap();
    assert_eq!((read.portal, read.statement, read.rest), (&b"p"[..], &b"st"[..], &body[5..]));
    assert_eq!(bind(b"p\0st"), Err(unterminated("Bind", "statement name")));
    assert_eq!(bind(b"p\0st\0\0\0\0\0\0"), Err(truncated("Bind", "counts")));
}

#[test]
fn bind_names_are_found_as_soon_as_they_are_there() {
    let body = b"p\0st\0\0\0\0\0\0\0";
    let names = BindNames { portal: b"p", statement: b"st", len: 5 };
    for len in 0..=body.len() {
        assert_eq!(bind_names_prefix(&body[..len]), (len >= 5).then_some(names), "{len}");
    }
    assert_eq!(bind_names_prefix(b"\0\0"), Some(BindNames { portal: b"", statement: b"", len: 2 }));
}

#[test]
fn describe_and_close_name_a_target() {
    assert_eq!(describe(b"Ss1\0"), Ok(Target { kind: TargetKind::Statement, name: b"s1" }));
    assert_eq!(close(b"P\0"), Ok(Target { kind: TargetKind::Portal, name: b"" }));
    assert_eq!(describe(b""), Err(truncated("Describe", "kind")));
    assert_eq!(describe(b"X\0"), Err(invalid("Describe", "kind")));
    assert_eq!(close(b"Ss1"), Err(unterminated("Close", "name")));
    assert_eq!(close(b"Ss1\0x"), Err(trailing("Close", 1)));
}

#[test]
fn execute_has_a_row_limit() {
    assert_eq!(execute(b"p\0\0\0\0\x05"), Ok(Execute { portal: b"p", max_rows: 5 }));
    assert_eq!(execute(b"\0\xff\xff\xff\xff"), Ok(Execute { portal: b"", max_rows: -1 }));
    assert_eq!(execute(b"p\0\0\0\0"), Err(truncated("Execute", "row limit")));
    assert_eq!(execute(b"p\0\0\0\0\0\0"), Err(trailing("Execute", 1)));
}

#[test]
fn ready_for_query_has_three_states() {
    for status in [TransactionStatus::Idle, TransactionStatus::InTransaction, TransactionStatus::Failed] {
        assert_eq!(ready_for_query(&[status.as_byte()]), Ok(status));
    }
    assert_eq!(ready_for_query(b""), Err(truncated("ReadyForQuery", "status")));
    assert_eq!(ready_for_query(b"X"), Err(invalid("ReadyForQuery", "status")));
    assert_eq!(ready_for_query(b"II"), Err(trailing("ReadyForQuery", 1)));
}

#[test]
fn parameter_status_and_command_complete() {
    let read = parameter_status(b"TimeZone\0\0").unwrap();
    assert_eq!((read.name, read.value), (&b"TimeZone"[..], &b""[..]));
    assert_eq!(parameter_status(b"a\0b"), Err(unterminated("ParameterStatus", "value")));
    assert_eq!(parameter_status(b"a\0b\0c"), Err(trailing("ParameterStatus", 1)));
    assert_eq!(command_complete(b"SELECT 1\0"), Ok(&b"SELECT 1"[..]));
    assert_eq!(command_complete(b"SELECT 1"), Err(unterminated("CommandComplete", "tag")));
}

#[test]
fn error_fields_are_found_and_walked() {
    let body = b"SFEHLER\0VERROR\0C42P01\0Mno\0Dd\0Hh\0F x.c\0Rr\0\0";
    let read = error_or_notice(body).unwrap();
    assert_eq!(read.severity, Some(&b"FEHLER"[..]));
    assert_eq!(read.severity_nonlocalized, Some(&b"ERROR"[..]));
    assert_eq!(read.code, Some(&b"42P01"[..]));
    assert_eq!(read.message, Some(&b"no"[..]));
    assert_eq!((read.detail, read.hint), (Some(&b"d"[..]), Some(&b"h"[..])));
    assert_eq!(read.routine, Some(&b"r"[..]));
    let kinds: Vec<u8> = read.fields().map(|field| field.kind).collect();
    assert_eq!(kinds, b"SVCMDHFR");
    assert_eq!(read.fields().nth(6).map(|field| field.value), Some(&b" x.c"[..]));
}

#[test]
fn error_without_end_or_with_a_rest_is_refused() {
    assert!(error_or_notice(b"\0").unwrap().fields().next().is_none());
    assert_eq!(error_or_notice(b""), Err(truncated("ErrorResponse", "list of fields")));
    assert_eq!(error_or_notice(b"Mx\0"), Err(truncated("ErrorResponse", "list of fields")));
    assert_eq!(error_or_notice(b"Mx"), Err(unterminated("ErrorResponse", "field")));
    assert_eq!(error_or_notice(b"Mx\0\0y"), Err(trailing("ErrorResponse", 1)));
    assert_eq!(error_or_notice(b"Mx\0My\0\0").unwrap().message, Some(&b"x"[..]));
}

#[test]
fn cancel_keys_have_4_to_256_bytes_and_do_not_show() {
    let body = |key: usize| [&[0, 0, 0, 9][..], &vec![7; key]].concat();
    for key in [4, 32, 256] {
        let body = body(key);
        let read = backend_key_data(&body).unwrap();
        assert_eq!((read.pid, read.key.len()), (9, key));
        assert_eq!(format!("{read:?}"), "BackendKeyData { pid: 9, .. }");
    }
    for key in [0, 3, 257] {
        assert_eq!(backend_key_data(&body(key)), Err(invalid("BackendKeyData", "key")));
    }
    assert_eq!(backend_key_data(b"\0\0\0"), Err(truncated("BackendKeyData", "process id")));
}

#[test]
fn authentication_codes() {
    let read = |code: u8, rest: &[u8]| {
        let body = [&[0, 0, 0, code], rest].concat();
        authentication(&body).map(|read| format!("{read:?}"))
    };
    assert_eq!(read(0, b"").unwrap(), "Ok");
    assert_eq!(read(3, b"").unwrap(), "CleartextPassword");
    assert_eq!(read(5, &[1, 2, 3, 4]).unwrap(), "Md5 { salt: [1, 2, 3, 4] }");
    assert_eq!(read(7, b"").unwrap(), "Unsupported(7)");
    assert_eq!(read(8, b"token").unwrap(), "Unsupported(8)");
    assert_eq!(read(0, b"x"), Err(trailing("Authentication", 1)));
    assert_eq!(read(5, b"x"), Err(truncated("Authentication", "salt")));
    assert_eq!(authentication(b"\0\0\0\x0bdata"), Ok(Authentication::SaslContinue(b"data")));
    assert_eq!(authentication(b"\0\0\0\x0cdata"), Ok(Authentication::SaslFinal(b"data")));
    assert_eq!(authentication(b"\0\0\0"), Err(truncated("Authentication", "code")));
}

#[test]
fn mechanisms_end_with_an_empty_name() {
    let Ok(Authentication::Sasl(mechanisms)) = authentication(b"\0\0\0\x0aONE\0TWO\0\0") else { panic!() };
    assert_eq!(mechanisms.collect::<Vec<_>>(), [b"ONE", b"TWO"]);
    let Ok(Authentication::Sasl(mut none)) = authentication(b"\0\0\0\x0a\0") else { panic!() };
    assert_eq!(none.next(), None);
    let field = "list of mechanisms";
    assert_eq!(authentication(b"\0\0\0\x0aONE\0"), Err(unterminated("Authentication", field)));
    assert_eq!(authentication(b"\0\0\0\x0aONE\0\0x"), Err(trailing("Authentication", 1)));
}

#[test]
fn rows_are_checked_whole_before_the_first_value() {
    let row = data_row(b"\0\x03\0\0\0\x01a\xff\xff\xff\xff\0\0\0\0").unwrap();
    assert_eq!(row.count, 3);
    assert_eq!(row.values().collect::<Vec<_>>(), [Some(&b"a"[..]), None, Some(&b""[..])]);
    assert_eq!(data_row(b"\0"), Err(truncated("DataRow", "count of values")));
    assert_eq!(data_row(b"\0\x01"), Err(truncated("DataRow", "value")));
    assert_eq!(data_row(b"\0\x01\0\0\0\x02a"), Err(truncated("DataRow", "value")));
    assert_eq!(data_row(b"\0\x01\xff\xff\xff\xfe"), Err(invalid("DataRow", "value")));
    assert_eq!(data_row(b"\0\0x"), Err(trailing("DataRow", 1)));
}

#[test]
fn row_description_names_its_columns() {
    let body = b"\0\x01id\0\0\0\0\x07\0\x02\0\0\0\x17\0\x04\xff\xff\xff\xff\0\x01";
    let read = row_description(body).unwrap();
    let column = Column {
        name: b"id",
        table_oid: 7,
        attribute: 2,
        type_oid: 23,
        type_len: 4,
        type_modifier: -1,
        format: 1,
    };
    assert_eq!(read.columns().collect::<Vec<_>>(), [column]);
    assert_eq!(row_description(&body[..body.len() - 1]), Err(truncated("RowDescription", "format")));
    assert_eq!(row_description(b"\0\x01id"), Err(unterminated("RowDescription", "column name")));
    assert_eq!(row_description(b"\0\0x"), Err(trailing("RowDescription", 1)));
}

#[test]
fn negotiation_takes_both_forms_of_the_version() {
    for version in [b"\0\x03\0\x02", b"\0\0\0\x02"] {
        let body = [&version[..], b"\0\0\0\x02_pq_.a\0_pq_.b\0"].concat();
        let read = negotiate_protocol_version(&body).unwrap();
        assert_eq!((read.newest_minor, read.unknown_options.len()), (2, 2));
    }
    let message = "NegotiateProtocolVersion";
    assert_eq!(negotiate_protocol_version(b"\0\x02\0\0\0\0\0\0"), Err(invalid(message, "version")));
    let lying = negotiate_protocol_version(b"\0\x03\0\0\xff\xff\xff\xff");
    assert_eq!(lying, Err(unterminated(message, "option name")));
    assert_eq!(negotiate_protocol_version(b"\0\x03\0\0\0\0\0\0x"), Err(trailing(message, 1)));
}

#[test]
fn notification_has_channel_and_payload() {
    let read = notification(b"\0\0\x01\0ch\0pay\0").unwrap();
    assert_eq!((read.pid, read.channel, read.payload), (256, &b"ch"[..], &b"pay"[..]));
    assert_eq!(notification(b"\0\0\0\x01ch\0"), Err(unterminated("NotificationResponse", "payload")));
    assert_eq!(notification(b"\0\0\0\x01ch\0p\0x"), Err(trailing("NotificationResponse", 1)));
}

#[test]
fn sasl_data_stay_inside_the_message() {
    let read = sasl_initial_response(b"SCRAM\0\0\0\0\x02ab").unwrap();
    assert_eq!((read.mechanism, read.data), (&b"SCRAM"[..], Some(&b"ab"[..])));
    assert_eq!(sasl_initial_response(b"M\0\xff\xff\xff\xff").unwrap().data, None);
    let message = "SASLInitialResponse";
    assert_eq!(sasl_initial_response(b"M\0\0\0\0\x03ab"), Err(truncated(message, "data")));
    assert_eq!(sasl_initial_response(b"M\0\x80\0\0\0ab"), Err(invalid(message, "data")));
    assert_eq!(sasl_initial_response(b"M\0\0\0\0\x01ab"), Err(trailing(message, 1)));
    assert_eq!(password(b"secret\0"), Ok(&b"secret"[..]));
    assert_eq!(password(b"secret"), Err(unterminated("Password", "password")));
    assert_eq!(copy_fail(b"why\0"), Ok(&b"why"[..]));
    assert_eq!(copy_data(b"row\n"), b"row\n");
}

#[test]
fn errors_are_sentences() {
    let text = |error: ReadError| error.to_string();
    assert_eq!(text(truncated("Execute", "row limit")), "Execute message ends inside its row limit");
    assert_eq!(text(unterminated("Query", "text")), "Query message has no end of its text");
    assert_eq!(text(trailing("Query", 4)), "Query message has 4 bytes more than its fields");
    assert_eq!(text(invalid("Describe", "kind")), "Describe message has an invalid kind");
    assert_eq!(trailing("Query", 4).sqlstate(), "08P01");
}
