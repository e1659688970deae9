//! Messages of a server, with pgwire as the peer.

use bytes::{Bytes, BytesMut};
use howdah_protocol::{
    frame::Direction::FromServer,
    read::{self, Authentication, TransactionStatus},
    write,
};
use pgwire::messages::{copy, data, extendedquery, response, startup as peer};
use proptest::{collection::vec, option, prelude::*};

use crate::pgwire_peer::{agree, bytes, text, written};

proptest! {
    #[test]
    fn errors_and_notices(
        (severity, code, message) in (text(), text(), text()),
        detail in option::of(text()),
        hint in option::of(text()),
        nonlocalized in any::<bool>(),
    ) {
        let report = write::Report {
            severity: &severity,
            nonlocalized,
            code: &code,
            message: &message,
            detail: detail.as_deref(),
            hint: hint.as_deref(),
        };
        let fields = [
            (b'S', Some(&severity)),
            (b'V', nonlocalized.then_some(&severity)),
            (b'C', Some(&code)),
            (b'M', Some(&message)),
            (b'D', detail.as_ref()),
            (b'H', hint.as_ref()),
        ];
        let fields: Vec<_> =
            fields.into_iter().filter_map(|(kind, text)| Some((kind, text?.to_owned()))).collect();
        let (mut error, mut notice) = (Vec::new(), Vec::new());
        write::error_response(&mut error, &report);
        write::notice_response(&mut notice, &report);
        agree(FromServer, &notice, &response::NoticeResponse::new(fields.clone()));
        let body = agree(FromServer, &error, &response::ErrorResponse::new(fields.clone()));
        let read = read::error_or_notice(&body).unwrap();
        let walked = read.fields().map(|field| (field.kind, String::from_utf8_lossy(field.value).into_owned()));
        prop_assert_eq!(walked.collect::<Vec<_>>(), fields);
        prop_assert_eq!((read.code, read.message), (Some(code.as_bytes()), Some(message.as_bytes())));
        prop_assert_eq!((read.detail, read.hint), (detail.as_ref().map(|t| t.as_bytes()), hint.as_ref().map(|t| t.as_bytes())));
    }

    #[test]
    fn parameter_status(name in text(), value in text()) {
        let ours = written(|out| write::parameter_status(out, name.as_bytes(), value.as_bytes()));
        let body = agree(FromServer, &ours, &peer::ParameterStatus::new(name.clone(), value.clone()));
        let expected = read::ParameterStatus { name: name.as_bytes(), value: value.as_bytes() };
        prop_assert_eq!(read::parameter_status(&body), Ok(expected));
    }

    #[test]
    fn backend_key_data(pid in any::<u32>(), key in vec(any::<u8>(), 4..=256)) {
        let ours = written(|out| write::backend_key_data(out, pid, &key));
        let secret = peer::SecretKey::Bytes(key.clone().into());
        let body = agree(FromServer, &ours, &peer::BackendKeyData::new(pid.cast_signed(), secret));
        prop_assert_eq!(read::backend_key_data(&body), Ok(read::BackendKeyData { pid, key: &key }));
    }

    #[test]
    fn command_complete(tag in text()) {
        let ours = written(|out| write::command_complete(out, tag.as_bytes()));
        let body = agree(FromServer, &ours, &response::CommandComplete::new(tag.clone()));
        prop_assert_eq!(read::command_complete(&body), Ok(tag.as_bytes()));
    }

    #[test]
    fn notification(pid in any::<u32>(), channel in text(), payload in text()) {
        let ours = written(|out| {
            write::notification_response(out, pid, channel.as_bytes(), payload.as_bytes())
        });
        let theirs =
            response::NotificationResponse::new(pid.cast_signed(), channel.clone(), payload.clone());
        let body = agree(FromServer, &ours, &theirs);
        let expected = read::Notification { pid, channel: channel.as_bytes(), payload: payload.as_bytes() };
        prop_assert_eq!(read::notification(&body), Ok(expected));
    }

    #[test]
    fn negotiate_protocol_version(minor in 0..10_u16, names in vec("_pq_\\.[a-z]{1,5}", 0..4)) {
        let options: Vec<&[u8]> = names.iter().map(|name| name.as_bytes()).collect();
        let ours = written(|out| write::negotiate_protocol_version(out, minor, &options));
        let version = 3 << 16 | i32::from(minor);
        let body = agree(FromServer, &ours, &peer::NegotiateProtocolVersion::new(version, names.clone()));
        let read = read::negotiate_protocol_version(&body).unwrap();
        prop_assert_eq!((read.newest_minor, read.unknown_options), (minor, options));
    }

    #[test]
    fn rows(values in vec(option::of(bytes()), 0..6)) {
        let slices: Vec<_> = values.iter().map(Option::as_deref).collect();
        let ours = written(|out| write::data_row(out, &slices));
        // pgwire leaves a row's values to its caller; their form is that of Bind's values.
        let mut raw = BytesMut::new();
        for value in &values {
            let length = value.as_ref().map_or(-1, |value| value.len() as i32);
            raw.extend_from_slice(&length.to_be_bytes());
            raw.extend_from_slice(value.as_deref().unwrap_or_default());
        }
        let body = agree(FromServer, &ours, &data::DataRow::new(raw, values.len() as i16));
        prop_assert_eq!(read::data_row(&body).unwrap().values().collect::<Vec<_>>(), slices);
    }

    #[test]
    fn row_description(columns in vec((text(), any::<u32>(), any::<i16>()), 0..6)) {
        let ours: Vec<_> = columns
            .iter()
            .map(|(name, type_oid, type_len)| write::Column { name, type_oid: *type_oid, type_len: *type_len })
            .collect();
        let theirs = columns
            .iter()
            .map(|(name, oid, len)| data::FieldDescription::new(name.clone(), 0, 0, *oid, *len, -1, 0))
            .collect();
        let bytes = written(|out| write::row_description(out, &ours));
        let body = agree(FromServer, &bytes, &data::RowDescription::new(theirs));
        let read = read::row_description(&body).unwrap();
        prop_assert_eq!(usize::from(read.count), columns.len());
        let read: Vec<_> = read.columns().map(|c| (c.name.to_vec(), c.type_oid, c.type_len)).collect();
        let columns: Vec<_> = columns.into_iter().map(|(n, oid, len)| (n.into_bytes(), oid, len)).collect();
        prop_assert_eq!(read, columns);
    }

    #[test]
    fn authentication_with_data(salt in any::<[u8; 4]>(), names in vec("[A-Z-]{1,9}", 0..4), data in bytes()) {
        let mut md5 = Vec::new();
        write::authentication_md5(&mut md5, salt);
        let body = agree(FromServer, &md5, &peer::Authentication::MD5Password(salt.to_vec()));
        prop_assert_eq!(read::authentication(&body), Ok(Authentication::Md5 { salt }));

        let mechanisms: Vec<&str> = names.iter().map(String::as_str).collect();
        let ours = written(|out| write::authentication_sasl(out, &mechanisms));
        let body = agree(FromServer, &ours, &peer::Authentication::SASL(names.clone()));
        let Ok(Authentication::Sasl(read)) = read::authentication(&body) else { panic!() };
        prop_assert!(read.eq(names.iter().map(|name| name.as_bytes())));

        let ours = written(|out| write::authentication_sasl_continue(out, &data));
        let theirs = peer::Authentication::SASLContinue(Bytes::from(data.clone()));
        let body = agree(FromServer, &ours, &theirs);
        prop_assert_eq!(read::authentication(&body), Ok(Authentication::SaslContinue(&data)));
        let ours = written(|out| write::authentication_sasl_final(out, &data));
        let theirs = peer::Authentication::SASLFinal(Bytes::from(data.clone()));
        let body = agree(FromServer, &ours, &theirs);
        prop_assert_eq!(read::authentication(&body), Ok(Authentication::SaslFinal(&data)));
    }
}

