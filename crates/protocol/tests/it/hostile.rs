//! Hostile frames, each of which must be a clear error: among them those on which pgwire's decoders panic, run
//! into the next frame or allocate megabytes (CRATES.md §1). A new one found is a new line here.

use howdah_protocol::{
    frame::{self, Direction, Limits, Step},
    read,
};

/// The first error that scanning and reading the bytes gives.
fn refusal(direction: Direction, bytes: &[u8]) -> String {
    match frame::next(direction, &Limits::default(), bytes) {
        Err(error) => error.to_string(),
        Ok(Step::Complete(frame)) => read_body(direction, frame.tag, frame.body).unwrap_err().to_string(),
        Ok(Step::Partial(part)) => panic!("{part:?} of {bytes:?}"),
    }
}

/// Reads a body with the reader of its tag.
pub(crate) fn read_body(direction: Direction, tag: u8, body: &[u8]) -> Result<(), read::ReadError> {
    match direction {
        Direction::FromClient => match tag {
            b'Q' => read::query(body).map(drop),
            b'P' => read::parse(body).map(|parse| assert!(parse.parameter_types().count() <= body.len())),
            b'B' => read::bind(body).map(drop),
            b'D' => read::describe(body).map(drop),
            b'C' => read::close(body).map(drop),
            b'E' => read::execute(body).map(drop),
            b'f' => read::copy_fail(body).map(drop),
            b'p' => read::password(body).and(read::sasl_initial_response(body)).map(drop),
            _ => Ok(()),
        },
        Direction::FromServer => match tag {
            b'Z' => read::ready_for_query(body).map(drop),
            b'S' => read::parameter_status(body).map(drop),
            b'C' => read::command_complete(body).map(drop),
            b'E' | b'N' => {
                read::error_or_notice(body).map(|error| assert!(error.fields().count() <= body.len()))
            }
            b'K' => read::backend_key_data(body).map(drop),
            b'R' => read::authentication(body).map(drop),
            b'D' => read::data_row(body).map(|row| assert_eq!(row.values().count(), row.count.into())),
            b'T' => {
                read::row_description(body).map(|row| assert_eq!(row.columns().count(), row.count.into()))
            }
            b'v' => read::negotiate_protocol_version(body).map(drop),
            b'A' => read::notification(body).map(drop),
            _ => Ok(()),
        },
    }
}

#[test]
fn from_a_client() {
    let cases: &[(&[u8], &str)] = &[
        (b"C\0\0\0\x04", "message 'C' from client is 5 bytes long, less than the 7 that it needs"),
        (b"d\0\0\0\x03", "message 'd' from client is 4 bytes long, less than the 5 that it needs"),
        (b"Q\0\0\0\x00", "message 'Q' from client is 1 bytes long, less than the 6 that it needs"),
        (b"S\0\0\0\x05x", "message 'S' from client is 6 bytes long, more than the 5 that are allowed"),
        (
            b"X\x7f\xff\xff\xff",
            "message 'X' from client is 2147483648 bytes long, more than the 5 that are allowed",
        ),
        (
            b"Q\xff\xff\xff\xff",
            "message 'Q' from client is 4294967296 bytes long, more than the 2147483647 that are allowed",
        ),
        (
            b"D\0\x10\0\0S",
            "message 'D' from client is 1048577 bytes long, more than the 131077 that are allowed",
        ),
        (b"Z\0\0\0\x05I", "unknown message type 'Z' from client"),
        (b"\0\0\0\0\x08", r"unknown message type '\x00' from client"),
        // A text that would run into the next frame, and a rest that would be the start of one.
        (b"Q\0\0\0\x06abQ\0\0\0\x06c\0", "Query message has no end of its text"),
        (b"Q\0\0\0\x0cSEL\0ABCD", "Query message has 4 bytes more than its fields"),
        // Counts far beyond the body.
        (b"P\0\0\0\x08\0\0\xff\xff", "Parse message ends inside its parameter types"),
        (b"P\0\0\0\x08a\0b\0", "Parse message ends inside its count of parameter types"),
        (b"B\0\0\0\x0cabcdefgh", "Bind message has no end of its portal name"),
        (b"B\0\0\0\x0ca\0b\0cdef", "Bind message ends inside its counts"),
        (b"D\0\0\0\x06X\0", "Describe message has an invalid kind"),
        (b"C\0\0\0\x08Sa\0b", "Close message has 1 bytes more than its fields"),
        (b"E\0\0\0\x0aabcdef", "Execute message has no end of its portal name"),
        (b"E\0\0\0\x0aabc\0de", "Execute message ends inside its row limit"),
        (b"f\0\0\0\x05x", "CopyFail message has no end of its reason"),
        (b"p\0\0\0\x04", "Password message has no end of its password"),
        (b"p\0\0\0\x06ab", "Password message has no end of its password"),
    ];
    for (bytes, sentence) in cases {
        assert_eq!(refusal(Direction::FromClient, bytes), *sentence, "{bytes:?}");
    }
}

