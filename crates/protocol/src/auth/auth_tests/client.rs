//! The login of a client: the table of PGBOUNCER_BEHAVIOUR.md §5, with postgres-protocol as the client.

use postgres_protocol::authentication::{
    md5_hash,
    sasl::{ChannelBinding, ScramSha256},
};

use super::{ITERATIONS, frame, login, proved};
use crate::{
    auth::{
        AuthError, ClientLogin, MAX_PASSWORD, Md5Hash, Method, Password, Progress, Proved, ScramKeys,
        ScramSecret, Secret,
    },
    read::{self, Authentication},
    write,
};

fn md5() -> Secret {
    Secret::Md5(Md5Hash::build(&Password::from("secret"), b"bob"))
}

fn plain() -> Secret {
    Secret::parse("secret")
}

fn scram() -> Secret {
    Secret::Scram(ScramSecret::build(b"secret", b"some salt", ITERATIONS))
}

/// Sends a PasswordMessage.
fn send_password(login: &mut ClientLogin, password: &[u8]) -> Result<Progress<Proved>, AuthError> {
    let mut out = Vec::new();
    write::password(&mut out, password).unwrap();
    let mut answer = Vec::new();
    let progress = login.message(&frame(&mut out).1, &mut answer);
    assert_eq!(answer, b"", "no answer to a password: AuthenticationOk is the caller's");
    progress
}

fn log_in_plain(secret: Option<Secret>, password: &[u8]) -> Result<Progress<Proved>, AuthError> {
    let (mut login, mut out) = (login(Method::Plain, "bob", secret), Vec::new());
    assert_eq!(login.start(&mut out), Ok(Progress::Continue));
    assert_eq!(frame(&mut out), (b'R', vec![0, 0, 0, 3]));
    send_password(&mut login, password)
}

fn log_in_md5(secret: Option<Secret>, password: &str) -> Result<Progress<Proved>, AuthError> {
    let (mut login, mut out) = (login(Method::Md5, "bob", secret), Vec::new());
    assert_eq!(login.start(&mut out), Ok(Progress::Continue));
    let (_, body) = frame(&mut out);
    let Ok(Authentication::Md5 { salt }) = read::authentication(&body) else { panic!("{body:?}") };
    send_password(&mut login, md5_hash(b"bob", password.as_bytes(), salt).as_bytes())
}

fn log_in_scram(
    method: Method,
    secret: Option<Secret>,
    password: &str,
) -> Result<Progress<Proved>, AuthError> {
    let (mut login, mut out) = (login(method, "bob", secret), Vec::new());
    assert_eq!(login.start(&mut out), Ok(Progress::Continue));
    assert_eq!(frame(&mut out).1, b"\0\0\0\x0aSCRAM-SHA-256\0\0");
    let mut peer = ScramSha256::new(password.as_bytes(), ChannelBinding::unsupported());
    write::sasl_initial_response(&mut out, b"SCRAM-SHA-256", Some(peer.message())).unwrap();
    let (_, body) = frame(&mut out);
    assert_eq!(login.message(&body, &mut out), Ok(Progress::Continue));
    peer.update(&frame(&mut out).1[4..]).unwrap();
    let progress = login.message(peer.message(), &mut out)?;
    peer.finish(&frame(&mut out).1[4..]).unwrap();
    Ok(progress)
}

#[test]
fn trust_asks_only_that_the_user_is_known() {
    for secret in [plain(), Secret::parse(""), scram()] {
        let mut out = Vec::new();
        let progress = login(Method::Trust, "bob", Some(secret)).start(&mut out).unwrap();
        assert_eq!((proved(progress), out), (Proved::default(), vec![]));
    }
    let error = login(Method::Trust, "bob", None).start(&mut Vec::new()).unwrap_err();
    assert_eq!((error.to_string().as_str(), error.sqlstate()), ("\"trust\" authentication failed", "08P01"));
}

#[test]
fn plain_accepts_every_kind_of_secret() {
    for secret in [plain(), md5(), scram()] {
        let done = proved(log_in_plain(Some(secret.clone()), b"secret").unwrap());
        assert_eq!(done, Proved { password: Some("secret".into()), scram_keys: None });
        for wrong in [&b"Secret"[..], b"secre", b"secret1", b"\xff", b""] {
            assert_eq!(log_in_plain(Some(secret.clone()), wrong), Err(AuthError::Password));
        }
    }
    assert_eq!(log_in_plain(None, b"secret"), Err(AuthError::Password));
    assert_eq!(AuthError::Password.to_string(), "password authentication failed");
}

