//! What `pgwire_client` and `pgwire_server` compare with: a message must have the same bytes whoever writes it,
//! pgwire must read ours whole, and our scanner must take pgwire's.

use std::fmt::Debug;

use bytes::BytesMut;
use howdah_protocol::frame::{self, Direction, Limits, Step};
use pgwire::messages::{DecodeContext, Message, ProtocolVersion};
use proptest::prelude::*;

/// A text that a message can hold and that pgwire does not change.
pub(crate) fn text() -> impl Strategy<Value = String> {
    "[^\0]{0,20}"
}

pub(crate) fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..40)
}

/// pgwire has no name where the name is empty.
pub(crate) fn name(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

/// Our bytes are those of pgwire, and pgwire reads them as its message, to the last byte.
pub(crate) fn same<T: Message + PartialEq + Debug>(ours: &[u8], theirs: &T) {
    let mut encoded = BytesMut::new();
    theirs.encode(&mut encoded).unwrap();
    assert_eq!(ours, &encoded[..], "{theirs:?}");
    let mut context = DecodeContext::new(ProtocolVersion::PROTOCOL3_2);
    context.awaiting_frontend_ssl = false;
    let decoded = T::decode(&mut encoded, &context).unwrap();
    assert_eq!(decoded.as_ref(), Some(theirs));
    assert!(encoded.is_empty());
}

/// As [`same`], and gives the body that our scanner finds.
pub(crate) fn agree<T: Message + PartialEq + Debug>(
    direction: Direction,
    ours: &[u8],
    theirs: &T,
) -> Vec<u8> {
    same(ours, theirs);
    match frame::next(direction, &Limits::default(), ours) {
        Ok(Step::Complete(frame)) => {
            assert_eq!((Some(frame.tag), frame.bytes), (T::message_type(), ours));
            frame.body.to_vec()
        }
        other => panic!("{other:?}"),
    }
}

/// What a writer appends.
pub(crate) fn written<E: Debug>(write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>) -> Vec<u8> {
    let mut out = Vec::new();
    write(&mut out).unwrap();
    out
}