#[test]
fn from_a_server() {
    let cases: &[(&[u8], &str)] = &[
        (b"Z\0\0\0\x04", "message 'Z' from server is 5 bytes long, less than the 6 that it needs"),
        (b"K\0\0\0\x0b", "message 'K' from server is 12 bytes long, less than the 13 that it needs"),
        (b"K\0\0\x01\x09", "message 'K' from server is 266 bytes long, more than the 265 that are allowed"),
        (b"R\0\0\0\x07", "message 'R' from server is 8 bytes long, less than the 9 that it needs"),
        (b"t\0\0\0\x05", "message 't' from server is 6 bytes long, less than the 7 that it needs"),
        (b"1\0\0\0\x05", "message '1' from server is 6 bytes long, more than the 5 that are allowed"),
        (b"G\0\0\0\x06", "message 'G' from server is 7 bytes long, less than the 8 that it needs"),
        (b"Q\0\0\0\x06", "unknown message type 'Q' from server"),
        (b"E\0\0\0\x04", "message 'E' from server is 5 bytes long, less than the 6 that it needs"),
        (b"E\0\0\0\x08Sabc", "ErrorResponse message has no end of its field"),
        (b"E\0\0\0\x07Sa\0", "ErrorResponse message ends inside its list of fields"),
        (b"N\0\0\0\x09Sa\0\0x", "ErrorResponse message has 1 bytes more than its fields"),
        (b"Z\0\0\0\x05Q", "ReadyForQuery message has an invalid status"),
        (b"S\0\0\0\x08a\0bc", "ParameterStatus message has no end of its value"),
        (b"D\0\0\0\x06\xff\xff", "DataRow message ends inside its value"),
        (b"D\0\0\0\x0a\0\x01\x7f\xff\xff\xff", "DataRow message ends inside its value"),
        (b"D\0\0\0\x0a\0\x01\x80\0\0\0", "DataRow message has an invalid value"),
        (b"D\0\0\0\x07\0\0x", "DataRow message has 1 bytes more than its fields"),
        (b"T\0\0\0\x06\xff\xff", "RowDescription message has no end of its column name"),
        (b"T\0\0\0\x08\0\x01a\0", "RowDescription message ends inside its table"),
        (
            b"v\0\0\0\x0c\0\x03\0\0\xff\xff\xff\xff",
            "NegotiateProtocolVersion message has no end of its option name",
        ),
        (b"A\0\0\0\x0a\0\0\0\x01ab", "NotificationResponse message has no end of its channel"),
        (b"R\0\0\0\x0a\0\0\0\x05ab", "Authentication message ends inside its salt"),
        (b"R\0\0\0\x0a\0\0\0\x0aab", "Authentication message has no end of its list of mechanisms"),
        (b"C\0\0\0\x06ab", "CommandComplete message has no end of its tag"),
    ];
    for (bytes, sentence) in cases {
        assert_eq!(refusal(Direction::FromServer, bytes), *sentence, "{bytes:?}");
    }
}

#[test]
fn sasl_data_longer_than_the_message() {
    let error = read::sasl_initial_response(b"M\0\x7f\xff\xff\xffab").unwrap_err();
    assert_eq!(error.to_string(), "SASLInitialResponse message ends inside its data");
}