#[test]
fn an_empty_secret_opens_nothing() {
    assert_eq!(log_in_plain(Some(Secret::parse("")), b""), Err(AuthError::Password));
    assert_eq!(log_in_md5(Some(Secret::parse("")), ""), Err(AuthError::Password));
    assert!(matches!(log_in_scram(Method::Scram, Some(Secret::parse("")), ""), Err(AuthError::Sasl { .. })));
}

#[test]
fn the_longest_password_works_and_a_longer_one_is_wrong() {
    let longest = "x".repeat(MAX_PASSWORD);
    let secret = || Some(Secret::parse(&longest));
    assert!(log_in_plain(secret(), longest.as_bytes()).is_ok());
    assert!(log_in_scram(Method::Scram, secret(), &longest).is_ok());
    let longer = "x".repeat(MAX_PASSWORD + 1);
    assert_eq!(log_in_plain(Some(Secret::parse(&longer)), longer.as_bytes()), Err(AuthError::Password));
}

#[test]
fn md5_accepts_plain_and_md5_secrets() {
    for secret in [plain(), md5()] {
        assert_eq!(log_in_md5(Some(secret.clone()), "secret"), Ok(Progress::Done(Proved::default())));
        assert_eq!(log_in_md5(Some(secret), "wrong"), Err(AuthError::Password));
    }
    assert_eq!(log_in_md5(None, "secret"), Err(AuthError::Password));
}

#[test]
fn md5_with_a_scram_secret_is_scram() {
    assert!(log_in_scram(Method::Md5, Some(scram()), "secret").is_ok());
    assert!(matches!(log_in_scram(Method::Md5, Some(scram()), "wrong"), Err(AuthError::Sasl { .. })));
}

#[test]
fn scram_accepts_plain_and_scram_secrets_and_reveals_the_keys() {
    for secret in [plain(), scram()] {
        let done = proved(log_in_scram(Method::Scram, Some(secret), "secret").unwrap());
        assert!(done.password.is_none() && done.scram_keys.is_some());
    }
    let done = proved(log_in_scram(Method::Scram, Some(scram()), "secret").unwrap());
    assert_eq!(done.scram_keys, Some(ScramKeys::build(b"secret", b"some salt", ITERATIONS)));
}

#[test]
fn scram_fails_at_the_proof_for_wrong_unknown_and_md5_alike() {
    let wrong = AuthError::Sasl { detail: "password authentication failed" };
    for secret in [Some(plain()), Some(scram()), Some(md5()), None] {
        let password = if matches!(secret, Some(Secret::Md5(_))) { "secret" } else { "wrong" };
        assert_eq!(log_in_scram(Method::Scram, secret, password), Err(wrong));
    }
    assert_eq!(
        (wrong.to_string().as_str(), wrong.detail()),
        ("SASL authentication failed", Some("password authentication failed"))
    );
}

/// server-first of one login.
fn server_first(user: &str, secret: Option<Secret>) -> String {
    let (mut login, mut out) = (login(Method::Scram, user, secret), Vec::new());
    login.start(&mut Vec::new()).unwrap();
    login.message(b"SCRAM-SHA-256\0\0\0\0\x09n,,n=,r=c", &mut out).unwrap();
    String::from_utf8(frame(&mut out).1[4..].to_vec()).unwrap()
}

#[test]
fn an_unknown_user_looks_like_a_known_one() {
    let unknown = server_first("bob", None);
    assert_eq!(unknown, server_first("bob", None), "the same salt at every login");
    assert_eq!(unknown, server_first("bob", Some(plain())), "and the one of a user with a password");
    assert_ne!(unknown, server_first("eve", None));
}

