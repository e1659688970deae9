//! Connection strings: quoting, replacing, refusing.

use crate::conninfo::{Conninfo, ConninfoError};

#[test]
fn reads_what_pg_basebackup_writes() {
    let text = "user=repuser1 password='it''s' channel_binding=prefer host=10.0.3.200 port=5432";
    // Two quotes are no escape in a connection string: the value ends at the first.
    assert_eq!(Conninfo::parse(text), Err(ConninfoError::Malformed));
    let text = r"user=repuser1 password='it\'s a \\ one' host=10.0.3.200 port = 5432 sslmode=''";
    let info = Conninfo::parse(text).unwrap();
    assert_eq!(info.get("password"), Some(r"it's a \ one"));
    assert_eq!(info.get("port"), Some("5432"));
    assert_eq!(info.get("sslmode"), Some(""));
    assert_eq!(Conninfo::parse(&info.to_string()), Ok(info));
}

#[test]
fn replaces_the_address_and_keeps_the_rest() {
    let mut info = Conninfo::parse("host=a hostaddr=10.0.0.1 port=1 user=u application_name=n1").unwrap();
    info.set("host", "10.0.3.201");
    info.set("port", "5433");
    info.remove("hostaddr");
    assert_eq!(info.to_string(), "user=u application_name=n1 host=10.0.3.201 port=5433");
}

#[test]
fn the_last_of_two_wins_and_the_empty_text_is_empty() {
    assert_eq!(Conninfo::parse("host=a host=b").unwrap().get("host"), Some("b"));
    assert_eq!(Conninfo::parse("  ").unwrap().to_string(), "");
}

#[test]
fn refuses_what_it_does_not_read() {
    assert_eq!(Conninfo::parse("postgresql://u@h/db"), Err(ConninfoError::Uri));
    for text in ["host", "host='a", "=x", "a b=c"] {
        assert_eq!(Conninfo::parse(text), Err(ConninfoError::Malformed), "{text}");
    }
}

#[test]
fn debug_keeps_the_password_to_itself() {
    let info = Conninfo::parse("user=u password=geheim").unwrap();
    assert!(!format!("{info:?}").contains("geheim"));
}
