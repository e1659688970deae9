//! What an answer of `auth_query` may look like, and what the log says of the others. Next: `auth_query.rs`.

use howdah_backend::Values;

use super::auth_query::read_row;

fn row(values: &[Option<&str>]) -> Values {
    values.iter().map(|value| value.map(|text| text.as_bytes().into())).collect()
}

#[test]
fn an_answer_is_a_name_and_a_secret() {
    let (name, secret) = read_row(row(&[Some("bob"), Some("md5x")])).unwrap();
    assert_eq!((name.as_str(), secret.expose()), ("bob", "md5x"));
    // Without a password, or with one that is no longer valid: the user exists all the same.
    let (name, secret) = read_row(row(&[Some("bob"), None])).unwrap();
    assert_eq!((name.as_str(), secret.expose()), ("bob", ""));
}

#[test]
fn anything_else_is_a_mistake_of_the_query() {
    let says = |values: &[Option<&str>]| read_row(row(values)).unwrap_err();
    assert_eq!(says(&[]), "expected 2 columns from auth_query, not 0");
    assert_eq!(says(&[Some("bob")]), "expected 2 columns from auth_query, not 1");
    assert_eq!(says(&[Some("a"), None, None]), "expected 2 columns from auth_query, not 3");
    assert_eq!(says(&[None, Some("x")]), "auth_query response contained null user name");
    let long = "x".repeat(howdah_config::MAX_SECRET + 1);
    assert!(says(&[Some("a"), Some(&long)]).contains("too long"));
    assert!(read_row(row(&[Some("a"), Some(&long[1..])])).is_ok());
    assert!(read_row(vec![Some(vec![0xff].into()), None]).unwrap_err().contains("UTF-8"));
}
