//! The login to a server: against our own server's side, and against servers that lie.

use super::{ITERATIONS, frame, login, proved};
use crate::{
    auth::{
        AuthError, Credential, Md5Hash, Method, Password, Progress, ScramKeys, ScramSecret, Secret,
        ServerLogin,
    },
    read,
};

fn server_login(credential: Credential) -> ServerLogin {
    ServerLogin::new(b"bob", credential, [5; 32])
}

fn password() -> Credential {
    Credential::Password("secret".into())
}

/// Gives the body of an Authentication message to the login.
fn tell(login: &mut ServerLogin, body: &[u8], out: &mut Vec<u8>) -> Result<Progress<()>, AuthError> {
    login.message(read::authentication(body).unwrap(), out)
}

/// Lets the two sides talk until one is content or fails.
fn talk(method: Method, secret: Secret, credential: Credential) -> Result<(), AuthError> {
    let (mut ours, mut theirs) = (server_login(credential), login(method, "bob", Some(secret)));
    let (mut from_server, mut from_us) = (Vec::new(), Vec::new());
    let mut progress = theirs.start(&mut from_server)?;
    while progress == Progress::Continue {
        assert_eq!(tell(&mut ours, &frame(&mut from_server).1, &mut from_us)?, Progress::Continue);
        progress = theirs.message(&frame(&mut from_us).1, &mut from_server)?;
    }
    if !from_server.is_empty() {
        assert_eq!(tell(&mut ours, &frame(&mut from_server).1, &mut from_us)?, Progress::Continue);
    }
    assert_eq!(tell(&mut ours, &[0; 4], &mut from_us)?, Progress::Done(()));
    assert_eq!(tell(&mut ours, &[0; 4], &mut from_us), Err(AuthError::Unexpected));
    Ok(())
}

#[test]
fn every_method_with_the_password() {
    let scram = Secret::Scram(ScramSecret::build(b"secret", b"some salt", ITERATIONS));
    assert_eq!(talk(Method::Plain, Secret::parse("secret"), password()), Ok(()));
    assert_eq!(talk(Method::Md5, Secret::parse("secret"), password()), Ok(()));
    assert_eq!(talk(Method::Scram, Secret::parse("secret"), password()), Ok(()));
    assert_eq!(talk(Method::Md5, scram.clone(), password()), Ok(()));
    assert_eq!(talk(Method::Scram, scram, Credential::Password("other".into())), wrong());
}

fn wrong() -> Result<(), AuthError> {
    Err(AuthError::Sasl { detail: "password authentication failed" })
}

#[test]
fn the_keys_of_a_clients_login_open_the_server() {
    let secret = || Secret::Scram(ScramSecret::build(b"secret", b"some salt", ITERATIONS));
    // The client logs in to us, and we to the server with what its login has revealed.
    let (mut client, mut pooler) = (server_login(password()), login(Method::Scram, "bob", Some(secret())));
    let (mut up, mut down) = (Vec::new(), Vec::new());
    pooler.start(&mut down).unwrap();
    tell(&mut client, &frame(&mut down).1, &mut up).unwrap();
    pooler.message(&frame(&mut up).1, &mut down).unwrap();
    tell(&mut client, &frame(&mut down).1, &mut up).unwrap();
    let keys = proved(pooler.message(&frame(&mut up).1, &mut down).unwrap()).scram_keys.unwrap();
    assert_eq!(talk(Method::Scram, secret(), Credential::ScramKeys(keys.clone())), Ok(()));
    let other_salt = Secret::Scram(ScramSecret::build(b"secret", b"other salt", ITERATIONS));
    assert_eq!(talk(Method::Scram, other_salt, Credential::ScramKeys(keys)), wrong());
}

#[test]
fn an_md5_hash_serves_md5_alone() {
    let hash = || Credential::Md5Hash(Md5Hash::build(&Password::from("secret"), b"bob"));
    assert_eq!(talk(Method::Md5, Secret::parse("secret"), hash()), Ok(()));
    for method in [Method::Plain, Method::Scram] {
        let error = talk(method, Secret::parse("secret"), hash()).unwrap_err();
        assert_eq!(error.to_string(), "wrong password type");
    }
}

#[test]
fn what_cannot_serve_is_the_wrong_password_type() {
    let keys = ScramKeys::build(b"secret", b"some salt", ITERATIONS);
    let cases = [
        (Method::Plain, Credential::None),
        (Method::Md5, Credential::None),
        (Method::Scram, Credential::None),
        (Method::Plain, Credential::ScramKeys(keys.clone())),
        (Method::Md5, Credential::ScramKeys(keys)),
        (Method::Scram, Credential::ScramSecretOnly),
    ];
    for (method, credential) in cases {
        let error = talk(method, Secret::parse("secret"), credential).unwrap_err();
        assert!(matches!(error, AuthError::WrongPasswordType { .. }), "{method:?}: {error:?}");
    }
    let error = talk(Method::Scram, Secret::parse("secret"), Credential::ScramSecretOnly).unwrap_err();
    assert!(error.detail().unwrap().starts_with("cannot do SCRAM authentication: "));
}

#[test]
fn a_server_that_trusts_needs_no_credential() {
    assert_eq!(talk(Method::Trust, Secret::parse("secret"), Credential::None), Ok(()));
    assert_eq!(talk(Method::Trust, Secret::parse("secret"), password()), Ok(()));
}

