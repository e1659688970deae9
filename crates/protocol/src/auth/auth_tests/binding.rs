//! Channel binding: both sides against each other, and what a man in the middle would do.

use std::sync::Arc;

use super::{Method, Progress, Secret, login};
use crate::auth::{AuthError, Credential, MECHANISM, MECHANISM_PLUS, Password, ServerLogin};
use crate::{read, write};

/// A login over TLS: what the server offers to bind to, and what the client sees.
fn exchange(
    offered: Option<&[u8]>,
    seen: Option<Option<&[u8]>>,
    edit: impl Fn(&mut Vec<u8>),
) -> Result<(), AuthError> {
    let secret = Some(Secret::Plain(Password::from("secret")));
    let mut server = login(Method::Scram, "bob", secret).with_end_point(offered.map(Arc::from));
    let mut client = ServerLogin::new(b"bob", Credential::Password("secret".into()), [5; 32]);
    if let Some(seen) = seen {
        client = client.over_tls(seen.map(Box::from));
    }
    let mut to_client = Vec::new();
    server.start(&mut to_client)?;
    edit(&mut to_client);
    for _ in 0..2 {
        let mut to_server = Vec::new();
        client.message(read::authentication(&to_client[5..]).unwrap(), &mut to_server)?;
        to_client.clear();
        let progress = server.message(&to_server[5..], &mut to_client)?;
        if matches!(progress, Progress::Done(_)) {
            client.message(read::authentication(&to_client[5..]).unwrap(), &mut Vec::new())?;
            return Ok(());
        }
    }
    panic!("the login does not end");
}

/// A sasl message without the stronger mechanism.
fn without_plus(message: &mut Vec<u8>) {
    message.clear();
    write::authentication_sasl(message, &[MECHANISM]).unwrap();
}

#[test]
fn both_sides_bind_to_the_same_certificate() {
    let untouched = |_: &mut Vec<u8>| {};
    assert_eq!(exchange(Some(b"one"), Some(Some(b"one")), untouched), Ok(()));
    let other = exchange(Some(b"one"), Some(Some(b"two")), untouched);
    assert!(
        matches!(other, Err(AuthError::Sasl { detail }) if detail.contains("another channel binding")),
        "{other:?}"
    );
    // A client that cannot, a server that does not offer it, and no TLS at all.
    assert_eq!(exchange(Some(b"one"), Some(None), untouched), Ok(()));
    assert_eq!(exchange(Some(b"one"), None, untouched), Ok(()));
    assert_eq!(exchange(None, Some(Some(b"one")), untouched), Ok(()));
    assert_eq!(exchange(None, None, untouched), Ok(()));
}

#[test]
fn an_offer_that_was_taken_away_is_noticed() {
    let stolen = exchange(Some(b"one"), Some(Some(b"one")), without_plus);
    assert!(
        matches!(stolen, Err(AuthError::Sasl { detail }) if detail.contains("did not arrive")),
        "{stolen:?}"
    );
}

#[test]
fn headers_and_mechanisms_go_together() {
    let first = |mechanism: &str, first: &str, offered: bool| {
        let secret = Some(Secret::Plain(Password::from("secret")));
        let mut server =
            login(Method::Scram, "bob", secret).with_end_point(offered.then(|| Arc::from(&b"one"[..])));
        server.start(&mut Vec::new()).unwrap();
        let mut message = Vec::new();
        write::sasl_initial_response(&mut message, mechanism.as_bytes(), Some(first.as_bytes())).unwrap();
        server.message(&message[5..], &mut Vec::new()).map(drop)
    };
    assert!(first(MECHANISM_PLUS, "p=tls-server-end-point,,n=,r=abc", true).is_ok());
    assert!(first(MECHANISM, "n,,n=,r=abc", true).is_ok());
    for (mechanism, text, offered) in [
        (MECHANISM_PLUS, "p=tls-server-end-point,,n=,r=abc", false),
        (MECHANISM_PLUS, "n,,n=,r=abc", true),
        (MECHANISM_PLUS, "y,,n=,r=abc", true),
        (MECHANISM_PLUS, "p=tls-unique,,n=,r=abc", true),
        (MECHANISM_PLUS, "p=tls-server-end-point,a=x,n=,r=abc", true),
        (MECHANISM, "p=tls-server-end-point,,n=,r=abc", true),
        (MECHANISM, "p=tls-server-end-point,,n=,r=abc", false),
        (MECHANISM, "y,,n=,r=abc", true),
        (MECHANISM, "x,,n=,r=abc", true),
        (MECHANISM, "", true),
    ] {
        assert!(first(mechanism, text, offered).is_err(), "{mechanism} {text} {offered}");
    }
}