#[test]
fn broken_scram_messages_fail_as_a_login_and_say_why_in_the_log() {
    let first = |message: &[u8]| {
        let (mut login, mut out) = (login(Method::Scram, "bob", Some(plain())), Vec::new());
        login.start(&mut out).unwrap();
        out.clear();
        write::sasl_initial_response(&mut out, b"SCRAM-SHA-256", Some(message)).unwrap();
        let (_, body) = frame(&mut out);
        login.message(&body, &mut out).unwrap_err().detail().unwrap()
    };
    assert_eq!(first(b""), "client-first has no channel binding flag");
    assert_eq!(first(b"\xff"), "client-first is not UTF-8");
    assert_eq!(first("é,,n=,r=c".as_bytes()), "client-first has no channel binding flag");
    assert_eq!(
        first(b"p=tls-unique,,n=,r=c"),
        "client-first binds to something else than tls-server-end-point"
    );
    assert_eq!(first(b"n,a=root,n=,r=c"), "authorization identity is not supported");
    assert_eq!(first(b"n,,m=x,n=,r=c"), "client requires a SCRAM extension that is not supported");
    assert_eq!(first(b"n,,r=c"), "client-first has no user name attribute");
    assert_eq!(first(b"n,,n="), "client-first has no nonce");
    assert_eq!(first(b"n,,n=,r="), "client-first has an invalid nonce");
    assert_eq!(first(b"n,,n=,r=a b"), "client-first has an invalid nonce");
}

#[test]
fn a_final_message_must_fit_the_first() {
    let last = |message: &str| {
        let (mut login, mut out) = (login(Method::Scram, "bob", Some(plain())), Vec::new());
        login.start(&mut out).unwrap();
        out.clear();
        login.message(b"SCRAM-SHA-256\0\0\0\0\x09n,,n=,r=c", &mut out).unwrap();
        let body = frame(&mut out).1;
        let server_first = std::str::from_utf8(&body[4..]).unwrap();
        let nonce = server_first.split(',').next().unwrap().to_owned();
        login.message(message.replace("NONCE", &nonce).as_bytes(), &mut out).unwrap_err().detail().unwrap()
    };
    let proof = "A".repeat(43) + "=";
    assert_eq!(last(&format!("c=biws,NONCE,p={proof}")), "password authentication failed");
    assert_eq!(last(""), "client-final does not end in a proof");
    assert_eq!(last("c=biws,NONCE"), "client-final does not end in a proof");
    assert_eq!(last(&format!("NONCE,p={proof}")), "client-final has no channel binding attribute");
    assert_eq!(
        last(&format!("c=eSws,NONCE,p={proof}")),
        "client-final repeats another channel binding header"
    );
    assert_eq!(last(&format!("c=biws,NONCEx,p={proof}")), "client-final has another nonce");
    assert_eq!(last(&format!("c=biws,r=c,p={proof}")), "client-final has another nonce");
    let not_a_proof = "client-final has a proof that is not 32 bytes in base64";
    assert_eq!(last("c=biws,NONCE,p=AAAA"), not_a_proof);
    assert_eq!(last("c=biws,NONCE,p="), not_a_proof);
}

#[test]
fn a_mechanism_that_was_not_offered_is_refused() {
    let (mut login, mut out) = (login(Method::Scram, "bob", Some(plain())), Vec::new());
    login.start(&mut out).unwrap();
    let error = login.message(b"SCRAM-SHA-256-PLUS\0\0\0\0\0", &mut out).unwrap_err();
    assert_eq!(error.to_string(), "client selected an invalid SASL authentication mechanism");
}

#[test]
fn messages_out_of_place_end_the_login() {
    let mut out = Vec::new();
    let mut unasked = login(Method::Plain, "bob", Some(plain()));
    assert_eq!(unasked.message(b"secret\0", &mut out), Err(AuthError::Unexpected));
    let mut twice = login(Method::Plain, "bob", Some(plain()));
    twice.start(&mut out).unwrap();
    assert_eq!(twice.start(&mut out), Err(AuthError::Unexpected));
    assert_eq!(twice.message(b"secret\0", &mut out), Err(AuthError::Unexpected));
    let mut broken = login(Method::Plain, "bob", Some(plain()));
    broken.start(&mut out).unwrap();
    assert!(matches!(broken.message(b"secret", &mut out), Err(AuthError::Read(_))));
    assert_eq!(broken.message(b"secret\0", &mut out), Err(AuthError::Unexpected), "no second try");
}
