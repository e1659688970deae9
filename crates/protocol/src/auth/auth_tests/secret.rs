//! Secrets: their texts, and what does not show.

use crate::auth::{Credential, Md5Hash, Password, ScramKeys, ScramSecret, Secret, stable_salt};

use super::ITERATIONS;

/// Of the password `pencil`.
const SCRAM: &str = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$\
                     WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";

#[test]
fn each_form_is_known_by_its_text() {
    assert!(matches!(Secret::parse(SCRAM), Secret::Scram(_)));
    assert!(matches!(Secret::parse("md50123456789abcdefABCDEF0123456789"), Secret::Md5(_)));
    for plain in ["", "pw", "md5", "md5xyz", "md50123456789abcdef0123456789abcdeg", "SCRAM-SHA-256$4096:"] {
        assert_eq!(Secret::parse(plain), Secret::Plain(plain.into()));
    }
}

#[test]
fn a_scram_secret_goes_back_to_its_text() {
    assert_eq!(*ScramSecret::parse(SCRAM).unwrap().expose(), SCRAM);
}

#[test]
fn a_scram_secret_that_is_not_whole_is_none() {
    let broken = [
        SCRAM.replace("4096", "0"),
        SCRAM.replace("4096", "x"),
        SCRAM.replace("4096", "99999999999"),
        SCRAM.replace("W22ZaJ0SNY7soEsUEjb6gQ==", ""),
        SCRAM.replace("gQ==", "g"),
        SCRAM.replace("WG5d", ""),
        SCRAM.replace("=:", "=$"),
        SCRAM.replace("256$", "1$"),
        format!("{SCRAM}A"),
    ];
    for text in broken {
        assert_eq!(ScramSecret::parse(&text), None, "{text}");
    }
}

#[test]
fn a_secret_that_postgresql_made_opens() {
    // By PostgreSQL 15, of a password with a no-break space and a soft hyphen in it.
    let made = "SCRAM-SHA-256$4096:Ydi6+ZTMxTAb8uCwrs7aWg==$\
                p3D/ezeD8Ru7Su3YU5/WAemmWtXHlJUgGKZYwzrTAho=:iEorh2rFzTk5JkIbKdmgoei8pgyYf97ICTf5uJY+mvw=";
    let made = ScramSecret::parse(made).unwrap();
    assert!(made.verify("pencil \u{a0}IX\u{ad}".as_bytes()));
    assert!(made.verify(b"pencil  IX"));
    assert!(!made.verify(b"pencil IX"));
}

#[test]
fn a_secret_opens_with_its_password_alone() {
    let known = ScramSecret::parse(SCRAM).unwrap();
    assert!(known.verify(b"pencil"));
    assert!(!known.verify(b"pencils"));
    let parsed = Secret::parse(SCRAM);
    assert!(parsed.verify(b"user", b"pencil"));
    assert!(!parsed.verify(b"user", b""));
}

#[test]
fn a_secret_that_costs_too_much_opens_nothing() {
    let secret = Secret::parse(&SCRAM.replace("4096", "4000000000"));
    assert!(matches!(secret, Secret::Scram(_)), "still a SCRAM secret, never a password");
    assert!(!secret.verify(b"user", b"pencil"));
}

#[test]
fn passwords_are_prepared_as_postgresql_prepares_them() {
    let build = |password: &[u8]| ScramSecret::build(password, b"salt", ITERATIONS);
    // SASLprep: a soft hyphen is nothing, a no-break space is a space, a Roman nine is two letters.
    assert_eq!(build("I\u{ad}X".as_bytes()), build(b"IX"));
    assert_eq!(build("a\u{a0}b".as_bytes()), build(b"a b"));
    assert_eq!(build("\u{2168}".as_bytes()), build(b"IX"));
    // What cannot be prepared is taken as it is.
    assert_ne!(build(b"a\x07"), build(b"a"));
    assert_ne!(build(b"\xff\xfe"), build(b"\xff"));
    assert_ne!(build("\u{ad}".as_bytes()), build(b""));
}

#[test]
fn an_md5_hash_is_of_password_and_user() {
    let parse = |text| Md5Hash::parse(text).unwrap();
    let built = Md5Hash::build(&Password::from("secret"), b"bob");
    // As PostgreSQL 15 stored it.
    assert_eq!(parse("md521f3163f8f86fa10bdefbfbd502a8f06"), built);
    assert_eq!(parse("md521F3163F8F86FA10BDEFBFBD502A8F06"), built);
    assert_eq!(built.answer([1, 2, 3, 4]).as_slice(), peer_md5(b"bob", b"secret").as_bytes());
    assert_ne!(built, Md5Hash::build(&Password::from("secret"), b"eve"));
    assert!(Secret::Md5(built).verify(b"bob", b"secret"));
}

fn peer_md5(user: &[u8], password: &[u8]) -> String {
    postgres_protocol::authentication::md5_hash(user, password, [1, 2, 3, 4])
}

#[test]
fn nothing_secret_shows() {
    let keys = ScramKeys::build(b"pw", b"salt", ITERATIONS);
    let shown = [
        format!("{:?}", Secret::parse("hunter2")),
        format!("{:?}", Secret::parse("md50123456789abcdef0123456789abcdef")),
        format!("{:?}", Secret::parse(SCRAM)),
        format!("{:?}", Credential::ScramKeys(keys)),
    ];
    let expected = [
        "Plain(Password(..))",
        "Md5(Md5Hash(..))",
        "Scram(ScramSecret { iterations: 4096, .. })",
        "ScramKeys(ScramKeys(..))",
    ];
    assert_eq!(shown, expected);
}

#[test]
fn stable_salts_differ_by_user_and_by_process() {
    assert_eq!(stable_salt(b"a", &[1; 32]), stable_salt(b"a", &[1; 32]));
    assert_ne!(stable_salt(b"a", &[1; 32]), stable_salt(b"b", &[1; 32]));
    assert_ne!(stable_salt(b"a", &[1; 32]), stable_salt(b"a", &[2; 32]));
}

#[test]
fn what_a_secret_is_good_for_towards_a_server() {
    let keys = ScramKeys::build(b"pencil", b"salt", ITERATIONS);
    let of = |text: &str, keys| Credential::from_secret(&Secret::parse(text), keys);
    assert_eq!(of("pw", Some(&keys)), Credential::Password("pw".into()));
    assert!(matches!(of("md50123456789abcdef0123456789abcdef", None), Credential::Md5Hash(_)));
    assert_eq!(of(SCRAM, None), Credential::ScramSecretOnly);
    assert_eq!(of(SCRAM, Some(&keys)), Credential::ScramKeys(keys));
}