/// What a writer that cannot fail appends.
fn plain(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    write(&mut out);
    out
}

#[test]
fn messages_of_a_tag_alone() {
    agree(FromServer, &plain(write::parse_complete), &extendedquery::ParseComplete::new());
    agree(FromServer, &plain(write::bind_complete), &extendedquery::BindComplete::new());
    agree(FromServer, &plain(write::close_complete), &extendedquery::CloseComplete::new());
    agree(FromServer, &plain(write::portal_suspended), &extendedquery::PortalSuspended::new());
    agree(FromServer, &plain(write::empty_query_response), &response::EmptyQueryResponse::new());
    agree(FromServer, &plain(write::no_data), &data::NoData::new());
    agree(FromServer, &plain(write::copy_done), &copy::CopyDone::new());
}

#[test]
fn ready_for_query_and_authentication_without_data() {
    use response::TransactionStatus as Peer;
    let pairs = [
        (TransactionStatus::Idle, Peer::Idle),
        (TransactionStatus::InTransaction, Peer::Transaction),
        (TransactionStatus::Failed, Peer::Error),
    ];
    for (status, theirs) in pairs {
        let ours = plain(|out| write::ready_for_query(out, status));
        let body = agree(FromServer, &ours, &response::ReadyForQuery::new(theirs));
        assert_eq!(read::ready_for_query(&body), Ok(status));
    }
    let body = agree(FromServer, &plain(write::authentication_ok), &peer::Authentication::Ok);
    assert_eq!(read::authentication(&body), Ok(Authentication::Ok));
    let ours = plain(write::authentication_cleartext_password);
    let body = agree(FromServer, &ours, &peer::Authentication::CleartextPassword);
    assert_eq!(read::authentication(&body), Ok(Authentication::CleartextPassword));
}
