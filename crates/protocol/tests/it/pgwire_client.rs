//! Messages of a client, with pgwire as the peer.

use bytes::{Bytes, BytesMut};
use howdah_protocol::{
    frame::Direction::FromClient,
    read::{self, TargetKind},
    startup::{self, StartupPacket},
    write,
};
use pgwire::messages::{Message, cancel, copy, extendedquery, simplequery, startup as peer, terminate};
use proptest::{collection::vec, option, prelude::*};

use crate::pgwire_peer::{agree, bytes, name, same, text, written};

fn kind() -> impl Strategy<Value = TargetKind> {
    prop_oneof![Just(TargetKind::Statement), Just(TargetKind::Portal)]
}

/// A message with a tag, as pgwire writes it.
fn encoded(message: &impl Message) -> Vec<u8> {
    let mut bytes = BytesMut::new();
    message.encode(&mut bytes).unwrap();
    bytes.to_vec()
}

proptest! {
    #[test]
    fn query(text in text()) {
        let ours = written(|out| write::query(out, text.as_bytes()));
        let body = agree(FromClient, &ours, &simplequery::Query::new(text.clone()));
        prop_assert_eq!(read::query(&body), Ok(text.as_bytes()));
    }

    #[test]
    fn parse(statement in text(), query in text(), types in vec(any::<u32>(), 0..5)) {
        let count = (types.len() as u16).to_be_bytes();
        let raw = [&count[..], &types.iter().flat_map(|oid| oid.to_be_bytes()).collect::<Vec<_>>()].concat();
        let ours = written(|out| write::parse(out, statement.as_bytes(), query.as_bytes(), &raw));
        let theirs = extendedquery::Parse::new(name(&statement), query.clone(), types.clone());
        let body = agree(FromClient, &ours, &theirs);
        let read = read::parse(&body).unwrap();
        prop_assert_eq!((read.name, read.query), (statement.as_bytes(), query.as_bytes()));
        prop_assert_eq!(read.parameter_types().collect::<Vec<_>>(), types);
    }

    #[test]
    fn bind_under_another_name(
        (portal, statement, renamed) in (text(), text(), text()),
        formats in vec(0..2_i16, 0..3),
        values in vec(option::of(bytes().prop_map(Bytes::from)), 0..4),
        results in vec(0..2_i16, 0..3),
    ) {
        let theirs = |statement: &str| {
            let (formats, values, results) = (formats.clone(), values.clone(), results.clone());
            extendedquery::Bind::new(name(&portal), name(statement), formats, values, results)
        };
        let body = agree(FromClient, &encoded(&theirs(&statement)), &theirs(&statement));
        let read = read::bind(&body).unwrap();
        prop_assert_eq!((read.portal, read.statement), (portal.as_bytes(), statement.as_bytes()));
        let ours = written(|out| write::bind(out, read.portal, renamed.as_bytes(), read.rest));
        agree(FromClient, &ours, &theirs(&renamed));
    }

    #[test]
    fn describe_and_close(kind in kind(), target in text()) {
        let expected = Ok(read::Target { kind, name: target.as_bytes() });
        let ours = written(|out| write::describe(out, kind, target.as_bytes()));
        let theirs = extendedquery::Describe::new(kind.as_byte(), name(&target));
        let body = agree(FromClient, &ours, &theirs);
        prop_assert_eq!(read::describe(&body), expected);
        let ours = written(|out| write::close(out, kind, target.as_bytes()));
        let theirs = extendedquery::Close::new(kind.as_byte(), name(&target));
        let body = agree(FromClient, &ours, &theirs);
        prop_assert_eq!(read::close(&body), expected);
    }

    #[test]
    fn execute(portal in text(), max_rows in any::<i32>()) {
        let ours = written(|out| write::execute(out, portal.as_bytes(), max_rows));
        let body = agree(FromClient, &ours, &extendedquery::Execute::new(name(&portal), max_rows));
        prop_assert_eq!(read::execute(&body), Ok(read::Execute { portal: portal.as_bytes(), max_rows }));
    }

    #[test]
    fn copy(payload in bytes(), reason in text()) {
        let ours = written(|out| write::copy_data(out, &payload));
        let body = agree(FromClient, &ours, &copy::CopyData::new(payload.clone().into()));
        prop_assert_eq!(read::copy_data(&body), &payload);
        let ours = written(|out| write::copy_fail(out, reason.as_bytes()));
        let body = agree(FromClient, &ours, &copy::CopyFail::new(reason.clone()));
        prop_assert_eq!(read::copy_fail(&body), Ok(reason.as_bytes()));
    }

    #[test]
    fn passwords(password in text()) {
        let ours = written(|out| write::password(out, password.as_bytes()));
        let body = agree(FromClient, &ours, &peer::Password::new(password.clone()));
        prop_assert_eq!(read::password(&body), Ok(password.as_bytes()));
    }

    #[test]
    fn sasl(mechanism in text(), data in option::of(bytes()), response in bytes()) {
        let ours = written(|out| write::sasl_initial_response(out, mechanism.as_bytes(), data.as_deref()));
        let theirs = peer::SASLInitialResponse::new(mechanism.clone(), data.clone().map(Bytes::from));
        let body = agree(FromClient, &ours, &theirs);
        let read = read::sasl_initial_response(&body).unwrap();
        prop_assert_eq!((read.mechanism, read.data), (mechanism.as_bytes(), data.as_deref()));
        let ours = written(|out| write::sasl_response(out, &response));
        prop_assert_eq!(agree(FromClient, &ours, &peer::SASLResponse::new(response.clone().into())), response);
    }

    #[test]
    fn startup_message(
        parameters in prop::collection::btree_map("[a-z_.]{1,9}", text(), 0..5),
        minor in prop_oneof![Just(0_u16), Just(2)],
    ) {
        let mut theirs = peer::Startup::new();
        theirs.protocol_number_minor = minor;
        theirs.parameters = parameters;
        theirs.parameters.insert("user".to_owned(), "u".to_owned());
        let pairs = theirs.parameters.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
        let ours = written(|out| write::startup_message(out, (3, minor), pairs.clone()));
        same(&ours, &theirs);
        let Ok(Some((StartupPacket::Startup(read), consumed))) = startup::read(&ours, startup::DEFAULT_MAX)
        else { panic!() };
        prop_assert_eq!((read.major, read.minor, consumed), (3, minor, ours.len()));
        prop_assert!(pairs.eq(read.parameters.iter().map(|(name, value)| (&name[..], &value[..]))));
    }

    #[test]
    fn cancel_request(pid in any::<u32>(), key in vec(any::<u8>(), 4..=256)) {
        let ours = written(|out| write::cancel_request(out, pid, &key));
        let secret = peer::SecretKey::Bytes(key.clone().into());
        same(&ours, &cancel::CancelRequest::new(pid.cast_signed(), secret));
        let expected = Ok(Some((StartupPacket::Cancel { pid, key }, ours.len())));
        prop_assert_eq!(startup::read(&ours, startup::DEFAULT_MAX), expected);
    }
}

#[test]
fn messages_of_a_tag_alone() {
    let written = |write: fn(&mut Vec<u8>)| {
        let mut out = Vec::new();
        write(&mut out);
        out
    };
    agree(FromClient, &written(write::sync), &extendedquery::Sync::new());
    agree(FromClient, &written(write::flush), &extendedquery::Flush::new());
    agree(FromClient, &written(write::terminate), &terminate::Terminate::new());
    agree(FromClient, &written(write::copy_done), &copy::CopyDone::new());
    same(&written(write::ssl_request), &peer::SslRequest::new());
    same(&written(write::gss_request), &peer::GssEncRequest::new());
}