#[test]
fn methods_that_we_do_not_speak_are_named() {
    let mut out = Vec::new();
    let error = tell(&mut server_login(password()), &[0, 0, 0, 7], &mut out).unwrap_err();
    assert_eq!(error.to_string(), "server asks for authentication method 7, which is not supported");
    let plus = b"\0\0\0\x0aSCRAM-SHA-256-PLUS\0\0";
    assert_eq!(tell(&mut server_login(password()), plus, &mut out), Err(AuthError::NoMechanism));
    let both = b"\0\0\0\x0aSCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0";
    assert_eq!(tell(&mut server_login(password()), both, &mut out), Ok(Progress::Continue));
    assert!(out.starts_with(b"p\0\0\0\x36SCRAM-SHA-256\0\0\0\0\x20n,,n=,r="), "{out:?}");
}

/// The login after client-first, and its nonce.
fn opened(credential: Credential) -> (ServerLogin, String) {
    let (mut login, mut out) = (server_login(credential), Vec::new());
    tell(&mut login, b"\0\0\0\x0aSCRAM-SHA-256\0\0", &mut out).unwrap();
    let body = frame(&mut out).1;
    let data = read::sasl_initial_response(&body).unwrap().data.unwrap();
    (login, std::str::from_utf8(data).unwrap().strip_prefix("n,,n=,r=").unwrap().to_owned())
}

fn first(server_first: &str) -> Result<Progress<()>, AuthError> {
    let (mut login, nonce) = opened(password());
    let body = [b"\0\0\0\x0b", server_first.replace("NONCE", &nonce).as_bytes()].concat();
    tell(&mut login, &body, &mut Vec::new())
}

#[test]
fn a_servers_first_message_is_checked() {
    let lie = |detail| Err(AuthError::Server { detail });
    assert_eq!(first("r=NONCEx,s=c2FsdA==,i=1"), Ok(Progress::Continue));
    assert_eq!(first("r=NONCEx,s=c2FsdA==,i=1,x=extension"), Ok(Progress::Continue));
    assert_eq!(first("r=xNONCE,s=c2FsdA==,i=1"), lie("its nonce does not extend ours"));
    assert_eq!(first("r=NONCE,s=c2FsdA==,i=1"), lie("its nonce does not extend ours"));
    assert_eq!(first(""), lie("its first message has no nonce"));
    assert_eq!(
        first("m=x,r=NONCEx,s=c2FsdA==,i=1"),
        lie("it requires a SCRAM extension that is not supported")
    );
    assert_eq!(first("r=NONCEx,s=,i=1"), lie("its first message has no salt"));
    assert_eq!(first("r=NONCEx,s=%,i=1"), lie("its first message has no salt"));
    assert_eq!(first("r=NONCEx,s=c2FsdA=="), lie("its first message has no iteration count"));
    assert_eq!(first("r=NONCEx,s=c2FsdA==,i=-1"), lie("its first message has no iteration count"));
    assert_eq!(first("r=NONCEx,s=c2FsdA==,i=0"), lie("it asks for 0 iterations"));
    let many = |iterations| Err(AuthError::Iterations { iterations });
    assert_eq!(first("r=NONCEx,s=c2FsdA==,i=1000001"), many(1_000_001));
    assert_eq!(first("r=NONCEx,s=c2FsdA==,i=4294967296"), many(1 << 32));
}

#[test]
fn a_server_must_prove_itself() {
    let proving = || {
        let (mut login, nonce) = opened(password());
        let body = format!("\0\0\0\x0br={nonce}x,s=c2FsdA==,i=1");
        tell(&mut login, body.as_bytes(), &mut Vec::new()).unwrap();
        login
    };
    let last = |body: &[u8]| tell(&mut proving(), body, &mut Vec::new());
    let lie = |detail| Err(AuthError::Server { detail });
    assert_eq!(last(&[0; 4]), lie("it did not prove that it knows the password"));
    assert_eq!(last(b"\0\0\0\x0ce=other-error"), lie("it ended the exchange with an error"));
    assert_eq!(last(b"\0\0\0\x0c"), lie("its signature is missing"));
    assert_eq!(last(b"\0\0\0\x0cv=AAAA"), lie("its signature is missing"));
    let signature = [&b"\0\0\0\x0cv="[..], "A".repeat(43).as_bytes(), b"="].concat();
    assert_eq!(last(&signature), lie("its signature is wrong: it does not know the password"));
    assert_eq!(last(b"\0\0\0\x0bagain"), Err(AuthError::Unexpected));
    assert_eq!(last(&[0, 0, 0, 3]), Err(AuthError::Unexpected), "no asking for the password now");
    let (mut opened, _) = opened(password());
    let skipped = tell(&mut opened, &[0; 4], &mut Vec::new());
    assert_eq!(skipped, lie("it did not prove that it knows the password"));
}

#[test]
fn a_failed_login_stays_failed() {
    let mut login = server_login(Credential::None);
    let mut out = Vec::new();
    tell(&mut login, &[0, 0, 0, 3], &mut out).unwrap_err();
    assert_eq!(tell(&mut login, &[0; 4], &mut out), Err(AuthError::Unexpected));
    assert_eq!(out, b"");
}
