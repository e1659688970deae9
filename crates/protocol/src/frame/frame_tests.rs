//! Tests of the scanner: what passes, what is refused, and in which words.

use super::{
    Direction::{self, FromClient, FromServer},
    FrameFault, HEADER_LEN, Header, Limits, Step, WIRE_MAX, header, next, tag,
};

const LIMITS: Limits = Limits { max_frame: 1000 };

/// The header of a frame of `len` bytes with tag and length word.
fn head(tag: u8, len: u32) -> Vec<u8> {
    let mut bytes = vec![tag];
    bytes.extend_from_slice(&(len - 1).to_be_bytes());
    bytes
}

fn fault(direction: Direction, tag: u8, len: u32) -> FrameFault {
    header(direction, &LIMITS, &head(tag, len)).unwrap_err().fault
}

#[test]
fn fewer_bytes_than_a_header_are_waited_for() {
    for len in 0..HEADER_LEN {
        assert_eq!(header(FromClient, &LIMITS, &b"Q\0\0\0\x08"[..len]), Ok(None));
        assert_eq!(next(FromClient, &LIMITS, &b"Q\0\0\0\x08"[..len]), Ok(Step::Partial(None)));
    }
}

#[test]
fn a_frame_ends_where_its_length_says() {
    let bytes = b"Q\0\0\0\x08abc\0S\0\0\0\x04";
    let Ok(Step::Complete(frame)) = next(FromClient, &LIMITS, bytes) else { panic!() };
    assert_eq!((frame.tag, frame.body, frame.bytes), (b'Q', &b"abc\0"[..], &bytes[..9]));
    let Ok(Step::Complete(frame)) = next(FromClient, &LIMITS, &bytes[9..]) else { panic!() };
    assert_eq!((frame.tag, frame.body, frame.bytes), (b'S', &b""[..], &bytes[9..]));
}

#[test]
fn a_part_of_a_frame_is_known_by_its_header() {
    let header = Header { tag: b'Q', len: 9 };
    assert_eq!(next(FromClient, &LIMITS, b"Q\0\0\0\x08abc"), Ok(Step::Partial(Some(header))));
    assert_eq!(header.body_len(), 4);
}

#[test]
fn the_same_letter_is_judged_by_its_direction() {
    // D is a Describe of at least 7 bytes here and a DataRow there; S a Sync and a ParameterStatus.
    assert_eq!(fault(FromClient, b'S', 7), FrameFault::TooLong { max: 5 });
    assert_eq!(fault(FromServer, b'S', 6), FrameFault::TooShort { min: 7 });
    assert_eq!(fault(FromServer, b'Q', 9), FrameFault::UnknownTag);
    assert_eq!(fault(FromClient, b'Z', 6), FrameFault::UnknownTag);
}

#[test]
fn exactly_the_known_tags_pass() {
    let known = |direction| -> Vec<u8> {
        let passes = |tag: &u8| (5..300).any(|len| header(direction, &LIMITS, &head(*tag, len)).is_ok());
        (0..=u8::MAX).filter(passes).collect()
    };
    assert_eq!(known(FromClient), b"BCDEFHPQSXcdfp");
    assert_eq!(known(FromServer), b"123ACDEGHIKNRSTVWZcdnstv");
}

#[test]
fn least_and_greatest_lengths() {
    use tag::{client as c, server as s};
    let cases = [
        (FromClient, c::BIND, 13, WIRE_MAX),
        (FromClient, c::QUERY, 6, WIRE_MAX),
        (FromClient, c::FUNCTION_CALL, 15, WIRE_MAX),
        (FromClient, c::PASSWORD, 5, 131_077),
        (FromClient, c::DESCRIBE, 7, 131_077),
        (FromClient, c::FLUSH, 5, 5),
        (FromClient, c::TERMINATE, 5, 5),
        (FromServer, s::READY_FOR_QUERY, 6, 6),
        (FromServer, s::BACKEND_KEY_DATA, 13, 265),
        (FromServer, s::DATA_ROW, 7, WIRE_MAX),
        (FromServer, s::PARAMETER_DESCRIPTION, 7, 7 + 4 * 65_535),
        (FromServer, s::COPY_BOTH_RESPONSE, 8, 8 + 2 * 65_535),
        (FromServer, s::AUTHENTICATION, 9, 65_541),
    ];
    let limits = Limits { max_frame: usize::MAX };
    for (direction, tag, min, max) in cases {
        let check = |len: usize| header(direction, &limits, &head(tag, len as u32)).map_err(|e| e.fault);
        let passes = |len| Ok(Some(Header { tag, len }));
        assert_eq!(check(min), passes(min));
        assert_eq!(check(max), passes(max));
        assert_eq!(check(max + 1), Err(FrameFault::TooLong { max }));
        if min > HEADER_LEN {
            assert_eq!(check(min - 1), Err(FrameFault::TooShort { min }));
        }
    }
}

#[test]
fn max_packet_size_caps_every_kind() {
    assert!(header(FromServer, &LIMITS, &head(b'D', 1000)).is_ok());
    assert_eq!(fault(FromServer, b'D', 1001), FrameFault::TooLong { max: 1000 });
    assert_eq!(fault(FromClient, b'D', 1001), FrameFault::TooLong { max: 1000 });
}

#[test]
fn lengths_that_would_wrap_are_refused() {
    let limits = Limits { max_frame: usize::MAX };
    for word in [0_u32, 1, 3, 0x8000_0000, u32::MAX] {
        for direction in [FromClient, FromServer] {
            let bytes = [b"d", &word.to_be_bytes()[..]].concat();
            let error = header(direction, &limits, &bytes).unwrap_err();
            assert_eq!(error.len, word as usize + 1);
            assert_eq!(next(direction, &limits, &bytes), Err(error));
        }
    }
}

#[test]
fn errors_are_sentences() {
    let text = |direction, tag, len| header(direction, &LIMITS, &head(tag, len)).unwrap_err().to_string();
    assert_eq!(text(FromClient, b'Z', 6), "unknown message type 'Z' from client");
    assert_eq!(text(FromServer, 0, 6), r"unknown message type '\x00' from server");
    assert_eq!(
        text(FromClient, b'E', 6),
        "message 'E' from client is 6 bytes long, less than the 10 that it needs"
    );
    assert_eq!(
        text(FromServer, b'Z', 7),
        "message 'Z' from server is 7 bytes long, more than the 6 that are allowed"
    );
    assert_eq!(header(FromClient, &LIMITS, b"Z\0\0\0\x05").unwrap_err().sqlstate(), "08P01");
}
